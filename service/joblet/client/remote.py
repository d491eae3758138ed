"""JobletClient over gRPC: a joblet-bridge somewhere else, asked through joblet1.Jobs.

Owns the connection with mutual TLS, the deadline of each call, and going on after a connection was
lost: a wait and a log do, without a gap and with nothing twice; a change is never sent a second
time, since the first one may have been carried out. The form of messages is rpc.native's, what to
say of a connection losses.py's, the file of nodes nodes.py's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from joblet.client import losses, pipes
from joblet.client.api import (
    GAP,
    NO_ATTACHMENTS,
    Attachments,
    JobPage,
    JobQuery,
    JobStatus,
    LogPiece,
    LogRequest,
)
from joblet.errors import JobletError, RemoteError, Unreachable, Unsupported
from joblet.rpc import native
from joblet.rpc.methods import NATIVE
from joblet.rpc.pb import joblet1_pb2 as pb
from joblet.rpc.tls import require_tls_1_3

if TYPE_CHECKING:
    from joblet.client.looks import Explanation, JobEvent, UsageReport
    from joblet.client.monitoring import MetricsRequest
    from joblet.client.nodes import Node
    from joblet.model.host import HostStatus
    from joblet.model.job import JobSpec
    from joblet.model.metrics import Sample

# Every server certificate is for this name besides its own; clients have verified it ever since,
# so that a host can be reached by any address.
SERVER_NAME = "joblet"

CONNECT_S = 10.0
_READ_DEADLINE_S = 30
# The bridge gives jobletd as long.
_CHANGE_DEADLINE_S = 120
# The one who sends sets the pace.
_UPLOAD_DEADLINE_S = 6 * 3600
_WAIT_ROUND_USEC = 300 * 1_000_000
# As long as a host may take to start again.
LOST_PATIENCE_S = 60.0
_RETRY_FIRST_S = 0.05
_RETRY_LAST_S = 1.0
# As many as the bridge answers at once.
_STATUSES_MAX = 256

_OPTIONS = (
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.max_receive_message_length", 64 << 20),
    # One connection for each client, also for two of one process.
    ("grpc.use_local_subchannel_pool", 1),
    # A host that went away without a word is noticed, also in the middle of a silent log.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Within the patience, not after minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
_METHODS = {method.name: method for method in NATIVE}


class RemoteClient:
    """One connection to one node; fulfils JobletClient."""

    def __init__(
        self, channel: grpc.aio.Channel, node: Node, *, lost_patience_s: float = LOST_PATIENCE_S
    ) -> None:
        self._channel = channel
        self._node = node
        self._lost_patience_s = lost_patience_s
        # From the first answer on it is known that address and certificate are right.
        self._answered = False
        self._pumps: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        node: Node,
        *,
        connect_s: float = CONNECT_S,
        lost_patience_s: float = LOST_PATIENCE_S,
    ) -> AsyncIterator[RemoteClient]:
        """Connected while the context lasts. Raises Unreachable when nothing answers."""
        require_tls_1_3()
        credentials = grpc.ssl_channel_credentials(
            node.ca.encode(), node.key.encode(), node.cert.encode()
        )
        async with grpc.aio.secure_channel(node.address, credentials, options=_OPTIONS) as channel:
            try:
                async with asyncio.timeout(connect_s):
                    await _connected(channel)
            except TimeoutError as err:
                raise losses.silent(node) from err
            client = cls(channel, node, lost_patience_s=lost_patience_s)
            try:
                yield client
            finally:
                await client._end_pumps()

    async def run(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> str:
        """Submit a job; its whole id."""
        if attached.directory is not None:
            raise Unsupported("over the network a directory goes as a tar stream")
        request = pb.RunRequest(
            spec=native.spec_message(spec),
            secrets=native.variables(attached.secrets),
            upload=attached.tar is not None,
        )
        deadline_s = _CHANGE_DEADLINE_S if attached.tar is None else _UPLOAD_DEADLINE_S
        method = _METHODS["Run"]
        call = self._channel.stream_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )(timeout=deadline_s)
        try:
            try:
                await call.write(pb.RunPart(request=request))
                if attached.tar is not None:
                    os.set_blocking(attached.tar, False)
                    while data := await pipes.read(attached.tar):
                        await call.write(pb.RunPart(tar=data))
                await call.done_writing()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass  # it has ended already; its answer says how
            answer = await call
        except grpc.aio.AioRpcError as err:
            raise self._failure(err, change=True) from err
        finally:
            # Of no effect on one that has ended. Half an archive is no job.
            call.cancel()
        self._answered = True
        return str(answer.id)

    async def explain(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> Explanation:
        """What `run` would make of the same."""
        secrets = native.variables(attached.secrets)
        request = pb.RunRequest(spec=native.spec_message(spec), secrets=secrets)
        return native.read_explanation(await self._read("Explain", request))

    async def usage(self) -> UsageReport:
        """What the host and its running jobs use right now."""
        return native.read_usage(await self._read("Usage", pb.Nothing()))

    async def version(self) -> str:
        """The version of the daemon."""
        answer = await self._read("Version", pb.Nothing())
        return str(answer.version)

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """What happens to jobs from now on; a lost connection ends it, since events are not kept.

        Raises Unreachable.
        """
        call = self._stream("Events", pb.Nothing())
        try:
            async for message in call:
                self._answered = True
                yield native.read_event(message)
        except grpc.aio.AioRpcError as err:
            raise self._failure(err) from err
        finally:
            call.cancel()

    async def files(self, job: str, path: str) -> int:
        """A path of the job's /work as a tar stream; the caller closes the descriptor."""
        call = self._stream("Files", pb.FilesRequest(job=job, path=path))
        try:
            # What is wrong with the question is said before there is a stream.
            first = await call.read()
        except grpc.aio.AioRpcError as err:
            raise self._failure(err) from err
        except BaseException:
            call.cancel()
            raise
        self._answered = True
        reading, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writing, False)
        pump = asyncio.ensure_future(_pump(call, first, writing))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return reading

    async def status(self, job: str) -> JobStatus:
        """What is known of a job."""
        [found] = await self.statuses([job])
        if isinstance(found, JobletError):
            raise found
        return found

    async def statuses(self, jobs: Sequence[str]) -> list[JobStatus | JobletError]:
        """Many jobs in few questions."""
        found: list[JobStatus | JobletError] = []
        while len(found) < len(jobs):
            asked = jobs[len(found) : len(found) + _STATUSES_MAX]
            answers = await self._read("Get", pb.References(jobs=asked))
            found += native.read_answers(answers, len(asked), node=self._node.name)
        return found

    async def list_jobs(self, query: JobQuery) -> JobPage:
        """One page of jobs."""
        return native.read_page(await self._read("List", native.query_message(query)))

    async def wait(self, job: str, *, timeout_usec: int = 0) -> JobStatus:
        """Return when the job has ended, or after the time (0: never)."""
        end_s = time.monotonic() + timeout_usec / 1_000_000
        patience = _Patience(self._lost_patience_s)
        while True:
            round_usec = _WAIT_ROUND_USEC
            if timeout_usec:
                left_usec = round((end_s - time.monotonic()) * 1_000_000)
                # 0 would mean: as long as the bridge likes
                round_usec = max(1, min(round_usec, left_usec))
            request = pb.WaitRequest(job=job, timeout_usec=round_usec)
            try:
                message = await self._call("Wait", request, round_usec / 1e6 + _READ_DEADLINE_S)
            except grpc.aio.AioRpcError as err:
                await self._pause(err, patience)
                continue
            patience.rewarded()
            status = native.read_status(message)
            if status.state.terminal or (timeout_usec and time.monotonic() >= end_s):
                return status
            # The whole id from now on: another job may come to share the prefix.
            job = status.id

    async def stop(self, job: str) -> str:
        """Ask a job to end; its whole id."""
        return await self._change_job("Stop", pb.Job(id=job))

    async def update(self, job: str, limits: Mapping[str, object]) -> str:
        """Give a job other limits; its whole id."""
        request = pb.UpdateRequest(job=job, limits=native.limits_message(limits))
        return await self._change_job("Update", request)

    async def cancel(self, job: str) -> str:
        """Give up a job that has not started; its whole id."""
        return await self._change_job("Cancel", pb.Job(id=job))

    async def delete(self, job: str) -> str:
        """Remove an ended job with its log; its whole id."""
        return await self._change_job("Delete", pb.Job(id=job))

    async def delete_all(self, *, everybody: bool = False) -> tuple[int, int]:
        """Remove all ended jobs of this certificate's name or of everybody."""
        request = pb.DeleteAllRequest(everybody=everybody)
        answer = await self._change("DeleteAll", request)
        return answer.deleted, answer.skipped

    async def log(self, job: str, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """The log from where the request says, to its end."""
        # The whole id, so that a prefix selects the same job after a lost connection.
        job = (await self.status(job)).id
        patience = _Patience(self._lost_patience_s)
        last: LogPiece | None = None
        while True:
            call = self._stream("Log", native.log_request_message(job, request))
            try:
                async for message in call:
                    patience.rewarded()
                    piece = native.read_piece(message)
                    if piece == last and piece.stream == GAP and piece.after == last.after:
                        continue  # told before the connection was lost
                    last = piece
                    yield piece
                    request = LogRequest(
                        follow=request.follow, stream=request.stream, offset=piece.after
                    )
                return
            except grpc.aio.AioRpcError as err:
                await self._pause(err, patience)
            finally:
                call.cancel()

    async def metrics(self, job: str, request: MetricsRequest) -> AsyncGenerator[Sample, None]:
        """The samples of a job, oldest first, each once; following: to the end of the job."""
        # its classes cost milliseconds
        from joblet.client.monitoring import samples

        # The whole id, so that a prefix selects the same job after a lost connection.
        job = (await self.status(job)).id
        patience = _Patience(self._lost_patience_s)
        after = request.after
        while True:
            asked = pb.MetricsRequest(
                job=job,
                follow=request.follow,
                after=after,
                since_usec=request.since_usec,
                until_usec=request.until_usec,
            )
            call = self._stream("Metrics", asked)
            try:
                async for message in call:
                    patience.rewarded()
                    for sample in samples(message.json):
                        after = sample.number
                        yield sample
                return
            except grpc.aio.AioRpcError as err:
                await self._pause(err, patience)
            finally:
                call.cancel()

    async def host_status(
        self, groups: Sequence[str], *, window_usec: int = 1_000_000
    ) -> HostStatus:
        """The host right now, with rates over about the window; no groups are all."""
        from joblet.client.monitoring import host_status

        request = pb.HostStatusRequest(groups=groups, window_usec=window_usec)
        answer = await self._read("HostStatus", request)
        return host_status(answer.json)

    async def _read(self, name: str, request: Any) -> Any:
        try:
            return await self._call(name, request, _READ_DEADLINE_S)
        except grpc.aio.AioRpcError as err:
            raise self._failure(err) from err

    async def _change(self, name: str, request: Any) -> Any:
        try:
            return await self._call(name, request, _CHANGE_DEADLINE_S)
        except grpc.aio.AioRpcError as err:
            raise self._failure(err, change=True) from err

    async def _change_job(self, name: str, request: Any) -> str:
        answer = await self._change(name, request)
        return str(answer.id)

    async def _call(self, name: str, request: Any, deadline_s: float) -> Any:
        method = _METHODS[name]
        call = self._channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        answer = await call(request, timeout=deadline_s)
        self._answered = True
        return answer

    def _stream(self, name: str, request: Any) -> Any:
        method = _METHODS[name]
        call = self._channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return call(request)

    async def _pause(self, err: grpc.aio.AioRpcError, patience: _Patience) -> None:
        """Before asking again after a loss. Raises JobletError for what is none, or lasts."""
        failure = self._failure(err)
        if not (self._answered and isinstance(failure, Unreachable)):
            raise failure from err
        if not await patience.pause():
            raise failure from err

    def _failure(self, err: grpc.aio.AioRpcError, *, change: bool = False) -> JobletError:
        """The error of a call in the words of the project."""
        code = dict(tuple(err.trailing_metadata() or ())).get(native.ERROR_TRAILER)
        if code:
            # From beyond the connection: it is fine.
            self._answered = True
            sentence = (err.details() or "").strip()
            return RemoteError(native.error_name(str(code)), sentence, node=self._node.name)
        return losses.explained(err, self._node, answered=self._answered, change=change)

    async def _end_pumps(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        if self._pumps:
            await asyncio.wait(self._pumps)


class _Patience:
    """How long a host may be gone before it is given up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._silent_since_s: float | None = None
        self._delay_s = _RETRY_FIRST_S

    def rewarded(self) -> None:
        """It is there."""
        self._silent_since_s = None
        self._delay_s = _RETRY_FIRST_S

    async def pause(self) -> bool:
        """Before another try; False when there should be none."""
        now_s = time.monotonic()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        if now_s - self._silent_since_s > self._seconds:
            return False
        await asyncio.sleep(self._delay_s)
        self._delay_s = min(self._delay_s * 2, _RETRY_LAST_S)
        return True


async def _connected(channel: grpc.aio.Channel) -> None:
    """Return when it is known whether it can be; if not, the first call says why."""
    done = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
    state = channel.get_state(try_to_connect=True)
    while state not in done:
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)


async def _pump(call: Any, first: Any, writing: int) -> None:
    """A stream of bytes into a pipe, which is closed at its end.

    Whoever reads it sees by the end of the archive whether that was the end.
    """
    try:
        message = first
        while message is not grpc.aio.EOF:
            await pipes.write(writing, message.tar)
            message = await call.read()
    except (BrokenPipeError, grpc.aio.AioRpcError):
        pass  # nobody reads, or there is no more
    finally:
        call.cancel()
        os.close(writing)
