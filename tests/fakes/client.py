"""A Joblet host in memory: fulfils client.api.JobletClient, runs nothing.

Jobs end when a test says so beforehand (`endings`); a job without an ending never ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from joblet.client.api import (
    NO_ATTACHMENTS,
    Attachments,
    JobletClient,
    JobPage,
    JobQuery,
    JobStatus,
    LogPiece,
    LogRequest,
)
from joblet.client.looks import (
    Explanation,
    HostUsage,
    JobEvent,
    UsageReport,
)
from joblet.client.monitoring import MetricsRequest
from joblet.errors import InvalidSpec, JobletError, NotFound, WrongState
from joblet.model.host import HostStatus
from joblet.model.job import JobSpec, JobState, Reason
from joblet.model.metrics import Sample

# A whole second, early enough for every fixed time in the tests.
NOW_USEC = 1_763_800_000_000_000


def job_id(number: int) -> str:
    """A valid id that begins with the number in hexadecimal digits."""
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def job(number: int = 1, state: JobState = JobState.RUNNING, **known: object) -> JobStatus:
    """A job as the daemon would describe it."""
    return JobStatus(
        id=job_id(number),
        state=state,
        owner_uid=0,
        submitted_usec=NOW_USEC,
        **known,  # type: ignore[arg-type]
    )


def ended(number: int = 1, exit_code: int = 0, **known: object) -> JobStatus:
    """A job whose command has returned."""
    state = JobState.FAILED if exit_code else JobState.COMPLETED
    return replace(
        job(number, state, reason=Reason.EXIT, exit_code=exit_code),
        **known,  # type: ignore[arg-type]
    )


HOST = HostUsage(
    hostname="box",
    version="0.0.1",
    cpus=4,
    cpu_usec=10_000_000,
    memory_bytes=8 << 30,
    memory_available_bytes=6 << 30,
    tasks=321,
    load=0.5,
    running_jobs=2,
    waiting_jobs=1,
    max_running_jobs=1000,
)


class FakeClient:
    """The host; one instance serves any number of connections of one test."""

    def __init__(self, jobs: Iterable[JobStatus] = ()) -> None:
        self.jobs = {one.id: one for one in jobs}
        self.endings: dict[str, JobStatus] = {}
        self.logs: dict[str, list[LogPiece]] = {}
        self.failures: dict[str, JobletError] = {}
        self.interrupted_by: str | None = None
        self.calls: list[tuple[str, object]] = []
        self.connections = 0
        self.specs: list[JobSpec] = []
        self.attached: list[Attachments] = []
        self.happenings: list[JobEvent] = []
        self.reports: list[UsageReport] = []  # one after the other; the last one stays
        self.samples: dict[str, list[Sample]] = {}
        self.statuses_of_host: list[HostStatus] = []  # one after the other; the last one stays
        self.archives: dict[str, bytes] = {}  # what `files` gives, by path
        self.uploads: list[bytes] = []  # the streams that came with specs
        self.reads = -1  # so much of a stream, and then it is refused

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[JobletClient]:
        """A connector for jobletctl."""
        self.connections += 1
        yield self

    async def run(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> str:
        """Accept a job under the next number."""
        await self._called("run", spec)
        if attached.tar is not None:
            self.uploads.append(await asyncio.to_thread(_read, attached.tar, self.reads))
            if self.reads >= 0:
                raise self.failures["upload"]
            await self._called("upload", spec)
        self.specs.append(spec)
        self.attached.append(attached)
        new = job(len(self.jobs) + 1, JobState.PENDING, name=spec.name, command=spec.command)
        self.jobs[new.id] = new
        return new.id

    async def explain(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> Explanation:
        """As a host would that has one step."""
        await self._called("explain", (spec, attached))
        return Explanation(
            state=JobState.PENDING if spec.start_at_usec is None else JobState.SCHEDULED,
            due_usec=NOW_USEC if spec.start_at_usec is None else spec.start_at_usec,
            spec={"command": spec.command, "max_memory": spec.max_memory or 0, "user": 1000},
            unit=f"joblet-{job_id(0)}.scope",
            properties={
                "Description": "Joblet job 00000000",
                "AllowedCPUs": b"\x0b",
                "CPUQuotaPerSecUSec": 1_500_000,
                "MemoryMax": 512 << 20,
                "MemorySwapMax": 0,
                "TasksMax": (1 << 64) - 1,
                "TimeoutStopUSec": 90_000_000,
                "IOAccounting": True,
                "After": ["jobletd.service", "joblet-supervisors.service"],
                "IOReadBandwidthMax": [["/dev/block/8:1", 2 << 20]],
            },
            steps=("take the host name job-00000000", f"run {spec.command}"),
        )

    async def usage(self) -> UsageReport:
        """The next prepared report."""
        await self._called("usage", None)
        return self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]

    async def version(self) -> str:
        """The version of this fake."""
        await self._called("version", None)
        return "0.0.1"

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """What was prepared; then nothing happens any more."""
        await self._called("events", None)
        for event in self.happenings:
            yield event
        await self._called("events end", None)
        await asyncio.Event().wait()

    async def files(self, job: str, path: str) -> int:
        """A prepared archive."""
        await self._called("files", (job, path))
        if path not in self.archives:
            raise NotFound("path", path)
        stream = os.memfd_create("archive", os.MFD_CLOEXEC)
        os.write(stream, self.archives[path])
        os.lseek(stream, 0, os.SEEK_SET)
        return stream

    async def status(self, job: str) -> JobStatus:
        """The job as it is."""
        await self._called("status", job)
        return self._found(job)

    async def statuses(self, jobs: Sequence[str]) -> list[JobStatus | JobletError]:
        """The jobs as they are."""
        await self._called("statuses", list(jobs))
        found: list[JobStatus | JobletError] = []
        for job in jobs:
            try:
                found.append(self._found(job))
            except JobletError as err:
                found.append(err)
        return found

    async def list_jobs(self, query: JobQuery) -> JobPage:
        """Newest first; the cursor is the index to go on at."""
        await self._called("list", query)
        wanted = [
            one
            for one in reversed(self.jobs.values())
            if (not query.states or one.state in query.states)
            and (not query.mine or one.owner_uid == os.getuid())
        ]
        if query.cursor and not (query.cursor.isascii() and query.cursor.isdecimal()):
            raise InvalidSpec("cursor", "use the one that came with the page before")
        start = int(query.cursor or 0)
        end = start + query.limit
        return JobPage(wanted[start:end], str(end) if end < len(wanted) else "")

    async def wait(self, job: str, *, timeout_usec: int = 0) -> JobStatus:
        """Give the job its ending, if it has one."""
        await self._called("wait", (job, timeout_usec))
        found = self._found(job)
        if found.id in self.endings:
            self.jobs[found.id] = self.endings.pop(found.id)
        elif not found.state.terminal and not timeout_usec:
            await asyncio.Event().wait()
        return self.jobs[found.id]

    async def stop(self, job: str) -> str:
        """End a live job as stopped; its ending, if any, comes first."""
        await self._called("stop", job)
        found = self._found(job)
        if found.state.terminal:
            raise WrongState(found.id, found.state, "stop")
        stopped = replace(found, state=JobState.STOPPED, reason=Reason.STOPPED, exit_code=143)
        self.endings.setdefault(found.id, stopped)
        return found.id

    async def update(self, job: str, limits: Mapping[str, object]) -> str:
        """Note the limits."""
        await self._called("update", (job, dict(limits)))
        found = self._found(job)
        if found.state.terminal:
            raise WrongState(found.id, found.state, "update")
        return found.id

    async def cancel(self, job: str) -> str:
        """Cancel a job that waits."""
        await self._called("cancel", job)
        found = self._found(job)
        if found.state not in (JobState.PENDING, JobState.SCHEDULED):
            raise WrongState(found.id, found.state, "cancel")
        self.jobs[found.id] = replace(found, state=JobState.CANCELED, reason=Reason.CANCELED)
        return found.id

    async def delete(self, job: str) -> str:
        """Forget an ended job."""
        await self._called("delete", job)
        found = self._found(job)
        if not found.state.terminal:
            raise WrongState(found.id, found.state, "delete")
        del self.jobs[found.id]
        return found.id

    async def delete_all(self, *, everybody: bool = False) -> tuple[int, int]:
        """Forget all ended jobs."""
        await self._called("delete_all", everybody)
        gone = [one.id for one in self.jobs.values() if one.state.terminal]
        for one in gone:
            del self.jobs[one]
        return len(gone), len(self.jobs)

    async def log(self, job: str, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """The pieces as they were laid down; following an endless job never ends."""
        await self._called("log", request)
        found = self._found(job)
        for piece in self.logs.get(found.id, []):
            yield piece
        await self._called("log end", request)
        if request.follow and not found.state.terminal and found.id not in self.endings:
            await asyncio.Event().wait()

    async def metrics(self, job: str, request: MetricsRequest) -> AsyncGenerator[Sample, None]:
        """The samples as they were laid down; following an endless job never ends."""
        await self._called("metrics", request)
        found = self._found(job)
        for sample in self.samples.get(found.id, []):
            if sample.number <= request.after:
                continue
            if request.since_usec is not None and sample.time_usec < request.since_usec:
                continue
            if request.until_usec is not None and sample.time_usec > request.until_usec:
                continue
            yield sample
        await self._called("metrics end", request)
        if request.follow and not found.state.terminal and found.id not in self.endings:
            await asyncio.Event().wait()

    async def host_status(
        self, groups: Sequence[str], *, window_usec: int = 1_000_000
    ) -> HostStatus:
        """The next prepared status."""
        await self._called("host_status", (tuple(groups), window_usec))
        prepared = self.statuses_of_host
        return prepared.pop(0) if len(prepared) > 1 else prepared[0]

    async def _called(self, verb: str, what: object) -> None:
        self.calls.append((verb, what))
        if self.interrupted_by == verb:
            os.kill(os.getpid(), signal.SIGINT)
            # the loop takes the signal up; nothing else ends this
            await asyncio.Event().wait()
        if verb in self.failures:
            raise self.failures[verb]

    def _found(self, reference: str) -> JobStatus:
        found = [one for key, one in self.jobs.items() if key.startswith(reference)]
        if not found:
            raise NotFound("job", reference)
        if len(found) > 1:
            raise InvalidSpec("job", f"'{reference}' selects several jobs")
        return found[0]


def _read(stream: int, limit: int) -> bytes:
    data = bytearray()  # bytes would be copied whole for each piece
    while limit < 0 or len(data) < limit:
        piece = os.read(stream, 1 << 16 if limit < 0 else limit - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)
