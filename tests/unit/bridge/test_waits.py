"""Few questions for many who wait, and an answer for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from joblet.bridge import waits as waits_module
from joblet.bridge.lookups import Lookups
from joblet.bridge.waits import WAITING_MAX, Waits
from joblet.client.api import JobStatus
from joblet.errors import NotFound, Unreachable
from tests.fakes.client import FakeClient, ended, job, job_id

LONG_USEC = 3_600_000_000


class Slow(FakeClient):
    """A wait lasts until the job ends or the host goes away, as with jobletd."""

    def __init__(self) -> None:
        super().__init__([job(number) for number in range(1, 201)])
        self.waiting = 0
        self.happened = asyncio.Condition()
        self.gone = False

    async def wait(self, job: str, *, timeout_usec: int = 0) -> JobStatus:
        self.waiting += 1
        try:
            async with self.happened:
                await self.happened.wait_for(lambda: self.gone or self.jobs[job].state.terminal)
        finally:
            self.waiting -= 1
        if self.gone:
            raise Unreachable("gone")
        return self.jobs[job]

    async def happen(self) -> None:
        async with self.happened:
            self.happened.notify_all()


@pytest.fixture
async def host() -> Slow:
    return Slow()


@pytest.fixture
async def waits(host: Slow) -> AsyncIterator[Waits]:
    lookups = Lookups(host)
    made = Waits(host, lookups)
    yield made
    await made.close()
    await lookups.close()
    assert host.waiting == 0


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def start(waits: Waits, *numbers: int) -> list[asyncio.Task[JobStatus]]:
    return [
        asyncio.ensure_future(waits.until_ended(job_id(number), LONG_USEC)) for number in numbers
    ]


async def test_those_who_wait_for_a_job_share_a_question(host: Slow, waits: Waits) -> None:
    waiting = start(waits, *[1] * 50, 2)
    await turns()
    assert host.waiting == 2
    host.jobs[job_id(1)] = ended(1, 3)
    await host.happen()
    assert await asyncio.gather(*waiting[:50]) == [ended(1, 3)] * 50
    assert not waiting[50].done()
    waiting[50].cancel()


async def test_who_goes_away_leaves_nothing_that_grows(host: Slow, waits: Waits) -> None:
    for _ in range(100):
        waiting = start(waits, 1, 2)
        await turns()
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    assert host.waiting == 2


async def test_beyond_a_number_of_jobs_ends_are_looked_for(
    host: Slow, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits_module, "_LOOK_AGAIN_S", 0.001)
    waiting = start(waits, *range(1, 201))
    await turns()
    assert host.waiting == WAITING_MAX
    for number in range(1, 201):
        host.jobs[job_id(number)] = ended(number)
    await host.happen()
    assert await asyncio.gather(*waiting) == [ended(number) for number in range(1, 201)]


async def test_when_the_time_is_up_the_job_is_as_it_is(host: Slow, waits: Waits) -> None:
    assert await waits.until_ended(job_id(1)[:8], 1000) == job(1)
    assert host.waiting == 1


async def test_what_goes_wrong_is_told_to_all(host: Slow, waits: Waits) -> None:
    with pytest.raises(NotFound):
        await waits.until_ended("ffff", LONG_USEC)
    waiting = start(waits, 1, 1)
    await turns()
    host.gone = True
    await host.happen()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in found] == [Unreachable, Unreachable]
