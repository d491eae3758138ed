"""JobMetrics: when running jobs are looked at, and the history that this makes.

A job is sampled when it begins, then at the configured interval; the jobs of a busy host are
spread over it, a few at a time, in a thread. The last sample of a job that has ended is made of its
record, so the two can never differ, and no crash can lose it. There is no buffer between counters
and disk: what is stored and what is live is one file, read from a number on.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Sequence

from joblet.core.events import EventFeed
from joblet.core.ports import MetricsFiles, MetricsHost
from joblet.errors import JobletError
from joblet.model.events import Event, JobChanged, JobFinished
from joblet.model.job import Job, JobState
from joblet.model.metrics import Sample, rated

log = logging.getLogger(__name__)

# As late as a sample may be; what is due within it is taken together.
_TICK_S = 0.25
# More in one go would keep the event loop waiting for the interpreter.
_BATCH = 25


class JobMetrics:
    """The samples of all jobs of this host; `run` takes them."""

    def __init__(
        self,
        interval_usec: int,
        *,
        host: MetricsHost,
        files: MetricsFiles,
        find: Callable[[str], Job | None],
    ) -> None:
        """find: a job that has not ended, by its id. interval_usec 0: nothing is sampled."""
        self._interval_s = interval_usec / 1e6
        self._host = host
        self._files = files
        self._find = find
        self._due: list[tuple[float, str]] = []  # a heap; ids of ended jobs are passed over
        self._known: set[str] = set()
        self._more = asyncio.Event()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._failing = False

    def watch(self, feed: EventFeed, running: Sequence[Job]) -> Callable[[], None]:
        """Hear of jobs from now on; returns how to stop that. running: what runs already."""
        for job in running:
            self._begin(job)
        return feed.subscribe(self._handle)

    async def run(self) -> None:
        """Take samples, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._due:
                self._more.clear()
                await self._more.wait()
            # Not each job by itself: a host that runs hundreds of short jobs a second looks as
            # seldom as one with a long one, and most of those have ended before they are due.
            await asyncio.sleep(_TICK_S)
            while jobs := self._take(loop.time()):
                await self._round(jobs)

    async def history(
        self, job: Job, *, after: int = 0, wait_usec: int = 0
    ) -> tuple[list[Sample], bool]:
        """The samples of a job with a higher number, oldest first, and whether that is the end.

        When there are none yet: up to wait_usec for the first. Raises HostFailure.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_usec / 1e6
        while True:
            if not job.state.terminal:
                live = self._find(job.id)
                if live is None:
                    # It has ended: its record has the rest, and whoever asks again is given it.
                    return [], False
                job = live
            # Before the look: what comes during it must not be missed.
            news: asyncio.Future[None] = loop.create_future()
            waiting = self._waiting.setdefault(job.id, set())
            waiting.add(news)
            try:
                samples = await asyncio.to_thread(self._read, job)
                samples = [sample for sample in samples if sample.number > after]
                left_s = deadline - loop.time()
                if samples or job.state.terminal or left_s <= 0:
                    return samples, job.state.terminal
                await asyncio.wait([news], timeout=left_s)
            finally:
                waiting.discard(news)
                if not waiting:
                    self._waiting.pop(job.id, None)

    def _handle(self, event: Event) -> None:
        match event:
            case JobChanged(job) if job.state is JobState.RUNNING:
                self._begin(job)
            case JobFinished(job):
                self._known.discard(job.id)
                self._files.forget(job.id)
                self._tell(job.id)

    def _begin(self, job: Job) -> None:
        if self._interval_s and job.id not in self._known:
            self._known.add(job.id)
            heapq.heappush(self._due, (asyncio.get_running_loop().time(), job.id))
            self._more.set()

    def _take(self, now_s: float) -> list[Job]:
        """What is due, and its next time."""
        taken: list[Job] = []
        while self._due and self._due[0][0] <= now_s and len(taken) < _BATCH:
            _, job_id = heapq.heappop(self._due)
            job = self._find(job_id)
            if job_id not in self._known or job is None:
                continue
            taken.append(job)
            heapq.heappush(self._due, (self._next(job_id, now_s), job_id))
        return taken

    def _next(self, job_id: str, now_s: float) -> float:
        """A place in the interval that is the job's own: a thousand that began together spread."""
        phase_s = int(job_id[:4], 16) / 65_536 * self._interval_s
        # At least half an interval away, so that the first two samples are not one.
        rounds = (now_s + self._interval_s / 2 - phase_s) // self._interval_s + 1
        return rounds * self._interval_s + phase_s

    async def _round(self, jobs: list[Job]) -> None:
        kept, failure = await asyncio.to_thread(self._sample, jobs)
        if failure is not None and not self._failing:
            log.warning("%s", failure)
        if kept and failure is None and self._failing:
            log.info("all jobs are sampled again")
        self._failing = failure is not None or (self._failing and not kept)
        for job in jobs:
            if job.id not in self._known:
                # It has ended meanwhile.
                self._files.forget(job.id)
        for job_id in kept:
            self._tell(job_id)

    def _sample(self, jobs: list[Job]) -> tuple[list[str], str | None]:
        """Look at some jobs and keep what is seen; those of whom something was, and a failure."""
        kept, failure = [], None
        for job in jobs:
            try:
                sample = self._host.sample(job)
                if sample is not None and self._files.append(job.id, sample) is not None:
                    kept.append(job.id)
            except JobletError as err:
                failure = f"{job.id}: no sample of it: {err}"
        return kept, failure

    def _read(self, job: Job) -> list[Sample]:
        samples = self._files.read(job.id)
        end_usec = job.finished_usec
        if job.state.terminal and job.started_usec is not None and end_usec is not None:
            # Also who was given a look from after the end of a job that nobody saw end is given
            # its totals, by their number. The look itself adds nothing to the record.
            last = samples[-1].number if samples else 0
            samples = [sample for sample in samples if sample.time_usec < end_usec]
            samples.append(_final(job, end_usec, last))
        return list(rated(samples, started_usec=job.started_usec))

    def _tell(self, job_id: str) -> None:
        for news in self._waiting.get(job_id, ()):
            if not news.done():
                news.set_result(None)


def _final(job: Job, end_usec: int, last: int) -> Sample:
    totals = job.accounting
    return Sample(
        number=last + 1,
        time_usec=end_usec,
        final=True,
        cpu_usec=totals.cpu_usec,
        memory_peak_bytes=totals.memory_peak_bytes,
        io_read_bytes=totals.io_read_bytes,
        io_write_bytes=totals.io_write_bytes,
        max_cpu=job.spec.max_cpu,
        max_memory=job.spec.max_memory,
        max_io_bps=job.spec.max_io_bps,
        max_tasks=job.spec.max_tasks,
    )
