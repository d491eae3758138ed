"""The server's side of TLS: version 1.3 only, client certificates required, renewed while it runs.

gRPC for Python has no switch for the least version. Cipher suites of TLS 1.2 and 1.3 have separate
lists, though, and the one for 1.2 can be set: with nothing in it but suites for keys agreed on
beforehand, of which there are none, a handshake below 1.3 finds no suite in common and ends.
"""

from __future__ import annotations

import os

import grpc

from joblet.bridge.credentials import Credentials, CredentialSet

_CIPHERS_VARIABLE = "GRPC_SSL_CIPHER_SUITES"
# Known to OpenSSL and BoringSSL alike; an unknown or empty list would be ignored or fatal.
_NO_CIPHER_OF_TLS_1_2 = "ECDHE-PSK-CHACHA20-POLY1305"


def require_tls_1_3() -> None:
    """For this whole process; before its first TLS connection, since gRPC looks once."""
    os.environ[_CIPHERS_VARIABLE] = _NO_CIPHER_OF_TLS_1_2


def server_credentials(credentials: Credentials) -> object:
    """What one secure port is opened with.

    Connections that are there keep what they began with; each new one sees the set of that moment.
    """
    given = credentials.current()

    def renewed() -> object | None:
        # gRPC calls this for each handshake, from a thread of its own; None: go on as before.
        nonlocal given
        credentials.changed()
        if credentials.current() is given:
            return None
        given = credentials.current()
        return _configuration(given)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given), renewed, require_client_authentication=True
    )


def _configuration(given: CredentialSet) -> object:
    return grpc.ssl_server_certificate_configuration([(given.key, given.chain)], given.roots)
