"""X.509: the certificate authority, server and client certificates, the revocation list.

Owns what certificates look like, and reading those of others safely. Writes no file, knows no
clock and no directory: bytes and objects go in and out, `now` is handed in. Where things are kept
is for jobletctl's certstore, what a role may do for the bridge. The only importer of
`cryptography`.

Keys are elliptic, as everything that speaks TLS 1.3 takes: P-384 for the authority, which lives
for years and signs rarely, P-256 for the others, which sign in every handshake. They are written
as PKCS #8 in PEM, which OpenSSL, BoringSSL (grpc), Go and Node all read.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from joblet.errors import InvalidSpec, JobletError
from joblet.model import addresses
from joblet.model.ids import check_name
from joblet.model.roles import Role, role_of

CA_DAYS = 3650
LEAF_DAYS = 365
# Clients of the reference verify this name whatever address they dialled.
FIXED_NAME = "joblet"
SERVER_SUBJECT = "joblet-server"
ORGANIZATION = "Joblet"
# Clocks of hosts differ: what was made now is valid on a machine that is so far behind.
BACKDATED = timedelta(minutes=10)

# RFC 5280, upper bounds: ub-common-name.
_COMMON_NAME_MAX = 64
# A certificate of ours has about 1 kB; whatever is a thousand times as big is no certificate.
_INPUT_MAX = 1 << 20
_PEM_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n[A-Za-z0-9+/=\s]+?-----END \1-----\r?\n?"
)
# Whatever the library raises for bytes that are not what they claim to be.
_GARBAGE = (
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

_Key = ec.EllipticCurvePrivateKey
_Sign = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class CertificateError(JobletError):
    """Something that ought to be a certificate, a key or a revocation list, and cannot be used."""

    code = "InvalidSpec"


class Kind(StrEnum):
    """What a certificate is for."""

    CA = "ca"
    SERVER = "server"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate says; that it says so does not mean that anybody vouched for it."""

    pem: bytes
    kind: Kind
    subject: str  # RFC 4514, printable
    common_name: str
    units: tuple[str, ...]
    role: Role | None
    serial: int
    not_before: datetime
    not_after: datetime
    hosts: tuple[str, ...]
    fingerprint: str  # SHA-256 of the whole, hexadecimal

    @property
    def serial_text(self) -> str:
        """The serial number as files, lists and `openssl x509 -serial` show it."""
        return serial_text(self.serial)

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative when it has."""
        return (self.not_after - now).days


def serial_text(serial: int) -> str:
    """A serial number in hexadecimal, always as wide as ours are."""
    return f"{serial:040x}"


def read_certificate(data: bytes) -> Certificate:
    """A certificate from PEM (the first of several) or DER. Raises CertificateError.

    Also for what a stranger sent: every field is looked at here, so none can surprise later.
    """
    if len(data) > _INPUT_MAX:
        raise CertificateError("this is no certificate: it is too long")
    try:
        if b"-----BEGIN" in data:
            return _described(x509.load_pem_x509_certificate(data))
        return _described(x509.load_der_x509_certificate(data))
    except _GARBAGE as err:
        raise CertificateError(f"this is no usable certificate: {_clause(err)}") from err


def read_certificates(pem: bytes) -> tuple[Certificate, ...]:
    """All certificates of a PEM file, in order; at least one. Raises CertificateError."""
    found = tuple(read_certificate(block) for block in _blocks(pem, "CERTIFICATE"))
    if not found:
        raise CertificateError("there is no certificate in it")
    return found


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate, with those that lead to its authority if there are any, and its key."""

    certificate: Certificate
    chain: bytes
    key: bytes

    @classmethod
    def read(cls, pem: bytes) -> Identity:
        """From one PEM file with both. Raises CertificateError, also if they do not match."""
        key = _only_key(pem)
        certificates = read_certificates(pem)
        if _public_bytes(_load_key(key).public_key()) != _certified_key(certificates[0]):
            raise CertificateError("the key does not belong to the certificate")
        return cls(certificates[0], b"".join(one.pem for one in certificates), key)

    @property
    def pem(self) -> bytes:
        """Both in one file, so that one rename replaces both."""
        return self.key + self.chain


@dataclass(frozen=True, slots=True)
class RevocationList:
    """Serial numbers that are not honoured any more, each with the time of its revocation."""

    number: int
    entries: Mapping[int, datetime]

    def is_revoked(self, serial: int) -> bool:
        """True when the certificate with this serial number must be refused."""
        return serial in self.entries


def read_revocations(data: bytes, authorities: Iterable[Certificate]) -> RevocationList:
    """A list in PEM, signed by one of the authorities. Raises CertificateError."""
    try:
        crl = x509.load_pem_x509_crl(data)
        keys: list[Any] = [_loaded(one).public_key() for one in authorities]
        if not any(crl.is_signature_valid(key) for key in keys):
            raise CertificateError("the revocation list is not signed by the CA")
        entries = {one.serial_number: _utc(one, "revocation_date") for one in crl}
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (*_GARBAGE, x509.ExtensionNotFound) as err:
        raise CertificateError(f"this is no usable revocation list: {_clause(err)}") from err
    return RevocationList(number, entries)


