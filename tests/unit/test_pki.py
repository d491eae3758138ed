"""What certificates look like to those who check them, and what garbage does: nothing."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from joblet import pki
from joblet.errors import InvalidSpec
from joblet.model.roles import Role
from tests.fakes.reference import SERIAL, version_1

NOW = datetime.now(UTC)
# One for all: making keys takes a moment, and nothing changes them.
CA = pki.Authority.new("here", now=NOW)
OTHER_CA = pki.Authority.new("there", now=NOW)
SERVER = CA.issue_server(["node1.example", "127.0.0.1", "fd00::7"], now=NOW)
ALICE = CA.issue_client("alice", Role.DEVELOPER, now=NOW)
# The library warns of odd fields that it reads all the same, and here warnings are errors.
tolerant = pytest.mark.filterwarnings("ignore::UserWarning")


# what is in them


def test_a_client_certificate_says_who_and_which_role() -> None:
    seen = ALICE.certificate
    assert (seen.kind, seen.common_name, seen.units) == (pki.Kind.CLIENT, "alice", ("developer",))
    assert seen.role is Role.DEVELOPER
    assert seen.subject == "CN=alice,OU=developer,O=Joblet"
    assert seen.hosts == ()


def test_a_server_certificate_has_the_fixed_name_first_and_each_host_once() -> None:
    issued = CA.issue_server(["joblet", "NODE1.example", "10.0.0.1", "node1.example"], now=NOW)
    assert issued.certificate.kind is pki.Kind.SERVER
    assert issued.certificate.hosts == ("joblet", "node1.example", "10.0.0.1")
    assert issued.certificate.role is None


def test_validity_begins_a_little_early_and_ends_on_the_day() -> None:
    issued = CA.issue_client("bob", Role.VIEWER, now=NOW, days=7).certificate
    whole = NOW.replace(microsecond=0)
    assert issued.not_before == (NOW - pki.BACKDATED).replace(microsecond=0)
    assert issued.not_after == whole + timedelta(days=7)
    assert issued.days_left(NOW + timedelta(days=8)) < 0


def test_serial_numbers_are_large_and_differ() -> None:
    serials = {CA.issue_client("bob", Role.VIEWER, now=NOW).certificate.serial for _ in range(50)}
    assert len(serials) == 50
    assert max(serials).bit_length() > 140
    assert all(0 < one < 1 << 159 for one in serials)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "-x", "n" * 64, "tail\n", "ü"])
def test_a_client_has_a_name_that_is_safe_everywhere(name: str) -> None:
    with pytest.raises(InvalidSpec, match="name: "):
        CA.issue_client(name, Role.VIEWER, now=NOW)


@pytest.mark.parametrize("host", ["", "a b", "https://x", "x:50051", "10.0.0.300", "fe80::1%eth0"])
def test_a_server_has_hosts_that_clients_can_verify(host: str) -> None:
    with pytest.raises(InvalidSpec, match="host: "):
        CA.issue_server([host], now=NOW)


@pytest.mark.parametrize("days", [0, -1, 3651, 10**9])
def test_days_have_bounds(days: int) -> None:
    with pytest.raises(InvalidSpec, match="days: "):
        CA.issue_client("bob", Role.VIEWER, now=NOW, days=days)


def test_nothing_outlives_the_ca() -> None:
    young = pki.Authority.new("young", now=NOW, days=30)
    with pytest.raises(InvalidSpec, match="days: the CA itself ends in"):
        young.issue_client("bob", Role.VIEWER, now=NOW, days=31)
    assert young.days_possible(NOW, 365) == 29
    assert young.issue_client("bob", Role.VIEWER, now=NOW, days=29).certificate.serial


def test_a_key_can_be_certified_again() -> None:
    again = CA.issue_client("alice", Role.DEVELOPER, now=NOW, key=ALICE.key)
    assert again.key == ALICE.key
    assert again.certificate.serial != ALICE.certificate.serial
    assert CA.issue_client("alice", Role.DEVELOPER, now=NOW).key != ALICE.key


def test_identity_and_authority_survive_their_file() -> None:
    assert pki.Identity.read(ALICE.pem) == ALICE
    read = pki.Authority.read(CA.identity.pem)
    assert read.certificate == CA.certificate
    assert read.issue_client("bob", Role.ADMIN, now=NOW).certificate.role is Role.ADMIN


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (b"", "no private key"),
        (ALICE.chain, "no private key"),
        (ALICE.key, "no certificate"),
        (ALICE.key + SERVER.chain, "does not belong"),
        (ALICE.key + ALICE.pem, "two keys"),
        (ALICE.key.replace(b"MIG", b"AAA") + ALICE.chain, "cannot be read"),
    ],
)
def test_key_and_certificate_must_be_a_pair(pem: bytes, why: str) -> None:
    with pytest.raises(pki.CertificateError, match=why):
        pki.Identity.read(pem)


def test_a_leaf_is_no_authority() -> None:
    with pytest.raises(pki.CertificateError, match="of a CA"):
        pki.Authority.read(ALICE.pem)


# revocation


def test_the_revocation_list_is_read_as_it_was_written() -> None:
    when = NOW.replace(microsecond=0)
    crl = CA.revocation_list({5: when, ALICE.certificate.serial: when}, number=7, now=NOW)
    read = pki.read_revocations(crl, [OTHER_CA.certificate, CA.certificate])
    assert (read.number, dict(read.entries)) == (7, {5: when, ALICE.certificate.serial: when})
    assert read.is_revoked(ALICE.certificate.serial)
    assert not read.is_revoked(SERVER.certificate.serial)


def test_a_revocation_list_of_somebody_else_is_refused() -> None:
    crl = OTHER_CA.revocation_list({}, number=1, now=NOW)
    with pytest.raises(pki.CertificateError, match="not signed by the CA"):
        pki.read_revocations(crl, [CA.certificate])


def test_a_revocation_list_that_was_changed_is_refused() -> None:
    crl = CA.revocation_list({1 << 100: NOW}, number=1, now=NOW)
    lines = crl.splitlines(keepends=True)
    for at in range(1, len(lines) - 1):
        letter = b"A" if lines[at][10:11] != b"A" else b"B"
        changed = lines[:at] + [lines[at][:10] + letter + lines[at][11:]] + lines[at + 1 :]
        with pytest.raises(pki.CertificateError):
            pki.read_revocations(b"".join(changed), [CA.certificate])


# roles


@pytest.mark.parametrize(
    ("units", "role"),
    [
        (["admin"], Role.ADMIN),
        (["Maintainer"], Role.MAINTAINER),
        (["READER"], Role.VIEWER),
        (["viewer", "admin"], Role.VIEWER),
        (["admin", "developer", "Engineering"], Role.DEVELOPER),
        (["Engineering"], None),
        (["administrator", "admin2", ""], None),
        ([], None),
    ],
)
def test_the_least_of_several_roles_counts(units: list[str], role: Role | None) -> None:
    from joblet.model.roles import role_of

    assert role_of(units) is role


# garbage


@settings(deadline=None)
@given(st.binary(max_size=400))
@example(b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
@example(b"\x30\x82\xff\xff")
def test_any_bytes_are_read_or_refused_in_a_sentence(data: bytes) -> None:
    readers: list[Callable[[bytes], object]] = [
        pki.read_certificate,
        pki.read_certificates,
        pki.Identity.read,
        lambda crl: pki.read_revocations(crl, [CA.certificate]),
    ]
    for read in readers:
        with pytest.raises(pki.CertificateError) as caught:
            read(data)
        assert str(caught.value).isprintable()


@tolerant
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([ALICE, SERVER, CA.identity]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_certificate_with_changed_bytes_is_read_or_refused(
    identity: pki.Identity, changes: list[tuple[int, int]]
) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert(identity.chain.decode()))
    for at, value in changes:
        der[at % len(der)] = value
    try:
        seen = pki.read_certificate(bytes(der))
    except pki.CertificateError as err:
        said = str(err)
    else:
        said = seen.subject + seen.common_name
        assert seen.serial > 0
    assert said.isprintable()


def test_what_is_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(pki.CertificateError, match="too long"):
        pki.read_certificate(b"\x30" * (2 << 20))


# what others think of them


@dataclass(frozen=True)
class Files:
    """The same in files, for the openssl program and Python's ssl."""

    directory: Path

    def put(self, name: str, data: bytes) -> str:
        path = self.directory / name
        path.write_bytes(data)
        return str(path)

    def openssl(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["openssl", *args], capture_output=True, text=True)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.spawns
