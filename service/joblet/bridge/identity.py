"""Who calls: the client certificate of a connection, its holder and role.

gRPC has verified the certificate against our authorities in the handshake. Read here is the
certificate itself and not gRPC's text of the subject, which cannot tell a comma in a name from one
between. Whether it was revoked, has expired or is no longer trusted is asked for every call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from joblet import pki
from joblet.bridge.credentials import Credentials
from joblet.bridge.roles import word
from joblet.errors import JobletError
from joblet.model.job import Remote
from joblet.model.roles import Role

_TLS_1_3 = b"TLSv1.3"
# Each call of a connection brings its certificate along: it is parsed for the first one only.
_KNOWN_MAX = 1024
# jobletd takes no more, and nobody reads more.
_SUBJECT_MAX = 1000

AuthContext = Mapping[str, Iterable[bytes]]


class Unidentified(Exception):
    """The connection does not say who is on its other end; the sentence says why."""


class Identity(NamedTuple):
    """The holder of a client certificate."""

    subject: str
    role: Role | None
    serial: int
    expires: datetime
    certificate: bytes  # PEM

    @property
    def remote(self) -> Remote:
        """As jobletd keeps it with a job."""
        return Remote(self.subject, word(self.role))


class Identities:
    """Certificates that were seen; lives as long as the bridge."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._known: OrderedDict[bytes, Identity] = OrderedDict()
        # Certificates, and whether somebody of the set beside it vouches for them.
        self._vouched: dict[bytes, bool] = {}
        self._asked = credentials.current()

    def of(self, context: AuthContext) -> Identity:
        """The holder of the certificate in a call's auth context. Raises Unidentified."""
        # Older TLS is refused in the handshake (tls.py); newer gRPC tells the version besides.
        version = next(iter(context.get("ssl_tls_version", ())), _TLS_1_3)
        if version != _TLS_1_3:
            raise Unidentified("TLS 1.3 is required")
        certificate = next(iter(context.get("x509_pem_cert", ())), None)
        if certificate is None:
            raise Unidentified("there is no client certificate")
        known = self._known.get(certificate)
        if known is None:
            known = self._known[certificate] = read(certificate)
            if len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(certificate)
        self.check(known)
        return known

    def check(self, identity: Identity) -> None:
        """Raises Unidentified for a holder whose certificate is not good any more."""
        if self._credentials.now() > identity.expires:
            raise Unidentified(f"the certificate of {identity.subject} has expired")
        if self._credentials.current().is_revoked(identity.serial):
            raise Unidentified(f"the certificate of {identity.subject} is revoked")
        if self._credentials.has_withdrawn and not self._is_vouched_for(identity):
            raise Unidentified(f"who signed the certificate of {identity.subject} is not trusted")

    def _is_vouched_for(self, identity: Identity) -> bool:
        """Whether somebody who is trusted signed it; not through an authority in between."""
        current = self._credentials.current()
        if current is not self._asked or len(self._vouched) > _KNOWN_MAX:
            self._vouched.clear()
            self._asked = current
        vouched = self._vouched.get(identity.certificate)
        if vouched is None:
            vouched = self._credentials.vouches_for(identity.certificate)
            self._vouched[identity.certificate] = vouched
        return vouched


def read(certificate: bytes) -> Identity:
    """The holder that a certificate (PEM) names. Raises Unidentified."""
    try:
        found = pki.read_certificate(certificate)
    except JobletError as err:
        raise Unidentified(f"the client certificate cannot be read ({err})") from err
    subject = found.subject[:_SUBJECT_MAX] or "(no subject)"
    return Identity(subject, found.role, found.serial, found.not_after, found.pem)