def is_issued(certificate: bytes, authorities: Iterable[Certificate]) -> bool:
    """Whether one of the authorities itself signed a certificate (PEM). Raises CertificateError."""
    try:
        issued = x509.load_pem_x509_certificate(certificate)
        issuers = [_loaded(one) for one in authorities]
        return any(
            issued.issuer == issuer.subject and _is_signed(issued, issuer.public_key())
            for issuer in issuers
        )
    except _GARBAGE as err:
        raise CertificateError(f"this is no usable certificate: {_clause(err)}") from err


def _is_signed(certificate: x509.Certificate, key: object) -> bool:
    """Whether the key did it, in a way that can be looked at; else it counts as not signed."""
    # x509.Certificate.verify_directly_issued_by came with version 40 of the library.
    signature, data = certificate.signature, certificate.tbs_certificate_bytes
    try:
        digest = certificate.signature_hash_algorithm
        if isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, data, padding.PKCS1v15(), digest)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


class Authority:
    """The one who signs: the CA's certificate and its key. Lives as long as one command."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        key = _load_key(identity.key)
        if identity.certificate.kind is not Kind.CA or not isinstance(key, _Key):
            raise CertificateError("this is not the certificate and the key of a CA made here")
        self._key = key
        self._certificate = _loaded(identity.certificate)

    @classmethod
    def new(cls, name: str, *, now: datetime, days: int = CA_DAYS) -> Authority:
        """A new authority; `name` tells it from those of other hosts."""
        key = ec.generate_private_key(ec.SECP384R1())
        return cls(
            _self_signed(_name(f"Joblet CA {name}"[:_COMMON_NAME_MAX], "CA"), key, now, days)
        )

    @classmethod
    def read(cls, pem: bytes) -> Authority:
        """From what `pem` gave. Raises CertificateError."""
        return cls(Identity.read(pem))

    @property
    def certificate(self) -> Certificate:
        """Its own certificate."""
        return self.identity.certificate

    def renewed(self, *, now: datetime, days: int = CA_DAYS) -> Authority:
        """The same authority for longer: name and key stay, so what it signed stays valid."""
        return Authority(_self_signed(self._certificate.subject, self._key, now, days))

    def days_possible(self, now: datetime, wanted: int) -> int:
        """So many of the wanted days as the authority itself lives, at least one."""
        return max(1, min(wanted, self.certificate.days_left(now)))

    def issue_server(
        self,
        hosts: Sequence[str],
        *,
        now: datetime,
        days: int = LEAF_DAYS,
        key: bytes = b"",
        common_name: str = SERVER_SUBJECT,
    ) -> Identity:
        """A certificate for a bridge under these names and addresses, and the fixed name.

        With `key` (PEM) for that key, else for a new one. Clients look at the hosts alone; the
        common name is for people. Raises InvalidSpec.
        """
        names = list(dict.fromkeys([FIXED_NAME, *map(addresses.check_host, hosts)]))
        alternatives = x509.SubjectAlternativeName(
            x509.IPAddress(ipaddress.ip_address(one)) if addresses.is_ip(one) else x509.DNSName(one)
            for one in names
        )
        subject = _name(common_name[:_COMMON_NAME_MAX], "Server")
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(subject, usage, now, days, key, alternatives)

    def issue_client(
        self, name: str, role: Role, *, now: datetime, days: int = LEAF_DAYS, key: bytes = b""
    ) -> Identity:
        """A certificate for a user with this role, as `issue_server`. Raises InvalidSpec."""
        subject = _name(check_name(name), role.value)
        return self._issue(subject, ExtendedKeyUsageOID.CLIENT_AUTH, now, days, key)

    def revocation_list(
        self, entries: Mapping[int, datetime], *, number: int, now: datetime
    ) -> bytes:
        """A signed list in PEM; `number` must grow from one to the next."""
        # Valid as long as the authority: nobody signs it anew unless something is revoked.
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(_seconds(now - BACKDATED))
            .next_update(_utc(self._certificate, "not_valid_after"))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        for serial, when in sorted(entries.items()):
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(_seconds(when)).build())
        signed = builder.sign(self._key, hashes.SHA384())
        return signed.public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        now: datetime,
        days: int,
        key: bytes,
        alternatives: x509.SubjectAlternativeName | None = None,
    ) -> Identity:
        ends = now + _days(days)
        if ends > self.certificate.not_after:
            left = self.certificate.days_left(now)
            raise InvalidSpec(
                "days", f"the CA itself ends in {left} days, and nothing it signs may live longer"
            )
        owner = _load_key(key) if key else ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._certificate.subject, owner, now, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return _identity(builder.sign(self._key, hashes.SHA384()), owner)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        own = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def _self_signed(subject: x509.Name, key: _Key, now: datetime, days: int) -> Identity:
    builder = (
        _builder(subject, subject, key, now, now + _days(days))
        # No authority below it: whoever steals a leaf must not be able to sign with it.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
    )
    return _identity(builder.sign(key, hashes.SHA384()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Sign, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_seconds(now - BACKDATED))
        .not_valid_after(_seconds(ends))
        .add_extension(identifier, critical=False)
    )


def _key_usage(*, ca: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _days(days: int) -> timedelta:
    if not 1 <= days <= CA_DAYS:
        raise InvalidSpec("days", f"must be from 1 to {CA_DAYS}")
    return timedelta(days=days)


def _identity(certificate: x509.Certificate, key: _Sign) -> Identity:
    described = _described(certificate)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Identity(described, described.pem, pem)


def _described(certificate: x509.Certificate) -> Certificate:
    subject = certificate.subject
    units = _texts(subject, NameOID.ORGANIZATIONAL_UNIT_NAME)
    if certificate.serial_number <= 0:
        raise ValueError("its serial number is not positive")
    # Parsed lazily by the library: a broken key must be found now.
    certificate.public_key()
    return Certificate(
        pem=certificate.public_bytes(serialization.Encoding.PEM),
        kind=_kind(certificate.extensions),
        subject=_printable(subject.rfc4514_string()),
        common_name=_printable(" ".join(_texts(subject, NameOID.COMMON_NAME)[-1:])),
        units=tuple(map(_printable, units)),
        role=role_of(units),
        serial=certificate.serial_number,
        not_before=_utc(certificate, "not_valid_before"),
        not_after=_utc(certificate, "not_valid_after"),
        hosts=_hosts(certificate.extensions),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _kind(extensions: x509.Extensions) -> Kind:
    for one in extensions:
        if isinstance(one.value, x509.BasicConstraints) and one.value.ca:
            return Kind.CA
    for one in extensions:
        if isinstance(one.value, x509.ExtendedKeyUsage):
            is_client = ExtendedKeyUsageOID.CLIENT_AUTH in one.value
            return Kind.CLIENT if is_client else Kind.SERVER
    # Client certificates of the reference are of version 1 and have no extensions at all.
    return Kind.CLIENT


def _hosts(extensions: x509.Extensions) -> tuple[str, ...]:
    for one in extensions:
        if isinstance(one.value, x509.SubjectAlternativeName):
            names = one.value.get_values_for_type(x509.DNSName)
            numbers = one.value.get_values_for_type(x509.IPAddress)
            return tuple(map(_printable, [*names, *map(str, numbers)]))
    return ()


def _texts(name: x509.Name, kind: x509.ObjectIdentifier) -> list[str]:
    values = (one.value for one in name.get_attributes_for_oid(kind))
    return [one if isinstance(one, str) else one.decode("utf-8", "replace") for one in values]


def _printable(text: str) -> str:
    """A subject is what somebody else chose: nothing in it may start a line of a log."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\{ord(c):02X}" for c in text)


