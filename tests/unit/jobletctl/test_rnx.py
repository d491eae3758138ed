"""rnx and `jobletctl -H`: the choice of a node, wrong command lines, what old scripts look for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from joblet.client.looks import UsageReport
from joblet.errors import RemoteError, Unreachable
from joblet.model.states import JobState
from jobletctl import nodesfile
from jobletctl.__main__ import main, rnx
from tests.fakes.client import HOST, NOW_USEC, FakeClient, ended, job, job_id
from tests.unit.jobletctl.conftest import Ctl, Done

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"
NODE = {"address": "127.0.0.1:1", "cert": CERTIFICATE, "key": KEY, "ca": CERTIFICATE}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to be, and an empty home, without a file of nodes."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RNX_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path / "here")
    mine = [place for place in nodesfile.PLACES if not place.startswith("/")]
    monkeypatch.setattr(nodesfile, "PLACES", (*mine, f"{tmp_path}/etc.yml"))
    return tmp_path


@pytest.fixture
def far(home: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Done]:
    """A program as it is started, with no host lent to it."""

    def run(program: str, *args: str) -> Done:
        status = main(args, program=program)
        seen = capsysbinary.readouterr()
        return Done(status, seen.out, seen.err.decode())

    return run


@pytest.fixture
def old(host: FakeClient, capsysbinary: pytest.CaptureFixture[bytes]) -> Ctl:
    """rnx, with the fake of the same test as the host."""

    def run(*args: str) -> Done:
        status = rnx(args, connector=host.connect)
        seen = capsysbinary.readouterr()
        return Done(status, seen.out, seen.err.decode())

    return run


def write(path: Path, **nodes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"version": "3.0", "nodes": nodes or {"default": NODE}}))
    return path


# Which file, and which node


def test_the_first_file_there_is_counts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [
        home / "etc.yml",
        home / "home/.rnx/rnx-config.yml",
        home / "here/config/rnx-config.yml",
        home / "here/rnx-config.yml",
    ]
    for place in places:
        write(place)
        assert os.path.abspath(nodesfile.find()) == str(place)
    monkeypatch.setenv("RNX_CONFIG", str(home / "nowhere.yml"))
    assert os.path.abspath(nodesfile.find()) == str(places[-1])
    monkeypatch.setenv("RNX_CONFIG", str(write(home / "named.yml")))
    assert nodesfile.find() == str(home / "named.yml")
    assert nodesfile.find("given.yml") == "given.yml"


def test_the_places_are_those_of_the_existing_clients() -> None:
    assert nodesfile.VARIABLE == "RNX_CONFIG"
    assert nodesfile.PLACES == (
        "rnx-config.yml",
        "config/rnx-config.yml",
        "~/.rnx/rnx-config.yml",
        "/etc/joblet/rnx-config.yml",
        "/opt/joblet/config/rnx-config.yml",
    )


def test_a_file_behind_a_link_is_read(home: Path) -> None:
    write(home / "secret/nodes.yml", lab=NODE)
    (home / "here/rnx-config.yml").symlink_to(home / "secret/nodes.yml")
    assert nodesfile.load().names == ("lab",)


MISTAKES = [
    ("rnx job list", 1, "there is no file of nodes: it is looked for in $RNX_CONFIG and as"),
    ("rnx --config none.yml job list", 1, "none.yml: No such file or directory"),
    ("rnx --config=. job list", 1, ".: Is a directory"),
    ("rnx --config bad.yml job list", 1, "bad.yml: this is not YAML in line 1"),
    ("rnx --config nodes.yml --node nobody job list", 1, "node 'nobody' is not in nodes.yml"),
    ("rnx --config nodes.yml job list", 1, "nodes.yml does not say which node to use; it has a, b"),
    ("rnx --config nodes.yml --node b job list", 1, "'cert' of node 'b' is no certificate"),
    ("jobletctl --config nodes.yml -H nobody job list", 1, "it has a, b"),
    ("jobletctl job list -H lab", 1, "there is no file of nodes"),
    ("jobletctl -H lab certs list", 2, "'certs' is about this host alone"),
    ("jobletctl -H lab config show", 2, "'config' is about this host alone"),
    ("jobletctl certs list -H lab", 2, "no such option -H"),
    ("rnx certs list", 2, "there is no 'certs' here"),
    ("rnx config show", 2, "there is no 'config' here; did you mean 'rnx config-help'?"),
    ("rnx list", 2, "there is no 'list' here; did you mean 'rnx job list'?"),
    ("rnx job list --filter owner=root", 2, "users of another host have no names here"),
    ("rnx --node", 2, "option '--node' requires an argument (see 'rnx --help')"),
    ("rnx job", 2, "(see 'rnx job --help')"),
    ("rnx", 2, "(see 'rnx --help')"),
    ("rnx job list --watch --json", 2, "'rnx events --json' tells changes"),
    ("rnx job run --rm true", 2, "'rnx job delete' removes one later"),
]


@pytest.mark.parametrize(("line", "status", "said"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_wrong_choice_of_a_host_is_one_sentence(
    far: Callable[..., Done], home: Path, line: str, status: int, said: str
) -> None:
    write(home / "here/nodes.yml", a=NODE, b={**NODE, "cert": "x"})
    (home / "here/bad.yml").write_text("{")
    program, *args = line.split()
    done = far(program, *args)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"{program}: ")
    assert done.err.count("\n") == 1
    assert said in done.err


@pytest.mark.parametrize(
    "line",
    [
        "--config=FILE --node=b job list",
        "job --config FILE list --node b",
        "job list --node=a --config=FILE -H b",
        "--node a job --node b list --config FILE",
    ],
)
def test_the_choice_stands_anywhere_and_the_last_one_counts(
    far: Callable[..., Done], home: Path, line: str
) -> None:
    write(home / "here/FILE", a=NODE, b={**NODE, "address": "nonsense:b:c"})
    assert "FILE: node 'b': 'nonsense:b:c' is no address" in far("rnx", *line.split()).err


def test_an_empty_name_is_the_default_node(far: Callable[..., Done], home: Path) -> None:
    write(home / "here/rnx-config.yml", default={**NODE, "address": "nonsense:b:c"})
    assert "node 'default': 'nonsense" in far("rnx", "--node", "", "job", "list").err


def test_help_needs_no_file(far: Callable[..., Done]) -> None:
    told = far("rnx", "--help").out
    assert told.startswith("Usage: rnx ")
    assert "-H, --node NODE" in told
    assert "\n  certs" not in told
    assert far("rnx", "job", "run", "--help").out.startswith("Usage: rnx job run ")
    assert far("rnx", "help", "job", "run").out == far("rnx", "job", "run", "--help").out
    told = far("rnx", "config-help").out
    for place in (nodesfile.VARIABLE, "~/.rnx/rnx-config.yml", "/etc/joblet/rnx-config.yml"):
        assert place in told
    assert far("rnx", "--version").out.startswith("rnx ")


# What is wrong at the other end


@pytest.mark.parametrize(
    ("err", "said"),
    [
        (
            RemoteError("org.joblet1.Error.NotAllowed", "role viewer is not allowed", node="lab"),
            "node 'lab': role viewer is not allowed; the certificate in the file of nodes",
        ),
        (
            RemoteError("org.joblet1.Error.NoSuchJob", "there is no job 'x'", node="lab"),
            "rnx: there is no job 'x'; 'rnx --node lab job list --all' shows the jobs there are\n",
        ),
        (
            RemoteError("org.joblet1.Error.Internal", "an error, id 7", node="lab"),
            "node 'lab': an error, id 7; this is a fault of Joblet there",
        ),
        (
            RemoteError("org.freedesktop.DBus.Error.NoReply", "no answer", node="lab"),
            "jobletd may have done it nevertheless: see 'rnx --node lab job list'",
        ),
        (
            RemoteError("org.joblet1.Error.Unreachable", "jobletd is not running", node="lab"),
            "rnx: node 'lab': jobletd is not running\n",
        ),
        (Unreachable("node 'lab' (h:1) does not answer"), "rnx: node 'lab' (h:1) does not answer"),
    ],
    ids=str,
)
def test_a_failure_names_the_node_and_what_to_do(
    old: Ctl, host: FakeClient, err: Exception, said: str
) -> None:
    host.failures["status"] = err  # type: ignore[assignment]
    done = old("--node=lab", "job", "status", job_id(1))
    assert (done.status, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert said in done.err


# nodes


def test_nodes_are_all_of_the_file_and_which_of_them_answer(
    far: Callable[..., Done], home: Path
) -> None:
    write(home / "here/rnx-config.yml", a=NODE, b={**NODE, "isDefault": True, "nodeId": "id-b"})
    done = far("rnx", "nodes", "--json")
    assert done.status == 0
    assert json.loads(done.out) == [
        {"name": "a", "address": "127.0.0.1:1", "status": "unreachable", "default": False},
        {
            "name": "b",
            "address": "127.0.0.1:1",
            "nodeId": "id-b",
            "status": "unreachable",
            "default": True,
        },
    ]
    assert [line.split(" (")[0] for line in done.err.splitlines()] == [
        "rnx: node 'a'",
        "rnx: node 'b'",
    ]
    rows = far("rnx", "nodes").out.splitlines()
    assert [row.split()[0] for row in rows] == ["NAME", "a", "b"]
    assert "b (default)" in rows[2]
    one = far("rnx", "--node=a", "nodes")
    assert [row.split()[0] for row in one.out.splitlines()] == ["NAME", "a"]


def test_this_host_comes_before_the_nodes_of_the_file(
    ctl: Ctl, host: FakeClient, home: Path
) -> None:
    host.reports = [UsageReport(1, HOST, ())]
    assert [node["name"] for node in ctl("nodes", "--json").json] == ["box"]
    write(home / "here/rnx-config.yml", lab=NODE)
    told = ctl("nodes", "--json").json
    assert [(node["name"], node["default"]) for node in told] == [("box", True), ("lab", False)]
    # the fake is whatever host is asked for
    assert [node["status"] for node in told] == ["active", "active"]


# What scripts for the first rnx look for


def test_a_submitted_job_is_told_in_lines_that_begin_with_its_id(
    old: Ctl, host: FakeClient
) -> None:
    done = old("job", "run", "echo", "a b")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == f"ID: {job_id(1)}"
    assert lines[1].startswith("Command: echo")
    assert lines[2] == "Status: PENDING"


def test_the_id_is_told_whatever_happens_then(old: Ctl, host: FakeClient) -> None:
    host.failures["wait"] = Unreachable("node 'lab' is gone")
    done = old("job", "run", "true")
    assert (done.status, done.out) == (0, f"ID: {job_id(1)}\n")
    assert done.err == f"rnx: job {job_id(1)} was accepted; node 'lab' is gone\n"
    told = old("job", "run", "--json", "true").json
    assert told == {"id": job_id(2), "job_uuid": job_id(2)}


def test_a_submitted_job_as_json_has_the_keys_of_old(old: Ctl, host: FakeClient) -> None:
    told = old("--json", "job", "run", "echo").json
    assert (told["job_uuid"], told["status"], told["command"]) == (job_id(1), "PENDING", "echo")
    assert told["id"] == job_id(1)
    assert told["start_time"].endswith("Z")


def test_a_status_has_the_keys_of_old_beside_ours(old: Ctl, ctl: Ctl, host: FakeClient) -> None:
    host.jobs[job_id(1)] = ended(
        1,
        3,
        command="sh",
        args=("-c", "x"),
        environment={"A": "1"},
        secrets={"T": "***"},
        due_usec=NOW_USEC + 60_000_000,
        max_memory=(64 << 20) + 1,
        max_cpu=50,
        network="none",
    )
    ours = ctl("job", "status", "--json", job_id(1)).json
    told = old("--node=lab", "job", "status", "--json", job_id(1)).json
    assert ours.items() <= told.items()
    wanted = {
        "uuid": job_id(1),
        "nodeId": "lab",
        "status": "FAILED",
        "startTime": "2025-11-22T08:26:40Z",
        "endTime": "",
        "scheduledTime": "2025-11-22T08:27:40Z",
        "exitCode": 3,
        "secretEnvironment": {"T": "***"},
        "maxCPU": 50,
        "maxMemory": 65,
    }
    assert wanted.items() <= told.items()
    absent = {"volumes", "runtime", "workDir", "uploads", "dependencies", "workflowUuid"}
    assert absent <= told.keys()
    lines = old("--node=lab", "job", "status", job_id(1)).out.splitlines()
    assert {"Node ID: lab", "Status: FAILED", "  Max CPU: 50%", "  T=*** (secret)"} <= {*lines}


def test_a_list_has_the_keys_of_old_beside_ours(old: Ctl, ctl: Ctl, host: FakeClient) -> None:
    host.jobs = {one.id: one for one in (job(1, command="sh"), job(2))}
    ours, told = ctl("job", "list", "--json").json, old("job", "list", "--json").json
    for mine, theirs in zip(ours, told, strict=True):
        assert mine.items() <= theirs.items()
        assert {"id", "command", "status", "node_id", "start_time"} <= theirs.keys()


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("job cancel 00000001", {"canceled": True, "job_id": job_id(1), "status": "CANCELED"}),
        ("job delete 00000002", {"uuid": job_id(2), "success": True}),
        ("job stop 00000003", {"uuid": job_id(3), "status": "STOPPED"}),
        ("job stop --no-wait 00000003", {"uuid": job_id(3), "success": True}),
        ("job delete-all", {"success": True, "deleted_count": 1, "skipped_count": 2}),
    ],
)
def test_a_change_has_the_keys_of_old(
    old: Ctl, host: FakeClient, line: str, wanted: dict[str, object]
) -> None:
    jobs = (job(1, JobState.SCHEDULED), ended(2), job(3))
    host.jobs = {one.id: one for one in jobs}
    told = old(*line.split(), "--json").json
    assert wanted.items() <= told.items()
    assert told["id" if "delete-all" not in line else "deleted"]


def test_jobletctl_says_nothing_of_old(ctl: Ctl, host: FakeClient) -> None:
    assert ctl("job", "run", "--json", "true").json == {"id": job_id(1)}
    assert ctl("job", "run", "true").out == f"{job_id(2)}\n"
    assert "uuid" not in ctl("job", "status", "--json", job_id(1)).json


def test_owners_elsewhere_are_not_named_after_users_here(old: Ctl, host: FakeClient) -> None:
    subjects = ("CN=ada,OU=admin,O=Joblet", None, r"CN=a\,b,O=Joblet")
    host.jobs = {
        one.id: one
        for one in (job(number, remote_subject=who) for number, who in enumerate(subjects, 1))
    }
    rows = old("job", "list").out.splitlines()[1:]
    assert [row.split()[-2] for row in rows] == ["0", "0", "ada"]
    assert "Owner: 0" in old("job", "status", job_id(2)).out.splitlines()
