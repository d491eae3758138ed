"""What an exit record means: the order of trust, and each of its edges."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest

from joblet.core.verdict import judge
from joblet.model.job import Job, JobSpec, JobState, Reason
from tests.fakes.host import an_end

S, R = JobState, Reason
SECOND = 1_000_000
KILLED: dict[str, Any] = {"exit_status": None, "signal": 9}
TERMINATED: dict[str, Any] = {"exit_status": None, "signal": 15}
JOB = Job(
    id="0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11",
    seq=1,
    spec=JobSpec(command="true", stop_grace_usec=10 * SECOND),
    owner_uid=0,
    state=S.RUNNING,
    submitted_usec=0,
    due_usec=0,
    started_usec=10 * SECOND,
)
STOPPED = replace(JOB, stop_reason=R.STOPPED, stop_requested_usec=50 * SECOND)
EXPIRED = replace(JOB, stop_reason=R.TIMEOUT, stop_requested_usec=50 * SECOND)
LIMITED = replace(JOB, spec=replace(JOB.spec, timeout_usec=30 * SECOND))


def verdict(job: Job, *, down: bool = False, **facts: Any) -> tuple[JobState, Reason, int]:
    ended = an_end(**{"started_usec": 10 * SECOND, "finished_usec": 60 * SECOND, **facts})
    found = judge(job, ended, shutting_down=down)
    return found.state, found.reason, found.exit_code


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, (S.COMPLETED, R.EXIT, 0)),
        ({"exit_status": 1}, (S.FAILED, R.EXIT, 1)),
        ({"exit_status": 255}, (S.FAILED, R.EXIT, 255)),
        # what a program says is its own: 124 and 137 of a program are no timeout and no kill
        ({"exit_status": 124}, (S.FAILED, R.EXIT, 124)),
        ({"exit_status": 137}, (S.FAILED, R.EXIT, 137)),
        ({"exit_status": 125}, (S.FAILED, R.EXIT, 125)),
        (KILLED, (S.FAILED, R.SIGNAL, 137)),
        ({"exit_status": None, "signal": 11}, (S.FAILED, R.SIGNAL, 139)),
        # a plain kill -TERM of somebody: systemd had no part in it
        (TERMINATED, (S.FAILED, R.SIGNAL, 143)),
        ({"exit_status": None, "status_lost": True}, (S.FAILED, R.LOST, 125)),
    ],
)
def test_an_end_that_nobody_asked_for_is_the_programs_own(
    facts: dict[str, Any], expected: object
) -> None:
    assert verdict(JOB, **facts) == expected


@pytest.mark.parametrize(
    ("status", "reason"), [(125, R.SETUP), (3, R.EXIT)], ids=["what set-up ends with", "another"]
)
def test_an_end_of_what_nobody_saw_begin(status: int, reason: Reason) -> None:
    begun = replace(JOB, state=S.INITIALIZING, started_usec=None)
    facts: dict[str, Any] = {"exit_status": status, "started_usec": None}
    assert verdict(begun, **facts) == (S.FAILED, reason, status)
    assert verdict(JOB, **facts) == (S.FAILED, R.EXIT, status)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"oom_kills": 1, **KILLED}, (S.FAILED, R.OOM, 137)),
        # a child was killed, and the program noticed
        ({"oom_kills": 3, "exit_status": 1}, (S.FAILED, R.OOM, 1)),
        # a child was killed, and the program coped
        ({"oom_kills": 1, "exit_status": 0}, (S.COMPLETED, R.EXIT, 0)),
        ({"oom_kills": 1, "exit_status": None, "status_lost": True}, (S.FAILED, R.OOM, 137)),
    ],
)
def test_evidence_of_too_little_memory_beats_the_wait_status(
    facts: dict[str, Any], expected: object
) -> None:
    assert verdict(JOB, **facts) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (TERMINATED, (S.STOPPED, R.STOPPED, 143)),
        ({"term_seen_usec": 51 * SECOND, **KILLED}, (S.STOPPED, R.STOPPED, 137)),
        # our own kill of what could not hear counts as the SIGTERM it stands for
        (KILLED, (S.STOPPED, R.STOPPED, 143)),
        # it ended nicely, but because it was told to
        ({"exit_status": 0}, (S.STOPPED, R.STOPPED, 0)),
        ({"exit_status": None, "status_lost": True}, (S.STOPPED, R.STOPPED, 143)),
        ({"oom_kills": 1, **KILLED}, (S.STOPPED, R.STOPPED, 143)),
        (
            {"gate_closed": True, "started_usec": None, "exit_status": 125},
            (S.STOPPED, R.STOPPED, 143),
        ),
    ],
)
def test_a_stop_of_ours_beats_everything_else(facts: dict[str, Any], expected: object) -> None:
    assert verdict(STOPPED, **facts) == expected


@pytest.mark.parametrize(
    "facts",
    [TERMINATED, KILLED, {"exit_status": 0}, {"oom_kills": 1, **KILLED}, {"exit_status": 3}],
)
def test_a_timeout_of_ours_is_always_124(facts: dict[str, Any]) -> None:
    assert verdict(EXPIRED, **facts) == (S.TIMEOUT, R.TIMEOUT, 124)


def test_a_recorded_shutdown_keeps_its_reason() -> None:
    job = replace(STOPPED, stop_reason=R.SHUTDOWN)
    assert verdict(job, **TERMINATED) == (S.STOPPED, R.SHUTDOWN, 143)


@pytest.mark.parametrize(
    ("job", "finished_usec", "expected"),
    [
        (STOPPED, 50 * SECOND - 1, (S.COMPLETED, R.EXIT, 0)),
        (STOPPED, 50 * SECOND, (S.STOPPED, R.STOPPED, 0)),
        (EXPIRED, 50 * SECOND - 1, (S.COMPLETED, R.EXIT, 0)),
        (EXPIRED, 50 * SECOND, (S.TIMEOUT, R.TIMEOUT, 124)),
    ],
)
def test_a_job_that_had_ended_before_the_request_was_not_stopped(
    job: Job, finished_usec: int, expected: object
) -> None:
    assert verdict(job, finished_usec=finished_usec) == expected


def test_systemctl_stop_is_a_stop() -> None:
    facts: dict[str, Any] = {"term_seen_usec": 59 * SECOND, **TERMINATED}
    assert verdict(JOB, **facts) == (S.STOPPED, R.STOPPED, 143)


def test_a_stop_while_the_host_goes_down_is_a_shutdown() -> None:
    facts: dict[str, Any] = {"term_seen_usec": 59 * SECOND, **TERMINATED}
    assert verdict(JOB, down=True, **facts) == (S.STOPPED, R.SHUTDOWN, 143)


def test_an_end_without_a_stop_while_the_host_goes_down_is_an_end() -> None:
    assert verdict(JOB, down=True) == (S.COMPLETED, R.EXIT, 0)


@pytest.mark.parametrize(
    ("late_usec", "expected"),
    [
        # killed when the grace was over
        (10 * SECOND, (S.STOPPED, R.STOPPED, 137)),
        (15 * SECOND, (S.STOPPED, R.STOPPED, 137)),
        # long after a stop that came to nothing: another matter
        (15 * SECOND + 1, (S.FAILED, R.SIGNAL, 137)),
    ],
)
def test_a_stop_of_systemd_explains_an_end_until_shortly_after_the_grace(
    late_usec: int, expected: object
) -> None:
    seen = 20 * SECOND
    facts: dict[str, Any] = {"term_seen_usec": seen, "finished_usec": seen + late_usec, **KILLED}
    assert verdict(JOB, **facts) == expected


@pytest.mark.parametrize(
    ("elapsed_usec", "expected"),
    [
        (30 * SECOND, (S.TIMEOUT, R.TIMEOUT, 124)),
        (30 * SECOND - 250_000, (S.TIMEOUT, R.TIMEOUT, 124)),
        (30 * SECOND - 250_001, (S.STOPPED, R.STOPPED, 143)),
    ],
)
def test_a_stop_of_systemd_at_the_time_limit_is_a_timeout(
    elapsed_usec: int, expected: object
) -> None:
    seen = 10 * SECOND + elapsed_usec
    facts: dict[str, Any] = {"term_seen_usec": seen, "finished_usec": seen + 1, **TERMINATED}
    assert verdict(LIMITED, **facts) == expected


def test_without_a_known_start_there_is_no_telling_of_a_timeout() -> None:
    facts: dict[str, Any] = {"started_usec": None, "term_seen_usec": 59 * SECOND, **TERMINATED}
    assert verdict(LIMITED, **facts) == (S.STOPPED, R.STOPPED, 143)


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        ("bind", errno.ENOENT, 125),
        ("identity", errno.EPERM, 125),
        ("plan", 0, 125),
        ("exec", errno.ENOENT, 127),
        ("exec", errno.ENOTDIR, 127),
        ("exec", errno.EACCES, 126),
        ("exec", errno.ENOEXEC, 126),
        ("exec", errno.E2BIG, 126),
    ],
)
def test_a_failed_step_is_told_with_the_shells_exit_codes(
    step: str, number: int, code: int
) -> None:
    facts: dict[str, Any] = {
        "setup_step": step,
        "setup_errno": number,
        "exit_status": 125,
        "started_usec": None,
    }
    assert verdict(JOB, **facts) == (S.FAILED, R.SETUP, code)


@pytest.mark.parametrize(
    ("facts", "detail"),
    [
        (
            {"setup_step": "bind", "setup_errno": errno.ENOENT, "setup_path": "/usr/x"},
            "bind '/usr/x': No such file or directory (ENOENT)",
        ),
        ({"setup_step": "loopback", "setup_errno": errno.EPERM}, "loopback: Operation not "),
        (
            {"setup_step": "plan", "setup_detail": "BadRecord: cut short"},
            "plan: BadRecord: cut short",
        ),
    ],
)
def test_a_failed_step_is_described(facts: dict[str, Any], detail: str) -> None:
    found = judge(JOB, an_end(exit_status=125, **facts), shutting_down=False)
    assert found.detail.startswith(detail)


def test_a_stop_during_set_up_beats_the_step_that_it_broke() -> None:
    facts: dict[str, Any] = {"setup_step": "bind", "setup_errno": errno.EINTR, **TERMINATED}
    assert verdict(STOPPED, **facts)[:2] == (S.STOPPED, R.STOPPED)
