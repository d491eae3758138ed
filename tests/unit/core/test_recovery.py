"""The reconciler: every difference between rows, run records and scopes is settled, and again."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from joblet.config import IdsConfig
from joblet.errors import HostFailure
from joblet.model.job import Job, JobState, Reason
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import TRUE, Daemon, World
from tests.fakes.host import Attempt, Run, an_end
from tests.fakes.store import Died
from tests.unit.core.conftest import Start

HOUR_USEC = 3_600_000_000
JOB_ID = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
STARTED_USEC = EPOCH_USEC - 5_000_000
ENDED_USEC = EPOCH_USEC - 1_000_000
THIS_BOOT = "boot-1"


def row(state: JobState, boot_id: str = THIS_BOOT) -> Job:
    launched = state not in (JobState.PENDING, JobState.SCHEDULED)
    began = state is JobState.RUNNING or state.terminal
    return Job(
        id=JOB_ID,
        seq=1,
        spec=replace(TRUE, start_at_usec=EPOCH_USEC + HOUR_USEC)
        if state is JobState.SCHEDULED
        else TRUE,
        owner_uid=0,
        state=state,
        submitted_usec=EPOCH_USEC - HOUR_USEC,
        due_usec=EPOCH_USEC + (HOUR_USEC if state is JobState.SCHEDULED else -HOUR_USEC),
        shard=0 if launched else None,
        boot_id=boot_id if launched else "",
        started_usec=STARTED_USEC if began else None,
        finished_usec=ENDED_USEC if state.terminal else None,
        reason=Reason.EXIT if state.terminal else None,
        exit_code=0 if state.terminal else None,
    )


def ended(**changes: object) -> Run:
    facts = {"started_usec": STARTED_USEC, "finished_usec": ENDED_USEC, **changes}
    return Run(
        supervisor_known=True,
        started_usec=STARTED_USEC,
        gate_open=True,
        ended=an_end(**facts),
    )


# What /run/joblet/jobs may say of a job.
RUNS: dict[str, Callable[[], Run | None]] = {
    "no directory": lambda: None,
    "empty directory": Run,
    "all witnesses dead": lambda: Run(
        supervisor_known=True, started_usec=STARTED_USEC, gate_open=True
    ),
    "at the gate": lambda: Run(supervisor_known=True, supervisor_alive=True),
    "running": lambda: Run(
        supervisor_known=True, supervisor_alive=True, started_usec=STARTED_USEC, gate_open=True
    ),
    "ended with 3": lambda: ended(exit_status=3),
    "gate closed": lambda: replace(
        ended(started_usec=None, exit_status=125, gate_closed=True),
        gate_open=False,
        started_usec=None,
    ),
    "status lost": lambda: ended(exit_status=None, status_lost=True),
}

# Row, run: how the job stands afterwards, or QUEUED / SWEPT / KEPT; the scope never changes it.
QUEUED, SWEPT, KEPT = "queued", "swept", "kept"
LOST = "FAILED lost"
AS_IT_ENDED = "FAILED exit"
OUTCOMES = {
    # row: (outcome for each of RUNS, in their order)
    "no row": (SWEPT,) * 8,
    "SCHEDULED": (
        QUEUED,
        QUEUED,
        QUEUED,
        "INITIALIZING",
        "RUNNING",
        AS_IT_ENDED,
        QUEUED,
        LOST,
    ),
    "PENDING": (QUEUED, QUEUED, QUEUED, "INITIALIZING", "RUNNING", AS_IT_ENDED, QUEUED, LOST),
    "INITIALIZING": (QUEUED, QUEUED, LOST, "INITIALIZING", "RUNNING", AS_IT_ENDED, QUEUED, LOST),
    "RUNNING": (LOST, LOST, LOST, "RUNNING", "RUNNING", AS_IT_ENDED, AS_IT_ENDED, LOST),
    "COMPLETED": (KEPT,) * 8,
}
TABLE = [
    pytest.param(state, run, scope, outcome, id=f"{state}, {run}, {scope}")
    for state, outcomes in OUTCOMES.items()
    for run, outcome in zip(RUNS, outcomes, strict=True)
    for scope in ("no scope", "active", "failed")
]


def put(world: World, state: str, run: str, scope: str) -> None:
    if state != "no row":
        world.disk.rows[JOB_ID] = row(JobState(state))
        world.disk.last_seq = 1
    found = RUNS[run]()
    if found is not None:
        # Before the row of its launch is on disk no gate is opened.
        found.gate_open &= state not in ("PENDING", "SCHEDULED")
        world.host.runs[JOB_ID] = found
        world.host.executions[JOB_ID] = int(found.gate_open)
    if scope != "no scope":
        world.host.scopes[JOB_ID] = scope


async def check(world: World, daemon: Daemon, outcome: str) -> None:
    """The job stands as the table says, comes to its end, and leaves nothing behind."""
    ran_before = world.host.executions.get(JOB_ID, 0)
    if outcome == QUEUED:
        await daemon.until(JOB_ID, JobState.RUNNING)
        assert world.host.executions[JOB_ID] == ran_before + 1 == 1
    elif outcome == SWEPT:
        assert JOB_ID not in world.disk.rows
    elif outcome == KEPT:
        assert world.disk.rows[JOB_ID] == row(JobState.COMPLETED)
    else:
        job = await daemon.manager.resolve(JOB_ID)
        assert " ".join(filter(None, (job.state, job.reason))) == outcome
    if JOB_ID in {job.id for job in daemon.manager.live()}:
        world.host.runs[JOB_ID].started_usec = STARTED_USEC
        world.host.end(JOB_ID, exit_status=7)
        assert (await daemon.ended(JOB_ID)).exit_code == 7
        assert world.host.executions[JOB_ID] == (1 if outcome == QUEUED else ran_before)
    await daemon.quiet()
    assert (world.host.runs, world.host.scopes, daemon.manager.live()) == ({}, {}, [])
    assert daemon.manager.running == daemon.manager.waiting == 0
    if JOB_ID in world.disk.rows:
        assert world.disk.rows[JOB_ID].state.terminal


@pytest.mark.parametrize(("state", "run", "scope", "outcome"), TABLE)
async def test_a_difference_is_settled(
    world: World, start: Start, state: str, run: str, scope: str, outcome: str
) -> None:
    put(world, state, run, scope)
    await check(world, await start(), outcome)


@pytest.mark.parametrize(("state", "run", "scope", "outcome"), TABLE)
async def test_a_reconciler_that_is_killed_anywhere_leaves_work_but_no_damage(
    state: str, run: str, scope: str, outcome: str
) -> None:
    for steps in range(20):
        world = World()
        put(world, state, run, scope)
        if not await dies_while_starting(world, steps):
            break
        second = await Daemon(world).start()
        await check(world, second, outcome)
        await second.bury()
        assert second.seen.complaints == []
    else:
        raise AssertionError("it never came to its end")


async def dies_while_starting(world: World, steps: int) -> bool:
    """A daemon that is killed when it has waited for disk or host so many times."""
    left = steps

    async def pace() -> None:
        nonlocal left
        if left == 0:
            daemon.kill()
        left -= 1
        await asyncio.sleep(0)

    daemon = Daemon(world, pace=pace)
    try:
        await daemon.manager.load()
        await daemon.recovery.run()
    except Died:
        return True
    finally:
        await daemon.bury()
    return False


@pytest.mark.parametrize("state", [JobState.INITIALIZING, JobState.RUNNING])
async def test_what_was_on_its_way_when_the_host_went_down_is_lost(
    world: World, start: Start, state: JobState
) -> None:
    world.disk.rows[JOB_ID] = row(state, boot_id="an earlier boot")
    daemon = await start()
    job = await daemon.manager.resolve(JOB_ID)
    assert (job.state, job.reason, job.exit_code) == (JobState.FAILED, Reason.LOST, 125)
    assert "went down" in job.detail
    await daemon.quiet()
    assert world.host.executions == {}


async def test_a_schedule_that_was_missed_runs_at_once(world: World, start: Start) -> None:
    world.disk.rows[JOB_ID] = replace(
        row(JobState.SCHEDULED), due_usec=EPOCH_USEC - HOUR_USEC, boot_id=""
    )
    daemon = await start()
    await daemon.until(JOB_ID, JobState.RUNNING)
    job = await daemon.manager.resolve(JOB_ID)
    assert (job.queue_usec or 0) >= HOUR_USEC


async def test_waiting_jobs_start_in_the_order_in_which_they_were_accepted(
    world: World, start: Start
) -> None:
    first = await start(max_running=1)
    jobs = [await first.submit() for _ in range(4)]
    await first.until(jobs[0].id, JobState.RUNNING)
    await first.bury()
    second = await start(max_running=1)
    for job in jobs:
        # Not by its events: that the first one runs may be on the disk already.
        await second.hold(lambda: world.host.running())
        assert world.host.running() == [job.id]
        world.host.end(job.id)
        await second.ended(job.id)
    assert world.host.launches == [job.id for job in jobs]


async def test_a_supervisor_that_gets_a_successor_is_waited_for(world: World, start: Start) -> None:
    put(world, "RUNNING", "all witnesses dead", "active")

    def replaced() -> None:
        world.host.runs[JOB_ID].supervisor_alive = True

    asyncio.get_running_loop().call_later(1, replaced)
    daemon = await start()
    assert (await daemon.manager.resolve(JOB_ID)).state is JobState.RUNNING
    assert world.host.running() == [JOB_ID]


@pytest.mark.parametrize("reason", [Reason.STOPPED, Reason.TIMEOUT])
async def test_a_stop_that_was_recorded_and_not_delivered_is_delivered(
    world: World, start: Start, reason: Reason
) -> None:
    put(world, "RUNNING", "running", "active")
    world.disk.rows[JOB_ID] = replace(
        world.disk.rows[JOB_ID], stop_reason=reason, stop_requested_usec=EPOCH_USEC - 1
    )
    daemon = await start()
    done = await daemon.ended(JOB_ID)
    assert done.reason is reason
    assert world.host.stops == [JOB_ID]


async def test_the_rest_of_a_timeout_goes_on_after_a_restart(world: World, start: Start) -> None:
    first = await start()
    job = await first.run(replace(TRUE, timeout_usec=60_000_000))
    await asyncio.sleep(40)
    await first.bury()
    second = await start()
    before = asyncio.get_running_loop().time()
    done = await second.ended(job.id)
    assert done.reason is Reason.TIMEOUT
    assert 19 < asyncio.get_running_loop().time() - before < 21


async def test_a_clock_that_was_set_forward_ends_no_job_early(world: World, start: Start) -> None:
    first = await start()
    job = await first.run(replace(TRUE, timeout_usec=60_000_000))
    await asyncio.sleep(40)
    await first.bury()
    world.clock.shift_usec += 3_600_000_000
    # made a moment before its program
    world.host.runs[job.id].age_usec = 41_000_000
    second = await start()
    before = asyncio.get_running_loop().time()
    done = await second.ended(job.id)
    assert done.reason is Reason.TIMEOUT
    assert 18 < asyncio.get_running_loop().time() - before < 20


async def test_an_adopted_job_keeps_its_place_in_its_slice(world: World, start: Start) -> None:
    first = await start(shard_size=1)
    jobs = [await first.run() for _ in range(2)]
    world.host.end(jobs[0].id)
    await first.ended(jobs[0].id)
    await first.bury()
    second = await start(shard_size=1)
    job = await second.run()
    assert (await second.manager.resolve(job.id)).shard == 0
    assert (await second.manager.resolve(jobs[1].id)).shard == 1


async def test_a_job_that_cannot_be_settled_does_not_hold_up_the_others(
    world: World, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    put(world, "PENDING", "empty directory", "no scope")
    other = replace(row(JobState.PENDING), id="1" + JOB_ID[1:], seq=2)
    world.disk.rows[other.id] = other
    daemon = Daemon(world)
    sweep = daemon.host.sweep

    async def refuse(job_id: str) -> None:
        if job_id == JOB_ID:
            raise HostFailure("remove", errno.EIO)
        await sweep(job_id)

    daemon.host.sweep = refuse  # type: ignore[method-assign]
    await daemon.start()
    await daemon.until(other.id, JobState.RUNNING)
    world.host.end(other.id)
    await daemon.ended(other.id)
    await daemon.bury()
    assert [r.levelno for r in caplog.records if JOB_ID in r.getMessage()] == [logging.ERROR]
    await check(world, await start(), QUEUED)


async def test_files_without_a_row_are_swept_and_those_with_one_are_kept(
    world: World, start: Start
) -> None:
    daemon = await start()
    kept = await daemon.run()
    strays = {f"{number:08x}{JOB_ID[8:]}" for number in range(1100)}
    for stray in strays:
        daemon.files.create(stray)
    await daemon.recovery.sweep_files()
    assert set(world.shelf.logs) == {kept.id}


async def test_a_start_with_a_disk_that_is_full_settles_when_there_is_room(
    world: World, start: Start
) -> None:
    put(world, "RUNNING", "ended with 3", "no scope")
    world.disk.full = True
    daemon = await start()
    waiting = asyncio.ensure_future(daemon.ended(JOB_ID))
    await asyncio.sleep(30)
    assert not waiting.done()
    world.disk.full = False
    assert (await waiting).exit_code == 3


async def test_a_log_that_was_not_sealed_before_the_daemon_was_killed_is_sealed_when_opened(
    world: World, start: Start
) -> None:
    world.disk.rows[JOB_ID] = row(JobState.COMPLETED)
    daemon = await start()
    daemon.files.create(JOB_ID)
    for fd in daemon.manager.open_log(JOB_ID):
        os.close(fd)
    assert world.shelf.logs[JOB_ID].sealed


async def test_a_launch_under_way_when_the_daemon_is_killed_runs_once(
    world: World, start: Start
) -> None:
    first = await start()
    world.host.attempts.append(Attempt(hold=asyncio.Event()))
    job = await first.submit()
    await first.hold(lambda: world.host.runs.get(job.id) and world.host.launches)
    await first.bury()
    assert world.host.executions == {}
    second = await start()
    await second.until(job.id, JobState.RUNNING)
    assert world.host.executions == {job.id: 1}


async def test_the_ids_of_a_lost_job_are_nobodys_until_it_is_swept(
    world: World, start: Start
) -> None:
    """Its processes may run on, and would meet those of the next job as their own."""
    put(world, "RUNNING", "no directory", "active")
    ids = IdsConfig()
    world.disk.rows[JOB_ID] = replace(world.disk.rows[JOB_ID], first_id=ids.first, project=1)
    daemon = Daemon(world)
    sweep, swept = daemon.host.sweep, asyncio.Event()

    async def late(job_id: str) -> None:
        await swept.wait()
        await sweep(job_id)

    daemon.host.sweep = late  # type: ignore[method-assign]
    await daemon.start()
    assert world.disk.rows[JOB_ID].reason is Reason.LOST
    job = await daemon.run()
    assert world.disk.rows[job.id].first_id != ids.first
    swept.set()
    await daemon.hold(lambda: JOB_ID not in world.host.scopes)
    await daemon.bury()


async def test_a_lost_job_that_is_swept_gives_its_ids_back(world: World, start: Start) -> None:
    put(world, "RUNNING", "no directory", "active")
    ids = IdsConfig()
    world.disk.rows[JOB_ID] = replace(world.disk.rows[JOB_ID], first_id=ids.first)
    daemon = await start(id_ranges=1, max_running=1)
    job = await daemon.run()
    assert world.disk.rows[job.id].first_id == ids.first


async def test_a_directory_that_resists_does_not_hold_up_a_start(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """As one does in which another version has left something."""
    put(world, "COMPLETED", "ended with 3", "no scope")
    other = replace(row(JobState.PENDING), id="1" + JOB_ID[1:], seq=2)
    world.disk.rows[other.id] = other
    daemon = Daemon(world)

    async def refuse(job: Job, *, suspicious: bool) -> None:
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    daemon.host.clear = refuse  # type: ignore[method-assign]
    await daemon.start()
    await daemon.until(other.id, JobState.RUNNING)
    await daemon.bury()
    assert [r.levelno for r in caplog.records if JOB_ID in r.getMessage()] == [logging.ERROR]


async def test_a_stray_that_resists_does_not_keep_the_others(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = await start()
    strays = [f"{number:08x}{JOB_ID[8:]}" for number in range(10)]
    for stray in strays:
        daemon.files.create(stray)
        world.vault[stray] = {}
    remove, drop = daemon.files.remove, daemon.secrets.drop

    def refuse(job_id: str) -> None:
        if job_id == strays[4]:
            raise HostFailure("job files", errno.EBUSY)
        remove(job_id)

    def refuse_drop(job_id: str) -> None:
        if job_id == strays[5]:
            raise OSError(errno.EPERM, "Operation not permitted")
        drop(job_id)

    monkeypatch.setattr(daemon.files, "remove", refuse)
    monkeypatch.setattr(daemon.secrets, "drop", refuse_drop)
    await daemon.recovery.sweep_files()
    assert set(world.shelf.logs) == {strays[4]}
    assert set(world.vault) == {strays[5]}
