from __future__ import annotations

import pytest

from joblet.errors import RemoteError, Unreachable
from joblet.model.job import JobState, Reason
from tests.fakes.client import FakeClient, ended, job, job_id
from tests.unit.jobletctl.conftest import Ctl

A, B, C = job_id(0xA1), job_id(0xB1), job_id(0xC1)


def put(host: FakeClient, *states: JobState) -> None:
    for number, state in zip((0xA1, 0xB1, 0xC1), states, strict=False):
        one = job(number, state) if not state.terminal else ended(number)
        host.jobs[one.id] = one


def test_stop_waits_and_prints_the_final_state(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.RUNNING)
    done = ctl("job", "stop", A[:8])
    assert (done.status, done.out, done.err) == (0, f"{A} STOPPED 143\n", "")


def test_stop_without_waiting_prints_the_whole_id(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.RUNNING)
    done = ctl("job", "stop", "--no-wait", A[:8])
    assert (done.status, done.out) == (0, f"{A}\n")
    assert "wait" not in [verb for verb, _ in host.calls]


def test_stop_shows_an_end_that_came_first(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.RUNNING)
    host.endings[A] = ended(0xA1, 7)
    assert ctl("job", "stop", A).out == f"{A} FAILED 7\n"


@pytest.mark.parametrize(
    ("verb", "good", "bad"),
    [
        ("stop", JobState.RUNNING, JobState.COMPLETED),
        ("cancel", JobState.SCHEDULED, JobState.RUNNING),
        ("delete", JobState.COMPLETED, JobState.RUNNING),
    ],
)
def test_one_failing_id_does_not_stop_the_others(
    ctl: Ctl, host: FakeClient, verb: str, good: JobState, bad: JobState
) -> None:
    put(host, good, bad, good)
    done = ctl("job", verb, A, B, "dead", C)
    assert done.status == 1
    assert [line.split()[0] for line in done.out.splitlines()] == [A, C]
    wrong_state, unknown = done.err.splitlines()
    assert wrong_state.startswith(f"jobletctl: cannot {verb} job {B}: it is {bad}")
    assert unknown == "jobletctl: there is no job 'dead'"


@pytest.mark.parametrize(
    ("verb", "state"),
    [
        ("stop", JobState.RUNNING),
        ("cancel", JobState.PENDING),
        ("delete", JobState.COMPLETED),
        ("wait", JobState.COMPLETED),
    ],
)
def test_json_has_one_line_per_id(ctl: Ctl, host: FakeClient, verb: str, state: JobState) -> None:
    put(host, state, state)
    done = ctl("job", verb, "--json", A, B)
    assert done.status == 0
    assert [one["id"] for one in done.json_lines] == [A, B]


def test_an_id_given_twice_counts_once(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.COMPLETED)
    done = ctl("job", "delete", A, A.upper())
    assert (done.status, done.out, done.err) == (0, f"{A}\n", "")


def test_many_ids_are_all_served(ctl: Ctl, host: FakeClient) -> None:
    host.jobs = {one.id: one for one in (ended(n) for n in range(1, 200))}
    done = ctl("job", "delete", *host.jobs)
    assert done.status == 0
    assert (len(done.out.splitlines()), host.jobs) == (199, {})


def test_an_unreachable_daemon_is_told_once(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.COMPLETED, JobState.COMPLETED)
    host.failures["delete"] = Unreachable("jobletd is not running")
    done = ctl("job", "delete", A, B)
    assert (done.status, done.err) == (1, "jobletctl: jobletd is not running\n")


def test_an_error_that_does_not_name_its_job_is_given_the_name(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.COMPLETED, JobState.COMPLETED)
    host.failures["delete"] = RemoteError("org.joblet1.Error.Exhausted", "too many calls")
    done = ctl("job", "delete", A, B)
    assert done.err == f"jobletctl: {A}: too many calls\njobletctl: {B}: too many calls\n"


def test_wait_has_the_status_of_the_job(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.RUNNING)
    host.endings[A] = ended(0xA1, 5)
    done = ctl("job", "wait", A)
    assert (done.status, done.out) == (5, f"{A} FAILED 5\n")


def test_wait_for_several_has_the_first_status_that_is_not_0(ctl: Ctl, host: FakeClient) -> None:
    for number, code in ((0xA1, 0), (0xB1, 4), (0xC1, 9)):
        host.jobs[job_id(number)] = ended(number, code)
    assert ctl("job", "wait", A, B, C).status == 4
    assert ctl("job", "wait", C, A, B).status == 9
    assert ctl("job", "wait", A, "dead", B).status == 1
    assert ctl("job", "wait", A).status == 0


def test_wait_gives_up_after_its_time(ctl: Ctl, host: FakeClient) -> None:
    put(host, JobState.RUNNING)
    done = ctl("job", "wait", "--timeout", "1m30s", A)
    assert (done.status, done.out) == (124, "")
    assert done.err == f"jobletctl: job {A} has not ended yet, it is RUNNING\n"
    assert ("wait", (A, 90_000_000)) in host.calls


def test_waiting_for_a_job_that_timed_out_is_124(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[A] = job(0xA1, JobState.TIMEOUT, reason=Reason.TIMEOUT, exit_code=124)
    done = ctl("job", "wait", A)
    assert (done.status, done.out) == (124, f"{A} TIMEOUT 124\n")


@pytest.mark.parametrize("verb", ["wait", "stop"])
def test_an_interrupted_wait_is_130_without_words(ctl: Ctl, host: FakeClient, verb: str) -> None:
    put(host, JobState.RUNNING)
    host.interrupted_by = "wait"
    done = ctl("job", verb, A)
    assert (done.status, done.out, done.err) == (130, "", "")


@pytest.mark.parametrize(("options", "everybody"), [([], False), (["--all-users"], True)])
def test_delete_all_says_how_many(
    ctl: Ctl, host: FakeClient, options: list[str], everybody: bool
) -> None:
    put(host, JobState.RUNNING, JobState.COMPLETED, JobState.COMPLETED)
    done = ctl("job", "delete-all", *options)
    assert done.out == "Deleted count: 2\nSkipped count: 1 (not ended)\n"
    assert host.calls == [("delete_all", everybody)]


def test_delete_all_as_json_has_both_counts_also_when_they_are_0(ctl: Ctl) -> None:
    assert ctl("job", "delete-all", "--json").json == {"deleted": 0, "skipped": 0}
