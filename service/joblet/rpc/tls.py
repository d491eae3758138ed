"""TLS 1.3 and nothing below, for both ends of a call.

gRPC for Python has no switch for the least version. Cipher suites of TLS 1.2 and 1.3 have separate
lists, though, and the one for 1.2 can be set: with nothing in it but suites for keys agreed on
beforehand, of which there are none, a handshake below 1.3 finds no suite in common and ends.
"""

from __future__ import annotations

import os

_CIPHERS_VARIABLE = "GRPC_SSL_CIPHER_SUITES"
# Known to OpenSSL and BoringSSL alike; an unknown or empty list would be ignored or fatal.
_NO_CIPHER_OF_TLS_1_2 = "ECDHE-PSK-CHACHA20-POLY1305"


def require_tls_1_3() -> None:
    """For this whole process; before its first TLS connection, since gRPC looks once."""
    os.environ[_CIPHERS_VARIABLE] = _NO_CIPHER_OF_TLS_1_2
