"""From the program to the record: ends, stops, timeouts, and a disk that does not take them."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from typing import Any

import pytest

from joblet.errors import HostFailure
from joblet.model.job import JobState, Reason
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import TRUE, World
from tests.fakes.host import Attempt
from tests.unit.core.conftest import Start

SECOND = 1_000_000
FAILURE = HostFailure("stop of scope", 0, "the manager does not answer")
BRIEF = replace(TRUE, timeout_usec=30 * SECOND)


# Stop.


async def test_a_stop_ends_the_job_and_is_its_reason(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    stopping = await daemon.manager.stop(job.id)
    assert (stopping.state, stopping.stop_reason) == (JobState.RUNNING, Reason.STOPPED)
    assert world.disk.rows[job.id].stop_reason is Reason.STOPPED
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.STOPPED, Reason.STOPPED, 143)
    await daemon.quiet()
    assert world.host.clears == [(job.id, True)]


async def test_a_stop_is_on_disk_before_it_is_delivered(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    daemon.host.fails = FAILURE
    with pytest.raises(HostFailure, match="does not answer"):
        await daemon.manager.stop(job.id)
    assert world.disk.rows[job.id].stop_reason is Reason.STOPPED


async def test_a_second_stop_is_delivered_again_and_changes_nothing(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    world.host.runs[job.id].hears_stop = False
    first = await daemon.manager.stop(job.id)
    await asyncio.sleep(1)
    # Whoever asks again may have seen the first request fail.
    assert await daemon.manager.stop(job.id) == first
    assert world.host.stops == [job.id, job.id]


async def test_a_full_disk_does_not_keep_a_job_from_being_stopped(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    world.disk.full = True
    await daemon.manager.stop(job.id)
    assert world.host.stops == [job.id]
    world.disk.full = False
    assert (await daemon.ended(job.id)).reason is Reason.STOPPED


async def test_a_stop_after_the_program_has_ended_leaves_the_end_its_own(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    await asyncio.sleep(1)
    world.host.end(job.id, exit_status=2, poke=False)
    await asyncio.sleep(1)
    await daemon.manager.stop(job.id)
    world.host.poke(job.id)
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.FAILED, Reason.EXIT, 2)


async def test_systemctl_stop_is_told_from_a_shutdown_of_the_host(
    world: World, start: Start
) -> None:
    daemon = await start()
    reasons = []
    for going_down in (False, True):
        world.host.going_down = going_down
        job = await daemon.run()
        now = world.clock.now_usec()
        world.host.end(job.id, exit_status=None, signal=15, term_seen_usec=now)
        reasons.append((await daemon.ended(job.id)).reason)
        await daemon.quiet()
        assert world.host.clears[-1] == (job.id, True)
    assert reasons == [Reason.STOPPED, Reason.SHUTDOWN]


# Timeout.


async def test_a_job_that_runs_out_of_time_is_stopped_with_124(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run(BRIEF)
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.TIMEOUT, Reason.TIMEOUT, 124)
    assert world.host.stops == [job.id]
    assert done.finished_usec is not None
    assert 30 * SECOND <= done.finished_usec - EPOCH_USEC < 31 * SECOND


async def test_the_time_of_a_job_counts_from_its_start_not_from_its_submission(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    blocker = await daemon.run()
    job = await daemon.submit(BRIEF)
    await asyncio.sleep(100)
    world.host.end(blocker.id)
    done = await daemon.ended(job.id)
    assert done.state is JobState.TIMEOUT
    assert (done.started_usec or 0) >= EPOCH_USEC + 100 * SECOND
    assert (done.queue_usec or 0) >= 100 * SECOND


async def test_a_job_that_ends_in_time_is_left_alone_afterwards(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run(BRIEF)
    world.host.end(job.id)
    await daemon.ended(job.id)
    await asyncio.sleep(100)
    assert world.host.stops == []


async def test_a_stop_before_the_timeout_stays_a_stop(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run(BRIEF)
    world.host.runs[job.id].hears_stop = False
    await daemon.manager.stop(job.id)
    await asyncio.sleep(100)
    world.host.end(job.id, exit_status=None, signal=9)
    assert (await daemon.ended(job.id)).reason is Reason.STOPPED
    assert world.host.stops == [job.id]


# The record.


async def test_doubled_and_unfounded_news_change_nothing(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    world.host.poke(job.id)
    world.host.poke("0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11")
    await asyncio.sleep(1)
    assert daemon.seen.states[job.id] is JobState.RUNNING
    world.host.end(job.id)
    for _ in range(3):
        world.host.poke(job.id)
    await daemon.ended(job.id)
    world.host.poke(job.id)
    await daemon.quiet()
    assert daemon.seen.names(job.id).count("JobFinished COMPLETED") == 1


async def test_an_end_that_the_disk_does_not_take_is_recorded_when_it_does(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    job = await daemon.run()
    waiting = asyncio.ensure_future(daemon.ended(job.id))
    world.disk.full = True
    world.host.end(job.id, exit_status=6)
    world.host.poke(job.id)
    await asyncio.sleep(60)
    assert not waiting.done()
    assert daemon.seen.states[job.id] is JobState.RUNNING
    assert world.host.runs[job.id].ended is not None
    world.disk.full = False
    assert (await waiting).exit_code == 6
    await daemon.quiet()
    assert daemon.seen.names(job.id).count("JobFinished FAILED") == 1


async def test_a_stop_of_a_job_whose_end_is_not_recorded_yet_changes_nothing(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    world.disk.full = True
    world.host.end(job.id, exit_status=6)
    await asyncio.sleep(10)
    await daemon.manager.stop(job.id)
    world.disk.full = False
    assert (await daemon.ended(job.id)).exit_code == 6


async def test_what_cannot_be_cleared_away_does_not_hold_the_job_up(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    daemon.host.fails = HostFailure("remove", errno.EIO)
    world.host.end(job.id)
    assert (await daemon.ended(job.id)).state is JobState.COMPLETED
    await asyncio.sleep(1)
    assert daemon.manager.running == 0
    assert job.id in world.host.runs


async def test_an_end_whose_circumstances_cannot_be_had_is_settled_later(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    daemon.host.fails = HostFailure("state of the system", 0)
    now = world.clock.now_usec()
    world.host.end(job.id, exit_status=None, signal=15, term_seen_usec=now)
    await asyncio.sleep(10)
    daemon.host.fails = None
    done = await daemon.ended(job.id)
    assert (done.state, done.reason) == (JobState.STOPPED, Reason.STOPPED)


async def test_a_job_that_lost_its_witnesses_keeps_the_size_of_its_log(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    world.shelf.logs[job.id].data = b"what it said"
    world.host.end(job.id, exit_status=None, status_lost=True, log_bytes=0)
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.log_bytes) == (JobState.FAILED, Reason.LOST, 12)


async def test_a_scope_that_may_have_failed_is_looked_after(world: World, start: Start) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(no_scope=FAILURE))
    job = await daemon.submit()
    await daemon.ended(job.id)
    await daemon.quiet()
    assert world.host.clears == [(job.id, True)]


@pytest.mark.parametrize(
    "end", [{}, {"exit_status": None, "status_lost": True}], ids=["known", "lost"]
)
async def test_a_log_that_cannot_be_read_does_not_keep_a_job_from_ending(
    world: World, start: Start, end: dict[str, Any]
) -> None:
    daemon = await start()
    ran, waits = (
        await daemon.run(),
        await daemon.submit(replace(TRUE, start_at_usec=2 * EPOCH_USEC)),
    )
    daemon.files.unreadable = True
    world.host.end(ran.id, **end)
    assert (await daemon.ended(ran.id)).state.terminal
    assert (await daemon.manager.cancel(waits.id)).state is JobState.CANCELED
    await daemon.quiet()


async def test_what_cannot_be_removed_from_run_does_not_hold_the_job_up(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    daemon.host.fails = OSError(errno.ENOTEMPTY, "Directory not empty")
    world.host.end(job.id)
    assert (await daemon.ended(job.id)).state is JobState.COMPLETED
    await asyncio.sleep(1)
    assert job.id in world.host.runs


# Shutdown.


async def test_at_shutdown_the_last_ends_are_waited_for_and_recorded(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=2)
    jobs = [await daemon.run() for _ in range(2)]
    waiting = await daemon.submit()
    world.host.going_down = True
    recording = asyncio.ensure_future(daemon.manager.record_last_ends())
    for job in jobs:
        await asyncio.sleep(1)
        assert not recording.done()
        now = world.clock.now_usec()
        world.host.end(job.id, poke=False, exit_status=None, signal=15, term_seen_usec=now)
    await recording
    assert {world.disk.rows[job.id].reason for job in jobs} == {Reason.SHUTDOWN}
    assert world.disk.rows[waiting.id].state is JobState.PENDING
    assert waiting.id not in world.host.launches


async def test_a_daemon_that_is_only_restarted_waits_for_no_job(start: Start) -> None:
    daemon = await start()
    await daemon.run()
    before = asyncio.get_running_loop().time()
    await daemon.manager.record_last_ends()
    assert asyncio.get_running_loop().time() == before


async def test_a_job_that_does_not_end_at_shutdown_is_not_waited_for_for_ever(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    world.host.going_down = True
    await daemon.manager.record_last_ends()
    assert daemon.seen.states[job.id] is JobState.RUNNING
