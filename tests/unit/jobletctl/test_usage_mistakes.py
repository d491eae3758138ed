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
        (["job", "ps"], "'ps' here; did you mean 'jobletctl job list'?"),
        (["job", "ls"], "did you mean 'jobletctl job list'?"),
        (["job", "rm", ID], "did you mean 'jobletctl job delete'?"),
        (["job", "logs", ID], "did you mean 'jobletctl job log'?"),
        (["job", "kill", ID], "did you mean 'jobletctl job stop'?"),
        (["job", "show", ID], "did you mean 'jobletctl job status'?"),
        (["job", "statsu", ID], "did you mean 'jobletctl job status'?"),
        (["job", "STOP", ID], "did you mean 'jobletctl job stop'?"),
        (["job", "del", ID], "did you mean 'jobletctl job delete'?"),
        (["run", "true"], "did you mean 'jobletctl job run'?"),
        (["list"], "did you mean 'jobletctl job list'?"),
        (["ps"], "did you mean 'jobletctl job list'?"),
        (["logs", ID], "did you mean 'jobletctl job log'?"),
        (["stop", ID], "did you mean 'jobletctl job stop'?"),
        (["status", ID], "did you mean 'jobletctl job status'?"),
        (["jobs", "list"], "did you mean 'jobletctl job'?"),
        (["node"], "did you mean 'jobletctl nodes'?"),
        (["confg", "show"], "did you mean 'jobletctl config'?"),
        (["config", "shwo"], "did you mean 'jobletctl config show'?"),
        (["certs", "issue", "clint", "x"], "did you mean 'jobletctl certs issue client'?"),
        (["help", "jobb"], "did you mean 'jobletctl help job'?"),
        (["help", "job", "rum"], "did you mean 'jobletctl help job run'?"),
        (["help", "job", "run", "more"], "no 'more' in 'jobletctl job run'"),
        (["help", "frobnicate"], "no 'frobnicate' in 'jobletctl'"),
        (["--frobnicate"], "--frobnicate"),
        (["job", "--frobnicate", "list"], "--frobnicate"),
        (["job", "list", "--frobnicate"], "--frobnicate"),
        (["job", "list", "--js"], "did you mean '--json'?"),
        (["job", "list", "--watcg"], "did you mean '--watch'?"),
        (["job", "list", "--status=RUNNING"], "did you mean '--state'?"),
        (["job", "run", "--memory=5M", "true"], "did you mean '--max-memory'?"),
        (["job", "run", "--max-mem=5M", "true"], "did you mean '--max-memory'?"),
        (["job", "run", "--cpu-core=1", "true"], "did you mean '--cpu-cores'?"),
        (["job", "run", "--time-out=5m", "true"], "did you mean '--timeout'?"),
        (["job", "run", "--dryrun", "true"], "did you mean '--dry-run'?"),
        (["job", "log", "--flow", ID], "did you mean '--follow'?"),
        (["job", "log", "--timestamp", ID], "did you mean '--timestamps'?"),
        (["--nobody=x", "job", "list"], "no such option --nobody"),
        (["--json=yes", "job", "list"], "--json"),
        # the command of a job
        (["job", "run"], "COMMAND"),
        (["job", "run", "--"], "COMMAND"),
        (["job", "run", ""], "the command is empty"),
        (["job", "run", "\udcff"], "the command is not valid UTF-8"),
        (["job", "run", "echo", "ok", "caf\udce9"], "argument 2 is not valid UTF-8"),
        (["job", "run", "-x", "true"], "-x"),
        # what to do with it
        (["job", "run", "--detach", "--wait", "true"], "--detach and --wait contradict"),
        (["job", "run", "-d", "-f", "true"], "--detach and --follow contradict"),
        (["job", "run", "--rm", "true"], "--rm needs --wait or --follow"),
        (["job", "run", "--rm", "--detach", "true"], "'jobletctl job delete' removes one later"),
        (["job", "run", "--dry-run"], "COMMAND"),
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
        (["job", "list", "--state=ASLEEP"], "'ASLEEP' is none of PENDING, SCHEDULED"),
        (["job", "list", "--state=runing"], "did you mean 'RUNNING'?"),
        (["job", "list", "--state=failled"], "did you mean 'FAILED'?"),
        (["job", "list", "--filter=owner"], "use owner=VALUE"),
        (["job", "list", "--filter=stat=RUNNING"], "did you mean 'state'?"),
        (["job", "list", "--filter=uid=5"], "keys are name, state, reason, owner, exit-code"),
        (["job", "list", "--filter=state=done"], "states are PENDING"),
        (["job", "list", "--filter=state=complete"], "did you mean 'COMPLETED'?"),
        (["job", "list", "--filter=reason=time"], "did you mean 'timeout'?"),
        (["job", "list", "--filter=owner=nobody-of-this-name"], "there is no user"),
        (["job", "list", "--filter=exit-code=bad"], "use 0 to 255"),
        (["job", "list", "--filter=exit-code=256"], "use 0 to 255"),
        (["job", "list", "--filter=name="], "the name is empty"),
        (["job", "list", "--filter"], "--filter"),
        (["job", "list", "--sort=mem"], "did you mean 'memory'?"),
        (["job", "list", "--sort=colour"], "keys are submitted, start"),
        (["job", "list", "--sort="], "keys are submitted, start"),
        (["job", "list", "--watch", "--json"], "'jobletctl events --json' tells changes"),
        (["job", "list", "--limit=0"], "--limit"),
        (["job", "list", "--limit=ten"], "--limit"),
        (["job", "list", "--all", "--limit=5"], "--all and --limit"),
        (["job", "list", ID], "unexpected extra argument"),
        (["job", "log", "--tail=-1", ID], "--tail"),
        (["job", "log", "--tail=some", ID], "--tail"),
        (["job", "log", "--since=yesterday", ID], "--since"),
        (["job", "log", "--since=+5m", ID], "--since"),
        (["job", "log", "--stream=both", ID], "'both' is none of stdout, stderr"),
        (["job", "log", "--stream=out", ID], "did you mean 'stdout'?"),
        (["job", "log", "--follow=no", ID], "--follow"),
        (["job", "inspect"], "ID"),
        (["job", "inspect", "xyz"], "'xyz' is no job id"),
        # the host
        (["top", "--interval=0s"], "at least 200ms"),
        (["top", "--interval=2"], "a unit is missing"),
        (["top", "--count=0"], "--count"),
        (["top", "--sort=mem"], "did you mean 'memory'?"),
        (["top", ID], "unexpected extra argument"),
        (["events", "--count=none"], "--count"),
        (["events", ID], "unexpected extra argument"),
        (["nodes", "all"], "unexpected extra argument"),
        (["version", "--short"], "no such option --short"),
        (["config", "show", "jobs"], "unexpected extra argument"),
        (["config-help", "jobs"], "unexpected extra argument"),
        (["certs", "issue", "client", "x", "--role=amdin"], "did you mean 'admin'?"),
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
