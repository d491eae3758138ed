"""org.joblet1.Manager at /org/joblet1: one thin method per D-Bus method.

Each finds out who calls, what they may, and hands typed values to core. Names and states are
public, so a job is looked up before rights are judged: what an outsider learns from "no such job"
is public already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from joblet.api import codec
from joblet.api.authorize import Action, Authority
from joblet.bus.export import Exporter, current_call
from joblet.bus.values import Typed
from joblet.core.jobs import JobManager
from joblet.errors import InvalidSpec, JobletError, NotAllowed, NotFound
from joblet.model.ids import object_path
from joblet.model.job import Job, JobFilter, JobState

INTERFACE = "org.joblet1.Manager"
READ_MAX_BYTES = 1 << 20
# The largest offset of a file.
OFFSET_MAX = (1 << 63) - 1 - READ_MAX_BYTES
# A page ends early when its specs are big: a message above 32 MiB costs us the connection.
PAGE_MAX_BYTES = 4 << 20
# Most of what one call may cost the daemon.
STATUSES_MAX = 256

Status = dict[str, Typed]
Options = Mapping[str, Typed]


def _now_usec() -> int:
    return time.time_ns() // 1000


class ManagerHandler:
    """The handler; made once by wiring and exported by `joblet.api.jobs.JobObjects`."""

    def __init__(
        self,
        jobs: JobManager,
        authority: Authority,
        exporter: Exporter,
        *,
        version: str,
        now_usec: Callable[[], int] = _now_usec,
    ) -> None:
        self._jobs = jobs
        self._authority = authority
        self._exporter = exporter
        self._now_usec = now_usec
        self.version = version

    @property
    def running_jobs(self) -> int:
        """Property RunningJobs."""
        return self._jobs.running

    @property
    def waiting_jobs(self) -> int:
        """Property WaitingJobs."""
        return self._jobs.waiting

    @property
    def max_running_jobs(self) -> int:
        """Property MaxRunningJobs."""
        return self._jobs.max_running

    async def run_job(self, spec: Options) -> tuple[str, str]:
        """RunJob."""
        call = current_call()
        uid = await self._authority.require(Action.RUN_JOB, call)
        spec, remote = codec.split_remote(spec)
        is_bridge = await self._authority.is_bridge(call)
        if remote is not None and not is_bridge:
            raise NotAllowed("name a remote owner", "only the bridge may")
        if remote is None and is_bridge:
            raise InvalidSpec("remote_subject", "the bridge must say for whom it asks")
        request = codec.decode_run(spec, now_usec=self._now_usec())
        draft = None
        if request.upload is not None:
            caller = await self._authority.caller(call)
            # Whoever goes away in the middle of an upload takes it along.
            with self._exporter.ends_with_caller():
                draft = await self._jobs.upload(request.spec, request.upload, caller)
        job = await self._jobs.submit(
            request.spec, owner_uid=uid, remote=remote, draft=draft, secrets=request.secrets
        )
        return job.id, object_path(job.id)

    async def explain_job(self, spec: Options) -> Status:
        """ExplainJob."""
        uid = await self._authority.require(Action.RUN_JOB, current_call())
        request = codec.decode_run(spec, now_usec=self._now_usec())
        # The values stay here: what is explained may be shown to anybody.
        masked = dict.fromkeys(request.secrets, codec.MASK)
        job, outline = self._jobs.explain(request.spec, owner_uid=uid, secrets=masked)
        return codec.explanation(job, outline)

    async def stop_job(self, job: str, options: Options) -> str:
        """StopJob."""
        codec.decode_none(options)
        found = await self._changeable(job)
        await self._jobs.stop(found.id)
        return found.id

    async def update_job(self, job: str, limits: Options) -> str:
        """UpdateJob."""
        changes = codec.decode_limits(limits)
        found = await self._changeable(job)
        await self._jobs.update(found.id, changes)
        return found.id

    async def cancel_job(self, job: str) -> str:
        """CancelJob."""
        found = await self._changeable(job)
        await self._jobs.cancel(found.id)
        return found.id

    async def delete_job(self, job: str) -> str:
        """DeleteJob."""
        found = await self._changeable(job)
        await self._jobs.delete(found.id)
        return found.id

    async def delete_all_jobs(self, options: Options) -> tuple[int, int]:
        """DeleteAllJobs."""
        everybody = codec.decode_delete_all(options)
        action = Action.MANAGE_ALL if everybody else Action.MANAGE_OWN
        uid = await self._authority.require(action, current_call())
        return await self._jobs.delete_all(None if everybody else uid)

    async def wait_job(self, job: str, timeout_usec: int) -> Status:
        """WaitJob."""
        found = await self._jobs.resolve(job)
        with self._exporter.ends_with_caller():
            ended = await self._jobs.wait(found.id, timeout_usec)
        return await self._status(ended)

    async def get_job(self, job: str) -> Status:
        """GetJob."""
        return await self._status(await self._jobs.resolve(job))

    async def get_jobs_encoded(self, jobs: list[str]) -> bytes:
        """GetJobsEncoded."""
        if len(jobs) > STATUSES_MAX:
            raise InvalidSpec("jobs", f"ask for at most {STATUSES_MAX} at once, not {len(jobs)}")
        found: list[tuple[Job, bool] | JobletError] = []
        size = 0
        for reference in jobs:
            if size > PAGE_MAX_BYTES:
                break
            try:
                job = await self._jobs.resolve(reference)
            except (InvalidSpec, NotFound) as err:
                found.append(err)
                continue
            private = await self._authority.sees(job, current_call())
            size += codec.status_size(job, private=private)
            found.append((job, private))
        return codec.encode_each(found)

    async def list_jobs(self, options: Options) -> tuple[list[Status], str]:
        """ListJobs."""
        page, following = await self._page(options)
        return [codec.status(job, private=private) for job, private in page], following

    async def list_jobs_encoded(self, options: Options) -> tuple[bytes, str]:
        """ListJobsEncoded."""
        page, following = await self._page(options)
        return codec.encode_list(page), following

    async def list_usage(self, options: Options) -> bytes:
        """ListUsage."""
        codec.decode_none(options)
        call = current_call()
        uid = await self._authority.uid(call)
        jobs = [job for job in self._jobs.live() if job.state is JobState.RUNNING]
        if any(job.owner_uid != uid for job in jobs) and not await self._authority.sees_all(call):
            jobs = [job for job in jobs if job.owner_uid == uid]
        host, used = await self._jobs.usage(jobs)
        return codec.encode_usage(
            host,
            zip(jobs, used, strict=True),
            clock_usec=time.monotonic_ns() // 1000,
            version=self.version,
            running_jobs=self._jobs.running,
            waiting_jobs=self._jobs.waiting,
            max_running_jobs=self._jobs.max_running,
        )

    async def open_log(self, job: str, options: Options) -> tuple[int, int, Status]:
        """OpenLog."""
        codec.decode_none(options)
        found = await self._readable(job)
        summary = self._jobs.log_summary(found.id)
        log_fd, index_fd = self._jobs.open_log(found.id)
        facts = {
            "end_offset": Typed("t", summary.end_offset),
            "valid_from": Typed("t", summary.valid_from),
            "sealed": Typed("b", summary.sealed),
        }
        return log_fd, index_fd, facts

    async def read_log(self, job: str, offset: int, maximum: int) -> tuple[bytes, int, bool]:
        """ReadLog."""
        if offset > OFFSET_MAX:
            raise InvalidSpec("offset", f"no log is longer than {OFFSET_MAX} bytes")
        found = await self._readable(job)
        return await self._jobs.read_log(found.id, offset, min(maximum, READ_MAX_BYTES))

    async def get_files(self, job: str, path: str, options: Options) -> int:
        """GetFiles."""
        codec.decode_none(options)
        found = await self._readable(job, "copy files of")
        with self._exporter.ends_with_caller():
            return await self._jobs.fetch(found.id, codec.decode_path(path))

    async def _changeable(self, reference: str) -> Job:
        job = await self._jobs.resolve(reference)
        await self._authority.require_change(job, current_call())
        return job

    async def _readable(self, reference: str, what: str = "read the log of") -> Job:
        job = await self._jobs.resolve(reference)
        await self._authority.require_sight(job, current_call(), what)
        return job

    async def _status(self, job: Job) -> Status:
        return codec.status(job, private=await self._authority.sees(job, current_call()))

    async def _page(self, options: Options) -> tuple[list[tuple[Job, bool]], str]:
        """Jobs, each with whether the caller sees its private half, and the next cursor."""
        request = codec.decode_list(options)
        call = current_call()
        uid = await self._authority.uid(call)
        wanted = JobFilter(states=request.states, owner_uid=uid if request.mine else None)
        # One more than asked for tells whether there is a next page.
        jobs = await self._jobs.page(wanted, before_seq=request.cursor, limit=request.limit + 1)
        sees_all = False
        if any(job.owner_uid != uid for job in jobs):
            sees_all = await self._authority.sees_all(call)
        page: list[tuple[Job, bool]] = []
        size = 0
        for job in jobs[: request.limit]:
            private = sees_all or job.owner_uid == uid
            size += codec.status_size(job, private=private)
            if page and size > PAGE_MAX_BYTES:
                break
            page.append((job, private))
        more = len(page) < len(jobs)
        return page, codec.encode_cursor(page[-1][0]) if more else ""
