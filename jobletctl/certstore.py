"""The directory of the CA (/etc/joblet/pki): what is kept there, and every change of it.

    ca.pem            the CA's key and certificate; whoever has this file is the CA
    issued/SERIAL.crt every certificate that was issued, without its key
    clients/NAME.pem  key and certificate of a client, as it was issued last
    bridge/           what the bridge may read: ca.crt, crl.pem, and its own server.pem (with key)

There is no index: a list is read from the certificates and the revocation list, which are what
counts for those who check them. A key and its certificate are one file, so one rename replaces
both. A certificate is put on record before its key can be used: nothing valid escapes `revoke`.
"""

from __future__ import annotations

import contextlib
import grp
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from joblet import pki
from joblet.errors import InvalidSpec, JobletError, NotFound
from joblet.model.ids import check_name
from joblet.model.roles import Role
from joblet.paths import Paths
from jobletctl import durablefile

# The group that the bridge runs with, and nobody else; without it the files are for root alone.
BRIDGE_GROUP = "joblet-bridge"
EXPIRING_DAYS = 30
CA = "ca"
SERVER = "server"

_FILE_MAX = 1 << 20
# Each revocation takes some 40 bytes.
_CRL_MAX = 64 << 20
_SERIAL = re.compile(r"[0-9a-f]{8,40}")


