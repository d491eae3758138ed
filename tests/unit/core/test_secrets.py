"""Secret variables: kept before the row promises them, given to the launch, gone with the end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from joblet.errors import HostFailure
from joblet.model.job import Job, JobState, Reason
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import TRUE, Daemon, Gate, World
from tests.fakes.host import Attempt
from tests.unit.core.conftest import Start

HOUR_USEC = 3_600_000_000
GONE = ConnectionResetError("joblet-init went away")
VALUES = {"TOKEN": "s3cret"}
SPEC = replace(TRUE, secret_names=("TOKEN",))
LATER = replace(SPEC, start_at_usec=EPOCH_USEC + HOUR_USEC)


async def submit(daemon: Daemon, spec: object = SPEC) -> Job:
    return await daemon.manager.submit(spec, owner_uid=0, secrets=VALUES)  # type: ignore[arg-type]


async def test_they_reach_the_launch_and_go_with_the_end(world: World, start: Start) -> None:
    daemon = await start()
    job = await submit(daemon)
    await daemon.until(job.id, JobState.RUNNING)
    assert world.host.secrets[job.id] == VALUES
    assert world.vault == {job.id: VALUES}
    world.host.end(job.id)
    await daemon.ended(job.id)
    assert world.vault == {}


async def test_their_values_are_in_no_row_and_in_no_event(world: World, start: Start) -> None:
    daemon = await start()
    await submit(daemon, LATER)
    assert VALUES["TOKEN"] not in repr((world.disk.rows, daemon.seen.events))


async def test_they_are_kept_before_the_row_is(world: World, start: Start) -> None:
    gate = Gate()
    daemon = await start(pace=gate)
    gate.close()
    task = asyncio.create_task(submit(daemon, LATER))
    await gate.reached.wait()
    assert world.disk.rows == {}
    assert list(world.vault.values()) == [VALUES]
    gate.passage.set()
    assert world.vault.keys() == {(await task).id}


async def test_what_cannot_be_kept_is_not_accepted(world: World, start: Start) -> None:
    daemon = await start()
    daemon.secrets.fails = HostFailure("secrets", 28)
    with pytest.raises(HostFailure):
        await submit(daemon)
    assert (world.disk.rows, world.vault, daemon.manager.drafts) == ({}, {}, frozenset())


async def test_they_go_with_a_job_that_the_disk_does_not_take(world: World, start: Start) -> None:
    daemon = await start()
    world.disk.full = True
    with pytest.raises(HostFailure):
        await submit(daemon)
    assert (world.vault, daemon.manager.drafts) == ({}, frozenset())


async def test_the_sweep_leaves_those_alone_whose_row_is_being_written(
    world: World, start: Start
) -> None:
    gate = Gate()
    daemon = await start(pace=gate)
    gate.close()
    task = asyncio.create_task(submit(daemon, LATER))
    await gate.reached.wait()
    # It looks at the secrets before it waits for anything.
    sweep = asyncio.create_task(daemon.recovery.sweep_files())
    await asyncio.sleep(0)
    gate.passage.set()
    await asyncio.gather(task, sweep)
    assert world.vault == {task.result().id: VALUES}


@pytest.mark.parametrize("end", ["cancel", "stop"])
async def test_they_go_with_a_job_that_never_runs(world: World, start: Start, end: str) -> None:
    daemon = await start()
    job = await submit(daemon, LATER)
    await (daemon.manager.cancel(job.id) if end == "cancel" else daemon.manager.stop(job.id))
    assert world.vault == {}


async def test_a_job_that_is_started_again_has_them_again(world: World, start: Start) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(refused=GONE))
    job = await submit(daemon)
    await daemon.until(job.id, JobState.RUNNING)
    assert world.host.secrets[job.id] == VALUES


async def test_a_scheduled_job_has_them_after_a_restart(world: World, start: Start) -> None:
    first = await start()
    job = await submit(first, LATER)
    await first.bury()
    second = await start()
    await second.recovery.sweep_files()
    await second.until(job.id, JobState.RUNNING)
    assert world.host.secrets[job.id] == VALUES


async def test_those_without_a_job_are_swept(world: World, start: Start) -> None:
    first = await start()
    job = await submit(first, LATER)
    await first.bury()
    del world.disk.rows[job.id]
    second = await start()
    await second.recovery.sweep_files()
    assert world.vault == {}


async def test_a_job_whose_secrets_are_lost_says_so_and_does_not_run(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await submit(daemon, LATER)
    world.vault.clear()
    done = await daemon.ended(job.id)
    assert (done.state, done.reason) == (JobState.FAILED, Reason.SETUP)
    assert "did not outlive the reboot" in done.detail
    assert world.host.launches == []
