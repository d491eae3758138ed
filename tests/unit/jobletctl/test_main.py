from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from joblet.errors import HostFailure, JobletError, RemoteError, Unreachable
from tests.fakes.client import FakeClient, ended, job_id
from tests.unit.jobletctl.conftest import Ctl

CHECKOUT = Path(__file__).resolve().parents[3]
DBUS = "org.freedesktop.DBus.Error."
OURS = "org.joblet1.Error."


@pytest.mark.parametrize(
    ("err", "said"),
    [
        (Unreachable("there is no system bus"), "there is no system bus"),
        (HostFailure("read the log", 5), "read the log: Input/output error"),
        # the daemon says who may: nothing is added
        (
            RemoteError(OURS + "NotAllowed", "not allowed; root may"),
            "jobletctl: not allowed; root may\n",
        ),
        (RemoteError(OURS + "NoSuchJob", "there is no job 'x'"), "'jobletctl job list --all'"),
        (RemoteError(OURS + "Internal", "an error, id 7"), "its journal says more"),
        (RemoteError(DBUS + "AccessDenied", "Rejected send message"), "bus policy forbids"),
        (RemoteError(DBUS + "NoReply", "no answer within 120 s"), "may have done it nevertheless"),
        (
            RemoteError("org.freedesktop.systemd1.UnitMasked", "Unit jobletd.service is masked."),
            "jobletd is not running and could not be started: Unit jobletd.service is masked; "
            "'systemctl status jobletd' may say more\n",
        ),
        (RemoteError(DBUS + "TimedOut", "Failed to activate service"), "did not start in time"),
        (RemoteError(DBUS + "UnknownMethod", "no such method"), "of another version"),
        (RemoteError("org.example.Odd", "odd"), "jobletctl: odd\n"),
        (RemoteError("org.example.Odd", "\x1b[2Jodd\nodder"), r"\x1b[2Jodd\nodder"),
    ],
    ids=str,
)
def test_an_expected_failure_is_one_sentence_with_its_cause(
    ctl: Ctl, host: FakeClient, err: JobletError, said: str
) -> None:
    host.failures["status"] = err
    done = ctl("job", "status", job_id(1))
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("jobletctl: ")
    assert done.err.count("\n") == 1
    assert said in done.err


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "jobletctl", *args]


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}", **changes}


@pytest.mark.spawns
@pytest.mark.parametrize("address", ["unix:path=/nonexistent/bus", "nonsense", ""])
def test_without_a_system_bus_the_sentence_says_so(address: str) -> None:
    done = subprocess.run(
        command("job", "list"),
        env=environment(DBUS_SYSTEM_BUS_ADDRESS=address),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("jobletctl: there is no system bus to reach jobletd on: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.spawns
def test_a_reader_that_left_ends_the_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for args in (("--help",), ("job", "run", "--help")):
        done = subprocess.run(
            command(*args), env=environment(), stdout=writer, stderr=subprocess.PIPE, text=True
        )
        assert (done.returncode, done.stderr) == (141, "")
    os.close(writer)


@pytest.mark.spawns
def test_a_reader_of_results_that_left_ends_the_command_quietly(tmp_path: Path) -> None:
    script = tmp_path / "ctl.py"
    script.write_text(
        "import sys\n"
        "from jobletctl.__main__ import main\n"
        "from tests.fakes.client import FakeClient, ended\n"
        "sys.exit(main(['job', 'list'], connector=FakeClient([ended(1)]).connect))\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, script],
        env=environment(),
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.spawns
def test_a_command_word_that_is_not_utf8_is_refused_before_the_bus() -> None:
    done = subprocess.run(
        [*map(os.fsencode, command("job", "run", "echo")), b"caf\xe9"],
        env=environment(DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent/bus", LC_ALL="C.UTF-8"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "argument 1 is not valid UTF-8" in done.stderr


def test_the_status_of_a_result_is_0(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[job_id(1)] = ended(1, 9)
    assert ctl("job", "status", job_id(1)).status == 0
