"""rnx from the wheel, in an environment of its own outside the machine, against the real bridge."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.container.jobs import Jobs, kill
from tests.container.machine import Machine
from tests.container.remote import PORT, nodes_file, reachable
from tests.grounds.cache import NoGround, cache_directory
from tests.grounds.machine import COMMAND_PATH, wait_for

CHECKOUT = Path(__file__).resolve().parents[2]
DEADLINE_S = 120
BRIDGE = "joblet-bridge.service"
RESTARTED = r"joblet-bridge\.service: (Main process exited|Failed with result)"
# Whatever would be an import of the local transport ends the program.
BLOCKED = """
import sys
for name in ("dbus_next", "dbus", "pystemd", "systemd"):
    sys.modules[name] = None
from jobletctl.__main__ import rnx
sys.exit(rnx())
"""


@dataclass(frozen=True)
class Rnx:
    """The program with the file of one user, in the network of the machine."""

    machine: Machine
    python: Path
    home: Path
    front: tuple[str, ...] = field(default=())

    @contextmanager
    def popen(self, *args: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command line, ended with the context if not before."""
        command = ["nsenter", f"--target={self.machine.leader}", "--net", "--"]
        with subprocess.Popen(
            [*command, str(self.python), "-c", BLOCKED, *self.front, *args],
            env={"PATH": COMMAND_PATH, "HOME": str(self.home), "LANG": "C.UTF-8"},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def __call__(self, *args: str, status: int = 0) -> tuple[str, str]:
        """Both streams of a command line that ends so."""
        with self.popen(*args) as process:
            out, err = process.communicate(timeout=DEADLINE_S)
        said = out.decode(), err.decode()
        assert process.returncode == status, said
        return said

    def json(self, *args: str) -> Any:
        return json.loads(self("--json", *args)[0])


def environment(wheel: Path) -> Path:
    """The Python of a venv with the wheel and what it asks for. Raises NoGround."""
    root = cache_directory() / "rnx"
    root.mkdir(exist_ok=True)
    python = root / "venv/bin/python"
    wanted = (CHECKOUT / "pyproject.toml").read_text()
    with open(root / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = root / "venv/pyproject.toml"
        if not stamp.exists() or stamp.read_text() != wanted:
            checked([sys.executable, "-m", "venv", "--clear", str(root / "venv")])
            checked([str(python), "-m", "pip", "install", "-q", str(wheel)])
            stamp.write_text(wanted)
        again = ["install", "-q", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
        checked([str(python), "-m", "pip", *again])
    return python


def checked(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoGround(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [CHECKOUT / "packaging/wheel", target],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        check=True,
    )
    (wheel,) = target.iterdir()
    try:
        return environment(wheel)
    except NoGround as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def bridge(machine: Machine) -> Iterator[Machine]:
    with reachable(machine):
        yield machine


def user(bridge: Machine, python: Path, home: Path, name: str, role: str, *nodes: str) -> Rnx:
    folder = home / ".rnx"
    folder.mkdir(parents=True)
    (folder / "rnx-config.yml").write_text(nodes_file(bridge, name, role, *nodes))
    return Rnx(bridge, python, home)


@pytest.fixture(scope="module")
def rnx(bridge: Machine, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Rnx:
    home = tmp_path_factory.mktemp("ada")
    return user(bridge, python, home, "ada", "developer")


@pytest.fixture(autouse=True)
def _no_job_stays(machine: Machine) -> Iterator[None]:
    yield
    jobs = Jobs(machine)
    for job in jobs.ids():
        machine.run(["jobletctl", "job", "stop", job], check=False)
    machine.run(["jobletctl", "job", "delete-all", "--all-users"])


def id_of(said: str) -> str:
    found = re.match(r"ID: ([0-9a-f-]{36})\n", said)
    assert found is not None, said
    return found[1]


def test_jobs_run_are_followed_listed_stopped_and_deleted(rnx: Rnx) -> None:
    script = "echo out; echo err >&2; exit 3"
    assert rnx("job", "run", "--follow", "--", "sh", "-c", script, status=3) == ("out\n", "err\n")
    long = id_of(rnx("job", "run", "--name=nap", "--max-tasks=9", "--", "sleep", "1000")[0])
    shown = rnx.json("job", "list", "--mine")
    assert [(job["id"] == long, job["state"]) for job in shown] == [
        (True, "RUNNING"),
        (False, "FAILED"),
    ]
    assert (shown[0]["name"], shown[0]["max_tasks"]) == ("nap", 9)
    assert (shown[1]["reason"], shown[1]["exit_code"]) == ("exit", 3)
    assert shown[0]["remote_subject"] == "CN=ada,OU=developer,O=Joblet"
    assert rnx("job", "update", long[:8], "--max-tasks=20")[0] == f"{long}\n"
    assert rnx.json("job", "status", long[:8])["max_tasks"] == 20
    said, note = rnx("job", "delete", long, status=1)
    assert said == ""
    assert note.startswith(f"rnx: cannot delete job {long}: it is RUNNING")
    assert rnx("job", "stop", long[:8])[0].startswith(f"{long} STOPPED ")
    assert rnx("job", "delete", long)[0] == f"{long}\n"
    later = id_of(rnx("job", "run", "--schedule=1h", "true")[0])
    assert rnx("job", "cancel", later[:8])[0] == f"{later}\n"
    assert rnx("job", "delete-all")[0].startswith("Deleted count: 2\nSkipped count: 0")
    assert rnx.json("job", "list", "--all") == []


def test_the_same_of_a_job_is_seen_from_both_sides(rnx: Rnx) -> None:
    line = ["--secret-env", "T=hush", "-e", "A=1", "--", "sh", "-c", "echo $T | wc -c"]
    job = id_of(rnx("job", "run", "--wait", *line)[0])
    here = json.loads(rnx.machine.run(["jobletctl", "job", "status", "--json", job]).stdout)
    there = rnx.json("job", "status", job)
    assert here.items() <= there.items()
    assert there["secrets"] == {"T": "***"}
    assert there["uuid"] == job
    assert rnx("job", "log", job)[0] == "5\n"
    dry = ["job", "run", "--dry-run", "--max-memory=64M", "true"]
    assert rnx(*dry)[0] == rnx.machine.run(["jobletctl", *dry]).stdout


def test_files_go_there_and_come_back(rnx: Rnx) -> None:
    big = bytes(range(256)) * (1 << 14) * 40  # more than a message may have
    (rnx.home / "in").mkdir()
    (rnx.home / "in/big").write_bytes(big)
    (rnx.home / "in/run.sh").write_text("#!/bin/sh\ncp big copy\n")
    (rnx.home / "in/run.sh").chmod(0o755)
    line = ["--upload-dir=in", "--output=copy:back", "--max-work=1G", "--", "./run.sh"]
    job = id_of(rnx("job", "run", "--wait", *line)[0])
    assert (rnx.home / "back").read_bytes() == big
    said, note = rnx("job", "cp", f"{job}:nothing", "x", status=1)
    assert said == ""
    assert "nothing" in note
    assert not (rnx.home / "x").exists()


@pytest.mark.journal_allows(RESTARTED)
def test_a_log_and_a_wait_outlive_a_killed_bridge(rnx: Rnx) -> None:
    # It writes more when its stdin, a FIFO in its files, is told to.
    script = "mkfifo p; seq 1000; read go <>p; seq 1001 2000; exit 4"
    with rnx.popen("job", "run", "--follow", "--", "sh", "-c", script) as following:
        assert following.stdout is not None
        seen = b""
        while not seen.endswith(b"1000\n"):
            data = following.stdout.read1(1 << 16)  # type: ignore[attr-defined]
            assert data
            seen += data
        kill(rnx.machine, BRIDGE)
        [job] = Jobs(rnx.machine).ids()
        pid = rnx.machine.run(["pgrep", "--full", "read go"]).stdout.split()[-1]
        rnx.machine.run(["sh", "-c", f"echo >/proc/{pid}/root/work/p"])
        rest, note = following.communicate(timeout=DEADLINE_S)
    assert following.returncode == 4, note
    assert (seen + rest).decode() == "".join(f"{n}\n" for n in range(1, 2001))
    assert rnx("job", "wait", job, status=4)[0] == f"{job} FAILED 4\n"


def test_events_are_heard_from_afar(rnx: Rnx) -> None:
    with rnx.popen("--json", "events", "--count=1") as listening:

        def heard() -> bool:
            rnx("job", "run", "--wait", "--rm", "true")
            return listening.poll() is not None

        wait_for(heard, "an event", seconds=DEADLINE_S)
        out, _ = listening.communicate()
    assert json.loads(out)["event"] in ("new", "state", "finished")


def test_the_program_of_the_wheel_is_there(python: Path) -> None:
    said = subprocess.run([python.parent / "rnx", "--version"], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert re.fullmatch(r"rnx \d+\.\d+\.\d+\n", said.stdout)


def test_nodes_and_versions(bridge: Machine, python: Path, tmp_path: Path) -> None:
    nodes = (f"default=127.0.0.1:{PORT}", "gone=127.0.0.1:9")
    carol = user(bridge, python, tmp_path, "carol", "viewer", *nodes)
    told, note = carol("--json", "nodes")
    near, gone = json.loads(told)
    assert (near["name"], near["status"], near["default"]) == ("default", "active", True)
    assert (gone["name"], gone["status"]) == ("gone", "unreachable")
    assert "node 'gone' (127.0.0.1:9) refuses the connection" in note
    versions = carol.json("version")
    assert versions["rnx"] == versions["jobletd"]
    _, note = carol("--node=gone", "job", "list", status=1)
    assert "is joblet-bridge running there" in note
    _, note = carol("--node=none", "job", "list", status=1)
    assert "it has default, gone" in note


@pytest.mark.journal_allows(r"refused: role viewer", r"is revoked")
def test_the_certificate_decides(bridge: Machine, python: Path, tmp_path: Path) -> None:
    eve = user(bridge, python, tmp_path, "eve", "viewer")
    assert eve.json("job", "list") == []
    said, note = eve("job", "run", "true", status=1)
    assert said == ""
    assert note.startswith("rnx: node 'default': role viewer is not allowed to perform")
    assert note.count("\n") == 1
    bridge.run(["jobletctl", "certs", "revoke", "eve"])

    def refused() -> bool:
        with eve.popen("job", "list") as process:
            _, err = process.communicate(timeout=DEADLINE_S)
        return process.returncode == 1 and b"revoked" in err

    wait_for(refused, "a refusal", seconds=DEADLINE_S)


def test_jobletctl_of_the_machine_reaches_the_node_too(bridge: Machine) -> None:
    text = nodes_file(bridge, "dora", "developer", f"lab=127.0.0.1:{PORT}")
    bridge.write_file("/root/nodes.yml", text)
    line = ["jobletctl", "-H", "lab", "--config=/root/nodes.yml", "job"]
    done = bridge.run([*line, "run", "--follow", "--", "sh", "-c", "id -u; exit 6"], check=False)
    assert (done.returncode, done.stdout) == (6, "1000\n")
    assert "dora" in bridge.run([*line, "list"]).stdout
    bridge.run(["rm", "/root/nodes.yml"])
