"""A daemon that is told to hold: what runs goes on, what waits stays waiting."""

from __future__ import annotations

import asyncio

import pytest

from joblet.errors import HostFailure
from joblet.model.job import JobState
from tests.fakes.daemon import World
from tests.fakes.host import Attempt
from tests.unit.core.conftest import Start

REFUSED = HostFailure("scope", 0, "the slice is being stopped")


async def test_a_place_that_becomes_free_stays_free(world: World, start: Start) -> None:
    daemon = await start(max_running=1)
    running, waiting = await daemon.run(), await daemon.submit()
    daemon.manager.hold()
    world.host.end(running.id)
    await daemon.ended(running.id)
    await daemon.quiet()
    assert world.host.launches == [running.id]
    assert (daemon.manager.waiting, world.disk.rows[waiting.id].state) == (1, JobState.PENDING)


async def test_a_job_can_still_be_accepted(world: World, start: Start) -> None:
    daemon = await start()
    daemon.manager.hold()
    job = await daemon.submit()
    assert world.disk.rows[job.id].state is JobState.PENDING
    assert world.host.launches == []


@pytest.mark.parametrize("attempt", [Attempt(refused=REFUSED), Attempt(no_scope=REFUSED)])
async def test_a_launch_that_fails_meanwhile_was_none(
    world: World, start: Start, attempt: Attempt
) -> None:
    daemon = await start()
    if attempt.no_scope is not None:
        attempt.hold = asyncio.Event()
    world.host.attempts.append(attempt)
    job = await daemon.submit()
    daemon.manager.hold()
    if attempt.hold is not None:
        attempt.hold.set()
    await daemon.hold(lambda: len(daemon.seen.names(job.id)) == 3)
    assert daemon.seen.names(job.id)[1:] == ["JobChanged INITIALIZING", "JobChanged PENDING"]
    assert world.host.executions == {}


async def test_the_next_daemon_starts_what_waited(world: World, start: Start) -> None:
    first = await start()
    first.manager.hold()
    job = await first.submit()
    await first.bury()
    second = await start()
    await second.until(job.id, JobState.RUNNING)
