"""What the bridge serves with while files change, break and come back."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from joblet import pki
from joblet.bridge.credentials import Credentials
from joblet.errors import JobletError
from joblet.model.roles import Role

NOW = datetime.now(UTC)
CA = pki.Authority.new("here", now=NOW)
OTHER_CA = pki.Authority.new("there", now=NOW)
THIRD_CA = pki.Authority.new("elsewhere", now=NOW)
LOGGER = "joblet.bridge.credentials"


def put(directory: Path, name: str, data: bytes) -> None:
    """As jobletctl does: never half a file under its name."""
    (directory / "new").write_bytes(data)
    os.rename(directory / "new", directory / name)


def put_all(directory: Path, ca: pki.Authority = CA, days: int = 365) -> pki.Identity:
    server = ca.issue_server(["node1"], now=NOW, days=days)
    put(directory, "server.pem", server.pem)
    put(directory, "ca.crt", ca.certificate.pem)
    put(directory, "crl.pem", ca.revocation_list({}, number=1, now=NOW))
    return server


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    put_all(tmp_path)
    return tmp_path


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, LOGGER):
        yield caplog


def test_the_first_set_is_whole(tmp_path: Path) -> None:
    server = put_all(tmp_path)
    held = Credentials(str(tmp_path))
    now = held.current()
    assert (now.key, now.chain, now.roots) == (server.key, server.chain, CA.certificate.pem)
    assert (now.revoked, now.expires) == (frozenset(), server.certificate.not_after)
    assert not held.changed()


@pytest.mark.parametrize("name", ["server.pem", "ca.crt", "crl.pem"])
def test_without_a_good_first_set_there_is_none(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(JobletError, match=name):
        Credentials(str(directory))


def test_a_new_server_certificate_is_taken(directory: Path) -> None:
    held = Credentials(str(directory))
    before = held.current()
    renewed = CA.issue_server(["node1"], now=NOW)
    put(directory, "server.pem", renewed.pem)
    assert held.changed()
    assert held.current().chain == renewed.chain
    # who took the old one keeps it whole
    assert before.chain != renewed.chain
    assert not held.changed()


def test_a_revocation_is_taken(directory: Path) -> None:
    held = Credentials(str(directory))
    alice = CA.issue_client("alice", Role.ADMIN, now=NOW).certificate
    assert not held.current().is_revoked(alice.serial)
    put(directory, "crl.pem", CA.revocation_list({alice.serial: NOW}, number=2, now=NOW))
    assert held.changed()
    assert held.current().is_revoked(alice.serial)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("server.pem", b""),
        ("server.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("server.pem", CA.issue_server([], now=NOW).chain),
        ("ca.crt", b"\x00" * 100),
        ("ca.crt", CA.issue_client("alice", Role.ADMIN, now=NOW).chain),
        ("crl.pem", b""),
        ("crl.pem", OTHER_CA.revocation_list({}, number=9, now=NOW)),
        ("trusted.crt", b"nothing"),
    ],
)
def test_a_broken_file_changes_nothing_and_is_told_once(
    directory: Path, said: pytest.LogCaptureFixture, name: str, data: bytes
) -> None:
    held = Credentials(str(directory))
    before = held.current()
    put(directory, name, data)
    assert not any(held.changed() for _ in range(5))
    assert held.current() is before
    assert len(said.records) == 1
    assert str(directory) in said.text
    assert "PRIVATE" not in said.text


def test_what_was_broken_and_is_mended_is_taken(
    directory: Path, said: pytest.LogCaptureFixture
) -> None:
    held = Credentials(str(directory))
    (directory / "crl.pem").unlink()
    assert not held.changed()
    put(directory, "crl.pem", CA.revocation_list({5: NOW}, number=2, now=NOW))
    assert held.changed()
    assert held.current().is_revoked(5)
    assert len(said.records) == 1


def test_another_ca_is_taken_when_the_last_of_its_files_is_there(
    directory: Path, said: pytest.LogCaptureFixture
) -> None:
    held = Credentials(str(directory))
    server = OTHER_CA.issue_server(["node1"], now=NOW)
    put(directory, "server.pem", server.pem)
    assert held.changed()
    put(directory, "ca.crt", OTHER_CA.certificate.pem)
    assert not held.changed()
    assert held.current().roots == CA.certificate.pem
    put(directory, "crl.pem", OTHER_CA.revocation_list({}, number=1, now=NOW))
    assert held.changed()
    assert held.current().roots == OTHER_CA.certificate.pem


def test_more_authorities_are_trusted_beside_ours(directory: Path) -> None:
    held = Credentials(str(directory))
    put(directory, "trusted.crt", OTHER_CA.certificate.pem)
    assert held.changed()
    assert held.current().roots == CA.certificate.pem + OTHER_CA.certificate.pem
    (directory / "trusted.crt").unlink()
    assert held.changed()
    assert held.current().roots == CA.certificate.pem


def test_who_was_let_in_by_an_authority_that_is_taken_away_is_known(directory: Path) -> None:
    held = Credentials(str(directory))
    ours, theirs = (
        ca.issue_client("ada", role=Role.ADMIN, now=NOW).certificate.pem for ca in (CA, OTHER_CA)
    )
    put(directory, "trusted.crt", OTHER_CA.certificate.pem)
    assert held.changed()
    assert not held.has_withdrawn
    assert held.vouches_for(ours)
    assert held.vouches_for(theirs)
    # an empty file names nobody
    put(directory, "trusted.crt", b"\n")
    assert held.changed()
    assert held.has_withdrawn
    assert held.vouches_for(ours)
    assert not held.vouches_for(theirs)
    # half a file was seen, or somebody thought better of it
    put(directory, "trusted.crt", OTHER_CA.certificate.pem)
    assert held.changed()
    assert not held.has_withdrawn


def test_an_authority_that_is_renewed_is_the_same(directory: Path) -> None:
    put(directory, "trusted.crt", OTHER_CA.certificate.pem)
    held = Credentials(str(directory))
    renewed = OTHER_CA.renewed(now=NOW + timedelta(days=1)).certificate
    assert renewed != OTHER_CA.certificate
    put(directory, "trusted.crt", renewed.pem)
    assert held.changed()
    assert not held.has_withdrawn


def test_our_own_authority_is_followed_by_another_and_not_withdrawn(directory: Path) -> None:
    put(directory, "trusted.crt", THIRD_CA.certificate.pem)
    held = Credentials(str(directory))
    old = CA.issue_client("ada", role=Role.ADMIN, now=NOW).certificate.pem
    put_all(directory, ca=OTHER_CA)
    assert held.changed()
    assert not held.has_withdrawn
    (directory / "trusted.crt").unlink()
    assert held.changed()
    assert held.has_withdrawn
    assert held.vouches_for(old)


def test_the_same_content_again_is_no_change(directory: Path) -> None:
    held = Credentials(str(directory))
    put(directory, "ca.crt", CA.certificate.pem)
    assert not held.changed()


def test_a_file_written_in_place_is_noticed_too(directory: Path) -> None:
    held = Credentials(str(directory))
    crl = CA.revocation_list({5: NOW, 6: NOW}, number=2, now=NOW)
    (directory / "crl.pem").write_bytes(crl)
    assert held.changed()


def test_expiry_is_told_once_before_it_comes(
    directory: Path, said: pytest.LogCaptureFixture
) -> None:
    put_all(directory, days=100)
    passed = [timedelta()]
    held = Credentials(str(directory), clock=lambda: NOW + passed[0])
    assert not held.changed()
    assert said.records == []
    passed[0] = timedelta(days=90)
    for _ in range(3):
        held.changed()
    assert [record.levelno for record in said.records] == [logging.WARNING]
    assert "expires soon" in said.text


def test_a_set_is_whole_at_any_moment(directory: Path) -> None:
    """Keys change while many threads ask: a key always comes with its certificate."""
    held = Credentials(str(directory))
    identities = [CA.issue_server(["node1"], now=NOW) for _ in range(20)]
    pairs = {one.key: one.chain for one in identities}
    first = held.current()
    pairs[first.key] = first.chain
    done = threading.Event()
    wrong: list[str] = []

    def ask() -> None:
        while not done.is_set():
            held.changed()
            now = held.current()
            if pairs[now.key] != now.chain:
                wrong.append("a key with the certificate of another")

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for identity in identities:
        put(directory, "server.pem", identity.pem)
    done.set()
    for thread in threads:
        thread.join()
    held.changed()
    assert held.current().key == identities[-1].key
    assert wrong == []
