"""When jobs are sampled, and what their history is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from joblet.core.metrics import JobMetrics
from joblet.model.job import Job, JobState
from tests.fakes.clock import EPOCH_USEC
from tests.fakes.daemon import Daemon
from tests.fakes.metrics import FakeMetricsFiles, FakeMetricsHost
from tests.unit.core.conftest import Start

INTERVAL_USEC = 5_000_000


class Sampled:
    """A daemon whose jobs are sampled."""

    def __init__(self, daemon: Daemon, interval_usec: int = INTERVAL_USEC) -> None:
        self.daemon = daemon
        self.host = FakeMetricsHost(daemon.world.clock, now_usec=EPOCH_USEC)
        self.files = FakeMetricsFiles()
        self.metrics = JobMetrics(
            interval_usec, host=self.host, files=self.files, find=daemon.manager.find_live
        )
        running = [job for job in daemon.manager.live() if job.state is JobState.RUNNING]
        self.metrics.watch(daemon.manager._events, running)
        self.task = asyncio.ensure_future(self.metrics.run())

    async def end(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def finish(self, job: Job) -> Job:
        self.daemon.world.host.end(job.id, cpu_usec=9_000_000, memory_peak_bytes=77)
        return await self.daemon.ended(job.id)


@pytest.fixture
async def sampled(start: Start) -> AsyncIterator[Sampled]:
    made = Sampled(await start())
    yield made
    await made.end()


async def test_a_job_is_looked_at_when_it_begins_and_then_at_the_interval(sampled: Sampled) -> None:
    job = await sampled.daemon.run()
    await asyncio.sleep(0.3)
    assert sampled.host.looks == [job.id]
    await asyncio.sleep(100)
    assert sampled.host.looks.count(job.id) in (20, 21)


async def test_a_thousand_jobs_that_begin_together_are_spread_over_the_interval(
    sampled: Sampled,
) -> None:
    for _ in range(1000):
        await sampled.daemon.submit()
    await sampled.daemon.hold(lambda: sampled.daemon.manager.running == 1000)
    await asyncio.sleep(20)
    per_second = []
    for _ in range(10):
        before = len(sampled.host.looks)
        await asyncio.sleep(1)
        per_second.append(len(sampled.host.looks) - before)
    assert 1900 < sum(per_second) < 2100
    assert max(per_second) < 400


async def test_an_ended_job_is_not_looked_at_and_its_file_is_let_go(sampled: Sampled) -> None:
    job = await sampled.daemon.run()
    await asyncio.sleep(12)
    assert sampled.files.open == {job.id}
    await sampled.finish(job)
    count = len(sampled.host.looks)
    await asyncio.sleep(30)
    assert len(sampled.host.looks) == count
    assert sampled.files.open == set()


async def test_jobs_of_an_earlier_daemon_are_sampled_too(start: Start) -> None:
    first = await start()
    job = await first.run()
    await first.bury()
    second = Sampled(await start())
    await asyncio.sleep(0.3)
    assert second.host.looks == [job.id]
    await second.end()


async def test_the_history_of_an_ended_job_closes_with_the_totals_of_its_record(
    sampled: Sampled,
) -> None:
    job = await sampled.daemon.run()
    await asyncio.sleep(12)
    done = await sampled.finish(job)
    samples, ended = await sampled.metrics.history(done)
    assert ended
    assert [sample.number for sample in samples] == list(range(1, len(samples) + 1))
    assert [sample.final for sample in samples] == [False] * (len(samples) - 1) + [True]
    last = samples[-1]
    assert (last.cpu_usec, last.memory_peak_bytes) == (9_000_000, 77)
    assert last.time_usec == done.finished_usec
    assert (await sampled.metrics.history(done, after=last.number)) == ([], True)


async def test_a_look_that_came_after_the_end_is_not_part_of_the_history(sampled: Sampled) -> None:
    job = await sampled.daemon.run()
    await asyncio.sleep(1)
    done = await sampled.finish(job)
    sampled.host.now_usec = EPOCH_USEC + 3_600_000_000
    late = sampled.host.sample(job)
    assert late is not None
    sampled.files.append(job.id, late)
    samples, _ = await sampled.metrics.history(done)
    assert [sample.final for sample in samples] == [False, True]


async def test_who_was_given_a_look_that_came_after_the_end_is_given_the_totals_too(
    sampled: Sampled,
) -> None:
    """A supervisor notes the end before anybody knows of it, and a lost one does not note it."""
    job = await sampled.daemon.run()
    await asyncio.sleep(1)
    sampled.host.now_usec = EPOCH_USEC + 3_600_000_000
    late = sampled.host.sample(job)
    assert late is not None
    sampled.files.append(job.id, late)
    given, _ = await sampled.metrics.history(job, after=1)
    assert [sample.time_usec for sample in given] == [late.time_usec]
    done = await sampled.finish(job)
    rest, ended = await sampled.metrics.history(done, after=given[-1].number)
    assert ended
    assert [sample.final for sample in rest] == [True]


async def test_a_job_that_never_ran_has_no_samples(sampled: Sampled) -> None:
    job = await sampled.daemon.run()
    canceled = (await sampled.finish(job)).__class__
    assert canceled is Job
    waiting = Job(
        id=job.id,
        seq=9,
        spec=job.spec,
        owner_uid=0,
        state=JobState.CANCELED,
        submitted_usec=1,
        due_usec=1,
        finished_usec=2,
    )
    sampled.files.samples.clear()
    assert await sampled.metrics.history(waiting) == ([], True)


async def test_without_an_interval_only_the_totals_are_known(start: Start) -> None:
    sampled = Sampled(await start(), interval_usec=0)
    job = await sampled.daemon.run()
    await asyncio.sleep(60)
    assert sampled.host.looks == []
    [only], ended = await sampled.metrics.history(await sampled.finish(job))
    assert ended
    assert only.final
    await sampled.end()


async def test_who_follows_has_each_sample_once(sampled: Sampled) -> None:
    job = await sampled.daemon.run()
    seen: list[int] = []

    async def follow() -> None:
        ended = False
        while not ended:
            found = await sampled.daemon.manager.resolve(job.id)
            after = seen[-1] if seen else 0
            samples, ended = await sampled.metrics.history(found, after=after, wait_usec=60_000_000)
            seen.extend(sample.number for sample in samples)

    following = asyncio.ensure_future(follow())
    await asyncio.sleep(33)
    assert len(seen) in (7, 8)
    await sampled.finish(job)
    async with asyncio.timeout(60):
        await following
    assert seen == list(range(1, len(seen) + 1))
    assert sampled.metrics._waiting == {}


async def test_a_wait_is_over_in_time(sampled: Sampled) -> None:
    sampled.host.gone.update(["x"])
    job = await sampled.daemon.run()
    await asyncio.sleep(0.3)
    loop = asyncio.get_running_loop()
    before = loop.time()
    samples, ended = await sampled.metrics.history(job, after=1, wait_usec=1_000_000)
    assert (samples, ended) == ([], False)
    assert loop.time() - before == pytest.approx(1.0)


async def test_the_end_is_not_missed_by_who_asks_right_then(sampled: Sampled) -> None:
    job = await sampled.daemon.run()
    await sampled.finish(job)
    # The record that it was resolved to is of before the end.
    assert await sampled.metrics.history(job, after=5, wait_usec=60_000_000) == ([], False)


async def test_a_job_that_cannot_be_read_harms_no_other(
    sampled: Sampled, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = await sampled.daemon.run(), await sampled.daemon.run()
    sampled.host.broken.add(broken.id)
    await asyncio.sleep(20)
    assert len(sampled.files.samples[fine.id]) >= 4
    said = [r.getMessage() for r in caplog.records if r.name == "joblet.core.metrics"]
    assert 1 <= sum("no sample of it" in line for line in said) <= 12


async def test_a_full_disk_is_said_once_and_outlived(
    sampled: Sampled, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job = await sampled.daemon.run()
    sampled.files.full = True
    await asyncio.sleep(30)
    assert sum("no sample of it" in r.getMessage() for r in caplog.records) == 1
    sampled.files.full = False
    await asyncio.sleep(10)
    assert sampled.files.samples[job.id]
    assert any("sampled again" in r.getMessage() for r in caplog.records)