def _utc(holder: object, name: str) -> datetime:
    """A time of a certificate, aware of its zone.

    cryptography gives it under this name without a zone, and since version 42 warns of that and
    has another name; Debian 12 has version 38, Debian 13 has 43.
    """
    aware: datetime | None = getattr(holder, f"{name}_utc", None)
    if aware is not None:
        return aware
    naive: datetime = getattr(holder, name)
    return naive.replace(tzinfo=UTC)


def _seconds(moment: datetime) -> datetime:
    """Certificates know no fractions; the library wants UTC without saying so."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None)


def _blocks(pem: bytes, label: str) -> list[bytes]:
    if len(pem) > _INPUT_MAX:
        raise CertificateError("it is too long")
    wanted = label.encode()
    return [one[0] for one in _PEM_BLOCK.finditer(pem) if one[1] == wanted]


def _only_key(pem: bytes) -> bytes:
    labels = ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")
    keys = [block for label in labels for block in _blocks(pem, label)]
    if len(keys) != 1:
        raise CertificateError("there is no private key in it" if not keys else "it has two keys")
    return keys[0]


def _load_key(pem: bytes) -> _Sign:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except _GARBAGE as err:
        # What the library says may quote the input, and a key belongs in no message.
        raise CertificateError("the private key cannot be read") from err
    if not isinstance(key, _Sign):
        raise CertificateError("the private key is of a kind that TLS servers do not use")
    return key


def _loaded(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.pem)


def _certified_key(certificate: Certificate) -> bytes:
    return _public_bytes(_loaded(certificate).public_key())


def _public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _clause(err: BaseException) -> str:
    """What the library said, without its second line (it likes to add how to report a bug)."""
    if isinstance(err, LookupError):
        # a type number that the library looked up and did not find
        return "it has a field of an unknown type"
    return (str(err).splitlines() or [type(err).__name__])[0]
