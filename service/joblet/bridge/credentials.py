"""The bridge's certificates as they are now: read from a directory, noticed when they change.

Owns the decision that a new set is good; the last good one is kept until there is a better one.
Making the files is for `jobletctl certs`, serving with them for the server. Three files, each of
which is replaced as a whole: server.pem (key and certificate), ca.crt (whom to trust) and crl.pem
(whom not any more); trusted.crt, if there is one, names more authorities, such as that of clients
which another host once issued.

The directory's parent holds the CA's key, so a service with a user of its own cannot reach it by
its usual path. `TemporaryFileSystem=` on the parent with `BindReadOnlyPaths=` on the directory
shows the service this directory there and nothing else.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from joblet import pki
from joblet.errors import HostFailure, JobletError

WARN_DAYS = 14

_SERVER = "server.pem"
_AUTHORITY = "ca.crt"
_REVOCATIONS = "crl.pem"
_MORE_AUTHORITIES = "trusted.crt"
_FILES = (_SERVER, _AUTHORITY, _REVOCATIONS, _MORE_AUTHORITIES)
# A revocation takes some 40 bytes: more than a million of them.
_FILE_MAX = 64 << 20

Parsed = TypeVar("Parsed")

log = logging.getLogger(__name__)

# What tells one state of a file from another, or why there is none.
_Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CredentialSet:
    """One consistent set; never changes, so a handshake may keep it as long as it likes."""

    key: bytes
    chain: bytes
    roots: bytes
    revoked: frozenset[int]
    expires: datetime
    own: tuple[pki.Certificate, ...]  # of ca.crt
    others: tuple[pki.Certificate, ...]  # of trusted.crt

    def is_revoked(self, serial: int) -> bool:
        """True when the peer with this serial number must be refused."""
        return serial in self.revoked


class Credentials:
    """The current set of one directory; lives as long as the server.

    Any thread may call: grpc asks for new certificates from threads of its own.
    """

    def __init__(self, directory: str, *, clock: Callable[[], datetime] | None = None) -> None:
        """Read the first set. Raises JobletError: nothing is served without a good one."""
        self._directory = directory
        self._clock = clock or _now
        self._lock = threading.Lock()
        self._warned = False
        self._seen = self._stamps()
        self._current = self._load()
        # Every authority that a connection may have come in by.
        self._own_ever = frozenset(self._current.own)
        self._others_ever = frozenset(self._current.others)
        self._has_withdrawn = False
        self._warn_of_expiry()

    def current(self) -> CredentialSet:
        """The last good set."""
        return self._current

    @property
    def has_withdrawn(self) -> bool:
        """Whether an authority of trusted.crt was trusted once that is not any more.

        It has no revocations here, so that is how its clients are put out, those too that are
        connected; no connection says by whom it came in. Our own authority is replaced in another
        spirit: who was let in by its predecessor stays until the connection ends.
        """
        return self._has_withdrawn

    def vouches_for(self, certificate: bytes) -> bool:
        """Whether one who is trusted, or whom ours has followed, signed a certificate (PEM)."""
        return pki.is_issued(certificate, (*self._own_ever, *self._current.others))

    def now(self) -> datetime:
        """The time by which certificates are judged."""
        return self._clock()

    def changed(self) -> bool:
        """Look at the files; True when there is a new good set.

        Cheap (four calls of stat) while nothing changes, so it may be called for every handshake
        and every second. A broken set is told once and looked at again when a file changes.
        """
        with self._lock:
            self._warn_of_expiry()
            stamps = self._stamps()
            if stamps == self._seen:
                return False
            # Before the reading: what changes meanwhile has another stamp the next time.
            self._seen = stamps
            try:
                loaded = self._load()
            except JobletError as err:
                log.error("new certificates are not used, the old ones stay: %s", err)
                return False
            if loaded == self._current:
                return False
            self._own_ever = self._own_ever.union(loaded.own)
            self._others_ever = self._others_ever.union(loaded.others)
            self._current = loaded
            # One that was renewed has the same key: it vouches for its older certificate.
            self._has_withdrawn = not all(
                one in loaded.others or self.vouches_for(one.pem) for one in self._others_ever
            )
            self._warned = False
            log.info("new certificates are in use, the server's until %s", loaded.expires)
            self._warn_of_expiry()
            return True

    def _load(self) -> CredentialSet:
        server = self._parsed(_SERVER, pki.Identity.read)
        own = self._parsed(_AUTHORITY, pki.read_certificates)
        revocations = self._parsed(_REVOCATIONS, lambda data: pki.read_revocations(data, own))
        others: tuple[pki.Certificate, ...] = ()
        if os.path.lexists(self._path(_MORE_AUTHORITIES)):
            others = self._parsed(_MORE_AUTHORITIES, _none_or_more)
        if not all(one.kind is pki.Kind.CA for one in (*own, *others)):
            raise pki.CertificateError(f"{self._directory}: a trusted certificate is not of a CA")
        return CredentialSet(
            key=server.key,
            chain=server.chain,
            roots=b"".join(one.pem for one in (*own, *others)),
            revoked=frozenset(revocations.entries),
            expires=server.certificate.not_after,
            own=own,
            others=others,
        )

    def _parsed(self, name: str, parse: Callable[[bytes], Parsed]) -> Parsed:
        path = self._path(name)
        try:
            with open(path, "rb") as file:
                data = file.read(_FILE_MAX)
        except OSError as err:
            raise HostFailure(f"read {path}", err.errno or 0) from err
        try:
            return parse(data)
        except pki.CertificateError as err:
            raise pki.CertificateError(f"{path}: {err}") from err

    def _stamps(self) -> tuple[_Stamp, ...]:
        return tuple(map(self._stamp, _FILES))

    def _stamp(self, name: str) -> _Stamp:
        try:
            found = os.stat(self._path(name))
        except OSError as err:
            return (err.errno or 0,)
        # The change time too: a file that may be read at last has only that one new.
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"

    def _warn_of_expiry(self) -> None:
        if self._warned:
            return
        expires = self._current.expires
        left = expires - self._clock()
        if left.days < WARN_DAYS:
            self._warned = True
            state = "has expired" if left.days < 0 else "expires soon"
            log.warning("the server's certificate %s (%s): renew it", state, expires)


def _none_or_more(data: bytes) -> tuple[pki.Certificate, ...]:
    return pki.read_certificates(data) if data.strip() else ()


def _now() -> datetime:
    return datetime.now(UTC)