class State(StrEnum):
    """Whether a certificate is honoured."""

    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate and what has become of it."""

    name: str
    certificate: pki.Certificate
    state: State
    current: bool  # False: there is a newer one of the same name
    revoked: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """All certificates, and the files that ought to be some and are not."""

    entries: tuple[Entry, ...]
    damaged: tuple[str, ...]


def check_client_name(text: str) -> str:
    """The name of a client: a name as jobs have it, and no word that means something else here.

    Raises InvalidSpec.
    """
    check_name(text)
    if text in (CA, SERVER):
        raise InvalidSpec("name", f"'{text}' means the {text} certificate of this host")
    if _SERIAL.fullmatch(text.lower()):
        raise InvalidSpec("name", f"'{text}' would be taken for a serial number")
    return text


class CertStore:
    """The CA of this host as files. Every change holds the lock; lives as long as one command."""

    def __init__(self, paths: Paths, *, now: datetime, bridge_group: str = BRIDGE_GROUP) -> None:
        self.directory = paths.pki
        self.bridge_directory = paths.bridge_pki
        self._now = now
        self._bridge_group = bridge_group

    def init(self, ca_name: str, hosts: Sequence[str], *, days: int | None = None) -> bool:
        """Make the CA and the certificate of this host's bridge; True if there was no CA.

        A CA that is there is never touched; what an interrupted run did not come to is done.
        """
        with durablefile.explained("create", self.directory):
            os.makedirs(os.path.dirname(self.directory), exist_ok=True)
            durablefile.make_directory(self.directory, 0o700)
        with self._changing():
            created = not self._has(self._ca_file)
            if created:
                self._create(ca_name)
            if not self._has(self._server_file):
                self._put_server(self._new_server(hosts, days))
        return created

    def issue_server(self, hosts: Sequence[str], *, days: int | None = None) -> pki.Certificate:
        """A new certificate for this host's bridge, in the place of the old one."""
        with self._changing():
            identity = self._new_server(hosts, days)
            self._put_server(identity)
        return identity.certificate

    def issue_server_elsewhere(
        self, hosts: Sequence[str], directory: str, *, days: int | None = None
    ) -> pki.Certificate:
        """The files for the bridge of another host, put into a directory; the key stays nowhere
        else."""
        with self._changing():
            with durablefile.explained("create", directory):
                os.makedirs(directory, mode=0o700, exist_ok=True)
                if os.path.samefile(directory, self.bridge_directory):
                    raise InvalidSpec("output", "that is the directory of this host's own bridge")
            identity = self._new_server(hosts, days, common_name=hosts[0])
            self._record(identity.certificate)
            for name in (self._ca_certificate_file, self._crl_file):
                target = f"{directory}/{os.path.basename(name)}"
                durablefile.replace(target, self._read(name, _CRL_MAX), mode=0o644)
            server = f"{directory}/{os.path.basename(self._server_file)}"
            durablefile.replace(server, identity.pem, mode=0o600)
        return identity.certificate

    def issue_client(self, name: str, role: Role, *, days: int | None = None) -> pki.Certificate:
        """A certificate for a client who has no valid one."""
        with self._changing():
            if self._has(self._client_file(name)):
                held = self._entry(name, self._identity(self._client_file(name)).certificate)
                if held.state in (State.VALID, State.EXPIRING):
                    raise JobletError(
                        f"client {name} has a valid certificate: 'jobletctl certs renew {name}' "
                        "makes a new one, and revoke ends it"
                    )
            authority = self._authority()
            identity = authority.issue_client(
                name, role, now=self._now, days=self._days(authority, days)
            )
            self._put_client(name, identity)
        return identity.certificate

    def renew(
        self, name: str, *, days: int | None = None, keep_key: bool = False
    ) -> pki.Certificate:
        """The same for longer: hosts or role stay, the old certificate too until it expires."""
        with self._changing():
            authority = self._authority()
            if name == CA:
                renewed = authority.renewed(now=self._now, days=days or pki.CA_DAYS)
                self._write(self._ca_file, renewed.identity.pem)
                self._publish(self._ca_certificate_file, renewed.certificate.pem)
                return renewed.certificate
            file = self._server_file if name == SERVER else self._client_file(name)
            if not self._has(file):
                raise self._nobody(name)
            old = self._identity(file)
            if self._entry(name, old.certificate).state is State.REVOKED:
                raise JobletError(f"{name} is revoked: issue a new certificate instead")
            key = old.key if keep_key else b""
            days = self._days(authority, days)
            if name == SERVER:
                hosts = old.certificate.hosts
                new = authority.issue_server(hosts, now=self._now, days=days, key=key)
                self._put_server(new)
            else:
                new = authority.issue_client(
                    name, _role(name, old), now=self._now, days=days, key=key
                )
                self._put_client(name, new)
        return new.certificate

    def revoke(self, reference: str) -> list[Entry]:
        """Revoke all certificates of a name, or one by its serial number; returns all of them.

        Those that were revoked before keep their time. The list is one file: all or none.
        """
        with self._changing():
            found = self.find(reference)
            if any(entry.name == CA for entry in found):
                raise JobletError(
                    "a CA cannot revoke itself: remove its directory and make a new one"
                )
            authority = self._authority()
            before = self._revocations()
            added = {
                entry.certificate.serial: self._now for entry in found if entry.revoked is None
            }
            if added:
                crl = authority.revocation_list(
                    {**before.entries, **added}, number=before.number + 1, now=self._now
                )
                self._publish(self._crl_file, crl)
            after = self._revocations()
        return [self._entry(one.name, one.certificate, one.current, after) for one in found]

    def client(self, name: str) -> tuple[pki.Identity, bytes]:
        """Key and certificate of a client, and the CA's certificate, to be handed to that client.

        Raises JobletError if nobody would honour them.
        """
        self._authority()
        file = self._client_file(name)
        if not self._has(file):
            raise self._nobody(name)
        identity = self._identity(file)
        entry = self._entry(name, identity.certificate)
        if entry.state in (State.EXPIRED, State.REVOKED):
            raise JobletError(f"the certificate of {name} is {entry.state}: issue a new one")
        return identity, self._read(self._ca_certificate_file)

    def find(self, reference: str) -> list[Entry]:
        """The certificates of a name, or the one whose serial number begins so; at least one."""
        entries = self.listing().entries
        named = [entry for entry in entries if entry.name == reference]
        if named:
            return named
        serial = reference.lower()
        if _SERIAL.fullmatch(serial):
            begun = [one for one in entries if one.certificate.serial_text.startswith(serial)]
            if len(begun) > 1:
                raise JobletError(f"several serial numbers begin with {reference}")
            if begun:
                return begun
        raise self._nobody(reference)

    def listing(self) -> Listing:
        """Everything: the CA, then servers, then clients; of a name the current one first."""
        authority = self._authority()
        revocations = self._revocations()
        certificates: dict[int, pki.Certificate] = {}
        damaged: list[str] = []
        for file in self._files("issued", ".crt"):
            try:
                one = pki.read_certificate(self._read(file))
            except pki.CertificateError as err:
                damaged.append(f"{file}: {err}")
            else:
                certificates[one.serial] = one
        current = dict(self._current(damaged))
        # Of a server elsewhere nothing is here but the record: the newest is taken for its own.
        newest_first = sorted(certificates.values(), key=lambda one: one.not_before, reverse=True)
        for one in newest_first:
            current.setdefault(_name_of(one), one.serial)
        entries = [
            self._entry(name, one, current[name] == one.serial, revocations)
            for one in newest_first
            for name in (_name_of(one),)
        ]
        order = [pki.Kind.CA, pki.Kind.SERVER, pki.Kind.CLIENT]
        entries.sort(key=lambda one: (order.index(one.certificate.kind), one.name, not one.current))
        own = self._entry(CA, authority.certificate, True, revocations)
        return Listing((own, *entries), tuple(damaged))

    def served_hosts(self) -> set[str]:
        """All names and addresses that a valid server certificate of this CA has."""
        return {
            host
            for entry in self.listing().entries
            if entry.certificate.kind is pki.Kind.SERVER
            and entry.state in (State.VALID, State.EXPIRING)
            for host in entry.certificate.hosts
        }

    # what is where

    @property
    def _ca_file(self) -> str:
        return f"{self.directory}/ca.pem"

    @property
    def _ca_certificate_file(self) -> str:
        return f"{self.bridge_directory}/ca.crt"

    @property
    def _crl_file(self) -> str:
        return f"{self.bridge_directory}/crl.pem"

    @property
    def _server_file(self) -> str:
        return f"{self.bridge_directory}/server.pem"

    def _client_file(self, name: str) -> str:
        return f"{self.directory}/clients/{check_client_name(name)}.pem"

    def _files(self, directory: str, suffix: str) -> list[str]:
        path = f"{self.directory}/{directory}"
        with durablefile.explained("read", path):
            try:
                names = sorted(os.listdir(path))
            except FileNotFoundError:
                return []
        return [f"{path}/{name}" for name in names if name.endswith(suffix) and name[0] != "."]

    # reading

    def _has(self, path: str) -> bool:
        # Not os.path.exists, which takes "not permitted" for "not there".
        with durablefile.explained("read", path):
            try:
                os.lstat(path)
            except FileNotFoundError:
                return False
        return True

    def _read(self, path: str, limit: int = _FILE_MAX) -> bytes:
        with durablefile.explained("read", path):
            return durablefile.read(path, limit=limit)

    def _authority(self) -> pki.Authority:
        if not self._has(self._ca_file):
            raise JobletError(
                f"there is no CA in {self.directory}: 'jobletctl certs init' makes one"
            )
        with _named(self._ca_file):
            return pki.Authority.read(self._read(self._ca_file))

    def _identity(self, path: str) -> pki.Identity:
        with _named(path):
            return pki.Identity.read(self._read(path))

    def _revocations(self) -> pki.RevocationList:
        # Never replaced by an empty one if it is missing: that would let the revoked in again.
        if not self._has(self._crl_file):
            raise JobletError(f"{self._crl_file} is missing: put it back from a backup")
        with _named(self._crl_file):
            crl = self._read(self._crl_file, _CRL_MAX)
            return pki.read_revocations(crl, [self._authority().certificate])

    def _current(self, damaged: list[str]) -> Iterator[tuple[str, int]]:
        files = {os.path.basename(one)[:-4]: one for one in self._files("clients", ".pem")}
        if self._has(self._server_file):
            files[SERVER] = self._server_file
        for name, file in files.items():
            try:
                yield name, self._identity(file).certificate.serial
            except pki.CertificateError as err:
                damaged.append(str(err))

    def _entry(
        self,
        name: str,
        certificate: pki.Certificate,
        current: bool = True,
        revocations: pki.RevocationList | None = None,
    ) -> Entry:
        revocations = revocations or self._revocations()
        revoked = revocations.entries.get(certificate.serial)
        left = certificate.days_left(self._now)
        if revoked is not None:
            state = State.REVOKED
        elif certificate.not_after <= self._now:
            state = State.EXPIRED
        else:
            state = State.EXPIRING if left < EXPIRING_DAYS else State.VALID
        return Entry(name, certificate, state, current, revoked)

    def _nobody(self, name: str) -> JobletError:
        return NotFound("certificate", name)

    # changing

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        if not self._has(self.directory):
            self._authority()  # says how to make one
        with durablefile.locked(self.directory):
            group = self._group()
            with durablefile.explained("write", self.directory):
                for name in ("issued", "clients", "bridge"):
                    path = f"{self.directory}/{name}"
                    durablefile.make_directory(path, 0o700)
                    durablefile.sweep(path)
                durablefile.sweep(self.directory)
                if group is not None:
                    os.chown(self.bridge_directory, 0, group)
                    # the group is the bridge's own
                    os.chmod(self.bridge_directory, 0o750)  # noqa: S103
            yield

    def _group(self) -> int | None:
        """The bridge's group, if there is one and we may give files to it."""
        if os.geteuid() != 0:
            return None
        try:
            return grp.getgrnam(self._bridge_group).gr_gid
        except KeyError:
            return None

    def _create(self, ca_name: str) -> None:
        if self._has(self._server_file):
            raise JobletError(
                f"{self.bridge_directory} holds a certificate of a CA on another host: "
                "remove that directory first if this host is to have a CA of its own"
            )
        authority = pki.Authority.new(ca_name, now=self._now)
        self._publish(self._ca_certificate_file, authority.certificate.pem)
        self._publish(self._crl_file, authority.revocation_list({}, number=1, now=self._now))
        # Last, since it is what makes a CA: until then the next run starts from the beginning.
        self._write(self._ca_file, authority.identity.pem)

    def _days(self, authority: pki.Authority, days: int | None) -> int:
        if authority.certificate.not_after <= self._now:
            raise JobletError("the CA has expired: 'jobletctl certs renew ca' first")
        # Who names a number gets it or a refusal; the default bends to the end of the CA.
        return days or authority.days_possible(self._now, pki.LEAF_DAYS)

    def _new_server(
        self, hosts: Sequence[str], days: int | None, *, common_name: str = pki.SERVER_SUBJECT
    ) -> pki.Identity:
        authority = self._authority()
        return authority.issue_server(
            hosts, now=self._now, days=self._days(authority, days), common_name=common_name
        )

    def _put_server(self, identity: pki.Identity) -> None:
        self._record(identity.certificate)
        self._publish(self._server_file, identity.pem)

    def _put_client(self, name: str, identity: pki.Identity) -> None:
        self._record(identity.certificate)
        self._write(self._client_file(name), identity.pem)

    def _record(self, certificate: pki.Certificate) -> None:
        self._write(f"{self.directory}/issued/{certificate.serial_text}.crt", certificate.pem)

    def _write(self, path: str, data: bytes) -> None:
        durablefile.replace(path, data, mode=0o600)

    def _publish(self, path: str, data: bytes) -> None:
        """Write what the bridge reads."""
        group = self._group()
        if group is None:
            durablefile.replace(path, data, mode=0o600)
        else:
            durablefile.replace(path, data, mode=0o640, owner=(0, group))


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Complaints about a content begin with the name of the file."""
    try:
        yield
    except pki.CertificateError as err:
        raise pki.CertificateError(f"{path}: {err}") from err


def _name_of(certificate: pki.Certificate) -> str:
    if certificate.kind is not pki.Kind.SERVER:
        return certificate.common_name
    if certificate.common_name == pki.SERVER_SUBJECT:
        return SERVER
    # No client can be called so.
    return f"{SERVER}:{certificate.common_name}"


def _role(name: str, identity: pki.Identity) -> Role:
    if identity.certificate.role is None:
        raise JobletError(f"the certificate of {name} names no role: issue a new one")
    return identity.certificate.role
