"""JobStore in memory, with what a disk can do to a daemon: be slow, be full, forget a crash's rest.

A `Disk` is what a power cut leaves. A `FakeJobStore` is one daemon's view of it: a write that was
not durable is in the view only, until the next durable one takes it along.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from joblet.core.ports import JobStore
from joblet.errors import AlreadyExists, HostFailure
from joblet.model.job import TRANSITIONS, Job, JobFilter, JobState


def _reachable() -> dict[JobState, frozenset[JobState]]:
    """Where a row may go: several steps, as not every step is written."""
    found = dict(TRANSITIONS)
    for _ in JobState:
        found = {
            state: after.union(*(found[each] for each in after)) for state, after in found.items()
        }
    return found


_REACHABLE = _reachable()


class Died(BaseException):
    """The daemon this fake belonged to was killed: whoever still runs in it gets no further."""


class Disk:
    """Rows that survive."""

    def __init__(self) -> None:
        self.rows: dict[str, Job] = {}
        self.last_seq = 0
        self.full = False
        self.views: list[FakeJobStore] = []


async def one_turn() -> None:
    """As slow as a disk is at least: everybody else gets a turn."""
    await asyncio.sleep(0)


class FakeJobStore(JobStore):
    """The rows as one daemon sees them."""

    def __init__(self, disk: Disk, pace: Callable[[], Awaitable[None]] = one_turn) -> None:
        self.disk = disk
        self.dead = False
        self.failing_reads = False
        self.pace = pace
        self._rows = dict(disk.rows)
        self._writing: set[str] = set()
        self.complaints: list[str] = []
        disk.views.append(self)

    async def insert(self, job: Job) -> None:
        await self._commit("insert")
        if job.id in self._rows:
            raise AlreadyExists("job", job.id)
        self._rows[job.id] = job
        self.disk.last_seq = max(self.disk.last_seq, job.seq)
        self._keep()

    async def save(self, job: Job, *, durable: bool) -> None:
        self._check()
        before = self._rows[job.id].state
        if job.state is not before and job.state not in _REACHABLE[before]:
            self.complaints.append(f"{job.id}: from {before} to {job.state}")
        if not durable:
            self._save(job)
            return
        if job.id in self._writing:
            self.complaints.append(f"{job.id}: two writers at once")
        self._writing.add(job.id)
        try:
            await self._commit("save")
        finally:
            self._writing.discard(job.id)
        self._save(job)
        self._keep()

    async def respecify(self, job: Job) -> None:
        await self._commit("respecify")
        self._rows[job.id] = job
        self._keep()

    async def delete(self, job_ids: Sequence[str]) -> None:
        await self._commit("delete")
        for job_id in job_ids:
            self._rows.pop(job_id, None)
        self._keep()

    async def get(self, job_id: str) -> Job | None:
        await self._read()
        return self._rows.get(job_id)

    async def find_prefix(self, prefix: str, limit: int) -> list[str]:
        await self._read()
        return sorted(job_id for job_id in self._rows if job_id.startswith(prefix))[:limit]

    async def page(self, wanted: JobFilter, *, before_seq: int | None, limit: int) -> list[Job]:
        await self._read()
        found = [
            job
            for job in self._rows.values()
            if (not wanted.states or job.state in wanted.states)
            and wanted.owner_uid in (None, job.owner_uid)
            and (before_seq is None or job.seq < before_seq)
        ]
        return sorted(found, key=lambda job: -job.seq)[:limit]

    async def existing(self, job_ids: Sequence[str]) -> set[str]:
        await self._read()
        return self._rows.keys() & set(job_ids)

    async def unfinished(self) -> list[Job]:
        await self._read()
        found = [job for job in self._rows.values() if not job.state.terminal]
        return sorted(found, key=lambda job: job.seq)

    async def projects(self) -> dict[str, int]:
        await self._read()
        return {job.id: job.project for job in self._rows.values() if job.project is not None}

    async def kept(self, *, finished_before_usec: int, limit: int) -> list[str]:
        # A plain query, unlike the others: it does not see what is not written yet.
        await self._read()
        found = [
            (job.finished_usec, job.id)
            for job in self.disk.rows.values()
            if job.project is not None
            and job.finished_usec is not None
            and job.finished_usec < finished_before_usec
        ]
        return [job_id for _, job_id in sorted(found)][:limit]

    async def last_seq(self) -> int:
        await self._read()
        return self.disk.last_seq

    def _save(self, job: Job) -> None:
        # As the real one: the specification stays as it is.
        if job.id in self._rows:
            self._rows[job.id] = replace(job, spec=self._rows[job.id].spec)

    def _check(self) -> None:
        if self.dead:
            raise Died

    async def _read(self) -> None:
        self._check()
        if self.failing_reads:
            raise HostFailure("database", errno.EIO)
        await self.pace()
        self._check()

    async def _commit(self, what: str) -> None:
        self._check()
        await self.pace()
        self._check()
        if self.disk.full:
            raise HostFailure(f"database: {what}", errno.ENOSPC)

    def _keep(self) -> None:
        self.disk.rows = dict(self._rows)
