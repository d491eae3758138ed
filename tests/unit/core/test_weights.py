"""Slices weigh what their jobs weigh: told behind the starts, and again after a restart."""

from __future__ import annotations

import pytest

from joblet.errors import HostFailure
from joblet.model.job import JobSpec
from tests.fakes.daemon import TRUE, World
from tests.unit.core.conftest import Start


async def test_shards_share_by_the_weights_of_their_jobs(world: World, start: Start) -> None:
    daemon = await start(shard_size=2)
    for weight in (100, 200, 50):
        await daemon.run(JobSpec(command="x", cpu_weight=weight, io_weight=2 * weight))
    await daemon.hold(lambda: world.host.weights == {0: (300, 600), 1: (50, 100)})


async def test_one_shard_alone_is_told_nothing(world: World, start: Start) -> None:
    daemon = await start(shard_size=2)
    jobs = [await daemon.run(TRUE), await daemon.run(TRUE)]
    for job in jobs:
        world.host.end(job.id)
        await daemon.ended(job.id)
    await daemon.quiet()
    assert world.host.weighings == []


async def test_many_starts_are_told_together(world: World, start: Start) -> None:
    daemon = await start(shard_size=4)
    jobs = [await daemon.submit(TRUE) for _ in range(40)]
    await daemon.hold(lambda: len(world.host.running()) == len(jobs))
    await daemon.hold(lambda: world.host.weights == dict.fromkeys(range(10), (400, 400)))
    assert len(world.host.weighings) <= 20


async def test_a_restart_brings_the_sums_back(world: World, start: Start) -> None:
    daemon = await start(shard_size=1)
    await daemon.run(JobSpec(command="x", cpu_weight=300))
    await daemon.run(JobSpec(command="x", cpu_weight=40))
    await daemon.hold(lambda: len(world.host.weights) == 2)
    daemon.kill()
    world.host.weights.clear()
    after = await start(shard_size=1)
    await after.hold(lambda: world.host.weights == {0: (300, 100), 1: (40, 100)})


async def test_a_host_that_refuses_is_asked_again_with_the_next_job(
    world: World, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = await start(shard_size=1)
    daemon.host.fails = HostFailure("properties", 5)
    await daemon.run(TRUE)
    await daemon.run(TRUE)
    await daemon.hold(lambda: "keeps its weight" in caplog.text)
    assert world.host.weights == {}
    daemon.host.fails = None
    await daemon.run(TRUE)
    await daemon.hold(lambda: world.host.weights == dict.fromkeys(range(3), (100, 100)))
