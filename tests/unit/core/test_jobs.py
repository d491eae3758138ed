"""What clients ask of the JobManager: submit, resolve, wait, cancel, delete, logs."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace

import pytest

from joblet.errors import Exhausted, HostFailure, InvalidSpec, NotFound, WrongState
from joblet.model.ids import new_job_id
from joblet.model.job import Job, JobFilter, JobSpec, JobState, Reason
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import TRUE, World
from tests.fakes.host import Attempt
from tests.unit.core.conftest import Start

HOUR_USEC = 3_600_000_000
LATER_USEC = EPOCH_USEC + HOUR_USEC
LATER = replace(TRUE, start_at_usec=LATER_USEC)


# Submit.


async def test_an_accepted_job_is_on_disk_before_its_client_knows(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=1)
    first, job = await daemon.submit(), await daemon.submit()
    # One had room, so its row was written as that of a job which may run already.
    assert world.disk.rows[first.id].state is JobState.INITIALIZING
    assert world.disk.rows[job.id].state is JobState.PENDING
    assert (first.state, job.state) == (JobState.PENDING, JobState.PENDING)
    assert (first.seq, job.seq) == (1, 2)
    assert (job.due_usec, job.submitted_usec) == (EPOCH_USEC, EPOCH_USEC)


async def test_a_job_runs_to_its_end(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    world.host.end(job.id, log_bytes=12)
    done = await daemon.ended(job.id)
    assert (done.state, done.reason, done.exit_code) == (JobState.COMPLETED, Reason.EXIT, 0)
    assert (done.accounting.cpu_usec, done.log_bytes) == (7, 12)
    assert world.disk.rows[job.id] == done
    await daemon.quiet()
    assert daemon.seen.names(job.id) == [
        "JobNew PENDING",
        "JobChanged INITIALIZING",
        "JobChanged RUNNING",
        "JobFinished COMPLETED",
    ]
    assert (daemon.manager.live(), world.host.clears) == ([], [(job.id, False)])


async def test_a_job_that_the_disk_does_not_take_does_not_exist(world: World, start: Start) -> None:
    daemon = await start()
    world.disk.full = True
    with pytest.raises(HostFailure):
        await daemon.submit()
    assert (daemon.manager.live(), daemon.seen.events, daemon.manager.waiting) == ([], [], 0)


async def test_a_job_that_the_disk_took_but_did_not_confirm_is_taken_back(
    world: World, start: Start
) -> None:
    daemon = await start()
    insert = daemon.store.insert

    async def unconfirmed(job: Job) -> None:
        await insert(job)
        raise HostFailure("store", errno.EIO)

    daemon.store.insert = unconfirmed  # type: ignore[method-assign]
    with pytest.raises(HostFailure):
        await daemon.submit()
    await asyncio.sleep(1)
    assert (world.disk.rows, daemon.manager.live(), daemon.seen.events) == ({}, [], [])


async def test_a_spec_that_cannot_be_kept_is_refused_without_a_trace(
    world: World, start: Start
) -> None:
    daemon = await start()
    with pytest.raises(InvalidSpec, match="max_cpu"):
        await daemon.submit(replace(TRUE, max_cpu=401))
    assert (world.disk.rows, daemon.seen.events) == ({}, [])


async def test_more_waiting_jobs_than_allowed_are_refused(start: Start) -> None:
    daemon = await start(max_running=1, max_waiting=2)
    await daemon.run()
    await daemon.submit()
    await daemon.submit(LATER)
    with pytest.raises(Exhausted, match="2 jobs are waiting"):
        await daemon.submit()


async def test_numbers_go_on_after_those_of_an_earlier_daemon(world: World, start: Start) -> None:
    world.disk.last_seq = 41
    daemon = await start()
    assert [(await daemon.submit()).seq for _ in range(2)] == [42, 43]


async def test_jobs_accepted_before_the_start_begin_with_it(world: World, start: Start) -> None:
    daemon = await start()
    await daemon.manager.close()
    job = await daemon.submit()
    await asyncio.sleep(1)
    assert world.host.launches == []
    daemon.manager.start()
    await daemon.until(job.id, JobState.RUNNING)


# Time.


@pytest.mark.parametrize("ago_usec", [0, 1, HOUR_USEC])
async def test_a_start_time_that_has_come_means_now(start: Start, ago_usec: int) -> None:
    daemon = await start()
    job = await daemon.submit(replace(TRUE, start_at_usec=EPOCH_USEC - ago_usec))
    assert (job.state, job.due_usec) == (JobState.PENDING, EPOCH_USEC)


async def test_a_scheduled_job_starts_at_its_time(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.submit(LATER)
    assert job.state is JobState.SCHEDULED
    await asyncio.sleep(3599)
    assert daemon.seen.states[job.id] is JobState.SCHEDULED
    await daemon.until(job.id, JobState.RUNNING)
    assert world.clock.now_usec() - LATER_USEC < 2_000_000
    assert daemon.seen.names(job.id)[:3] == [
        "JobNew SCHEDULED",
        "JobChanged PENDING",
        "JobChanged INITIALIZING",
    ]


async def test_the_earliest_of_several_scheduled_jobs_starts_first(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=10)
    specs = [replace(TRUE, start_at_usec=EPOCH_USEC + s * 1_000_000) for s in (30, 10, 20)]
    jobs = [await daemon.submit(spec) for spec in specs]
    await daemon.hold(lambda: len(world.host.launches) == 3)
    assert world.host.launches == [jobs[1].id, jobs[2].id, jobs[0].id]


async def test_a_clock_set_forward_is_noticed_within_the_hour(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.submit(replace(TRUE, start_at_usec=EPOCH_USEC + 1000 * HOUR_USEC))
    world.clock.shift_usec = 1000 * HOUR_USEC
    await daemon.until(job.id, JobState.RUNNING)


async def test_a_scheduled_job_waits_for_a_place_like_any_other(start: Start) -> None:
    daemon = await start(max_running=1)
    first = await daemon.run()
    job = await daemon.submit(replace(TRUE, start_at_usec=EPOCH_USEC + 1_000_000))
    await daemon.until(job.id, JobState.PENDING)
    daemon.world.host.end(first.id)
    await daemon.until(job.id, JobState.RUNNING)


# Places.


async def test_jobs_beyond_the_limit_wait_and_then_start_in_order(
    world: World, start: Start
) -> None:
    daemon = await start(max_running=2)
    jobs = [await daemon.submit() for _ in range(5)]
    await daemon.hold(lambda: len(world.host.running()) == 2)
    assert (daemon.manager.running, daemon.manager.waiting, daemon.manager.max_running) == (2, 3, 2)
    for job in jobs:
        await daemon.until(job.id, JobState.RUNNING)
        assert len(world.host.running()) <= 2
        world.host.end(job.id)
        await daemon.ended(job.id)
    assert world.host.launches == [job.id for job in jobs]
    await daemon.quiet()


async def test_scopes_go_into_the_lowest_slice_with_room(world: World, start: Start) -> None:
    daemon = await start(shard_size=2)
    jobs = [await daemon.run() for _ in range(5)]
    shards = [await daemon.manager.resolve(job.id) for job in jobs]
    assert [job.shard for job in shards] == [0, 0, 1, 1, 2]
    world.host.end(jobs[1].id)
    await daemon.ended(jobs[1].id)
    replacement = await daemon.run()
    assert (await daemon.manager.resolve(replacement.id)).shard == 0


# Resolve.


async def test_a_job_is_found_by_its_id_and_by_a_prefix_in_any_case(start: Start) -> None:
    daemon = await start()
    job = await daemon.submit()
    for reference in (job.id, job.id.upper(), job.id[:8], job.id[:4].upper()):
        assert (await daemon.manager.resolve(reference)).id == job.id


@pytest.mark.parametrize("reference", ["", "abc", "xyz1", "../etc", "a" * 37, "%%%%"])
async def test_what_cannot_be_a_job_is_refused(start: Start, reference: str) -> None:
    daemon = await start()
    with pytest.raises(InvalidSpec) as refused:
        await daemon.manager.resolve(reference)
    assert refused.value.field == "job"


@pytest.mark.parametrize("reference", [new_job_id(), "0000"])
async def test_an_unknown_job_is_not_found(start: Start, reference: str) -> None:
    daemon = await start()
    with pytest.raises(NotFound):
        await daemon.manager.resolve(reference)


def stored(world: World, count: int, state: JobState = JobState.COMPLETED) -> list[Job]:
    jobs = []
    for number in range(1, count + 1):
        job = Job(
            id=f"aaaa{number:04x}-0000-4000-8000-000000000000",
            seq=number,
            spec=TRUE,
            owner_uid=number % 2,
            state=state,
            submitted_usec=0,
            due_usec=0,
        )
        world.disk.rows[job.id] = job
        jobs.append(job)
    world.disk.last_seq = count
    return jobs


@pytest.mark.parametrize(("count", "more"), [(2, False), (5, False), (6, True), (20, True)])
async def test_an_ambiguous_prefix_names_candidates(
    world: World, start: Start, count: int, more: bool
) -> None:
    jobs = stored(world, count)
    daemon = await start()
    with pytest.raises(InvalidSpec, match="ambiguous") as refused:
        await daemon.manager.resolve("aaaa")
    assert ("and more" in str(refused.value)) == more
    assert all((job.id in str(refused.value)) for job in jobs[:5])
    assert str(refused.value).count("aaaa0") == min(count, 5)


# Wait.


async def test_a_wait_ends_with_the_job_for_everyone_who_waits(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    waits = [asyncio.ensure_future(daemon.ended(job.id)) for _ in range(3)]
    await asyncio.sleep(1)
    waits[0].cancel()
    world.host.end(job.id, exit_status=4)
    done = await asyncio.gather(*waits[1:])
    assert [found.exit_code for found in done] == [4, 4]


async def test_a_wait_with_a_limit_gives_the_job_as_it_is(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    found = await daemon.manager.wait(job.id, 5_000_000)
    assert found.state is JobState.RUNNING
    assert world.clock.now_usec() - EPOCH_USEC < 6_000_000


async def test_a_wait_for_a_job_that_has_ended_returns_at_once(world: World, start: Start) -> None:
    [job] = stored(world, 1)
    daemon = await start()
    assert await daemon.manager.wait(job.id, 0) == job


async def test_a_wait_for_an_unknown_job_fails(start: Start) -> None:
    daemon = await start()
    with pytest.raises(NotFound):
        await daemon.manager.wait(new_job_id(), 0)


# Cancel.


@pytest.mark.parametrize("verb", ["cancel", "stop"])
@pytest.mark.parametrize("spec", [TRUE, LATER], ids=["pending", "scheduled"])
async def test_a_job_that_has_not_begun_is_canceled(
    world: World, start: Start, verb: str, spec: JobSpec
) -> None:
    daemon = await start(max_running=1)
    blocker = await daemon.run()
    job = await daemon.submit(spec)
    waiting = asyncio.ensure_future(daemon.ended(job.id))
    done = await getattr(daemon.manager, verb)(job.id)
    assert (done.state, done.reason, done.started_usec) == (JobState.CANCELED, "canceled", None)
    assert await waiting == done == world.disk.rows[job.id]
    assert daemon.manager.waiting == 0
    world.host.end(blocker.id)
    await daemon.quiet()
    assert world.host.launches == [blocker.id]


async def test_a_running_job_cannot_be_canceled(start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    with pytest.raises(WrongState, match="stop it instead"):
        await daemon.manager.cancel(job.id)


async def test_an_ended_job_can_neither_be_canceled_nor_stopped(world: World, start: Start) -> None:
    [job] = stored(world, 1)
    daemon = await start()
    for verb in (daemon.manager.cancel, daemon.manager.stop):
        with pytest.raises(WrongState, match="COMPLETED"):
            await verb(job.id)


async def test_a_job_canceled_as_its_turn_comes_does_not_start(world: World, start: Start) -> None:
    daemon = await start(max_running=1)
    blocker = await daemon.run()
    job = await daemon.submit()
    # Both in the same turn of the loop: its end frees the place, the cancel holds the lock.
    canceling = asyncio.ensure_future(daemon.manager.cancel(job.id))
    world.host.end(blocker.id)
    assert (await canceling).state is JobState.CANCELED
    await daemon.quiet()
    assert world.host.launches == [blocker.id]


# Delete.


async def test_an_ended_job_is_deleted_with_its_files(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    world.host.end(job.id)
    await daemon.ended(job.id)
    await daemon.manager.delete(job.id)
    assert (world.disk.rows, world.shelf.logs) == ({}, {})
    assert daemon.seen.names(job.id)[-1] == "JobRemoved COMPLETED"
    with pytest.raises(NotFound):
        await daemon.manager.delete(job.id)


async def test_a_live_job_is_not_deleted(start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    with pytest.raises(WrongState, match="stop it first"):
        await daemon.manager.delete(job.id)


@pytest.mark.parametrize(("owner", "deleted", "skipped"), [(None, 1201, 2), (1, 601, 1)])
async def test_all_ended_jobs_of_an_owner_or_of_everybody_are_deleted(
    world: World, start: Start, owner: int | None, deleted: int, skipped: int
) -> None:
    stored(world, 1201)
    daemon = await start()
    for uid in (0, 1):
        await daemon.run(owner_uid=uid)
    assert await daemon.manager.delete_all(owner) == (deleted, skipped)
    assert len(world.disk.rows) == 1203 - deleted
    assert len(daemon.files.removed) == deleted


async def test_files_that_cannot_be_removed_do_not_keep_those_of_the_other_jobs(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows are gone, so nobody could ask for it again."""
    stored(world, 3)
    daemon = await start()
    jobs = [job.id for job in await daemon.manager.page(JobFilter(), before_seq=None, limit=3)]
    remove = daemon.files.remove

    def refuse(job_id: str) -> None:
        if job_id == jobs[0]:
            raise HostFailure("job files", errno.EBUSY)
        remove(job_id)

    monkeypatch.setattr(daemon.files, "remove", refuse)
    with pytest.raises(HostFailure):
        await daemon.manager.delete_all(None)
    assert world.disk.rows == {}
    assert daemon.files.removed == jobs[1:]
    assert all(daemon.seen.names(job_id) == ["JobRemoved COMPLETED"] for job_id in jobs)