@pytest.mark.parametrize(
    ("identity", "purpose", "good"),
    [
        (SERVER, "sslserver", True),
        (ALICE, "sslclient", True),
        (SERVER, "sslclient", False),
        (ALICE, "sslserver", False),
    ],
    ids=["server", "client", "server-as-client", "client-as-server"],
)
def test_openssl_is_strict_and_content(
    files: Files, identity: pki.Identity, purpose: str, good: bool
) -> None:
    ca = files.put("ca.crt", CA.certificate.pem)
    leaf = files.put("leaf.crt", identity.chain)
    done = files.openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", ca, leaf)
    assert (done.returncode == 0) is good, done.stderr


@pytest.mark.spawns
def test_openssl_verifies_host_names_and_addresses(files: Files) -> None:
    ca, leaf = files.put("ca.crt", CA.certificate.pem), files.put("leaf.crt", SERVER.chain)
    verify = ["verify", "-x509_strict", "-CAfile", ca]
    for option, value in [
        ("-verify_hostname", "joblet"),
        ("-verify_hostname", "node1.example"),
        ("-verify_ip", "127.0.0.1"),
        ("-verify_ip", "fd00::7"),
    ]:
        assert files.openssl(*verify, option, value, leaf).returncode == 0
    assert files.openssl(*verify, "-verify_hostname", "node2.example", leaf).returncode != 0


