"""Which jobs a list shows and in which order."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace

import pytest

from joblet.client.api import JobQuery
from joblet.model.job import JobState, Reason
from jobletctl.commands import joblist
from tests.fakes.client import NOW_USEC, FakeClient, ended, job, job_id
from tests.unit.jobletctl.conftest import Ctl

ROOT = pwd.getpwuid(0).pw_name


@pytest.fixture
def host() -> FakeClient:
    return FakeClient(
        [
            replace(ended(1, name="train-a"), cpu_usec=50, started_usec=NOW_USEC + 3),
            replace(ended(2, 7, name="train-b"), cpu_usec=70, owner_uid=4242),
            job(3, JobState.RUNNING, name="web", started_usec=NOW_USEC + 1),
            job(4, JobState.PENDING),
            replace(
                ended(5, 137, name="Train-c", reason=Reason.OOM), cpu_usec=50, memory_peak_bytes=9
            ),
        ]
    )


def shown(ctl: Ctl, *options: str) -> list[int]:
    """The numbers of the jobs that are listed, and the same from the table."""
    numbers = [int(one["id"][:8], 16) for one in ctl("job", "list", "--json", *options).json]
    table = ctl("job", "list", *options)
    assert [int(line[:8], 16) for line in table.out.splitlines()[1:]] == numbers
    assert ("no jobs found" in table.err) == (not numbers)
    return numbers


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [5, 4, 3, 2, 1]),
        (["--filter=name=web"], [3]),
        (["--filter=name=train-*"], [2, 1]),
        (["--filter=name=[Tt]rain-*"], [5, 2, 1]),
        (["--filter=name=*"], [5, 4, 3, 2, 1]),
        (["--filter=state=running"], [3]),
        (["--filter=state=RUNNING", "--filter=state=PENDING"], [4, 3]),
        (["--filter=state=RUNNING", "--state=PENDING"], [4, 3]),
        (["--filter=reason=oom"], [5]),
        (["--filter=reason=exit", "--filter=exit-code=7"], [2]),
        (["--filter=exit_code=7", "--filter=exit-code=137"], [5, 2]),
        (["--filter=owner=4242"], [2]),
        ([f"--filter=owner={ROOT}", "--filter=state=FAILED"], [5]),
        (["--filter=name=web", "--filter=state=FAILED"], []),
        (["--filter=name=train-*", "--limit=1"], [2]),
        (["--sort=submitted"], [5, 4, 3, 2, 1]),
        (["--sort=cpu"], [5, 1, 2, 4, 3]),
        (["--sort=-cpu"], [2, 5, 1, 4, 3]),
        (["--sort=-cpu", "--limit=2"], [2, 5]),
        (["--sort=start"], [3, 1, 5, 4, 2]),
        (["--sort=name"], [5, 1, 2, 3, 4]),
        (["--sort=-exit-code"], [5, 2, 1, 4, 3]),
        (["--sort=exit_code", "--filter=state=FAILED"], [2, 5]),
        (["--sort=memory"], [5, 4, 3, 2, 1]),
        (["--sort=state", "--limit=1"], [1]),
    ],
)
def test_filter_and_sort(ctl: Ctl, options: list[str], numbers: list[int]) -> None:
    assert shown(ctl, *options) == numbers


def test_states_are_left_to_the_daemon(ctl: Ctl, host: FakeClient) -> None:
    ctl("job", "list", "--filter=state=failed", "--state=TIMEOUT")
    [(_, query)] = host.calls
    assert isinstance(query, JobQuery)
    assert list(query.states) == [JobState.FAILED, JobState.TIMEOUT]


def test_a_filter_goes_on_until_there_are_enough(
    ctl: Ctl, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblist, "PAGE_MAX", 1)
    assert shown(ctl, "--filter=exit-code=0", "--limit=1") == [1]
    # each page of one job, twice: as JSON and as a table
    assert len(host.calls) == 10
    host.calls.clear()
    assert shown(ctl, "--filter=exit-code=7", "--limit=1") == [2]
    assert len(host.calls) == 8


def test_an_order_needs_all_jobs_however_few_are_shown(
    ctl: Ctl, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joblist, "PAGE_MAX", 2)
    assert shown(ctl, "--sort=submitted", "--limit=1") == [5]
    assert len(host.calls) == 6


def test_mine_and_filter_are_both_true(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[job_id(1)] = replace(host.jobs[job_id(1)], owner_uid=os.getuid())
    assert 2 not in shown(ctl, "--mine", "--filter=name=train-*")


# inspect


def test_inspect_is_everything_of_several_jobs(ctl: Ctl, host: FakeClient) -> None:
    host.reports = []
    done = ctl("job", "inspect", job_id(2), job_id(4))
    assert done.status == 0
    assert done.json == [host.jobs[job_id(2)].known(), host.jobs[job_id(4)].known()]
    assert [verb for verb, _ in host.calls] == ["status", "status"]


def test_inspect_tells_of_the_job_that_is_not_there_and_shows_the_others(ctl: Ctl) -> None:
    done = ctl("job", "inspect", job_id(1), job_id(9))
    assert done.status == 1
    assert [one["id"] for one in done.json] == [job_id(1)]
    assert "there is no job" in done.err
