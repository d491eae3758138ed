"""Limits of a living job are changed: on disk, in force, and the same after a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from joblet.errors import HostFailure, InvalidSpec, NotFound, WrongState
from joblet.model.ids import new_job_id
from joblet.model.job import JobSpec, JobState
from tests.fakes.daemon import TRUE, World
from tests.unit.core.conftest import Start

CHANGES: dict[str, object] = {"max_cpu": 50, "max_memory": 1 << 30, "cpu_cores": (1,)}


async def test_a_running_job_has_its_limits_on_disk_and_in_force(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run(TRUE)
    changed = await daemon.manager.update(job.id, CHANGES)
    assert changed.spec == replace(job.spec, **CHANGES, revision=1)  # type: ignore[arg-type]
    assert world.disk.rows[job.id].spec == changed.spec
    assert world.host.limits[job.id] == changed.spec
    assert (await daemon.manager.resolve(job.id)).spec == changed.spec
    world.host.end(job.id)
    assert (await daemon.ended(job.id)).spec == changed.spec


async def test_a_waiting_job_starts_with_its_new_limits(world: World, start: Start) -> None:
    daemon = await start(max_running=1)
    first = await daemon.run(TRUE)
    waiting = await daemon.submit(TRUE)
    later = await daemon.submit(
        JobSpec(command="x", start_at_usec=world.clock.now_usec() + 60_000_000)
    )
    for job in (waiting, later):
        await daemon.manager.update(job.id, CHANGES)
        assert world.disk.rows[job.id].spec.max_cpu == 50
    assert world.host.limits == {}
    world.host.end(first.id)
    await daemon.until(waiting.id, JobState.RUNNING)
    assert (await daemon.manager.resolve(waiting.id)).spec.max_memory == 1 << 30


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"max_cpu": 401}, "max_cpu"), ({"cpu_cores": (0, 7)}, "cpu_cores")],
)
async def test_what_this_host_cannot_keep_changes_nothing(
    world: World, start: Start, changes: dict[str, object], field: str
) -> None:
    daemon = await start()
    job = await daemon.run(TRUE)
    with pytest.raises(InvalidSpec) as refused:
        await daemon.manager.update(job.id, changes)
    assert refused.value.field == field
    assert world.disk.rows[job.id].spec == job.spec
    assert world.host.limits == {}


async def test_a_manager_that_refuses_leaves_the_job_as_it_was(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run(TRUE)
    daemon.host.fails = HostFailure("properties", 5)
    with pytest.raises(HostFailure):
        await daemon.manager.update(job.id, CHANGES)
    daemon.host.fails = None
    assert world.disk.rows[job.id].spec == job.spec
    assert (await daemon.manager.resolve(job.id)).spec == job.spec


async def test_a_full_disk_leaves_the_job_as_it_was(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run(TRUE)
    world.disk.full = True
    with pytest.raises(HostFailure):
        await daemon.manager.update(job.id, CHANGES)
    world.disk.full = False
    assert world.host.limits == {}
    assert (await daemon.manager.resolve(job.id)).spec == job.spec


async def test_an_ended_job_and_an_unknown_one_are_refused(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run(TRUE)
    world.host.end(job.id)
    await daemon.ended(job.id)
    with pytest.raises(WrongState, match="ended already"):
        await daemon.manager.update(job.id, CHANGES)
    with pytest.raises(NotFound):
        await daemon.manager.update(new_job_id(), CHANGES)


async def test_the_next_daemon_puts_changed_limits_in_force_again(
    world: World, start: Start
) -> None:
    """The one before may have died between the record and the scope."""
    daemon = await start()
    changed, plain = await daemon.run(TRUE), await daemon.run(TRUE)
    await daemon.manager.update(changed.id, CHANGES)
    spec = world.host.limits.pop(changed.id)
    daemon.kill()
    after = await start()
    await after.hold(lambda: world.host.limits == {changed.id: spec})
    assert plain.id not in world.host.limits


async def test_a_new_weight_counts_in_the_slice(world: World, start: Start) -> None:
    daemon = await start(shard_size=1)
    job = await daemon.run(TRUE)
    await daemon.run(TRUE)
    await daemon.hold(lambda: world.host.weights == {0: (100, 100), 1: (100, 100)})
    await daemon.manager.update(job.id, {"cpu_weight": 400})
    await daemon.hold(lambda: world.host.weights[0] == (400, 100))
