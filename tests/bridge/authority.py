"""Certificates for tests: a CA in memory, and files as the bridge and its clients read them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

SERVER_NAME = "joblet"


class Pair(NamedTuple):
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """One CA."""

    def __init__(self, name: str = "Joblet-CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name, ["CA"])
        self._certificate = self._sign(self._name, self._key.public_key(), is_ca=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The CA's own key, for other tools that sign."""
        return _pem(self._key)

    def issue(self, name: str, *units: str, expired: bool = False) -> Pair:
        """A certificate for a name with organizational units."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(name, units), key.public_key(), expired=expired)
        return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    def write_server(self, folder: Path, *revoked: Pair) -> None:
        """The files of the bridge, with a new server certificate."""
        folder.mkdir(parents=True, exist_ok=True)
        pair = self.issue("joblet-server", "Server")
        files = {
            "ca.crt": self.pem,
            "server.pem": pair.key + pair.certificate,
            "crl.pem": self._revocations(revoked),
        }
        for name, content in files.items():
            (folder / "new").write_bytes(content)
            (folder / "new").rename(folder / name)

    def _revocations(self, revoked: Sequence[Pair]) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now)
            .next_update(now + timedelta(days=1))
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for pair in revoked:
            serial = x509.load_pem_x509_certificate(pair.certificate).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def channel(self, port: int, pair: Pair | None, **options: int) -> grpc.aio.Channel:
        """A connection to a bridge on this host."""
        ours = (None, None) if pair is None else (pair.key, pair.certificate)
        return grpc.aio.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(self.pem, *ours),
            options=[
                ("grpc.ssl_target_name_override", SERVER_NAME),
                # Without it, channels of one process to one address share a connection.
                ("grpc.use_local_subchannel_pool", 1),
                *((f"grpc.{name}", value) for name, value in options.items()),
            ],
        )

    def _sign(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
        *,
        is_ca: bool = False,
        expired: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names: list[x509.GeneralName] = [x509.DNSName(SERVER_NAME), x509.DNSName("localhost")]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2))
            .not_valid_after(now + timedelta(days=-1 if expired else 30))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common: str, units: Sequence[str]) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Joblet"),
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )
