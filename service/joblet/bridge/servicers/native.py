"""joblet1.Jobs: what this project's own clients ask for, as the port of the client has it.

Owns the two things that jobletd does not know of: that a remote user's own jobs are those of the
same certificate name, and how a stream of messages becomes a pipe. What messages look like is
rpc.native's business, what may be done jobletd's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from joblet.bridge.calls import Caller
from joblet.bridge.ownership import EVERYBODY, Ownership, belongs
from joblet.bridge.servicers.nativelooks import NativeLooks
from joblet.bridge.waits import Waits
from joblet.client import pipes
from joblet.client.api import Attachments, JobletClient, JobQuery, JobStatus
from joblet.errors import InvalidSpec, JobletError
from joblet.model.job import JobSpec, JobState
from joblet.rpc import native
from joblet.rpc.pb import joblet1_pb2 as pb

log = logging.getLogger(__name__)

# So that no call lasts for ever and what was lost is missed for one round at most.
WAIT_MAX_USEC = 300 * 1_000_000
REFERENCES_MAX = 256
# Questions to jobletd at the same time, of one call.
_PARALLEL = 32
# Each holds a call to jobletd as long as its sender likes, and there are 128 in all.
_UPLOADS_MAX = 16
_LIVE = tuple(state for state in JobState if not state.terminal)
_ENDED = tuple(state for state in JobState if state.terminal)
_NO_REQUEST = "expected a request first, and then nothing but tar, if it says so"


class NativeServicer(NativeLooks):
    """The service of one bridge; all listeners share it."""

    def __init__(self, client: JobletClient, ownership: Ownership, waits: Waits) -> None:
        self._client = client
        self._waits = waits
        self._ownership = ownership
        self._uploads = asyncio.Semaphore(_UPLOADS_MAX)

    async def run(self, parts: AsyncIterator[pb.RunPart], caller: Caller) -> pb.Job:
        """Run."""
        first = await anext(parts, None)
        if first is None or first.WhichOneof("part") != "request":
            raise InvalidSpec("request", _NO_REQUEST)
        request = first.request
        spec = native.read_spec(request.spec)
        attached = Attachments(
            secrets=native.read_variables(request.secrets), remote=caller.identity.remote
        )
        if request.upload:
            async with self._uploads:
                job_id = await self._uploaded(parts, spec, attached)
        else:
            job_id = await self._client.run(spec, attached)
        log.info("%s: run by %s (%s)", job_id, *_who(caller))
        return pb.Job(id=job_id)

    async def explain(self, request: pb.RunRequest, _caller: Caller) -> pb.Explanation:
        """Explain."""
        attached = Attachments(secrets=native.read_variables(request.secrets))
        told = await self._client.explain(native.read_spec(request.spec), attached)
        return native.explanation_message(told)

    async def get(self, request: pb.References, caller: Caller) -> pb.Answers:
        """Get."""
        if len(request.jobs) > REFERENCES_MAX:
            raise InvalidSpec("jobs", f"ask for at most {REFERENCES_MAX} at once")
        found = await asyncio.gather(
            *(self._ownership.job(job, caller.owner) for job in request.jobs),
            return_exceptions=True,
        )
        return native.answers_message(found)

    async def list(self, request: pb.Query, caller: Caller) -> pb.Page:
        """List."""
        page = await self._client.list_jobs(native.read_query(request))
        jobs = [job for job in page.jobs if belongs(job, caller.owner)]
        if request.mine:
            jobs = [job for job in jobs if _own(job, caller)]
        return native.page_message(jobs, page.next)

    async def wait(self, request: pb.WaitRequest, _caller: Caller) -> pb.Status:
        """Wait."""
        usec = min(request.timeout_usec or WAIT_MAX_USEC, WAIT_MAX_USEC)
        return native.status_message(await self._waits.until_ended(request.job, usec))

    async def stop(self, request: pb.Job, caller: Caller) -> pb.Job:
        """Stop."""
        job_id = await self._client.stop(request.id)
        log.info("%s: stop by %s (%s)", job_id, *_who(caller))
        return pb.Job(id=job_id)

    async def cancel(self, request: pb.Job, caller: Caller) -> pb.Job:
        """Cancel."""
        job_id = await self._client.cancel(request.id)
        log.info("%s: cancel by %s (%s)", job_id, *_who(caller))
        return pb.Job(id=job_id)

    async def delete(self, request: pb.Job, caller: Caller) -> pb.Job:
        """Delete."""
        job_id = await self._client.delete(request.id)
        log.info("%s: delete by %s (%s)", job_id, *_who(caller))
        return pb.Job(id=job_id)

    async def update(self, request: pb.UpdateRequest, caller: Caller) -> pb.Job:
        """Update."""
        limits = native.read_limits(request.limits)
        job_id = await self._client.update(request.job, limits)
        log.info("%s: update by %s (%s)", job_id, *_who(caller))
        return pb.Job(id=job_id)

    async def delete_all(
        self, request: pb.DeleteAllRequest, caller: Caller
    ) -> pb.DeleteAllResponse:
        """DeleteAll."""
        if request.everybody and caller.owner == EVERYBODY:
            deleted, skipped = await self._client.delete_all(everybody=True)
        else:
            deleted = await self._delete_own(caller)
            skipped = len(await self._own_jobs(_LIVE, caller))
        log.info("%d jobs: delete by %s (%s)", deleted, *_who(caller))
        return pb.DeleteAllResponse(deleted=deleted, skipped=skipped)

    async def log(
        self, request: pb.LogRequest, _caller: Caller
    ) -> AsyncGenerator[pb.LogPiece, None]:
        """Log."""
        wanted = native.read_log_request(request)
        async with aclosing(self._client.log(request.job, wanted)) as pieces:
            async for piece in pieces:
                yield native.piece_message(piece)

    async def files(
        self, request: pb.FilesRequest, _caller: Caller
    ) -> AsyncGenerator[pb.FilesPiece, None]:
        """Files."""
        stream = await self._client.files(request.job, request.path)
        try:
            os.set_blocking(stream, False)
            while data := await pipes.read(stream):
                yield pb.FilesPiece(tar=data)
        finally:
            os.close(stream)

    async def events(self, _request: pb.Nothing, caller: Caller) -> AsyncGenerator[pb.Event, None]:
        """Events."""
        async with aclosing(self._client.events()) as happening:
            async for event in happening:
                if await self._may_see(event.id, caller):
                    yield native.event_message(event)

    async def usage(self, _request: pb.Nothing, caller: Caller) -> pb.UsageReport:
        """Usage."""
        report = await self._client.usage()
        seen = await asyncio.gather(*(self._may_see(job.id, caller) for job in report.jobs))
        jobs = tuple(job for job, may in zip(report.jobs, seen, strict=True) if may)
        return native.usage_message(replace(report, jobs=jobs))

    async def version(self, _request: pb.Nothing, _caller: Caller) -> pb.VersionResponse:
        """Version."""
        return pb.VersionResponse(version=await self._client.version())

    async def _may_see(self, job: str, caller: Caller) -> bool:
        if caller.owner == EVERYBODY:
            return True
        try:
            await self._ownership.job(job, caller.owner)
        except JobletError as err:
            if err.grpc_status != "NOT_FOUND":
                raise
            return False
        return True

    async def _uploaded(
        self, parts: AsyncIterator[pb.RunPart], spec: JobSpec, attached: Attachments
    ) -> str:
        """Submit a job with what is still to come."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writing, False)
        filling = asyncio.ensure_future(_fill(writing, parts))
        submitting = asyncio.ensure_future(self._client.run(spec, replace(attached, tar=reading)))
        try:
            # A spec that is refused is refused before all of its files have come.
            await asyncio.wait([filling, submitting], return_when=asyncio.FIRST_COMPLETED)
            if not submitting.done():
                # The end of the pipe: jobletd has all of it, or refuses half an archive.
                await filling
            return await submitting
        finally:
            for task in (filling, submitting):
                task.cancel()
            await asyncio.wait([filling, submitting])
            for task in (filling, submitting):
                if not task.cancelled():
                    # Heard above, or of no account beside what was.
                    task.exception()
            os.close(reading)

    async def _delete_own(self, caller: Caller) -> int:
        room = asyncio.Semaphore(_PARALLEL)

        async def delete(job_id: str) -> bool:
            async with room:
                try:
                    await self._client.delete(job_id)
                except JobletError as err:
                    if err.grpc_status != "NOT_FOUND":
                        raise
                    return False  # somebody else was faster
                return True

        ended = await self._own_jobs(_ENDED, caller)
        return sum(await asyncio.gather(*map(delete, ended)))

    async def _own_jobs(self, states: tuple[JobState, ...], caller: Caller) -> Sequence[str]:
        """Ids of all jobs of this caller in these states."""
        found: list[str] = []
        cursor = ""
        while True:
            query = JobQuery(states=states, mine=True, limit=native.PAGE_MAX, cursor=cursor)
            page = await self._client.list_jobs(query)
            found += [job.id for job in page.jobs if _own(job, caller)]
            cursor = page.next
            if not cursor:
                return found


async def _fill(writing: int, parts: AsyncIterator[pb.RunPart]) -> None:
    """Bytes of messages into a pipe, which is closed at their end, whatever that was."""
    try:
        with contextlib.suppress(BrokenPipeError):  # whoever read it says why not any more
            async for part in parts:
                if part.WhichOneof("part") != "tar":
                    raise InvalidSpec("request", _NO_REQUEST)
                await pipes.write(writing, part.tar)
    finally:
        os.close(writing)


def _own(job: JobStatus, caller: Caller) -> bool:
    return job.remote_subject == caller.identity.subject


def _who(caller: Caller) -> tuple[str, str]:
    remote = caller.identity.remote
    return remote.subject, remote.role
