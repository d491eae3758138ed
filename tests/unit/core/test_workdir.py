"""Uploads on their way to a job: filled, promised, kept for it, and gone when there is none."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from joblet.errors import Exhausted, HostFailure, InvalidSpec, NotFound, UploadRefused, WrongState
from joblet.model.job import JobSpec, JobState, Reason
from joblet.model.run import Caller, Upload
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import TRUE, Daemon, Gate, World
from tests.fakes.host import Attempt
from tests.unit.core.conftest import Start

MEMBER = Caller(1000, (1000, 27))
TAR = Upload(tar=7)
HOUR_USEC = 3_600_000_000
GONE = ConnectionResetError("joblet-init went away")
UPLOADED = replace(TRUE, uploaded=True)
LATER = replace(UPLOADED, start_at_usec=EPOCH_USEC + HOUR_USEC)


def nothing_is_left(world: World, daemon: Daemon) -> None:
    assert (world.shelf.work, world.shelf.full, world.disk.rows) == ({}, set(), {})
    assert daemon.manager.drafts == frozenset()


async def same_numbers_again(daemon: Daemon, project: int) -> None:
    """The pools have what the draft held; of id ranges there is one in all."""
    draft = await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    assert draft.project == project


async def test_a_job_runs_with_what_was_uploaded_for_it(world: World, start: Start) -> None:
    daemon = await start()
    draft = await daemon.manager.upload(replace(UPLOADED, max_work=1 << 20), TAR, MEMBER)
    [fill] = daemon.mover.fills
    owner = draft.first_id + TRUE.uid
    assert fill == (draft.job_id, TAR, MEMBER, owner, (draft.project, 1 << 20))
    assert daemon.manager.drafts == {draft.job_id}
    job = await daemon.manager.submit(UPLOADED, owner_uid=1000, draft=draft)
    assert (job.id, job.first_id, job.project) == (draft.job_id, draft.first_id, draft.project)
    assert daemon.manager.drafts == frozenset()
    await daemon.until(job.id, JobState.RUNNING)
    assert world.shelf.work == {job.id: owner}
    assert world.host.runs[job.id]


async def test_a_refused_upload_leaves_nothing(world: World, start: Start) -> None:
    daemon = await start(id_ranges=2)
    daemon.mover.fails = UploadRefused("../x", "its name goes up with '..'")
    with pytest.raises(UploadRefused, match=r"'\.\./x'"):
        await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    nothing_is_left(world, daemon)
    [(_, _, _, _, quota)] = daemon.mover.fills
    assert quota is not None
    await same_numbers_again(daemon, quota[0])


async def test_uploads_that_wait_leave_a_range_for_who_is_before_them(
    world: World, start: Start
) -> None:
    daemon = await start(id_ranges=2)
    await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    with pytest.raises(Exhausted, match=r"uploads wait.* raise ids\.count"):
        await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    await daemon.run()


async def test_an_upload_that_is_given_up_leaves_nothing(world: World, start: Start) -> None:
    daemon = await start()
    daemon.mover.hold = asyncio.Event()
    task = asyncio.create_task(daemon.manager.upload(UPLOADED, TAR, MEMBER))
    await daemon.hold(lambda: daemon.mover.fills)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    nothing_is_left(world, daemon)


async def test_a_spec_that_is_refused_takes_no_upload(world: World, start: Start) -> None:
    daemon = await start()
    with pytest.raises(InvalidSpec):
        await daemon.manager.upload(replace(UPLOADED, max_cpu=401), TAR, MEMBER)
    assert daemon.mover.fills == []
    nothing_is_left(world, daemon)


async def test_an_upload_whose_job_is_not_taken_is_discarded(world: World, start: Start) -> None:
    daemon = await start(id_ranges=2)
    draft = await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    world.disk.full = True
    with pytest.raises(HostFailure):
        await daemon.manager.submit(UPLOADED, owner_uid=1000, draft=draft)
    world.disk.full = False
    nothing_is_left(world, daemon)
    await same_numbers_again(daemon, draft.project)


async def test_a_submission_cancelled_while_it_is_written_is_a_job_with_its_files(
    world: World, start: Start
) -> None:
    """A daemon that is stopping cancels its calls; the row may be on the disk all the same."""
    gate = Gate()
    daemon = await start(pace=gate)
    draft = await daemon.manager.upload(LATER, TAR, MEMBER)
    gate.close()
    task = asyncio.create_task(
        daemon.manager.submit(LATER, owner_uid=1000, draft=draft, secrets={"KEY": "x"})
    )
    await gate.reached.wait()
    task.cancel()
    gate.passage.set()
    await asyncio.wait([task])
    assert world.disk.rows.keys() == world.shelf.work.keys() == world.vault.keys()
    assert len(world.disk.rows) == 1


async def test_the_sweep_leaves_uploads_alone_whose_job_is_to_come(
    world: World, start: Start
) -> None:
    daemon = await start()
    draft = await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    await daemon.recovery.sweep_files()
    assert world.shelf.work.keys() == {draft.job_id}


async def test_an_upload_of_a_daemon_that_died_is_swept(world: World, start: Start) -> None:
    first = await start()
    draft = await first.manager.upload(UPLOADED, TAR, MEMBER)
    await first.bury()
    second = await start()
    await second.recovery.sweep_files()
    assert second.files.removed == [draft.job_id]
    assert world.shelf.work == {}


async def test_a_scheduled_job_keeps_files_and_ids_over_a_restart(
    world: World, start: Start
) -> None:
    first = await start()
    draft = await first.manager.upload(LATER, TAR, MEMBER)
    job = await first.manager.submit(LATER, owner_uid=1000, draft=draft)
    await first.bury()
    second = await start()
    await second.recovery.sweep_files()
    # Nobody else is given its numbers meanwhile.
    other = await second.manager.upload(UPLOADED, TAR, MEMBER)
    assert other.first_id != draft.first_id
    assert other.project != draft.project
    await second.until(job.id, JobState.RUNNING)
    assert world.shelf.work[job.id] == draft.first_id + TRUE.uid


async def test_a_job_that_goes_back_to_the_queue_keeps_what_was_uploaded(
    world: World, start: Start
) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(refused=GONE))
    draft = await daemon.manager.upload(UPLOADED, TAR, MEMBER)
    job = await daemon.manager.submit(UPLOADED, owner_uid=1000, draft=draft)
    await daemon.until(job.id, JobState.RUNNING)
    running = await daemon.manager.resolve(job.id)
    assert (running.first_id, running.project) == (draft.first_id, draft.project)


async def test_a_job_whose_upload_has_vanished_does_not_run_without_it(
    world: World, start: Start
) -> None:
    daemon = await start()
    draft = await daemon.manager.upload(LATER, TAR, MEMBER)
    job = await daemon.manager.submit(LATER, owner_uid=1000, draft=draft)
    world.shelf.work.clear()
    done = await daemon.ended(job.id)
    assert (done.state, done.reason) == (JobState.FAILED, Reason.SETUP)
    assert "what was uploaded for it is not there" in done.detail
    assert world.host.launches == []


# The way back.


async def test_files_of_a_running_and_of_an_ended_job_can_be_had(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    os.close(await daemon.manager.fetch(job.id, "f"))
    world.shelf.full.add(job.id)
    world.host.end(job.id)
    await daemon.ended(job.id)
    os.close(await daemon.manager.fetch(job.id, "f"))
    with pytest.raises(NotFound) as missing:
        await daemon.manager.fetch(job.id, "missing")
    assert missing.value.code == "NoSuchPath"
    await daemon.manager.delete(job.id)
    with pytest.raises(NotFound) as deleted:
        await daemon.manager.fetch(job.id, "f")
    assert deleted.value.code == "NoSuchJob"


async def test_why_there_are_no_files_is_said(world: World, start: Start) -> None:
    daemon = await start()
    waiting = await daemon.submit(JobSpec(command="true", start_at_usec=EPOCH_USEC + HOUR_USEC))
    with pytest.raises(WrongState, match="no files before it starts"):
        await daemon.manager.fetch(waiting.id, "")
    job = await daemon.run()
    world.host.end(job.id)
    await daemon.ended(job.id)
    with pytest.raises(WrongState, match="it left no files"):
        await daemon.manager.fetch(job.id, "")
