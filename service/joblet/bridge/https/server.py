"""The HTTPS side of the bridge: who may, which resource, errors to bodies; the one user of aiohttp.

Only reading; whatever changes something is gRPC's. The connection is the client certificate, as
there, and the same table says what its role may. A follower of a log is held up by nobody and holds
up nobody: what it does not take stays in the file, and at most one event and the buffers of its
connection wait in memory. With a connection that goes away, is put out or is stopped, its stream
ends within a second, also when the log is quiet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from joblet.bridge.credentials import Credentials
from joblet.bridge.https import documents, events
from joblet.bridge.https.listener import Listener, peer_name, use_small_buffers
from joblet.bridge.identity import Identities, Identity, Unidentified
from joblet.bridge.librarylog import on_one_line
from joblet.bridge.lookups import checked
from joblet.bridge.ownership import Ownership, belongs
from joblet.bridge.roles import refusal
from joblet.bridge.waits import Waits
from joblet.client.api import JobletClient, JobStatus, LogRequest
from joblet.config import BridgeConfig
from joblet.errors import JobletError, Unreachable

log = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
_LOOK_S = 1.0
_END_PATIENCE_S = 5.0
_DESCRIPTION = Path(__file__).with_name("openapi.json")
_JSON = "application/json"
# Where aiohttp tells of what is no HTTP.
_LIBRARY_LOG = logging.getLogger(f"{__name__}.http")
# Resource: the operation of gRPC whose row of the table of roles holds here too.
OPERATIONS = {
    "/v1/openapi.json": "joblet.JobService/ListJobs",
    "/v1/jobs": "joblet.JobService/ListJobs",
    "/v1/jobs/{id}": "joblet.JobService/GetJobStatus",
    "/v1/jobs/{id}/logs": "joblet.JobService/GetJobLogs",
}
_HEADERS = {
    "Server": "joblet-bridge",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class _Refused(Exception):
    """A request ends with this status and sentence."""

    def __init__(self, code: str, sentence: str, *, http_status: int | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.http_status = documents.http_status(code) if http_status is None else http_status


class _Caller(NamedTuple):
    """Whose request it is, and whose jobs alone it is about."""

    identity: Identity
    owner: str


class _Stream:
    """One follower; lives as long as its response."""

    def __init__(
        self, identity: Identity, transport: asyncio.Transport, response: web.StreamResponse
    ) -> None:
        self.identity = identity
        self.transport = transport
        self.pump: asyncio.Task[None] | None = None
        self._response = response
        self._writing = False
        self._written = False

    async def write(self, data: bytes) -> None:
        """Waits until the client takes more. Raises ConnectionError."""
        self._written = self._writing = True
        try:
            await self._response.write(data)
        finally:
            self._writing = False

    def was_quiet(self) -> bool:
        """True when nothing was written, and nothing waits to be, since the last question."""
        quiet = not (self._written or self._writing)
        self._written = False
        return quiet

    def end(self) -> None:
        """The response is complete as it is."""
        if self.pump is not None:
            self.pump.cancel()

    def cut(self) -> None:
        """Not a byte more."""
        self.transport.abort()
        self.end()


class Service:
    """The resources of one bridge; all listeners share it."""

    def __init__(
        self,
        client: JobletClient,
        waits: Waits,
        ownership: Ownership,
        identities: Identities,
        *,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._client = client
        self._waits = waits
        self._ownership = ownership
        self._identities = identities
        self._heartbeat_s = heartbeat_s
        self._streams: set[_Stream] = set()
        self._closing = False
        self._description = _DESCRIPTION.read_bytes()

    def application(self) -> web.Application:
        """The routes, with everything that holds for all of them."""
        application = web.Application(middlewares=[self._frame])
        handlers = {
            "/v1/openapi.json": self._openapi,
            "/v1/jobs": self._jobs,
            "/v1/jobs/{id}": self._job,
            "/v1/jobs/{id}/logs": self._logs,
        }
        for path, handler in handlers.items():
            application.router.add_get(path, handler, allow_head=False)
        application.on_response_prepare.append(_put_headers)
        return application

    async def watch(self) -> None:
        """End the streams of those who went away or were put out. Never returns."""
        while True:
            await asyncio.sleep(_LOOK_S)
            for stream in list(self._streams):
                try:
                    self._identities.check(stream.identity)
                except Unidentified as err:
                    log.warning("a stream is ended: %s", err)
                    stream.cut()
                if stream.transport.is_closing():
                    stream.end()

    def close(self) -> None:
        """End every stream, and let none begin: clients come back and go on."""
        self._closing = True
        for stream in self._streams:
            stream.end()

    @web.middleware  # type: ignore[untyped-decorator]
    async def _frame(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Certificate, role, resource; and what goes wrong as a small body."""
        try:
            request["caller"] = self._admit(request)
            return await handler(request)
        except Unidentified as err:
            log.warning("%s from %s refused: %s", _what(request), _peer(request), err)
            refused = _Refused("UNAUTHENTICATED", str(err))
        except _Refused as err:
            refused = err
        except JobletError as err:
            refused = _Refused(err.grpc_status, str(err))
        except web.HTTPMethodNotAllowed as err:
            sentence = f"there is only GET here, and no {err.method}"
            refused = _Refused("UNIMPLEMENTED", sentence, http_status=err.status)
        except web.HTTPNotFound:
            refused = _Refused("NOT_FOUND", "there is nothing here; see /v1/openapi.json")
        except web.HTTPException as err:
            refused = _Refused("INVALID_ARGUMENT", err.reason, http_status=err.status)
        except ConnectionError:
            # The client has gone: there is nobody to tell.
            raise
        except Exception as err:
            refused = _Refused("INTERNAL", _internal(request, err))
        body = documents.encoded(documents.error(refused.code, str(refused)))
        return web.Response(body=body, status=refused.http_status, content_type=_JSON)

    def _admit(self, request: web.Request) -> _Caller:
        identity = self._identities.of(_auth_context(request))
        resource = request.match_info.route.resource
        path = "/v1/jobs" if resource is None else resource.canonical
        if why_not := refusal(OPERATIONS[path], identity.role):
            who = f"{identity.subject} at {_peer(request)}"
            log.warning("%s by %s refused: %s", _what(request), who, why_not)
            raise _Refused("PERMISSION_DENIED", why_not)
        return _Caller(identity, self._ownership.owner(identity))

    async def _openapi(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=self._description, content_type=_JSON)

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        caller: _Caller = request["caller"]
        found = await self._client.list_jobs(documents.job_query(request.query.items()))
        jobs = [status for status in found.jobs if belongs(status, caller.owner)]
        return _document(documents.page(jobs, found))

    async def _job(self, request: web.Request) -> web.StreamResponse:
        return _document(documents.job(await self._asked_for(request)))

    async def _asked_for(self, request: web.Request) -> JobStatus:
        caller: _Caller = request["caller"]
        return await self._ownership.job(checked(request.match_info["id"]), caller.owner)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        caller: _Caller = request["caller"]
        last_event_id = request.headers.get("Last-Event-ID")
        wanted = documents.log_request(request.query.items(), last_event_id)
        status = await self._asked_for(request)
        if self._closing:
            raise Unreachable("the bridge is stopping")
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client has gone")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        stream = _Stream(caller.identity, transport, response)
        self._streams.add(stream)
        try:
            stream.pump = asyncio.create_task(self._pump(request, stream, status, wanted))
            await self._accompany(stream, stream.pump)
        finally:
            self._streams.discard(stream)
        return response

    async def _accompany(self, stream: _Stream, pump: asyncio.Task[None]) -> None:
        """Return when a stream has ended; while it is quiet, show that it is still there."""
        try:
            while not pump.done():
                await asyncio.wait([pump], timeout=self._heartbeat_s)
                if not pump.done() and stream.was_quiet():
                    await stream.write(events.HEARTBEAT)
        finally:
            pump.cancel()
            await asyncio.wait([pump])
        if not pump.cancelled():
            pump.result()

    async def _pump(
        self, request: web.Request, stream: _Stream, status: JobStatus, wanted: LogRequest
    ) -> None:
        """The log of a job, up to its end, and how the job ended. Raises ConnectionError."""
        encoder = events.Encoder(wanted.offset)
        await stream.write(events.BEGINNING)
        try:
            async with aclosing(self._client.log(status.id, wanted)) as pieces:
                async for piece in pieces:
                    # Whoever was let in may have been put out since.
                    self._identities.check(stream.identity)
                    if data := encoder.encode(piece):
                        await stream.write(data)
            rest = encoder.rest()
            final = await self._ended(status, wanted)
            await stream.write(rest + events.end(final, encoder.position))
        except Unidentified as err:
            log.warning("a stream is ended: %s", err)
            stream.cut()
        except JobletError as err:
            await stream.write(_failure(err.grpc_status, str(err)))
        except ConnectionError:
            raise
        except Exception as err:
            await stream.write(_failure("INTERNAL", _internal(request, err)))

    async def _ended(self, status: JobStatus, wanted: LogRequest) -> JobStatus:
        """The job at the end of its log, milliseconds after which its own end is known."""
        if status.state.terminal:
            return status
        try:
            if not wanted.follow:
                return await self._client.status(status.id)
            async with asyncio.timeout(_END_PATIENCE_S):
                return await self._waits.until_ended(status.id, round(_END_PATIENCE_S * 1e6))
        except (TimeoutError, JobletError) as err:
            # All of the log was sent; that the job was deleted meanwhile takes nothing away.
            log.debug("%s: its log has ended, and no news of its end: %s", status.id, err)
            return status


