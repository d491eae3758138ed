"""JobManager and EventFeed as the edge needs them, in memory: jobs are put in and moved by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from joblet.core.events import EventFeed
from joblet.core.jobs import JobManager
from joblet.core.submissions import NO_SECRETS
from joblet.core.workdir import Draft
from joblet.errors import InvalidSpec, NotFound, WrongState
from joblet.model.events import JobChanged, JobFinished, JobNew, JobRemoved
from joblet.model.ids import new_job_id
from joblet.model.job import Job, JobFilter, JobSpec, JobState, Reason, Remote
from joblet.model.run import (
    Caller,
    HostUsage,
    LogSummary,
    Outline,
    UnitProperty,
    Upload,
    Usage,
)

SUBMITTED_USEC = 1_700_000_000_000_000


class FakeJobManager(JobManager):
    """Keeps to JobManager's public methods; asked for anything else it fails."""

    def __init__(self) -> None:
        self.feed = EventFeed()
        self.jobs: dict[str, Job] = {}
        self.log = b"hello\n"
        self.waiters = 0
        self.uploads: list[tuple[Upload, Caller]] = []
        self.submitted: list[tuple[Draft | None, Mapping[str, str]]] = []
        self._ended = asyncio.Event()

    def put(
        self, *, owner_uid: int, spec: JobSpec | None = None, remote: Remote | None = None
    ) -> Job:
        job = Job(
            id=new_job_id(),
            seq=len(self.jobs) + 1,
            spec=spec or JobSpec(command="true", args=("secret",), environment={"KEY": "secret"}),
            owner_uid=owner_uid,
            remote=remote,
            state=JobState.PENDING,
            submitted_usec=SUBMITTED_USEC,
            due_usec=SUBMITTED_USEC,
        )
        self.jobs[job.id] = job
        self.feed.publish(JobNew(job))
        return job

    def start(self, job_id: str) -> Job:  # type: ignore[override]
        starting = self.jobs[job_id].moved(JobState.INITIALIZING)
        self.feed.publish(JobChanged(starting))
        job = starting.moved(JobState.RUNNING, started_usec=SUBMITTED_USEC + 5)
        self.jobs[job_id] = job
        self.feed.publish(JobChanged(job))
        return job

    def end(self, job_id: str, state: JobState, reason: Reason, exit_code: int) -> Job:
        job = self.jobs[job_id].moved(
            state, reason=reason, exit_code=exit_code, finished_usec=SUBMITTED_USEC + 9
        )
        self.jobs[job_id] = job
        self.feed.publish(JobFinished(job))
        self._ended.set()
        self._ended = asyncio.Event()
        return job

    async def upload(self, spec: JobSpec, upload: Upload, caller: Caller) -> Draft:
        self.uploads.append((upload, caller))
        return Draft(new_job_id(), 1 << 30, 1)

    async def submit(
        self,
        spec: JobSpec,
        *,
        owner_uid: int,
        remote: Remote | None = None,
        draft: Draft | None = None,
        secrets: Mapping[str, str] = NO_SECRETS,
    ) -> Job:
        self.submitted.append((draft, secrets))
        return self.put(owner_uid=owner_uid, spec=spec, remote=remote)

    def explain(
        self, spec: JobSpec, *, owner_uid: int, secrets: Mapping[str, str] = NO_SECRETS
    ) -> tuple[Job, Outline]:
        job = Job(
            id="00000000-0000-4000-8000-000000000000",
            seq=0,
            spec=spec,
            owner_uid=owner_uid,
            state=JobState.PENDING,
            submitted_usec=SUBMITTED_USEC,
            due_usec=SUBMITTED_USEC,
        )
        properties = (
            UnitProperty("TasksMax", "t", 5),
            UnitProperty("IOReadBandwidthMax", "a(st)", [("/dev/block/8:1", 5)]),
            UnitProperty("AllowedCPUs", "ay", b"\x03"),
        )
        steps = tuple(f"set {name}={value}" for name, value in secrets.items())
        return job, Outline("joblet-0.scope", properties, steps)

    async def usage(self, jobs: Sequence[Job]) -> tuple[HostUsage, list[Usage]]:
        return HostUsage("host", 4, 5_000_000, 8 << 30, 6 << 30, 100, 0.5), [
            Usage(cpu_usec=1000 * number, tasks=1) for number, _ in enumerate(jobs, 1)
        ]

    async def fetch(self, job_id: str, path: str) -> int:
        self._known(job_id)
        read_end, write_end = os.pipe()
        os.write(write_end, path.encode())
        os.close(write_end)
        return read_end

    async def resolve(self, reference: str) -> Job:
        found = [job for job in self.jobs.values() if job.id.startswith(reference)]
        if not found:
            raise NotFound("job", reference)
        if len(found) > 1:
            raise InvalidSpec("job", "more than one job begins so")
        return found[0]

    async def stop(self, job_id: str) -> Job:
        job = self.jobs[job_id]
        if job.state is JobState.RUNNING:
            return self.end(job_id, JobState.STOPPED, Reason.STOPPED, 143)
        return await self.cancel(job_id)

    async def update(self, job_id: str, changes: Mapping[str, object]) -> Job:
        job = self.jobs[job_id]
        if job.state.terminal:
            raise WrongState(job_id, job.state, "update")
        job = replace(job, spec=replace(job.spec, **changes))  # type: ignore[arg-type]
        self.jobs[job_id] = job
        return job

    async def cancel(self, job_id: str) -> Job:
        if self.jobs[job_id].state is not JobState.PENDING:
            raise WrongState(job_id, self.jobs[job_id].state, "cancel")
        return self.end(job_id, JobState.CANCELED, Reason.CANCELED, 130)

    async def delete(self, job_id: str) -> Job:
        if not self.jobs[job_id].state.terminal:
            raise WrongState(job_id, self.jobs[job_id].state, "delete")
        job = self.jobs.pop(job_id)
        self.feed.publish(JobRemoved(job))
        return job

    async def delete_all(self, owner_uid: int | None) -> tuple[int, int]:
        mine = [job for job in self.jobs.values() if owner_uid in (None, job.owner_uid)]
        ended = [job for job in mine if job.state.terminal]
        for job in ended:
            await self.delete(job.id)
        return len(ended), len(mine) - len(ended)

    async def wait(self, job_id: str, timeout_usec: int) -> Job:
        self.waiters += 1
        try:
            async with asyncio.timeout(timeout_usec / 1e6 if timeout_usec else None):
                while not self.jobs[job_id].state.terminal:
                    await self._ended.wait()
        except TimeoutError:
            return self.jobs[job_id]
        finally:
            self.waiters -= 1
        return self.jobs[job_id]

    async def page(self, wanted: JobFilter, *, before_seq: int | None, limit: int) -> list[Job]:
        jobs = sorted(self.jobs.values(), key=lambda job: -job.seq)
        return [
            job
            for job in jobs
            if (before_seq is None or job.seq < before_seq)
            and (not wanted.states or job.state in wanted.states)
            and wanted.owner_uid in (None, job.owner_uid)
        ][:limit]

    def live(self) -> list[Job]:
        return [job for job in self.jobs.values() if not job.state.terminal]

    def open_log(self, job_id: str) -> tuple[int, int]:
        self._known(job_id)
        ends = []
        for content in (self.log, b"index"):
            read_end, write_end = os.pipe()
            os.write(write_end, content)
            os.close(write_end)
            ends.append(read_end)
        return ends[0], ends[1]

    def log_summary(self, job_id: str) -> LogSummary:
        self._known(job_id)
        return LogSummary(len(self.log), 0, 0, False)

    async def read_log(self, job_id: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        self._known(job_id)
        data = self.log[offset : offset + limit]
        return data, offset + len(data), False

    @property
    def running(self) -> int:
        return sum(job.state is JobState.RUNNING for job in self.jobs.values())

    @property
    def waiting(self) -> int:
        return sum(job.state is JobState.PENDING for job in self.jobs.values())

    @property
    def max_running(self) -> int:
        return 1000

    def _known(self, job_id: str) -> None:
        if job_id not in self.jobs:
            raise NotFound("job", job_id)
