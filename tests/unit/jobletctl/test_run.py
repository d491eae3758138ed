from __future__ import annotations

import time

import pytest

from joblet.client.api import STDERR, STDOUT, LogPiece
from joblet.errors import NotAllowed, RemoteError
from joblet.model.job import JobSpec, JobState, Reason
from tests.fakes.client import FakeClient, ended, job, job_id
from tests.unit.jobletctl.conftest import Ctl

FIRST = job_id(1)


def test_run_prints_the_id_and_nothing_else(ctl: Ctl, host: FakeClient) -> None:
    done = ctl("job", "run", "true")
    assert (done.status, done.out, done.err) == (0, f"{FIRST}\n", "")
    assert host.specs == [JobSpec(command="true")]


def test_every_option_reaches_the_spec(
    ctl: Ctl, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_HERE", "a value=with more")
    line = [
        *("--name", "nightly", "-e", "A=1", "--env=B=x=y", "-eA=2", "-e", "FROM_HERE"),
        *("--timeout", "1h30m", "--stop-grace=500ms", "--max-cpu", "150%"),
        *("--max-memory", "1.5G", "--max-tasks=64", "--network", "none", "--init"),
        *("--cpu-weight=300", "--cpu-cores=0-2,5", "--max-io=2M", "--max-iops", "100"),
        *("--io-weight=7", "--max-work=1G", "--max-tmp=8M", "--max-shm=4M", "--user=0"),
        *("--schedule", "2d"),
    ]
    before = time.time_ns() // 1000
    assert ctl("job", "run", *line, "--", "sh", "-c", "").status == 0
    [spec] = host.specs
    assert spec.start_at_usec is not None
    assert before <= spec.start_at_usec - 2 * 86_400_000_000 <= time.time_ns() // 1000
    assert spec == JobSpec(
        command="sh",
        args=("-c", ""),
        name="nightly",
        environment={"A": "2", "B": "x=y", "FROM_HERE": "a value=with more"},
        timeout_usec=5_400_000_000,
        stop_grace_usec=500_000,
        start_at_usec=spec.start_at_usec,
        max_cpu=150,
        max_memory=3 << 29,
        max_tasks=64,
        cpu_weight=300,
        cpu_cores=(0, 1, 2, 5),
        max_io_bps=2 << 20,
        max_iops=100,
        io_weight=7,
        max_work=1 << 30,
        max_tmp=8 << 20,
        max_shm=4 << 20,
        user=0,
        network="none",
        init=True,
    )


def test_zero_asks_for_no_limit_and_the_older_name_of_an_option_is_known(
    ctl: Ctl, host: FakeClient
) -> None:
    line = ["--max-cpu=0", "--max-memory=0", "--max-iobps=0", "--max-tasks=0", "--timeout=0"]
    assert ctl("job", "run", *line, "--cpu-cores=all", "true").status == 0
    assert host.specs == [
        JobSpec(
            command="true",
            max_cpu=0,
            max_memory=0,
            max_io_bps=0,
            max_tasks=0,
            timeout_usec=0,
            cpu_cores=(),
        )
    ]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (["df", "-h"], ("df", "-h")),
        (["df", "--help"], ("df", "--help")),
        (["ls", "--json"], ("ls", "--json")),
        (["--name", "n", "ls", "--name"], ("ls", "--name")),
        (["--", "-x", "y"], ("-x", "y")),
        (["sh", "--", "-c", "true"], ("sh", "--", "-c", "true")),
        (["--", "--", "x"], ("--", "x")),
        (["printf", "", "ä", "\n"], ("printf", "", "ä", "\n")),
    ],
)
def test_options_end_at_the_command_or_at_two_dashes(
    ctl: Ctl, host: FakeClient, line: list[str], command: tuple[str, ...]
) -> None:
    assert ctl("job", "run", *line).out == f"{FIRST}\n"
    assert (host.specs[0].command, *host.specs[0].args) == command


def test_a_schedule_in_the_past_means_now(ctl: Ctl, host: FakeClient) -> None:
    assert ctl("job", "run", "--schedule=2020-01-01T00:00:00Z", "true").status == 0
    assert host.specs[0].start_at_usec is None


@pytest.mark.parametrize("line", [["--json", "job", "run"], ["job", "--json", "run"]])
def test_json_may_stand_before_the_verb(ctl: Ctl, line: list[str]) -> None:
    assert ctl(*line, "true").json == {"id": FIRST}


def test_json_may_stand_after_the_verb(ctl: Ctl) -> None:
    assert ctl("job", "run", "--json", "true").json == {"id": FIRST}


@pytest.mark.parametrize("code", [0, 1, 7, 127, 143, 255])
def test_wait_passes_the_exit_status_on(ctl: Ctl, host: FakeClient, code: int) -> None:
    host.endings[FIRST] = ended(1, code)
    done = ctl("job", "run", "--wait", "false")
    assert (done.status, done.out, done.err) == (code, f"{FIRST}\n", "")