@asynccontextmanager
async def serving(
    config: BridgeConfig,
    credentials: Credentials,
    client: JobletClient,
    waits: Waits,
    ownership: Ownership,
    *,
    heartbeat_s: float = HEARTBEAT_S,
) -> AsyncIterator[tuple[int, ...]]:
    """Serve while the context lasts; the ports, in order of the listeners. Raises ConfigError."""
    use_small_buffers()
    service = Service(client, waits, ownership, Identities(credentials), heartbeat_s=heartbeat_s)
    # No request here has a body. One that is there waits unread, a few KiB of it, as it came:
    # unpacked it would be a thousand times as much.
    runner = web.AppRunner(
        service.application(),
        access_log=None,
        logger=on_one_line(_LIBRARY_LOG),
        auto_decompress=False,
    )
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101  # there is one after setup
    watch = asyncio.create_task(service.watch())
    listeners: list[Listener] = []
    try:
        for text in config.https_listeners:
            listeners.append(Listener(text, credentials, server))
            log.info("listening on %s (https)", text)
        yield tuple(listener.port for listener in listeners)
    finally:
        for listener in listeners:
            await listener.close()
        service.close()
        await server.shutdown(config.stop_grace_usec / 1e6)
        await runner.cleanup()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _put_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _document(document: object) -> web.Response:
    return web.Response(body=documents.encoded(document), content_type=_JSON)


def _auth_context(request: web.Request) -> dict[str, list[bytes]]:
    """What gRPC tells of a connection, of this one."""
    secure = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    if secure is None:
        raise Unidentified("the connection has ended")
    certificate = secure.getpeercert(binary_form=True)
    context = {"ssl_tls_version": [secure.version().encode()]}
    if certificate is not None:
        context["x509_pem_cert"] = [ssl.DER_cert_to_PEM_cert(certificate).encode()]
    return context


def _what(request: web.Request) -> str:
    # A path is text of a stranger: as a literal it stays on one line.
    return f"{request.method} {request.path[:200]!r}"


def _peer(request: web.Request) -> str:
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    return "nowhere" if peer is None else peer_name(peer)


def _internal(request: web.Request, err: Exception) -> str:
    """The sentence for a client about a bug of ours; the rest is for the journal."""
    number = uuid.uuid4().hex[:8]
    log.error("internal error %s in %s", number, _what(request), exc_info=err)
    return f"internal error {number}; the journal of joblet-bridge says more"


def _failure(code: str, message: str) -> bytes:
    return events.event("error", documents.error(code, message))
