"""Kill, full disk, no permission, many at once: the state is the old one or the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from joblet import pki
from joblet.bridge.credentials import Credentials
from tests.unit.jobletctl.conftest import Ctl

pytestmark = pytest.mark.spawns

CHECKOUT = Path(__file__).resolve().parents[3]
MAIN = "import sys; from jobletctl.__main__ import main; sys.exit(main())"
# A disk is full after so many bytes of a file; Python ignores the signal and sees the error.
LIMITED = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)); {MAIN}"
# Another user from here on, who need not be able to read the interpreter and the checkout.
AS_NOBODY = (
    "import os, sys, jobletctl.commands.certs, jobletctl.nodesfile, jobletctl.certview; "
    "import jobletctl.hostnames; from jobletctl.__main__ import main; "
    "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main())"
)
KILLED = -9


class Host:
    """A configuration directory, and command lines in processes of their own."""

    def __init__(self, directory: Path, ctl: Ctl) -> None:
        self.pki = directory / "joblet/pki"
        self.points = directory / "points"
        self.points.mkdir()
        self._directory = directory
        self._ctl = ctl

    def start(self, *args: str, code: str = MAIN) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, "certs", *args],
            env={
                "PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}",
                "LC_ALL": "C.UTF-8",
                # a full disk would leave half of a compiled module behind, for ever
                "PYTHONDONTWRITEBYTECODE": "1",
                "CONFIGURATION_DIRECTORY": str(self._directory / "joblet"),
                "JOBLET_FAILPOINTS": str(self.points),
            },
            cwd=self._directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, code: str = MAIN) -> tuple[int, str, str]:
        with self.start(*args, code=code) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    def good(self, *args: str) -> str:
        """In this process, which takes a tenth of the time."""
        done = self._ctl("certs", *args)
        assert done.status == 0, done.err
        return done.out

    def arm(self, point: str, action: str) -> None:
        (self.points / point).write_text(action)

    def snapshot(self) -> dict[str, bytes]:
        """All but the files that a killed run left half written, which have names of their own."""
        return {
            str(path.relative_to(self._directory)): path.read_bytes()
            for path in self._directory.rglob("*")
            if path.is_file() and not path.name.endswith(".new")
        }

    def leftovers(self) -> list[Path]:
        return list(self._directory.rglob("*.new"))


@pytest.fixture
def fresh(tmp_path: Path, ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "joblet"))
    monkeypatch.chdir(tmp_path)
    return Host(tmp_path, ctl)


@pytest.fixture
def ready(fresh: Host) -> Host:
    fresh.good("init")
    fresh.good("issue", "client", "alice", "--role=viewer")
    return fresh


LINES = [
    ["issue", "client", "bob", "--role=admin"],
    ["issue", "server", "--host=extra.example"],
    ["renew", "alice"],
    ["renew", "ca"],
    ["revoke", "alice"],
    ["export", "alice"],
]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_full_disk_leaves_the_old_state(ready: Host, line: list[str]) -> None:
    before = ready.snapshot()
    status, out, err = ready.run(*line, code=LIMITED)
    assert (status, out) == (1, "")
    assert "File too large" in err
    assert err.count("\n") == 1
    assert ready.snapshot() == before
    assert ready.leftovers() == []


@pytest.mark.parametrize(
    ("point", "action"), [("durablefile.created", "error"), ("durablefile.written", "crash")]
)
@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_a_run_that_ends_before_its_first_file_leaves_the_old_state(
    ready: Host, line: list[str], point: str, action: str
) -> None:
    before = ready.snapshot()
    ready.arm(point, action)
    status, out, err = ready.run(*line)
    assert (status, out) == (KILLED if action == "crash" else 1, "")
    assert ready.snapshot() == before
    if action == "error":
        assert ready.leftovers() == []
        assert "Input/output error" in err
    # and the next one goes through
    ready.good(*line)
    Credentials(str(ready.pki / "bridge"))


@pytest.mark.parametrize("line", LINES[:4], ids=" ".join)
def test_a_run_killed_after_its_first_file_can_be_repeated(ready: Host, line: list[str]) -> None:
    """What the record has and nobody holds is listed as old, and may be revoked."""
    ready.arm("durablefile.renamed", "crash")
    assert ready.run(*line)[0] == KILLED
    before = Credentials(str(ready.pki / "bridge")).current()
    assert pki.Identity.read(before.key + before.chain)
    assert ready.good("list")
    ready.good(*line)
    for name in ("server", "alice"):
        assert json.loads(ready.good("show", name, "--json"))["state"] == "valid"


@pytest.mark.parametrize("point", ["durablefile.written", "durablefile.renamed"])
@pytest.mark.parametrize("passed", range(5))
def test_init_killed_at_any_of_its_files_is_finished_by_the_next(
    fresh: Host, point: str, passed: int
) -> None:
    arm = f"open({str(fresh.points / point)!r}, 'w').write('crash')"
    # So many files are replaced before the fail-point is armed.
    counting = (
        (
            "import os; rename = os.rename; left = [PASSED]\n"
            "def counted(*args):\n"
            "    rename(*args)\n"
            "    left[0] -= 1\n"
            "    if left[0] == 0: ARM\n"
            "os.rename = counted\n"
            "if not left[0]: ARM\n"
        )
        .replace("PASSED", str(passed))
        .replace("ARM", arm)
    )
    assert fresh.run("init", code=counting + MAIN)[0] == KILLED
    made = (fresh.pki / "ca.pem").read_bytes() if (fresh.pki / "ca.pem").exists() else None
    fresh.good("init")
    Credentials(str(fresh.pki / "bridge"))
    assert fresh.leftovers() == []
    assert made in (None, (fresh.pki / "ca.pem").read_bytes())


def test_leftovers_of_a_killed_run_are_swept(ready: Host) -> None:
    ready.arm("durablefile.written", "crash")
    ready.run("issue", "client", "bob", "--role=admin")
    (left,) = ready.leftovers()
    assert left.stat().st_mode & 0o777 == 0o600
    ready.good("issue", "client", "carol", "--role=admin")
    assert ready.leftovers() == []


def test_many_at_once_lose_nothing(ready: Host) -> None:
    names = [f"client{number}" for number in range(4)]
    for verb, rest in ((["issue", "client"], ["--role=viewer"]), (["revoke"], [])):
        running = [ready.start(*verb, name, *rest) for name in names]
        for process in running:
            with process:
                _out, err = process.communicate()
            assert process.returncode == 0, err
    listed = {one["name"]: one["state"] for one in json.loads(ready.good("list", "--json"))}
    assert {name: listed[name] for name in names} == dict.fromkeys(names, "revoked")
    assert len(Credentials(str(ready.pki / "bridge")).current().revoked) == len(names)


def test_one_of_two_gets_the_name(ready: Host) -> None:
    both = [ready.start("issue", "client", "bob", "--role=viewer") for _ in range(2)]
    for process in both:
        with process:
            process.communicate()
    assert sorted(process.returncode for process in both) == [0, 1]
    bob = [one for one in json.loads(ready.good("list", "--json")) if one["name"] == "bob"]
    assert len(bob) == 1


def test_exports_into_one_file_at_once_are_all_in_it(ready: Host) -> None:
    running = [
        ready.start("export", "alice", f"--node=n{number}=localhost:{number + 1}")
        for number in range(4)
    ]
    for process in running:
        with process:
            _out, err = process.communicate()
        assert process.returncode == 0, err
    last = json.loads(ready.good("export", "alice", "--node=last=localhost:9", "--json"))
    assert sorted(last["nodes"]) == sorted([*(f"n{number}" for number in range(4)), "last"])


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("line", [["init"], ["list"], *LINES], ids=" ".join)
def test_who_is_not_root_gets_one_sentence(ready: Host, tmp_path: Path, line: list[str]) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(directory.stat().st_mode | 0o055)
    (ready.pki.parent).chmod(0o755)
    before = ready.snapshot()
    status, out, err = ready.run(*line, code=AS_NOBODY)
    assert (status, out) == (1, "")
    assert err.startswith("jobletctl: not allowed to ")
    assert err.endswith("; run it as root\n")
    assert err.count("\n") == 1
    assert ready.snapshot() == before
