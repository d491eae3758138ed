"""How long what a job left is kept."""

from __future__ import annotations

import asyncio

import pytest

from joblet.config import WorkConfig
from joblet.core.keeper import INTERVAL_S, WorkKeeper
from joblet.errors import HostFailure
from tests.fakes.daemon import Daemon, World
from tests.unit.core.conftest import Start

KEEP_USEC = 3_600_000_000


@pytest.fixture
async def daemon(start: Start) -> Daemon:
    return await start()


@pytest.fixture
def keeper(daemon: Daemon) -> WorkKeeper:
    config = WorkConfig(keep_usec=KEEP_USEC, min_free=10)
    return WorkKeeper(config, daemon.manager, daemon.store, daemon.files, daemon.world.clock)


async def ended(daemon: Daemon, *, leaves: bool) -> str:
    job = await daemon.run()
    if leaves:
        daemon.world.shelf.full.add(job.id)
    daemon.world.host.end(job.id)
    await daemon.ended(job.id)
    await daemon.quiet()
    return job.id


async def test_what_a_job_left_is_kept_for_the_stated_time(
    world: World, daemon: Daemon, keeper: WorkKeeper
) -> None:
    job = await ended(daemon, leaves=True)
    await keeper.look()
    assert job in world.shelf.work
    world.clock.shift_usec += KEEP_USEC + 1
    await keeper.look()
    assert job not in world.shelf.work
    assert job in world.shelf.logs
    assert (await daemon.manager.resolve(job)).project is None


async def test_empty_directory_goes_at_once(world: World, daemon: Daemon) -> None:
    job = await ended(daemon, leaves=False)
    assert job not in world.shelf.work
    assert (await daemon.manager.resolve(job)).project is None


async def test_the_oldest_goes_early_when_space_is_short(
    world: World, daemon: Daemon, keeper: WorkKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    for _ in range(3):
        jobs.append(await ended(daemon, leaves=True))
        world.clock.shift_usec += 1_000_000

    def space() -> tuple[int, int]:
        return 1000, 50 * (3 - len(world.shelf.work))

    monkeypatch.setattr(daemon.files, "work_space", space)
    await keeper.look()
    assert list(world.shelf.work) == jobs[2:]


async def test_each_is_removed_once_however_late_its_row_is_written(
    world: World,
    daemon: Daemon,
    keeper: WorkKeeper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A disk that is full takes no row either, and every further look would find the same job."""
    jobs = [await ended(daemon, leaves=True) for _ in range(2)]
    dropped: list[str] = []
    drop = daemon.manager.drop_work

    async def note(job_id: str) -> None:
        dropped.append(job_id)
        await drop(job_id)

    monkeypatch.setattr(daemon.manager, "drop_work", note)
    monkeypatch.setattr(daemon.files, "work_space", lambda: (1000, 0))
    await keeper.look()
    assert sorted(dropped) == sorted(jobs)
    early = [r.getMessage() for r in caplog.records if "goes early" in r.getMessage()]
    assert len(early) == len(jobs)


async def test_directory_that_cannot_be_removed_does_not_hold_up_the_others(
    world: World, daemon: Daemon, keeper: WorkKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = [await ended(daemon, leaves=True) for _ in range(2)]
    remove = daemon.files.remove_work

    def refuse(job_id: str) -> None:
        if job_id == stuck:
            raise HostFailure("job files", 16)
        remove(job_id)

    monkeypatch.setattr(daemon.files, "remove_work", refuse)
    world.clock.shift_usec += KEEP_USEC + 1
    await keeper.look()
    assert set(world.shelf.work) == {stuck}
    monkeypatch.undo()
    await keeper.look()
    assert other not in world.shelf.work
    assert not world.shelf.work


async def test_project_of_a_kept_directory_survives_the_daemon(start: Start) -> None:
    first = await start()
    job = await ended(first, leaves=True)
    project = (await first.manager.resolve(job)).project
    await first.bury()
    second = await start()
    other = await ended(second, leaves=True)
    assert project is not None
    assert (await second.manager.resolve(other)).project not in (None, project)


async def test_a_look_that_fails_is_not_the_last(
    world: World, daemon: Daemon, keeper: WorkKeeper
) -> None:
    job = await ended(daemon, leaves=True)
    world.clock.shift_usec += KEEP_USEC + 1
    daemon.store.failing_reads = True
    running = asyncio.ensure_future(keeper.run())
    await asyncio.sleep(INTERVAL_S / 2)
    assert job in world.shelf.work
    assert not running.done()
    daemon.store.failing_reads = False
    await daemon.hold(lambda: job not in world.shelf.work)
    running.cancel()
    await asyncio.wait([running])
