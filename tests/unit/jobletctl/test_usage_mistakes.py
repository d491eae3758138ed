from __future__ import annotations

import pytest

from tests.fakes.client import FakeClient, job_id
from tests.unit.jobletctl.conftest import Ctl

ID = job_id(1)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        # words that do not exist
        ([], "missing command"),
        (["job"], "missing command"),
        (["frobnicate"], "'frobnicate'"),
        (["job", "frobnicate"], "'frobnicate'"),
        (["job", "ps"], "'ps'"),
        (["--frobnicate"], "--frobnicate"),
        (["job", "--frobnicate", "list"], "--frobnicate"),
        (["job", "list", "--frobnicate"], "--frobnicate"),
        (["job", "list", "--js"], "--js"),
        (["--json=yes", "job", "list"], "--json"),
        # the command of a job
        (["job", "run"], "COMMAND"),
        (["job", "run", "--"], "COMMAND"),
        (["job", "run", ""], "the command is empty"),
        (["job", "run", "\udcff"], "the command is not valid UTF-8"),
        (["job", "run", "echo", "ok", "caf\udce9"], "argument 2 is not valid UTF-8"),
        (["job", "run", "--detach", "true"], "--detach"),
        (["job", "run", "-x", "true"], "-x"),
        # durations
        (["job", "run", "--timeout", "abc5m", "true"], "--timeout"),
        (["job", "run", "--timeout", "90", "true"], "a unit is missing"),
        (["job", "run", "--timeout=-5m", "true"], "--timeout"),
        (["job", "run", "--timeout=1h1h", "true"], "once"),
        (["job", "run", "--timeout=30m2h", "true"], "largest first"),
        (["job", "run", "--timeout=20000d", "true"], "more than 10 years"),
        (["job", "run", "--timeout=", "true"], "--timeout"),
        (["job", "run", "--timeout=5\udcffm", "true"], "not valid UTF-8"),
        (["job", "run", "--timeout"], "--timeout"),
        (["job", "run", "--stop-grace=never", "true"], "--stop-grace"),
        (["job", "run", "--stop-grace=10", "true"], "a unit is missing"),
        (["job", "wait", "--timeout=soon", ID], "--timeout"),
        (["job", "wait", "--timeout=0s", ID], "more than zero"),
        # schedules
        (["job", "run", "--schedule=22:00", "true"], "--schedule"),
        (["job", "run", "--schedule=tomorrow", "true"], "--schedule"),
        (["job", "run", "--schedule=90", "true"], "a unit is missing"),
        (["job", "run", "--schedule=2030-02-30 10:00", "true"], "no such date"),
        (["job", "run", "--schedule=2030-01-01", "true"], "--schedule"),
        (["job", "run", "--schedule=2130-01-01T00:00:00Z", "true"], "more than 10 years"),
        (["job", "run", "--schedule=20000d", "true"], "more than 10 years"),
        (["job", "run", "--schedule=*/5 * * * *", "true"], "--schedule"),
        (["job", "run", "--schedule=", "true"], "--schedule"),
        # sizes
        (["job", "run", "--max-memory=lots", "true"], "--max-memory"),
        (["job", "run", "--max-memory=-1M", "true"], "--max-memory"),
        (["job", "run", "--max-memory=512", "true"], "is it 512M?"),
        (["job", "run", "--max-memory=1K", "true"], "at least 1M"),
        (["job", "run", "--max-memory=1.3333333M", "true"], "whole number of bytes"),
        (["job", "run", "--max-memory=99999999T", "true"], "more than any machine"),
        (["job", "run", "--max-memory=5X", "true"], "--max-memory"),
        (["job", "run", "--max-memory=5 M B", "true"], "--max-memory"),
        # the other limits
        (["job", "run", "--max-cpu=half", "true"], "--max-cpu"),
        (["job", "run", "--max-cpu=-5", "true"], "--max-cpu"),
        (["job", "run", "--max-cpu=1.5", "true"], "--max-cpu"),
        (["job", "run", "--max-cpu=4294967296", "true"], "at most"),
        (["job", "run", "--max-tasks=-1", "true"], "--max-tasks"),
        (["job", "run", "--cpu-cores=3-1", "true"], "the range 3-1 is reversed"),
        (["job", "run", "--cpu-cores=0,x", "true"], "--cpu-cores"),
        (["job", "run", "--cpu-cores=", "true"], "--cpu-cores"),
        (["job", "run", "--cpu-weight=0", "true"], "--cpu-weight"),
        (["job", "run", "--cpu-weight=10001", "true"], "--cpu-weight"),
        (["job", "run", "--io-weight=high", "true"], "--io-weight"),
        (["job", "run", "--max-io=fast", "true"], "--max-io"),
        (["job", "run", "--max-iops=-5", "true"], "--max-iops"),
        (["job", "run", "--max-work=1K", "true"], "at least 1M"),
        (["job", "run", "--max-tmp=64", "true"], "is it 64M?"),
        (["job", "run", "--max-shm=x", "true"], "--max-shm"),
        (["job", "run", "--user=65536", "true"], "--user"),
        (["job", "run", "--user=root", "true"], "--user"),
        (["job", "run", "--max-tasks=many", "true"], "--max-tasks"),
        (["job", "run", "--max-tasks=9223372036854775808", "true"], "--max-tasks"),
        (["job", "run", "--network=host", "true"], "--network"),
        (["job", "update", ID], "name at least one limit"),
        (["job", "update", "--max-cpu=5"], "ID"),
        (["job", "update", ID, "--max-cpu=fast"], "--max-cpu"),
        (["job", "update", ID, "--timeout=5m"], "--timeout"),
        # names and environment
        (["job", "run", "--name=", "true"], "--name"),
        (["job", "run", "--name=two words", "true"], "--name"),
        (["job", "run", "--name=-x", "true"], "--name"),
        (["job", "run", "--name=" + "n" * 64, "true"], "--name"),
        (["job", "run", "--name=n\udcff", "true"], "not valid UTF-8"),
        (["job", "run", "-e", "=value", "true"], "--env"),
        (["job", "run", "-e", "1X=value", "true"], "'1X' is no variable name"),
        (["job", "run", "-e", "A B=value", "true"], "'A B' is no variable name"),
        (["job", "run", "--env=JOBLET_IS_NOT_SET_HERE", "true"], "has no value here"),
        (["job", "run", "-e", "X=\udcff", "true"], "not valid UTF-8"),
        (["job", "run", "-e", "", "true"], "is no variable name"),
        (["job", "run", "-e"], "-e"),
        # ids
        (["job", "status"], "ID"),
        (["job", "status", "123"], "'123' is no job id"),
        (["job", "status", "../etc/passwd"], "is no job id"),
        (["job", "status", ID, ID], "unexpected extra argument"),
        (["job", "status", ""], "is no job id"),
        (["job", "status", ID + "0"], "is no job id"),
        (["job", "log", "xyz12345"], "is no job id"),
        (["job", "log", "abcd\udcff"], "not valid UTF-8"),
        (["job", "stop"], "ID"),
        (["job", "stop", ID, "nope"], "'nope' is no job id"),
        (["job", "cancel"], "ID"),
        (["job", "cancel", "zzzz"], "is no job id"),
        (["job", "delete"], "ID"),
        (["job", "delete", "*"], "is no job id"),
        (["job", "wait"], "ID"),
        (["job", "wait", "0000_0001"], "is no job id"),
        (["job", "delete-all", ID], "unexpected extra argument"),
        # what a list and a log can show
        (["job", "list", "--state=ASLEEP"], "--state"),
        (["job", "list", "--limit=0"], "--limit"),
        (["job", "list", "--limit=ten"], "--limit"),
        (["job", "list", "--all", "--limit=5"], "--all and --limit"),
        (["job", "list", ID], "unexpected extra argument"),
        (["job", "log", "--tail=-1", ID], "--tail"),
        (["job", "log", "--tail=some", ID], "--tail"),
        (["job", "log", "--since=yesterday", ID], "--since"),
        (["job", "log", "--since=+5m", ID], "--since"),
        (["job", "log", "--stream=both", ID], "--stream"),
        (["job", "log", "--follow=no", ID], "--follow"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_status_2(
    ctl: Ctl, host: FakeClient, line: list[str], named: str
) -> None:
    done = ctl(*line)
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("jobletctl: ")
    assert done.err.count("\n") == 1
    assert done.err.isascii()
    assert named in done.err
    assert host.connections == 0


def test_the_sentence_points_at_the_help_of_the_verb(ctl: Ctl) -> None:
    assert "(see 'jobletctl job run --help')" in ctl("job", "run", "--timeout=x", "true").err


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("path", [[], ["job"], ["job", "run"], ["job", "delete-all"]])
def test_help_is_a_result(ctl: Ctl, host: FakeClient, path: list[str], option: str) -> None:
    done = ctl(*path, option)
    assert done.status == 0
    assert done.out.startswith(f"Usage: {' '.join(['jobletctl', *path])}")
    assert done.err == ""
    assert host.connections == 0


def test_help_documents_the_exit_statuses(ctl: Ctl) -> None:
    for path in ([], ["job", "run"], ["job", "wait"]):
        told = ctl(*path, "--help").out
        for status in (0, 1, 2, 124, 130):
            assert f"\n    {status} " in told
