"""Logs of real jobs by jobletctl: history and live, selections, a fast writer, the cap."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.container.jobs import DAEMON, Jobs, ctl, outcome
from tests.container.machine import Machine

MANY = 200_000
CAP = 1 << 20
# Waits for the test in the middle.
HALVES = """\
echo out 1; echo err 1 >&2; echo out 2; echo err 2 >&2
while ! [ -e go ]; do sleep 0.01; done
echo out 3; echo err 3 >&2; printf 'no end of line'
"""
NUMBERS = "echo ready; while ! [ -e go ]; do sleep 0.01; done; seq 1 $1"


@pytest.fixture
def jobs(machine: Machine) -> Jobs:
    return Jobs(machine)


def go(machine: Machine, job: str) -> None:
    machine.path(f"/var/lib/joblet/work/{job}/go").touch()


def lines(machine: Machine, job: str, *options: str) -> list[str]:
    return ctl(machine, "job", "log", *options, job).splitlines()


def rest_of(follower: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it says until its end; unlike communicate() after a readline, all of it."""
    assert follower.stdout is not None
    out = follower.stdout.read()
    err = b"" if follower.stderr is None else follower.stderr.read()
    follower.wait()
    follower.stdout.close()
    if follower.stderr is not None:
        follower.stderr.close()
    return out, err


@pytest.fixture
def halfway(machine: Machine, jobs: Jobs) -> str:
    """A job that has written its first half and waits."""
    job = jobs.shell(HALVES)
    jobs.wait_output(job, "out 2")
    jobs.wait_output(job, "err 2")
    return job


def test_no_follow_gives_what_is_there_and_follow_goes_on_to_the_end(
    machine: Machine, jobs: Jobs, halfway: str
) -> None:
    done = machine.run(["jobletctl", "job", "log", "--no-follow", halfway])
    assert (done.stdout, done.stderr) == ("out 1\nout 2\n", "err 1\nerr 2\n")
    following = machine.popen(["jobletctl", "job", "log", "-f", halfway])
    assert following.stdout is not None
    assert following.stdout.readline() == b"out 1\n"
    go(machine, halfway)
    out, err = rest_of(following)
    assert (following.returncode, out, err) == (
        0,
        b"out 2\nout 3\nno end of line",
        b"err 1\nerr 2\nerr 3\n",
    )
    assert outcome(jobs.wait(halfway)) == ("COMPLETED", "exit", 0)
    # The whole of it, afterwards, with the default, which is to follow.
    assert ctl(machine, "job", "log", halfway) == "out 1\nout 2\nout 3\nno end of line"


def test_selections(machine: Machine, jobs: Jobs, halfway: str) -> None:
    before = str(machine.run(["date", "--iso-8601=ns"]).stdout).strip().replace(",", ".")
    go(machine, halfway)
    jobs.wait(halfway)
    assert lines(machine, halfway, "--stream", "stdout") == [
        "out 1",
        "out 2",
        "out 3",
        "no end of line",
    ]
    chosen = machine.run(["jobletctl", "job", "log", "--stream", "stderr", halfway])
    assert (chosen.stdout, chosen.stderr) == ("", "err 1\nerr 2\nerr 3\n")
    assert lines(machine, halfway, "--tail", "2", "--stream", "stdout") == [
        "out 3",
        "no end of line",
    ]
    assert lines(machine, halfway, "--tail", "0") == []
    since = before[: before.index(".") + 7] + before[-6:]
    assert lines(machine, halfway, "--since", since) == ["out 3", "no end of line"]
    assert lines(machine, halfway, "--since", "10m")[0] == "out 1"
    assert lines(machine, halfway, "--since", since, "--tail", "1") == ["no end of line"]


def test_timestamps_are_those_of_the_writing(machine: Machine, jobs: Jobs, halfway: str) -> None:
    go(machine, halfway)
    status = jobs.wait(halfway)
    shown = lines(machine, halfway, "--timestamps", "--stream", "stdout")
    assert [line.split(" ", 1)[1] for line in shown] == [
        "out 1",
        "out 2",
        "out 3",
        "no end of line",
    ]
    times = [datetime.fromisoformat(line.split(" ", 1)[0]).timestamp() * 1e6 for line in shown]
    assert times == sorted(times)
    # Microseconds through a float are off by one at times.
    assert status["started_usec"] - 2 <= times[0]
    assert times[-1] <= status["finished_usec"] + 2
    records = [json.loads(line) for line in lines(machine, halfway, "--json")]
    assert [r["data"] for r in records if r["stream"] == "stderr"] == [
        "err 1\n",
        "err 2\n",
        "err 3\n",
    ]
    assert all(re.fullmatch(r"[-0-9]+T[:0-9]+\.\d{6}Z", r["time"]) for r in records)


