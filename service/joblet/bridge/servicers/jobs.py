"""joblet.JobService: jobs of this host, asked for over the network.

Owns the order of questions to jobletd and how long an answer may be waited for. What messages look
like is rpc.mapping's business, what may be done jobletd's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing

from joblet.bridge.calls import Caller, Refused, saying
from joblet.bridge.chunks import Chunker
from joblet.bridge.lookups import Lookups, checked
from joblet.bridge.ownership import EVERYBODY, belongs
from joblet.bridge.servicers.metrics import JobMetricsServicer
from joblet.bridge.uploads import tar_of
from joblet.bridge.waits import Waits
from joblet.client.api import GAP, JobletClient, JobQuery, JobStatus, LogRequest
from joblet.errors import JobletError, NotFound
from joblet.model.job import JobState
from joblet.rpc import mapping
from joblet.rpc.pb import joblet_pb2 as pb

log = logging.getLogger(__name__)

# Clients give a stop 10 seconds, and a job's grace may take longer.
STOP_PATIENCE_S = 8.0
# A warm start takes some 10 ms. Who asked wants to hear RUNNING, or why not, but not at any price.
_START_WAITS_USEC = (10_000, 20_000, 40_000, 80_000, 160_000)
_START_PATIENCE_S = 2.0
_END_PATIENCE_S = 5.0
# A client takes messages of 4 MiB.
LIST_MAX_BYTES = 3_500_000
_PAGE = 1000
_NOT_STARTED = (JobState.PENDING, JobState.INITIALIZING)
_LIVE = tuple(state for state in JobState if not state.terminal)
_ENDED = tuple(state for state in JobState if state.terminal)


class JobServicer(JobMetricsServicer):
    """The service of one bridge; all listeners share it."""

    def __init__(
        self, client: JobletClient, lookups: Lookups, waits: Waits, *, node_id: str = ""
    ) -> None:
        self._client = client
        self._lookups = lookups
        self._waits = waits
        self._node_id = node_id

    async def run_job(self, request: pb.RunJobRequest, caller: Caller) -> pb.RunJobResponse:
        """RunJob."""
        with saying("job run failed", invalid="invalid request"):
            async with AsyncExitStack() as stack:
                tar = None
                if request.uploads:
                    # Up to a whole message of bytes: not on the loop.
                    made = tar_of(request.uploads)
                    tar = await asyncio.to_thread(made.__enter__)
                    stack.push(made.__exit__)
                spec, attached = mapping.run_request(
                    request, caller.identity.remote, upload_tar=tar
                )
                job_id = await self._client.run(spec, attached)
        log.info("%s: run by %s (%s)", job_id, *_who(caller))
        return mapping.run_response(await self._begun(job_id), request)

    async def get_job_status(
        self, request: pb.GetJobStatusRequest, _caller: Caller
    ) -> pb.GetJobStatusResponse:
        """GetJobStatus."""
        reference = _reference(request.uuid, f"job {request.uuid} not found")
        try:
            status = await self._lookups.status(reference)
        except JobletError as err:
            raise _not_found(err, f"job {request.uuid} not found") from err
        return mapping.status_response(status, node_id=self._node_id)

    async def list_jobs(self, _request: pb.EmptyRequest, caller: Caller) -> pb.Jobs:
        """ListJobs."""
        # Live jobs first: what does not fit into a message is old and has ended.
        entries: list[tuple[JobStatus, pb.Job]] = []
        size = 0
        for states in (_LIVE, _ENDED):
            cursor = ""
            while True:
                query = JobQuery(states=states, limit=_PAGE, cursor=cursor)
                page = await self._client.list_jobs(query)
                for status in page.jobs:
                    if not belongs(status, caller.owner):
                        continue
                    entry = mapping.list_entry(status, node_id=self._node_id)
                    if size + entry.ByteSize() > LIST_MAX_BYTES:
                        entry = mapping.list_entry(status, node_id=self._node_id, environment=False)
                    size += entry.ByteSize() + 8
                    if size > LIST_MAX_BYTES:
                        caller.trailer["joblet-truncated"] = "1"
                        return _sorted(entries)
                    entries.append((status, entry))
                cursor = page.next
                if not cursor:
                    break
        return _sorted(entries)

    async def stop_job(self, request: pb.StopJobRequest, caller: Caller) -> pb.StopJobResponse:
        """StopJob: answers when the job has ended, or that it is about to."""
        with saying("job stop failed"):
            job_id = await self._client.stop(checked(request.uuid))
        log.info("%s: stop by %s (%s)", job_id, *_who(caller))
        try:
            async with asyncio.timeout(STOP_PATIENCE_S + 0.5):
                usec = round(STOP_PATIENCE_S * 1e6)
                return mapping.stop_response(await self._waits.until_ended(job_id, usec))
        except (TimeoutError, JobletError) as err:
            # The stop itself is recorded; only its end is not known here.
            log.warning("%s: no news of its end after a stop: %s", job_id, err)
            return pb.StopJobResponse(uuid=job_id, status=mapping.STOPPING)

    async def cancel_job(
        self, request: pb.CancelJobRequest, caller: Caller
    ) -> pb.CancelJobResponse:
        """CancelJob."""
        with saying("job cancel failed"):
            job_id = await self._client.cancel(checked(request.uuid))
        log.info("%s: cancel by %s (%s)", job_id, *_who(caller))
        return mapping.cancel_response(job_id)

    async def delete_job(
        self, request: pb.DeleteJobRequest, caller: Caller
    ) -> pb.DeleteJobResponse:
        """DeleteJob."""
        with saying("job deletion failed"):
            job_id = await self._client.delete(checked(request.uuid))
        log.info("%s: delete by %s (%s)", job_id, *_who(caller))
        return mapping.delete_response(job_id)

    async def delete_all_jobs(
        self, _request: pb.DeleteAllJobsRequest, caller: Caller
    ) -> pb.DeleteAllJobsResponse:
        """DeleteAllJobs."""
        with saying("bulk job deletion failed"):
            if caller.owner == EVERYBODY:
                deleted, skipped = await self._client.delete_all(everybody=True)
            else:
                deleted, skipped = await self._delete_own(caller.owner)
        log.info("%d jobs: delete by %s (%s)", deleted, *_who(caller))
        return mapping.delete_all_response(deleted, skipped)

    async def get_job_logs(
        self, request: pb.GetJobLogsRequest, caller: Caller
    ) -> AsyncGenerator[pb.DataChunk, None]:
        """GetJobLogs: everything there is and will be, once, until the job has ended."""
        if not request.uuid:
            raise Refused("INVALID_ARGUMENT", "job_uuid is required")
        missing = f"job not found: {request.uuid}"
        reference = _reference(request.uuid, missing)
        chunker = Chunker()
        lost = 0
        try:
            async with aclosing(self._client.log(reference, LogRequest(merged=True))) as pieces:
                async for piece in pieces:
                    if piece.stream == GAP:
                        lost += piece.lost_bytes
                        caller.trailer["joblet-lost-bytes"] = str(lost)
                    elif payload := chunker.cut(piece.data):
                        yield pb.DataChunk(payload=payload)
        except JobletError as err:
            raise _not_found(err, missing) from err
        if rest := chunker.rest():
            yield pb.DataChunk(payload=rest)
        await self._settled(reference)

    async def _delete_own(self, owner: str) -> tuple[int, int]:
        """Remove the ended jobs of an owner, one by one: how many, and how many live on."""
        ended: list[str] = []
        live = 0
        cursor = ""
        while True:
            page = await self._client.list_jobs(JobQuery(limit=_PAGE, cursor=cursor))
            for status in page.jobs:
                if belongs(status, owner):
                    live += not status.state.terminal
                    ended += [status.id] if status.state.terminal else []
            cursor = page.next
            if not cursor:
                break
        deleted = 0
        for job_id in ended:
            try:
                await self._client.delete(job_id)
            except JobletError as err:
                # Somebody was faster, which is all that was wanted.
                if err.grpc_status != "NOT_FOUND":
                    raise
            else:
                deleted += 1
        return deleted, live

    async def _settled(self, reference: str) -> None:
        """Return when the end of a job is known too, milliseconds after that of its log.

        Clients take the end of the stream for the end of the job, and ask how it went.
        """
        try:
            async with asyncio.timeout(_END_PATIENCE_S):
                await self._waits.until_ended(reference, round(_END_PATIENCE_S * 1e6))
        except (TimeoutError, JobletError) as err:
            # All of the log was sent; that the job was deleted meanwhile, too, takes nothing away.
            log.debug("%s: its log has ended, and no news of its end: %s", reference, err)

    async def _begun(self, job_id: str) -> JobStatus:
        """The job a moment later: running, or already at its end, or waiting for its turn."""
        status: JobStatus | None = None
        try:
            async with asyncio.timeout(_START_PATIENCE_S):
                for usec in _START_WAITS_USEC:
                    status = await self._client.wait(job_id, timeout_usec=usec)
                    if status.state not in _NOT_STARTED:
                        break
        except (TimeoutError, JobletError) as err:
            # The job is accepted: an error now would make clients send it a second time.
            log.warning("%s: accepted, and no news of its start: %s", job_id, err)
        if status is None:
            return JobStatus(id=job_id, state=JobState.PENDING, owner_uid=0, submitted_usec=0)
        return status


def _reference(text: str, missing: str) -> str:
    try:
        return checked(text)
    except NotFound as err:
        raise Refused("NOT_FOUND", missing) from err


def _not_found(err: JobletError, missing: str) -> Exception:
    return Refused("NOT_FOUND", missing) if err.grpc_status == "NOT_FOUND" else err


def _sorted(entries: Sequence[tuple[JobStatus, pb.Job]]) -> pb.Jobs:
    return pb.Jobs(jobs=[entry for _, entry in sorted(entries, key=_by_creation)])


def _by_creation(pair: tuple[JobStatus, pb.Job]) -> tuple[int, str, str]:
    return mapping.list_order(pair[0])


def _who(caller: Caller) -> tuple[str, str]:
    remote = caller.identity.remote
    return remote.subject, remote.role