@pytest.mark.parametrize(
    ("state", "reason", "code", "status", "said"),
    [
        (JobState.TIMEOUT, Reason.TIMEOUT, 124, 124, "it ran into its time limit"),
        (JobState.TIMEOUT, Reason.TIMEOUT, None, 124, "it ran into its time limit"),
        (JobState.FAILED, Reason.OOM, 137, 137, "it ran out of memory"),
        (JobState.FAILED, Reason.SIGNAL, 139, 139, "it was ended by a signal"),
        (JobState.FAILED, Reason.SETUP, 127, 127, "it could not be set up: no such command"),
        (JobState.FAILED, Reason.LOST, None, 1, "it was lost"),
        (JobState.STOPPED, Reason.STOPPED, 143, 143, "it was stopped"),
        (JobState.CANCELED, Reason.CANCELED, 143, 143, "it was canceled before it started"),
        (JobState.CANCELED, Reason.CANCELED, None, 1, "it was canceled before it started"),
        (JobState.CANCELED, Reason.CANCELED, 0, 1, "it was canceled before it started"),
    ],
)
def test_wait_says_why_a_job_ended_that_did_not_end_by_itself(
    ctl: Ctl,
    host: FakeClient,
    state: JobState,
    reason: Reason,
    code: int | None,
    status: int,
    said: str,
) -> None:
    detail = "no such command" if reason is Reason.SETUP else None
    host.endings[FIRST] = job(1, state, reason=reason, exit_code=code, detail=detail)
    done = ctl("job", "run", "--wait", "x")
    assert done.status == status
    assert done.err == f"jobletctl: job {FIRST} is {state}, {said}\n"


def test_wait_with_json_gives_the_ended_job(ctl: Ctl, host: FakeClient) -> None:
    host.endings[FIRST] = ended(1, 3, finished_usec=5)
    done = ctl("job", "run", "--wait", "--json", "x")
    assert done.status == 3
    assert done.json["id"] == FIRST
    assert (done.json["state"], done.json["exit_code"]) == ("FAILED", 3)
    assert done.json["finished_usec"] == 5


def test_follow_gives_both_streams_byte_by_byte_and_the_status(ctl: Ctl, host: FakeClient) -> None:
    host.logs[FIRST] = [
        LogPiece(STDOUT, 1, b"out\xff\n"),
        LogPiece(STDERR, 2, b"err\n"),
        LogPiece(STDOUT, 3, b"no newline"),
    ]
    host.endings[FIRST] = ended(1, 9)
    done = ctl("job", "run", "-f", "x")
    assert (done.status, done.raw, done.err) == (9, b"out\xff\nno newline", "err\n")


def test_follow_with_json_is_one_object_per_line(ctl: Ctl, host: FakeClient) -> None:
    host.logs[FIRST] = [LogPiece(STDERR, 1_500_000_000, b"oh\n")]
    host.endings[FIRST] = ended(1, 2)
    done = ctl("job", "run", "--json", "--follow", "x")
    first, line, last = done.json_lines
    assert first == {"id": FIRST}
    assert line == {"stream": "stderr", "time": "1970-01-01T00:00:01.500000Z", "data": "oh\n"}
    assert (last["id"], last["exit_code"], done.status) == (FIRST, 2, 2)


@pytest.mark.parametrize(("option", "verb"), [("--wait", "wait"), ("--follow", "log end")])
def test_an_interrupt_detaches_and_leaves_the_job_alone(
    ctl: Ctl, host: FakeClient, option: str, verb: str
) -> None:
    host.interrupted_by = verb
    done = ctl("job", "run", option, "x")
    assert done.status == 130
    assert f"detached; job {FIRST} goes on" in done.err
    assert f"jobletctl job stop {FIRST}" in done.err
    assert "stop" not in [verb for verb, _ in host.calls]


def test_an_interrupted_submission_says_that_it_may_have_worked(ctl: Ctl, host: FakeClient) -> None:
    host.interrupted_by = "run"
    done = ctl("job", "run", "x")
    assert (done.status, done.out) == (130, "")
    assert "may have been accepted" in done.err


def test_the_id_is_out_before_the_wait_can_fail(ctl: Ctl, host: FakeClient) -> None:
    host.failures["wait"] = RemoteError("org.freedesktop.DBus.Error.NoReply", "no answer")
    done = ctl("job", "run", "--wait", "x")
    assert (done.status, done.out) == (1, f"{FIRST}\n")


def test_a_job_deleted_before_its_end_was_read_is_told_so(ctl: Ctl, host: FakeClient) -> None:
    host.failures["wait"] = RemoteError("org.joblet1.Error.NoSuchJob", "there is no job")
    done = ctl("job", "run", "--wait", "x")
    assert done.status == 1
    assert "was deleted before its end could be read" in done.err


def test_a_refusal_is_one_sentence(ctl: Ctl, host: FakeClient) -> None:
    host.failures["run"] = NotAllowed("run jobs")
    done = ctl("job", "run", "x")
    assert (done.status, done.out, done.err) == (1, "", "jobletctl: not allowed to run jobs\n")
