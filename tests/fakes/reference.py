"""A certificate as installers of the reference made it: version 1, without extensions.

Put together here, because neither `cryptography` nor OpenSSL from 3.4 on makes any but version 3.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SERIAL = 77
_SEQUENCE, _BIT_STRING = 0x30, 0x03
# version [0] EXPLICIT INTEGER: 2 is version 3, and version 1 is to say nothing.
_VERSION_3 = bytes.fromhex("a003020102")


def version_1(*, ca: bytes, ca_key: bytes, subject: str) -> tuple[bytes, bytes]:
    """A certificate of a new RSA key and that key, all of them PEM; the CA has an elliptic key."""
    issuer = x509.load_pem_x509_certificate(ca)
    signer = serialization.load_pem_private_key(ca_key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.now(UTC)
    modern = (
        x509.CertificateBuilder()
        .issuer_name(issuer.subject)
        .subject_name(x509.Name.from_rfc4514_string(subject))
        .public_key(key.public_key())
        .serial_number(SERIAL)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=3))
        .sign(signer, hashes.SHA256())
    )
    to_be_signed = _content(modern.tbs_certificate_bytes)
    assert to_be_signed.startswith(_VERSION_3)
    old = _der(_SEQUENCE, to_be_signed.removeprefix(_VERSION_3))
    signature = signer.sign(old, ec.ECDSA(hashes.SHA256()))
    # what follows in the original: the algorithm, and a signature that is no longer good
    rest = _content(modern.public_bytes(serialization.Encoding.DER)).removeprefix(
        modern.tbs_certificate_bytes
    )
    algorithm = rest[: 2 + rest[1]]
    certificate = x509.load_der_x509_certificate(
        _der(_SEQUENCE, old + algorithm + _der(_BIT_STRING, b"\0" + signature))
    )
    assert certificate.version is x509.Version.v1
    signer.public_key().verify(
        certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def _content(value: bytes) -> bytes:
    first = value[1]
    return value[2 + (first & 0x7F if first & 0x80 else 0) :]