def test_followers_of_a_fast_writer_get_every_line_once(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sh", "-c", NUMBERS, "sh", str(MANY))
    jobs.wait_output(job, "ready")
    expected = ["ready", *map(str, range(1, MANY + 1))]
    commands = [
        ["jobletctl", "job", "log", "-f", job],
        ["jobletctl", "job", "log", "-f", "--timestamps", job],
        ["jobletctl", "job", "log", "-f", "--tail", "1", job],
    ]
    followers = [machine.popen(command, stderr=subprocess.STDOUT) for command in commands]
    first = []
    for follower in followers:
        # They are there before the writer writes.
        assert follower.stdout is not None
        first.append(follower.stdout.readline())
    go(machine, job)
    told = [line + rest_of(follower)[0] for line, follower in zip(first, followers, strict=True)]
    assert [follower.returncode for follower in followers] == [0, 0, 0]
    assert told[0].decode().splitlines() == expected
    assert [line.split(" ", 1)[1] for line in told[1].decode().splitlines()] == expected
    assert told[2].decode().splitlines() == expected
    assert ctl(machine, "job", "log", job).splitlines() == expected
    assert jobs.wait(job)["log_bytes"] == len("\n".join(expected)) + 1


@pytest.fixture
def small_cap(machine: Machine) -> Iterator[None]:
    settings = "/etc/joblet/joblet.toml.d/90-cap.toml"
    machine.write_file(settings, f"[logs]\nmax_bytes = {CAP}\n")
    machine.run(["systemctl", "restart", DAEMON])
    yield
    machine.run(["rm", settings])
    machine.run(["systemctl", "restart", DAEMON])


@pytest.mark.usefixtures("small_cap")
def test_log_over_its_cap_keeps_the_newest_bytes_at_their_offsets(
    machine: Machine, jobs: Jobs
) -> None:
    job = jobs.run("seq", "1", str(MANY * 5))
    status = jobs.wait(job)
    whole = "".join(f"{number}\n" for number in range(1, MANY * 5 + 1)).encode()
    assert status["log_bytes"] == len(whole)
    assert status["log_dropped_bytes"] == 0
    file = machine.path(f"/var/log/joblet/jobs/{job}/log")
    index = machine.path(f"/var/log/joblet/jobs/{job}/log.idx")
    assert file.stat().st_size == len(whole)
    on_disk = 512 * (file.stat().st_blocks + index.stat().st_blocks)
    # An eighth goes at a time; the ends of the holes are whole blocks of the file system.
    assert CAP // 2 < on_disk <= CAP + 64 * 1024
    data, after, _ = jobs.call("ReadLog", "stt", job, 0, 1 << 20)
    valid_from = after - len(data)
    assert len(whole) - CAP <= valid_from < len(whole)
    assert bytes(data) == whole[valid_from:after]
    shown = machine.run(["jobletctl", "job", "log", job], text=False)
    assert shown.stdout == whole[valid_from:]
    assert f"{valid_from} bytes of the log are missing here" in shown.stderr.decode()
    assert lines(machine, job, "--tail", "3") == [
        str(MANY * 5 - 2),
        str(MANY * 5 - 1),
        str(MANY * 5),
    ]


@pytest.mark.usefixtures("small_cap")
def test_follower_that_the_cap_overtakes_is_told_what_it_missed(
    machine: Machine, jobs: Jobs
) -> None:
    job = jobs.run("sh", "-c", NUMBERS, "sh", str(MANY * 5))
    jobs.wait_output(job, "ready")
    follower = machine.popen(["jobletctl", "job", "log", "-f", "--json", job])
    assert follower.stdout is not None
    first = follower.stdout.readline()
    # Its pipe is full soon, so the writer overtakes it.
    go(machine, job)
    jobs.wait(job)
    rest, _ = rest_of(follower)
    records = [json.loads(line) for line in (first + rest).splitlines()]
    told = sum(r["lost_bytes"] if r["stream"] == "gap" else len(r["data"]) for r in records)
    assert told == jobs.status(job)["log_bytes"]
    missed = [number for number, r in enumerate(records) if r["stream"] == "gap"]
    assert missed
    # Whole lines but beside a gap, and none twice or out of order, and never what a hole reads as.
    torn = {number + beside for number in missed for beside in (-1, 1)}
    numbers = [
        int(r["data"])
        for number, r in enumerate(records)
        if number not in torn and r["stream"] == "stdout" and r["data"] != "ready\n"
    ]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == MANY * 5
    assert not any("\0" in r.get("data", "") for r in records)
