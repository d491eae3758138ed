"""`jobletctl certs` in a directory of its own."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from joblet import pki
from joblet.bridge.credentials import Credentials
from joblet.errors import HostFailure
from joblet.model.roles import Role
from joblet.paths import Paths
from jobletctl.certstore import CertStore
from tests.fakes.client import FakeClient
from tests.unit.jobletctl.conftest import Ctl

Snapshot = dict[str, bytes]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """/etc/joblet of this test, and a working directory."""
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "etc/joblet"))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "etc/joblet"


@pytest.fixture
def ready(config: Path, ctl: Ctl) -> Path:
    """The directory of a CA that was just made."""
    assert ctl("certs", "init").status == 0
    return config / "pki"


def snapshot(directory: Path) -> Snapshot:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def at(config: Path, **ago: float) -> CertStore:
    """The store as it was some time ago."""
    return CertStore(Paths(config=str(config)), now=datetime.now(UTC) - timedelta(**ago))


# init


def test_init_makes_everything_a_bridge_needs(config: Path, ctl: Ctl) -> None:
    done = ctl("certs", "init", "--host", "Node1.Example", "--host", "192.0.2.99", "--json")
    assert (done.status, done.err) == (0, "")
    assert done.json["created"] is True
    assert done.json["server"]["hosts"][:2] == ["joblet", "localhost"]
    assert {"127.0.0.1", "::1", "node1.example", "192.0.2.99"} <= set(done.json["server"]["hosts"])
    assert done.json["ca"]["days_left"] >= 3649
    held = Credentials(str(config / "pki/bridge")).current()
    assert held.revoked == frozenset()


def test_a_second_init_leaves_the_ca_alone_and_says_so(ready: Path, ctl: Ctl) -> None:
    before = snapshot(ready)
    done = ctl("certs", "init", "--host", "other.example")
    assert done.status == 0
    assert f"there is a CA in {ready} already; it was left as it is" in done.err
    assert snapshot(ready) == before
    assert ctl("certs", "init", "--json").json["created"] is False


def test_keys_are_for_root_alone(ready: Path, ctl: Ctl) -> None:
    previous = os.umask(0)
    try:
        assert ctl("certs", "issue", "client", "alice", "--role", "admin").status == 0
        assert ctl("certs", "export", "alice").status == 0
    finally:
        os.umask(previous)
    for directory in (ready, *(path for path in ready.rglob("*") if path.is_dir())):
        assert mode(directory) == 0o700
    for name, data in snapshot(ready).items():
        assert mode(ready / name) == 0o600
        if name.startswith("issued/") or name.endswith((".crt", "crl.pem")):
            assert b"PRIVATE" not in data
    assert mode(Path("rnx-config.yml")) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to a group")
def test_the_bridge_may_read_its_own_directory_and_nothing_else(config: Path) -> None:
    store = CertStore(Paths(config=str(config)), now=datetime.now(UTC), bridge_group="nogroup")
    store.init("here", [])
    store.issue_client("alice", Role.ADMIN)
    bridge = config / "pki/bridge"
    assert mode(bridge) == 0o750
    assert bridge.group() == "nogroup"
    assert {(mode(path), path.group(), path.owner()) for path in bridge.iterdir()} == {
        (0o640, "nogroup", "root")
    }
    for name in ("ca.pem", "clients/alice.pem"):
        assert mode(config / "pki" / name) == 0o600
        assert (config / "pki" / name).group() == "root"


def test_init_does_not_replace_what_came_from_a_ca_elsewhere(ready: Path, ctl: Ctl) -> None:
    (ready / "ca.pem").unlink()
    before = snapshot(ready)
    done = ctl("certs", "init")
    assert done.status == 1
    assert "holds a certificate of a CA on another host" in done.err
    assert snapshot(ready) == before


# issue, list, show


def test_an_issued_client_is_listed_and_shown(ready: Path, ctl: Ctl) -> None:
    issued = ctl("certs", "issue", "client", "alice", "--role", "Developer", "--days=90", "--json")
    assert issued.status == 0
    assert (issued.json["name"], issued.json["role"]) == ("alice", "developer")
    (entry,) = [one for one in ctl("certs", "list", "--json").json if one["name"] == "alice"]
    assert (entry["state"], entry["current"], entry["revoked"]) == ("valid", True, None)
    assert entry["serial"] == issued.json["serial"]
    by_serial = ctl("certs", "show", issued.json["serial"][:10].upper(), "--json").json
    assert by_serial["name"] == "alice"
    assert pki.read_certificate(by_serial["pem"].encode()).role is Role.DEVELOPER
    shown = ctl("certs", "show", "alice").out
    assert "Subject: CN=alice,OU=developer,O=Joblet\n" in shown
    assert "PRIVATE" not in shown + str(by_serial)


def test_a_list_is_sorted_ca_first_then_servers_then_clients(ready: Path, ctl: Ctl) -> None:
    for name in ("zoe", "bob"):
        assert ctl("certs", "issue", "client", name, "--role=viewer").status == 0
    assert ctl("certs", "issue", "server", "--host", "n2", "--output", "n2").status == 0
    done = ctl("certs", "list")
    assert done.err == ""
    names = [line.split()[0] for line in done.out.splitlines()]
    assert names == ["NAME", "ca", "server", "server:n2", "bob", "zoe"]


def test_a_client_with_a_valid_certificate_gets_no_second_one(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=viewer").status == 0
    before = snapshot(ready)
    done = ctl("certs", "issue", "client", "alice", "--role=admin")
    assert done.status == 1
    assert "'jobletctl certs renew alice'" in done.err
    assert snapshot(ready) == before


def test_an_expired_or_revoked_client_may_be_issued_again(
    config: Path, ready: Path, ctl: Ctl
) -> None:
    at(config, minutes=5).issue_client("bob", Role.VIEWER)
    assert ctl("certs", "revoke", "bob").status == 0
    assert ctl("certs", "issue", "client", "bob", "--role=admin").status == 0
    states = [
        (one["role"], one["state"], one["current"])
        for one in ctl("certs", "list", "--json").json
        if one["name"] == "bob"
    ]
    assert states == [("admin", "valid", True), ("viewer", "revoked", False)]


def test_expiry_is_marked_and_told_and_no_failure(config: Path, ctl: Ctl) -> None:
    at(config, days=100).init("here", [])
    at(config, days=100).issue_client("old", Role.VIEWER, days=99)
    at(config, days=100).issue_client("soon", Role.VIEWER, days=110)
    at(config, days=100).issue_client("late", Role.VIEWER, days=200)
    done = ctl("certs", "list")
    assert done.status == 0
    states = {line.split()[0]: line.split()[2] for line in done.out.splitlines()[1:]}
    assert states["old"] == "expired"
    assert states["soon"] == "expiring"
    assert states["late"] == states["ca"] == states["server"] == "valid"
    assert "old has expired: 'jobletctl certs renew old'" in done.err
    assert "soon expires in 9 days: 'jobletctl certs renew soon'" in done.err
    assert done.err.count("\n") == 2
    assert ctl("certs", "renew", "soon").status == 0
    assert "soon" not in ctl("certs", "list").err


def test_a_damaged_record_hides_nothing_else(ready: Path, ctl: Ctl) -> None:
    (ready / "issued/zzz.crt").write_bytes(b"\x00garbage")
    (ready / "clients/eve.pem").write_bytes(b"")
    done = ctl("certs", "list")
    assert done.status == 0
    assert "server" in done.out
    assert "zzz.crt" in done.err
    assert "eve.pem" in done.err


def test_the_default_life_ends_with_the_ca_and_a_wish_does_not_bend(config: Path, ctl: Ctl) -> None:
    at(config, days=3600).init("here", [])
    assert ctl("certs", "renew", "server", "--json").json["days_left"] in (48, 49)
    done = ctl("certs", "issue", "client", "alice", "--role=viewer", "--days=60")
    assert done.status == 2
    assert "the CA itself ends in" in done.err
    assert not (config / "pki/clients/alice.pem").exists()


def test_nothing_is_issued_by_an_expired_ca_until_it_is_renewed(config: Path, ctl: Ctl) -> None:
    at(config, days=4000).init("here", [])
    done = ctl("certs", "issue", "client", "alice", "--role=viewer")
    assert done.status == 1
    assert "'jobletctl certs renew ca' first" in done.err
    assert ctl("certs", "renew", "ca").status == 0
    assert ctl("certs", "issue", "client", "alice", "--role=viewer").status == 0


# for other hosts


def test_files_for_another_host_are_all_that_its_bridge_needs(ready: Path, ctl: Ctl) -> None:
    server = (ready / "bridge/server.pem").read_bytes()
    done = ctl("certs", "issue", "server", "--host", "node2.example", "--output", "out", "--json")
    assert done.status == 0
    assert done.json["name"] == "server:node2.example"
    assert done.json["hosts"][:2] == ["joblet", "node2.example"]
    held = Credentials("out").current()
    assert held.roots == (ready / "bridge/ca.crt").read_bytes()
    assert mode(Path("out")) == 0o700
    assert mode(Path("out/server.pem")) == 0o600
    assert (ready / "bridge/server.pem").read_bytes() == server
    assert all(held.key not in data for data in snapshot(ready).values())
    assert ctl("certs", "revoke", "server:node2.example").status == 0


def test_the_bridge_of_this_host_is_no_other_host(ready: Path, ctl: Ctl) -> None:
    done = ctl("certs", "issue", "server", "--host", "n2", "--output", str(ready / "bridge"))
    assert done.status == 2
    assert "this host's own bridge" in done.err


# renew, revoke


@pytest.mark.parametrize("keep", [True, False])
def test_renewal_keeps_role_and_hosts_and_the_key_if_asked(
    ready: Path, ctl: Ctl, keep: bool
) -> None:
    assert ctl("certs", "issue", "server", "--host", "extra.example").status == 0
    assert ctl("certs", "issue", "client", "alice", "--role=maintainer").status == 0
    for name, file in (("server", "bridge/server.pem"), ("alice", "clients/alice.pem")):
        before = pki.Identity.read((ready / file).read_bytes())
        assert ctl("certs", "renew", name, *(["--keep-key"] if keep else [])).status == 0
        after = pki.Identity.read((ready / file).read_bytes())
        assert (after.key == before.key) is keep
        assert after.certificate.serial != before.certificate.serial
        assert after.certificate.hosts == before.certificate.hosts
        assert after.certificate.role is before.certificate.role
    alice = [one for one in ctl("certs", "list", "--json").json if one["name"] == "alice"]
    assert [(one["state"], one["current"]) for one in alice] == [("valid", True), ("valid", False)]


def test_a_renewed_ca_keeps_its_key_and_reaches_the_bridge(ready: Path, ctl: Ctl) -> None:
    held = Credentials(str(ready / "bridge"))
    before = pki.Authority.read((ready / "ca.pem").read_bytes())
    assert ctl("certs", "renew", "ca", "--days=3000").status == 0
    after = pki.Authority.read((ready / "ca.pem").read_bytes())
    assert after.identity.key == before.identity.key
    assert held.changed()
    assert held.current().roots == after.certificate.pem


def test_revoking_a_name_revokes_all_its_certificates_and_reaches_the_bridge(
    ready: Path, ctl: Ctl
) -> None:
    held = Credentials(str(ready / "bridge"))
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    assert ctl("certs", "renew", "alice").status == 0
    done = ctl("certs", "revoke", "alice", "--json")
    assert done.status == 0
    assert [one["state"] for one in done.json] == ["revoked", "revoked"]
    assert held.changed()
    assert held.current().revoked == {int(one["serial"], 16) for one in done.json}


def test_revoking_by_serial_number_leaves_the_others(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    old = ctl("certs", "show", "alice", "--json").json["serial"]
    assert ctl("certs", "renew", "alice").status == 0
    assert ctl("certs", "revoke", old).status == 0
    assert ctl("certs", "show", "alice", "--json").json["state"] == "valid"
    assert ctl("certs", "show", old, "--json").json["state"] == "revoked"


def test_revoking_twice_changes_nothing(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    first = ctl("certs", "revoke", "alice", "--json")
    before = snapshot(ready)
    second = ctl("certs", "revoke", "alice", "--json")
    assert (second.status, second.json) == (0, first.json)
    assert snapshot(ready) == before


def test_a_revoked_client_is_neither_renewed_nor_exported(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    assert ctl("certs", "revoke", "alice").status == 0
    for verb in ("renew", "export"):
        done = ctl("certs", verb, "alice")
        assert done.status == 1
        assert "revoked" in done.err
    assert not Path("rnx-config.yml").exists()


def test_a_lost_revocation_list_lets_nobody_in_again(ready: Path, ctl: Ctl) -> None:
    (ready / "bridge/crl.pem").unlink()
    for line in (
        ["init"],
        ["list"],
        ["issue", "client", "bob", "--role=viewer"],
        ["revoke", "bob"],
    ):
        done = ctl("certs", *line)
        if line[0] != "issue":
            assert done.status == 1
            assert "crl.pem is missing: put it back from a backup" in done.err
    assert not (ready / "bridge/crl.pem").exists()


# export


def test_an_exported_file_is_ready_for_clients(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "server", "--host", "web1.example").status == 0
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    done = ctl("certs", "export", "alice", "--node", "default=web1.example:50051", "--json")
    assert (done.status, done.err) == (0, "")
    assert done.json["nodes"] == ["default"]
    node = yaml.safe_load(Path("rnx-config.yml").read_text())["nodes"]["default"]
    assert node["address"] == "web1.example:50051"
    assert node["ca"].encode() == (ready / "bridge/ca.crt").read_bytes()
    assert (node["key"] + node["cert"]).encode() == (ready / "clients/alice.pem").read_bytes()
    assert "isDefault" in node
    ca_key = pki.Identity.read((ready / "ca.pem").read_bytes()).key
    assert ca_key not in Path("rnx-config.yml").read_bytes()


def test_an_export_names_this_host_if_nothing_else_is_said(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    done = ctl("certs", "export", "alice", "--output", "mine.yml")
    assert (done.status, done.err) == (0, "")
    node = yaml.safe_load(Path("mine.yml").read_text())["nodes"]["default"]
    assert node["address"] == f"{os.uname().nodename.lower()}:50051"


def test_an_export_adds_to_a_file_and_loses_nothing(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    Path("rnx-config.yml").write_text('nodes:\n  far: {address: "far:1", note: keep me}\n')
    Path("rnx-config.yml").chmod(0o644)
    nodes = ["--node", "a=localhost:50051", "--node", "b=[::1]:50052"]
    assert ctl("certs", "export", "alice", *nodes).status == 0
    tree = yaml.safe_load(Path("rnx-config.yml").read_text())
    assert list(tree["nodes"]) == ["far", "a", "b"]
    assert tree["nodes"]["far"] == {"address": "far:1", "note": "keep me"}
    assert tree["nodes"]["b"]["address"] == "[::1]:50052"
    assert mode(Path("rnx-config.yml")) == 0o600


def test_an_export_warns_of_a_name_that_clients_will_not_find(ready: Path, ctl: Ctl) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    done = ctl("certs", "export", "alice", "--node", "far=far.example:50051")
    assert done.status == 0
    assert "no server certificate of this CA is for far.example" in done.err
    assert "there is no node 'default'" in done.err


@pytest.mark.parametrize("kind", ["broken", "link", "directory", "pipe", "latin1"])
def test_an_export_leaves_alone_what_is_no_file_of_nodes(ready: Path, ctl: Ctl, kind: str) -> None:
    assert ctl("certs", "issue", "client", "alice", "--role=admin").status == 0
    path = Path("rnx-config.yml")
    make: dict[str, Callable[[], object]] = {
        "broken": lambda: path.write_text("nodes: ["),
        "link": lambda: path.symlink_to("/etc/passwd"),
        "directory": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "latin1": lambda: path.write_bytes(b"caf\xe9: 1"),
    }
    make[kind]()
    before = path.lstat()
    done = ctl("certs", "export", "alice")
    assert done.status == 1
    assert "rnx-config.yml" in done.err
    assert done.err.count("\n") == 1
    assert path.lstat() == before
    assert os.listdir() == ["rnx-config.yml"]


# mistakes


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["issue", "client"], "NAME"),
        (["issue", "client", "x"], "--role"),
        (["issue", "client", "x", "--role=root"], "--role"),
        (["issue", "client", "two words", "--role=admin"], "'NAME'"),
        (["issue", "client", "../x", "--role=admin"], "'NAME'"),
        (["issue", "client", "", "--role=admin"], "'NAME'"),
        (["issue", "client", "n" * 64, "--role=admin"], "'NAME'"),
        (["issue", "client", "ca", "--role=admin"], "means the ca certificate"),
        (["issue", "client", "server", "--role=admin"], "means the server certificate"),
        (["issue", "client", "deadbeef", "--role=admin"], "serial number"),
        (["issue", "client", "x", "--role=admin", "--days=0"], "--days"),
        (["issue", "client", "x", "--role=admin", "--days=3651"], "--days"),
        (["issue", "client", "x", "--role=admin", "--days=ten"], "--days"),
        (["issue", "client", "x", "--role=admin", "--days=3650"], "the CA itself ends"),
        (["issue", "server", "--host", "bad host"], "--host"),
        (["issue", "server", "--host", "n:50051"], "--host"),
        (["issue", "server", "--host", "10.0.0.256"], "--host"),
        (["issue", "server", "--output", "x"], "name it with --host"),
        (["issue", "admin"], "'admin'"),
        (["init", "--host", "-"], "--host"),
        (["init", "--days=-1"], "--days"),
        (["renew"], "NAME"),
        (["renew", "server", "--days=x"], "--days"),
        (["renew", "../../x"], "name: "),
        (["revoke"], "NAME|SERIAL"),
        (["export", "x", "--node", "a"], "NAME=HOST:PORT"),
        (["export", "x", "--node", "a=b"], "--node"),
        (["export", "x", "--node", "a b=c:1"], "--node"),
        (["export", "x", "--node", "a=c:1", "--node", "a=d:2"], "twice"),
        (["export", "x", "--node", "a=::1:5"], "--node"),
        (["export", "../x"], "'NAME'"),
        (["frobnicate"], "'frobnicate'"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    ready: Path, ctl: Ctl, host: FakeClient, line: list[str], named: str
) -> None:
    before = snapshot(ready)
    done = ctl("certs", *line)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("jobletctl: ")
    assert done.err.count("\n") == 1
    assert named in done.err
    assert snapshot(ready) == before
    assert os.listdir() == []
    assert host.connections == 0


@pytest.mark.parametrize("line", [["show", "x"], ["renew", "x"], ["revoke", "x"], ["export", "x"]])
def test_who_is_not_known_is_said(ready: Path, ctl: Ctl, line: list[str]) -> None:
    done = ctl("certs", *line)
    assert (done.status, done.err) == (1, "jobletctl: there is no certificate 'x'\n")


@pytest.mark.parametrize(
    "line",
    [["list"], ["show", "x"], ["renew", "x"], ["revoke", "x"], ["export", "x"]]
    + [["issue", "client", "x", "--role=viewer"], ["issue", "server"]],
)
def test_without_a_ca_every_verb_says_how_to_make_one(
    config: Path, ctl: Ctl, line: list[str]
) -> None:
    done = ctl("certs", *line)
    assert done.status == 1
    assert "'jobletctl certs init' makes one" in done.err
    assert not config.exists()


def test_a_broken_ca_is_named(ready: Path, ctl: Ctl) -> None:
    (ready / "ca.pem").write_bytes(
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    )
    done = ctl("certs", "issue", "client", "x", "--role=viewer")
    assert done.status == 1
    assert done.err.startswith(f"jobletctl: {ready}/ca.pem: ")


def test_a_ca_is_not_revoked(ready: Path, ctl: Ctl) -> None:
    before = snapshot(ready)
    assert ctl("certs", "revoke", "ca").status == 1
    assert snapshot(ready) == before


def test_revoking_a_server_says_that_clients_do_not_look(ready: Path, ctl: Ctl) -> None:
    done = ctl("certs", "revoke", "server")
    assert done.status == 0
    assert "clients do not read the revocation list" in done.err


def test_a_failed_write_names_the_file(ready: Path, config: Path) -> None:
    (ready / "clients").rmdir()
    (ready / "clients").write_text("")
    with pytest.raises(HostFailure, match=r"write .*: Not a directory"):
        at(config, minutes=0).issue_client("x", Role.VIEWER)
