"""From queue to program: what a launch does when the host, joblet-init or the disk fails."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace

import pytest

from joblet.errors import HostFailure
from joblet.model.job import Job, JobState, Reason
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import TRUE, Gate, World
from tests.fakes.host import Attempt
from tests.unit.core.conftest import Start

REFUSED = HostFailure("scope", 0, "the manager says no")
GONE = ConnectionResetError("joblet-init went away")
RETRY_S = 1.0


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt(refused=REFUSED),
        Attempt(no_scope=REFUSED),
        Attempt(refused=OSError(errno.EMFILE, "Too many open files")),
        Attempt(refused=ValueError("plan: holds a NUL")),
    ],
    ids=["spawn", "scope", "descriptors", "plan"],
)
async def test_a_launch_that_the_host_refuses_fails_the_job_with_its_words(
    world: World, start: Start, attempt: Attempt
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts.append(attempt)
    job = await daemon.submit()
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.FAILED, Reason.SETUP, 125)
    assert str(attempt.refused or attempt.no_scope) == done.detail
    assert done.started_usec is None
    await daemon.quiet()
    assert world.host.executions == {}
    assert world.shelf.logs[job.id].sealed
    assert (await daemon.run()).id != job.id


async def test_a_set_up_that_fails_before_the_scope_is_the_reason_and_not_its_consequence(
    world: World, start: Start
) -> None:
    daemon = await start()
    failed = {"setup_step": "bind", "setup_errno": errno.ENOENT, "setup_path": "/usr"}
    world.host.attempts.append(Attempt(no_scope=REFUSED, dies={**failed, "exit_status": 125}))
    done = await daemon.ended((await daemon.submit()).id)
    assert (done.state, done.reason, done.exit_code) == (JobState.FAILED, Reason.SETUP, 125)
    assert done.detail == "bind '/usr': No such file or directory (ENOENT)"
    await daemon.quiet()


async def test_the_scope_of_a_set_up_that_failed_is_looked_after(
    world: World, start: Start
) -> None:
    daemon = await start()
    failed = {"setup_step": "bind", "setup_errno": errno.ENOENT, "exit_status": 125}
    world.host.attempts.append(Attempt(ends={**failed, "started_usec": None}))
    done = await daemon.ended((await daemon.submit()).id)
    assert (done.state, done.reason) == (JobState.FAILED, Reason.SETUP)
    await daemon.quiet()
    # It may be there, empty and active: its processes had ended before they were in it.
    assert world.host.clears == [(done.id, True)]


async def test_a_log_that_cannot_be_made_fails_the_job(world: World, start: Start) -> None:
    daemon = await start(max_running=1)
    daemon.files.fails = HostFailure("job files", errno.ENOSPC, "log")
    done = await daemon.ended((await daemon.submit()).id)
    assert (done.state, done.reason) == (JobState.FAILED, Reason.SETUP)
    assert "No space left" in done.detail
    assert world.host.launches == []
    await daemon.run()


async def test_nothing_runs_before_the_disk_knows_that_it_may_have_run(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts += [Attempt(), Attempt(hold=(held := asyncio.Event()))]
    first = await daemon.run()
    job = await daemon.submit()
    world.host.end(first.id)
    await daemon.ended(first.id)
    world.disk.full = True
    held.set()
    await daemon.hold(lambda: job.id in world.host.runs and world.host.runs[job.id].ended)
    assert world.host.executions == {first.id: 1}
    world.disk.full = False
    assert (await daemon.ended(job.id)).state is JobState.FAILED


async def test_the_row_of_a_launch_names_boot_and_slice_before_the_program_runs(
    world: World, start: Start
) -> None:
    daemon = await start()
    job = await daemon.run()
    row = world.disk.rows[job.id]
    assert (row.state, row.boot_id, row.shard) == (JobState.INITIALIZING, "boot-1", 0)


async def test_a_job_whose_launch_and_row_both_fail_leaves_no_exception_behind(
    world: World, start: Start
) -> None:
    unseen: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    daemon = await start(max_running=1)
    world.host.attempts += [Attempt(), Attempt(refused=REFUSED)]
    first = await daemon.run()
    job = await daemon.submit()
    world.host.end(first.id)
    await daemon.ended(first.id)
    world.disk.full = True
    await daemon.hold(lambda: job.id in world.host.launches)
    await asyncio.sleep(3 * RETRY_S)
    world.disk.full = False
    assert (await daemon.ended(job.id)).detail == str(REFUSED)
    assert unseen == []


@pytest.mark.parametrize(
    "attempt", [Attempt(), Attempt(refused=REFUSED), Attempt(refused=GONE), Attempt(no_scope=GONE)]
)
async def test_of_a_job_whose_first_row_the_disk_refuses_nothing_is_left(
    world: World, start: Start, attempt: Attempt
) -> None:
    unseen: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    daemon = await start(max_running=1, id_ranges=1)
    world.host.attempts.append(attempt)
    world.disk.full = True
    with pytest.raises(HostFailure):
        await daemon.submit()
    assert (world.host.runs, world.host.scopes, world.host.executions) == ({}, {}, {})
    assert (world.shelf.logs, world.shelf.work, world.disk.rows) == ({}, {}, {})
    assert (daemon.seen.events, daemon.manager.live(), [*daemon.manager.drafts]) == ([], [], [])
    world.disk.full = False
    # Place, ids and slice are free again.
    await daemon.run()
    assert unseen == []


async def test_a_client_that_goes_away_while_its_row_is_written_has_submitted(
    world: World, start: Start
) -> None:
    gate = Gate()
    daemon = await start(pace=gate)
    gate.close()
    submission = asyncio.create_task(daemon.submit())
    await gate.reached.wait()
    submission.cancel()
    await asyncio.sleep(0)
    gate.passage.set()
    job = await submission
    await daemon.until(job.id, JobState.RUNNING)
    assert world.host.executions == {job.id: 1}


async def test_a_job_that_finds_others_waiting_waits_behind_them(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    first = await daemon.run()
    second, third = await daemon.submit(), await daemon.submit()
    world.host.end(first.id)
    await daemon.until(second.id, JobState.RUNNING)
    assert world.disk.rows[third.id].state is JobState.PENDING
    world.host.end(second.id)
    await daemon.until(third.id, JobState.RUNNING)
    assert world.host.launches == [first.id, second.id, third.id]


async def test_a_launch_is_tried_again_when_joblet_init_goes_away(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts += [Attempt(refused=GONE), Attempt(no_scope=GONE)]
    job = await daemon.run()
    assert world.host.launches == [job.id] * 3
    assert world.host.executions == {job.id: 1}
    assert daemon.seen.names(job.id) == [
        "JobNew PENDING",
        *["JobChanged INITIALIZING", "JobChanged PENDING"] * 2,
        "JobChanged INITIALIZING",
        "JobChanged RUNNING",
    ]
    world.host.end(job.id)
    await daemon.quiet()


async def test_a_launch_that_meets_its_end_five_times_is_given_up(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts += [Attempt(refused=GONE)] * 5
    job = await daemon.submit()
    after = await daemon.submit()
    done = await daemon.ended(job.id)
    assert (done.state, done.reason) == (JobState.FAILED, Reason.SETUP)
    assert "5 times" in done.detail
    await daemon.until(after.id, JobState.RUNNING)
    assert world.host.launches == [*[job.id] * 5, after.id]


async def test_a_job_that_waits_again_keeps_its_place_in_the_queue(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts.append(Attempt(refused=GONE))
    first, second = await daemon.submit(), await daemon.submit()
    await daemon.until(first.id, JobState.RUNNING)
    assert world.host.launches == [first.id, first.id]
    world.host.end(first.id)
    await daemon.until(second.id, JobState.RUNNING)


async def test_a_program_that_ends_before_its_start_is_told_is_settled(
    world: World, start: Start
) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(ends={"exit_status": 3}))
    done = await daemon.ended((await daemon.submit()).id)
    assert (done.state, done.exit_code, done.started_usec) == (JobState.FAILED, 3, EPOCH_USEC)
    await daemon.quiet()
    assert daemon.seen.names(done.id)[1:] == ["JobChanged INITIALIZING", "JobFinished FAILED"]
    await daemon.quiet()


async def test_a_start_that_was_not_told_is_found_in_the_run_record(
    world: World, start: Start
) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(silent=True))
    job = await daemon.submit()
    await daemon.until(job.id, JobState.RUNNING)
    assert (await daemon.manager.resolve(job.id)).started_usec == EPOCH_USEC


async def test_a_start_that_is_told_late_is_noted_with_the_poke(world: World, start: Start) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(untold=True))
    job = await daemon.submit()
    await daemon.hold(lambda: world.host.running())
    await asyncio.sleep(5)
    assert daemon.seen.states[job.id] is JobState.INITIALIZING
    world.host.runs[job.id].started_usec = EPOCH_USEC
    world.host.poke(job.id)
    await daemon.until(job.id, JobState.RUNNING)
    assert (await daemon.manager.resolve(job.id)).started_usec == EPOCH_USEC


async def test_a_gate_that_closed_unseen_sends_the_job_back_to_the_queue(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts.append(
        Attempt(ends={"gate_closed": True, "exit_status": 125, "started_usec": None})
    )
    job = await daemon.submit()
    await daemon.until(job.id, JobState.RUNNING)
    assert world.host.launches == [job.id, job.id]
    assert (job.id, True) in world.host.clears


async def test_a_job_that_never_ran_and_cannot_be_cleared_away_is_not_forgotten(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts.append(
        Attempt(ends={"gate_closed": True, "exit_status": 125, "started_usec": None})
    )
    clear = daemon.host.clear
    failures = [HostFailure("scope", 0, "the manager does not answer"), OSError(errno.EIO, "")]

    async def refuse(job: Job, *, suspicious: bool) -> None:
        if failures:
            raise failures.pop()
        await clear(job, suspicious=suspicious)

    monkeypatch.setattr(daemon.host, "clear", refuse)
    job = await daemon.submit()
    await daemon.until(job.id, JobState.RUNNING)
    assert not failures
    assert world.host.launches == [job.id, job.id]


async def test_a_stop_during_a_launch_waits_for_it_and_then_stops(
    world: World, start: Start
) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(hold=(held := asyncio.Event())))
    job = await daemon.submit()
    await daemon.until(job.id, JobState.INITIALIZING)
    stopping = asyncio.ensure_future(daemon.manager.stop(job.id))
    await asyncio.sleep(1)
    assert world.host.stops == []
    held.set()
    await stopping
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.STOPPED, Reason.STOPPED, 143)


async def test_a_stop_during_a_launch_that_fails_finds_an_ended_job_or_one_to_cancel(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts.append(Attempt(hold=(held := asyncio.Event()), no_scope=GONE))
    job = await daemon.submit()
    await daemon.until(job.id, JobState.INITIALIZING)
    stopping = asyncio.ensure_future(daemon.manager.stop(job.id))
    await asyncio.sleep(1)
    held.set()
    assert (await stopping).state is JobState.CANCELED
    await daemon.quiet()
    assert world.host.executions == {}


async def test_a_job_whose_failure_is_not_recorded_yet_is_not_started_again(
    world: World, start: Start
) -> None:
    daemon = await start()
    world.host.attempts.append(Attempt(hold=(held := asyncio.Event()), no_scope=REFUSED))
    job = await daemon.submit()
    await daemon.until(job.id, JobState.INITIALIZING)
    await asyncio.sleep(1)
    world.disk.full = True
    held.set()
    await daemon.hold(lambda: world.host.runs[job.id].ended)
    # the poke of the closed gate comes while the end waits for the disk
    await asyncio.sleep(RETRY_S / 2)
    world.disk.full = False
    done = await daemon.ended(job.id)
    assert (done.state, done.detail) == (JobState.FAILED, str(REFUSED))
    await daemon.quiet()
    assert (world.host.launches, world.host.executions) == ([job.id], {})


async def test_a_cancel_that_is_not_recorded_yet_keeps_the_job_from_starting(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    blocker = await daemon.run()
    job = await daemon.submit()
    held = asyncio.Event()

    async def until_released() -> None:
        await held.wait()

    daemon.store.pace = until_released
    canceling = asyncio.ensure_future(daemon.manager.cancel(job.id))
    ending = asyncio.ensure_future(daemon.ended(blocker.id))
    await asyncio.sleep(0)
    world.host.end(blocker.id)
    await asyncio.sleep(1)
    world.disk.full = True
    held.set()
    with pytest.raises(HostFailure, match="cannot be recorded yet"):
        await canceling
    await asyncio.sleep(RETRY_S / 2)
    world.disk.full = False
    await ending
    assert (await daemon.ended(job.id)).state is JobState.CANCELED
    await daemon.quiet()
    assert world.host.launches == [blocker.id]


async def test_jobs_go_on_when_the_manager_closes(world: World, start: Start) -> None:
    daemon = await start(max_running=1)
    job = await daemon.run(replace(TRUE, timeout_usec=1_000_000))
    waiting = await daemon.submit()
    await daemon.manager.close()
    await asyncio.sleep(5)
    assert world.host.running() == [job.id]
    assert world.host.stops == []
    assert world.disk.rows[waiting.id].state is JobState.PENDING


async def test_a_job_does_not_overtake_one_that_was_due_before_it(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    in_ten_minutes = world.clock.now_usec() + 600_000_000
    scheduled = await daemon.submit(replace(TRUE, start_at_usec=in_ten_minutes))
    # The wall clock is set, or the host was suspended: no timer of the daemon has moved.
    world.clock.shift_usec += 1_200_000_000
    await daemon.submit()
    await daemon.hold(world.host.running)
    assert world.host.launches == [scheduled.id]


async def test_closing_keeps_a_job_whose_row_is_being_written_from_beginning(
    world: World, start: Start
) -> None:
    daemon = await start()
    gate, after = Gate(), Gate()
    daemon.store.pace = gate
    gate.close()
    submission = asyncio.create_task(daemon.submit())
    await daemon.hold(lambda: world.host.scopes)
    closing = asyncio.create_task(daemon.manager.close())
    await asyncio.sleep(1)
    # Nor does it wait for what comes behind the gate.
    daemon.host._pace = after
    after.close()
    gate.passage.set()
    async with asyncio.timeout(60):
        await closing
    assert world.host.executions == {}
    assert (await submission).id in world.disk.rows


async def test_a_client_that_is_cancelled_twice_leaves_no_row_that_nobody_knows(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    first = await daemon.run()
    gate = Gate()
    daemon.store.pace = gate
    gate.close()
    submission = asyncio.create_task(daemon.submit())
    await gate.reached.wait()
    for _ in range(2):
        submission.cancel()
        await asyncio.sleep(0)
    gate.passage.set()
    await asyncio.wait([submission])
    await asyncio.sleep(1)
    assert {job.id for job in daemon.manager.live()} == set(world.disk.rows)
    world.host.end(first.id)
    await daemon.ended(first.id)


@pytest.mark.parametrize("later", [False, True], ids=["at once", "from the queue"])
async def test_a_job_without_a_free_id_range_waits_for_one(
    world: World, start: Start, later: bool
) -> None:
    # Uploads that wait hold ranges too, so that there may be fewer than places.
    daemon = await start(max_running=2, id_ranges=1)
    first = await daemon.run()
    due = world.clock.now_usec() + 1_000_000
    job = await daemon.submit(replace(TRUE, start_at_usec=due) if later else TRUE)
    await asyncio.sleep(10)
    world.host.end(first.id)
    await daemon.until(job.id, JobState.RUNNING)


async def test_of_two_that_are_due_together_one_waits_for_the_others_range(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=3, id_ranges=2)
    first = await daemon.run()
    due = replace(TRUE, start_at_usec=world.clock.now_usec() + 1_000_000)
    second, third = await daemon.submit(due), await daemon.submit(due)
    await daemon.until(second.id, JobState.RUNNING)
    await asyncio.sleep(10)
    assert world.host.launches == [first.id, second.id]
    assert daemon.manager.running == 2
    world.host.end(first.id)
    await daemon.until(third.id, JobState.RUNNING)
    assert daemon.seen.names(third.id) == [
        "JobNew SCHEDULED",
        "JobChanged PENDING",
        "JobChanged INITIALIZING",
        "JobChanged RUNNING",
    ]


async def test_a_fault_of_our_own_in_a_launch_fails_the_job_and_frees_its_place(
    world: World, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = await start(max_running=1)
    world.host.attempts.append(Attempt(refused=KeyError("nobody has thought of this")))
    job = await daemon.submit()
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.FAILED, Reason.SETUP, 125)
    assert (await daemon.run()).id != job.id
    faults = [record for record in caplog.records if record.exc_info]
    assert [str(record.exc_info[1]) for record in faults if record.exc_info] == [
        "'nobody has thought of this'"
    ]
    caplog.clear()