@pytest.mark.spawns
def test_openssl_honours_the_revocation_list(files: Files) -> None:
    ca = files.put("ca.crt", CA.certificate.pem)
    crl = CA.revocation_list({ALICE.certificate.serial: NOW}, number=2, now=NOW)
    bob = CA.issue_client("bob", Role.VIEWER, now=NOW)
    verify = ["verify", "-x509_strict", "-crl_check", "-CAfile", ca]
    verify += ["-CRLfile", files.put("crl.pem", crl)]
    refused = files.openssl(*verify, files.put("alice.crt", ALICE.chain))
    assert "certificate revoked" in refused.stderr + refused.stdout
    assert files.openssl(*verify, files.put("bob.crt", bob.chain)).returncode == 0


@pytest.mark.spawns
def test_a_renewed_ca_vouches_for_what_the_old_one_signed(files: Files) -> None:
    renewed = CA.renewed(now=NOW + timedelta(days=3000))
    assert renewed.certificate.not_after > CA.certificate.not_after
    ca = files.put("ca.crt", renewed.certificate.pem)
    leaf = files.put("leaf.crt", ALICE.chain)
    at = str(int((NOW + timedelta(days=3001)).timestamp()))
    later = files.openssl("verify", "-x509_strict", "-CAfile", ca, "-attime", at, leaf)
    assert "certificate has expired" in later.stderr + later.stdout
    crl = CA.revocation_list({9: NOW}, number=1, now=NOW)
    assert pki.read_revocations(crl, [renewed.certificate]).is_revoked(9)
    early = pki.Authority.read(CA.identity.pem).renewed(now=NOW)
    again = files.put("early.crt", early.certificate.pem)
    assert files.openssl("verify", "-x509_strict", "-CAfile", again, leaf).returncode == 0


def test_a_certificate_of_the_reference_is_read() -> None:
    """Version 1, RSA, no extensions, several names: existing clients have those."""
    subject = "CN=admin-client,OU=admin,OU=Staff,O=Joblet,L=Los Angeles,ST=CA,C=US"
    data, key = version_1(ca=CA.certificate.pem, ca_key=CA.identity.key, subject=subject)
    seen = pki.read_certificate(data)
    assert (seen.role, seen.units, seen.serial) == (Role.ADMIN, ("Staff", "admin"), SERIAL)
    assert seen.kind is pki.Kind.CLIENT
    assert pki.Identity.read(key + data).certificate == seen


@pytest.mark.spawns
def test_a_subject_cannot_start_a_line_of_a_log(files: Files) -> None:
    path = str(files.directory / "odd.crt")
    made = files.openssl(
        *["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
        *["-keyout", "/dev/null", "-utf8", "-subj", "/OU=admin/CN=mallory\njobletd: \x1b[2Jowned"],
        *["-out", path],
    )
    assert made.returncode == 0, made.stderr
    seen = pki.read_certificate(Path(path).read_bytes())
    assert seen.common_name == "mallory\\0Ajobletd: \\1B[2Jowned"
    assert seen.subject.isprintable()


# handshakes


def server_context(files: Files, identity: pki.Identity = SERVER) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(files.put("server.pem", identity.pem))
    context.load_verify_locations(cadata=CA.certificate.pem.decode())
    return context


def client_context(
    files: Files, identity: pki.Identity | None, authority: pki.Authority = CA
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authority.certificate.pem.decode())
    if identity is not None:
        context.load_cert_chain(files.put("client.pem", identity.pem))
    return context


async def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str = "joblet"
) -> tuple[pki.Certificate, str]:
    """The client's certificate as the server sees it, and the version of the protocol."""
    seen: asyncio.Future[tuple[pki.Certificate, str]] = asyncio.Future()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = writer.get_extra_info("ssl_object")
        seen.set_result((pki.read_certificate(tls.getpeercert(binary_form=True)), tls.version()))
        writer.write(b"!")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname=name
        )
        try:
            # In TLS 1.3 a client has shaken hands before it learns what the server thinks of it.
            if await reader.read(1) != b"!":
                raise ssl.SSLError("refused")
        finally:
            writer.close()
        return await seen


