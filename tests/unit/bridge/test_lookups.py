"""One question for many who ask, and never an old answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from joblet.bridge.lookups import Lookups
from joblet.client.api import JobStatus
from joblet.errors import JobletError, NotFound, Unreachable
from joblet.model.job import JobState
from tests.fakes.client import FakeClient, job, job_id


class Slow(FakeClient):
    """Answers a question when the test lets it."""

    def __init__(self) -> None:
        super().__init__([job(1), job(2)])
        self.asked: list[list[str]] = []
        self.go = asyncio.Semaphore(0)

    async def statuses(self, jobs: Sequence[str]) -> list[JobStatus | JobletError]:
        self.asked.append(list(jobs))
        await self.go.acquire()
        return await super().statuses(jobs)


@pytest.fixture
def host() -> Slow:
    return Slow()


@pytest.fixture
async def lookups(host: Slow) -> AsyncIterator[Lookups]:
    made = Lookups(host)
    yield made
    await made.close()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_those_who_ask_together_share_a_question(host: Slow, lookups: Lookups) -> None:
    asked = [job_id(1), job_id(2), job_id(1), job_id(3)]
    host.go.release()
    found = await asyncio.gather(*map(lookups.status, asked), return_exceptions=True)
    assert host.asked == [[job_id(1), job_id(2), job_id(3)]]
    assert found[:3] == [job(1), job(2), job(1)]
    assert isinstance(found[3], NotFound)


async def test_who_comes_later_gets_a_later_answer(host: Slow, lookups: Lookups) -> None:
    first = asyncio.ensure_future(lookups.status(job_id(1)))
    await turns()
    later = [asyncio.ensure_future(lookups.status(job_id(1))) for _ in range(3)]
    await turns()
    assert host.asked == [[job_id(1)]]
    host.go.release()
    assert (await first).state is JobState.RUNNING
    host.jobs[job_id(1)] = job(1, JobState.COMPLETED)
    host.go.release()
    assert [one.state for one in await asyncio.gather(*later)] == [JobState.COMPLETED] * 3
    assert host.asked == [[job_id(1)], [job_id(1)]]


async def test_who_gives_up_takes_nothing_from_the_others(host: Slow, lookups: Lookups) -> None:
    impatient, patient = (asyncio.ensure_future(lookups.status(job_id(1))) for _ in range(2))
    await turns()
    impatient.cancel()
    host.go.release()
    assert await patient == job(1)


async def test_a_failed_question_fails_for_all_and_the_next_is_asked(
    host: Slow, lookups: Lookups
) -> None:
    host.failures["statuses"] = Unreachable("gone")
    host.go.release()
    asked = [lookups.status(job_id(1)), lookups.status(job_id(2))]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(one) for one in found] == ["gone", "gone"]
    host.failures.clear()
    host.go.release()
    assert await lookups.status(job_id(1)) == job(1)


async def test_at_the_end_nobody_waits_for_ever(host: Slow, lookups: Lookups) -> None:
    asked = asyncio.ensure_future(lookups.status(job_id(1)))
    await turns()
    gathered = asyncio.ensure_future(lookups.status(job_id(2)))
    await turns()
    await lookups.close()
    await asyncio.wait([asked, gathered])
    assert asked.cancelled()
    assert gathered.cancelled()
