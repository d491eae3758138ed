"""The server's side of TLS: client certificates required, renewed while it runs."""

from __future__ import annotations

import grpc

from joblet.bridge.credentials import Credentials, CredentialSet

# A connection that has shown no certificate by then ends, on either port: a stranger must not hold
# on to what costs him nothing. (gRPC's own two minutes are long for that.)
HANDSHAKE_S = 10.0


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
