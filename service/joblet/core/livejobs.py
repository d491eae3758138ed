"""The jobs that have not ended: how each is, who decides about it now, and its row.

A change is a new copy by the table of transitions. `put` makes it known, `record` writes it to
disk, `change` does both and tells everybody. Whoever decides about a job holds its lock, but for
recovery, which settles jobs before anybody else can ask for one. jobs.py and its parts (queue.py,
launches.py, endings.py) are the only ones who do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

from joblet.core.events import EventFeed
from joblet.core.locks import KeyedLocks
from joblet.core.ports import JobStore
from joblet.core.slices import Slices
from joblet.model.events import JobChanged
from joblet.model.job import Job


class LiveJobs:
    """One table for all parts of the JobManager, which makes it."""

    def __init__(self, store: JobStore, events: EventFeed, slices: Slices) -> None:
        self._store = store
        self._events = events
        self._slices = slices
        self._jobs: dict[str, Job] = {}
        self._locks = KeyedLocks()
        self._places: set[str] = set()
        self._cut_short: dict[str, int] = {}  # launches that joblet-init went away from

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    def get(self, job_id: str) -> Job | None:
        """A job by its whole id."""
        return self._jobs.get(job_id)

    def put(self, job: Job) -> None:
        """This is how the job is from now on; its row is the caller's."""
        self._jobs[job.id] = job

    def remove(self, job_id: str) -> None:
        """It has ended. Idempotent."""
        self._jobs.pop(job_id, None)
        self._cut_short.pop(job_id, None)

    async def change(self, job: Job) -> None:
        """This is how the job is from now on, also in its row, and everybody hears of it."""
        self.put(job)
        await self._store.save(job, durable=False)
        self._events.publish(JobChanged(job))

    async def record(self, job: Job) -> None:
        """Write the job's row as it is here; it is on disk afterwards. Raises HostFailure."""
        await self._store.save(job, durable=True)

    def lock(self, job_id: str) -> AbstractAsyncContextManager[None]:
        """Nobody else decides about this job while the context lasts."""
        return self._locks.held(job_id)

    # Places: starting or running.

    @property
    def places(self) -> frozenset[str]:
        """The jobs that take one."""
        return frozenset(self._places)

    @property
    def taken(self) -> int:
        """How many take one."""
        return len(self._places)

    def take_place(self, job_id: str) -> None:
        """It is about to start, or runs. Idempotent."""
        self._places.add(job_id)

    def release(self, job_id: str) -> None:
        """It does not run, nor will it right away: its place and its slice are free. Idempotent."""
        self._places.discard(job_id)
        self._slices.release(job_id)

    # Launches that joblet-init went away from.

    def cut_short(self, job_id: str) -> int:
        """That happened to the job; how often now."""
        count = self._cut_short[job_id] = self._cut_short.get(job_id, 0) + 1
        return count

    def launched(self, job_id: str) -> None:
        """It did not happen this time. Idempotent."""
        self._cut_short.pop(job_id, None)

    def was_cut_short(self, job_id: str) -> bool:
        """Whether the last launch of the job was, and may have left traces."""
        return job_id in self._cut_short