@pytest.mark.parametrize("name", ["joblet", "127.0.0.1", "node1.example"])
async def test_a_handshake_of_both_with_tls_1_3(files: Files, name: str) -> None:
    server, client = server_context(files), client_context(files, ALICE)
    assert await shake_hands(server, client, name) == (ALICE.certificate, "TLSv1.3")


async def test_a_revoked_client_is_told_by_its_serial_number(files: Files) -> None:
    crl = CA.revocation_list({ALICE.certificate.serial: NOW}, number=2, now=NOW)
    revoked = pki.read_revocations(crl, [CA.certificate])
    bob = CA.issue_client("bob", Role.VIEWER, now=NOW)
    for identity, refused in ((ALICE, True), (bob, False)):
        server, client = server_context(files), client_context(files, identity)
        peer, _version = await shake_hands(server, client)
        assert revoked.is_revoked(peer.serial) is refused


def past(days: int) -> pki.Identity:
    return CA.issue_client("old", Role.ADMIN, now=NOW - timedelta(days=days), days=days - 1)


@pytest.mark.parametrize(
    "identity",
    [
        None,
        past(9),
        OTHER_CA.issue_client("alice", Role.ADMIN, now=NOW),
        CA.issue_client("early", Role.ADMIN, now=NOW + timedelta(days=1)),
        SERVER,
    ],
    ids=["none", "expired", "other-ca", "not-yet", "server"],
)
async def test_a_client_without_a_good_certificate_is_refused(
    files: Files, identity: pki.Identity | None
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shake_hands(server_context(files), client_context(files, identity))


async def test_a_client_refuses_a_server_of_another_ca_or_name(files: Files) -> None:
    client = client_context(files, ALICE, OTHER_CA)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        await shake_hands(server_context(files), client)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await shake_hands(server_context(files), client_context(files, ALICE), "node2.example")


async def test_a_client_with_tls_1_2_is_refused(files: Files) -> None:
    client = client_context(files, ALICE)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shake_hands(server_context(files), client)


# who signed them


def signed(by: Any, subject: str = "somebody", issuer: str = "CA") -> pki.Certificate:
    """A certificate of a CA with a key of its own, signed with this one."""
    own = by if subject == issuer else ec.generate_private_key(ec.SECP256R1())
    of, at = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (issuer, subject)
    )
    made = (
        x509.CertificateBuilder(of, at)
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(by, None if isinstance(by, WITHOUT_DIGEST) else hashes.SHA256())
    )
    return pki.read_certificate(made.public_bytes(serialization.Encoding.PEM))


WITHOUT_DIGEST = (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)


@pytest.mark.parametrize(
    ("new_key", "told"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), True),
        (lambda: rsa.generate_private_key(65537, 2048), True),
        (ed25519.Ed25519PrivateKey.generate, True),
        # of a kind that is not looked at: nobody is let in by it
        (ed448.Ed448PrivateKey.generate, False),
    ],
    ids=["EC", "RSA", "Ed25519", "Ed448"],
)
def test_who_signed_a_certificate_is_known(new_key: Callable[[], Any], told: bool) -> None:
    key, namesake = new_key(), new_key()
    authority, other = (signed(one, "CA", "CA") for one in (key, namesake))
    issued = signed(key)
    assert pki.is_issued(issued.pem, [authority]) is told
    assert pki.is_issued(issued.pem, [other, authority]) is told
    assert pki.is_issued(authority.pem, [authority]) is told
    # the same name is not enough, nor is the same key
    assert not pki.is_issued(issued.pem, [other])
    assert not pki.is_issued(issued.pem, [signed(key, "another", "another")])
    assert not pki.is_issued(issued.pem, [])


def test_who_signed_garbage_is_not_asked() -> None:
    with pytest.raises(pki.CertificateError, match="no usable certificate"):
        pki.is_issued(b"garbage", [CA.certificate])