async def test_a_delete_that_the_disk_refuses_keeps_the_files(world: World, start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    world.host.end(job.id)
    await daemon.ended(job.id)
    world.disk.full = True
    with pytest.raises(HostFailure):
        await daemon.manager.delete(job.id)
    assert job.id in world.shelf.logs


# Logs and lists.


async def test_a_log_can_be_opened_before_the_job_begins(start: Start) -> None:
    daemon = await start()
    job = await daemon.submit(LATER)
    for fd in daemon.manager.open_log(job.id):
        os.close(fd)
    assert not daemon.manager.log_summary(job.id).sealed


@pytest.mark.parametrize("spec", [TRUE, LATER], ids=["begins", "waits"])
async def test_a_log_that_is_opened_while_its_job_is_being_accepted_stays_open(
    world: World, start: Start, monkeypatch: pytest.MonkeyPatch, spec: JobSpec
) -> None:
    """Its row is there, for whoever lists jobs, a moment before the manager hears of that."""
    daemon = await start()
    written, told = asyncio.Event(), asyncio.Event()
    insert = daemon.store.insert

    async def slowly(job: Job) -> None:
        await insert(job)
        written.set()
        await told.wait()

    monkeypatch.setattr(daemon.store, "insert", slowly)
    submitting = asyncio.ensure_future(daemon.submit(spec))
    await written.wait()
    (job_id,) = world.disk.rows
    for fd in daemon.manager.open_log(job_id):
        os.close(fd)
    sealed = daemon.manager.log_summary(job_id).sealed
    told.set()
    await submitting
    assert not sealed


async def test_the_log_of_a_job_that_never_began_is_empty_and_sealed(start: Start) -> None:
    daemon = await start()
    job = await daemon.submit(LATER)
    await daemon.manager.cancel(job.id)
    for fd in daemon.manager.open_log(job.id):
        os.close(fd)
    assert await daemon.manager.read_log(job.id, 0, 100) == (b"", 0, True)


async def test_the_log_opened_early_is_sealed_when_the_job_is_canceled(start: Start) -> None:
    daemon = await start()
    job = await daemon.submit(LATER)
    for fd in daemon.manager.open_log(job.id):
        os.close(fd)
    await daemon.manager.cancel(job.id)
    assert daemon.manager.log_summary(job.id).sealed


async def test_pages_and_live_jobs_tell_of_the_same_jobs(world: World, start: Start) -> None:
    stored(world, 3)
    daemon = await start()
    world.host.attempts.append(Attempt())
    job = await daemon.run()
    page = await daemon.manager.page(JobFilter(), before_seq=None, limit=10)
    assert [found.seq for found in page] == [4, 3, 2, 1]
    assert [found.id for found in daemon.manager.live()] == [job.id]


# Explain, and what is used.


async def test_explaining_a_job_settles_it_and_leaves_nothing(world: World, start: Start) -> None:
    daemon = await start()
    spec = replace(LATER, max_memory=1 << 30)
    job, outline = daemon.manager.explain(spec, owner_uid=5, secrets={"TOKEN": "***"})
    assert (job.state, job.due_usec, job.owner_uid) == (JobState.SCHEDULED, LATER_USEC, 5)
    assert (job.spec.max_memory, job.spec.max_tmp) == (1 << 30, 1 << 28)
    assert outline.properties[0].value == 1 << 30
    assert outline.steps == ("***",)
    assert (world.disk.rows, daemon.seen.events, daemon.manager.waiting) == ({}, [], 0)
    assert (await daemon.submit()).seq == 1


async def test_a_job_that_would_be_refused_is_not_explained(start: Start) -> None:
    daemon = await start()
    with pytest.raises(InvalidSpec, match="max_memory"):
        daemon.manager.explain(replace(TRUE, max_memory=1 << 60), owner_uid=0)


async def test_usage_is_what_the_host_says(start: Start) -> None:
    daemon = await start()
    job = await daemon.run()
    host, [used] = await daemon.manager.usage([job])
    assert (host.hostname, used.tasks) == ("host", 1)
