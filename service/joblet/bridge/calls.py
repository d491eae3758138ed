"""Every call that reaches the bridge: who may, bytes to message, errors to status, and back.

The one place where an exception becomes the status of a call. Order: certificate, role, message,
handler, so that who may not call learns nothing from what is said about arguments. Bytes are
decoded here and not by the library, which would answer INTERNAL with a traceback in the log for a
message that is none.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from joblet.bridge.identity import Identities, Identity, Unidentified
from joblet.bridge.lookups import checked
from joblet.bridge.ownership import EVERYBODY, Ownership
from joblet.bridge.roles import JOB_FIELDS, KEEP_TO_THE_OWNER, OPERATIONS, refusal
from joblet.errors import InvalidSpec, JobletError, NotAllowed
from joblet.rpc.dialects import Dialect
from joblet.rpc.methods import Method
from joblet.rpc.native import ERROR_TRAILER

log = logging.getLogger(__name__)

_ABOUT_JOBS = ("joblet.JobService", "joblet1.Jobs")
# It travels in a header, of which clients take 8 KiB in all.
_DETAILS_MAX = 1000

Unary = Callable[[Any, "Caller"], Awaitable[Any]]
Stream = Callable[[Any, "Caller"], AsyncGenerator[Any, None]]
Taking = Callable[[AsyncIterator[Any], "Caller"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Caller:
    """One call, as a servicer sees it."""

    identity: Identity
    dialect: Dialect
    user_agent: str
    owner: str = EVERYBODY  # whose jobs alone this call is about
    # Goes out with the end of the call; clients that do not know it do not see it.
    trailer: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A call ends with this status (the name of a gRPC code), sentence and name of an error."""

    def __init__(self, status: str, sentence: str, *, code: str = "") -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


@contextmanager
def saying(text: str, *, invalid: str = "") -> Iterator[None]:
    """Errors of jobletd inside come out with the words that clients know in front."""
    try:
        yield
    except JobletError as err:
        status = err.grpc_status
        words = invalid if invalid and status == "INVALID_ARGUMENT" else text
        raise Refused(status, f"{words}: {err}") from err


class Gate:
    """Makes gRPC handlers of plain methods, for one listener; the streams end with close()."""

    def __init__(self, identities: Identities, ownership: Ownership, dialect: Dialect) -> None:
        self._identities = identities
        self._ownership = ownership
        self._dialect = dialect
        self._streams: set[asyncio.Task[Any] | None] = set()
        self._closing = False

    def close(self) -> None:
        """End every stream, and every one that may still begin; other calls come to their end."""
        self._closing = True
        for task in self._streams:
            if task is not None:
                task.cancel()

    def unary(self, method: Method, function: Unary) -> Any:
        """The handler of a method with one answer."""

        async def handle(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
            with _Ending(method) as ending:
                caller = self._admit(method, context)
                request = await self._own(method, _decode(method, data), caller)
                answer = await function(request, caller)
                _send_trailer(caller, context)
                return bytes(answer.SerializeToString())
            return bytes(await ending.tell(context))

        return grpc.unary_unary_rpc_method_handler(handle)

    def taking(self, method: Method, function: Taking) -> Any:
        """The handler of a method that takes a stream of messages and gives one answer."""

        async def handle(parts: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> bytes:
            with _Ending(method) as ending:
                caller = self._admit(method, context)

                await self._own(method, None, caller)

                async def messages() -> AsyncIterator[Any]:
                    async for data in parts:
                        # As for answers: whoever was put out meanwhile brings nothing more in.
                        self._check(method, caller.identity, context)
                        yield _decode(method, data)

                answer = await function(messages(), caller)
                return bytes(answer.SerializeToString())
            return bytes(await ending.tell(context))

        return grpc.stream_unary_rpc_method_handler(handle)

    def stream(self, method: Method, function: Stream) -> Any:
        """The handler of a method with a stream of answers: messages, or ready-made bytes.

        Where the client has a stream too, the function gets that for its request.
        """

        async def handle(
            data: bytes | AsyncIterator[bytes], context: grpc.aio.ServicerContext
        ) -> None:
            task = asyncio.current_task()
            self._streams.add(task)
            try:
                with _Ending(method) as ending:
                    await self._pass_on(method, function, data, context)
                    return
                await ending.tell(context)
            except asyncio.CancelledError:
                if not self._closing:
                    raise
                # Not the client's doing: it may come back and go on.
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the bridge is stopping")
            finally:
                self._streams.discard(task)

        if method.takes_stream:
            return grpc.stream_stream_rpc_method_handler(handle)
        return grpc.unary_stream_rpc_method_handler(handle)

    async def _pass_on(
        self,
        method: Method,
        function: Stream,
        data: bytes | AsyncIterator[bytes],
        context: grpc.aio.ServicerContext,
    ) -> None:
        caller = self._admit(method, context)
        if self._closing:
            raise Refused("UNAVAILABLE", "the bridge is stopping")
        request: Any
        if isinstance(data, bytes):
            request = await self._own(method, _decode(method, data), caller)
        else:
            request = (_decode(method, one) async for one in data)
        async with aclosing(function(request, caller)) as answers:
            async for answer in answers:
                # Whoever was let in may have been put out since: not a byte more.
                self._check(method, caller.identity, context)
                ready = answer if isinstance(answer, bytes) else answer.SerializeToString()
                # Waits until the client takes more: nothing piles up for one that does not.
                await context.write(ready)
        _send_trailer(caller, context)

    def _check(self, method: Method, identity: Identity, context: grpc.aio.ServicerContext) -> None:
        with _identified(method, context):
            self._identities.check(identity)

    def _admit(self, method: Method, context: grpc.aio.ServicerContext) -> Caller:
        with _identified(method, context):
            identity = self._identities.of(context.auth_context())
        why_not = refusal(f"{method.service}/{method.name}", identity.role)
        if why_not:
            who = f"{identity.subject} at {context.peer()}"
            log.warning("%s by %s refused: %s", method.name, who, why_not)
            raise Refused("PERMISSION_DENIED", why_not, code=NotAllowed.code)
        metadata: Mapping[str, str] = dict(tuple(context.invocation_metadata() or ()))
        user_agent = str(metadata.get("user-agent", ""))
        return Caller(identity, self._dialect, user_agent, self._ownership.owner(identity))

    async def _own(self, method: Method, request: Any, caller: Caller) -> Any:
        """The request, of a caller that is kept to its own jobs about one of those. Raises Refused.

        What is known to keep to them is let through, and nothing else.
        """
        full_name = f"{method.service}/{method.name}"
        if caller.owner == EVERYBODY or method.service not in _ABOUT_JOBS:
            return request
        field_name = JOB_FIELDS.get(full_name)
        if field_name is not None:
            reference = getattr(request, field_name)
            try:
                status = await self._ownership.job(checked(reference), caller.owner)
            except JobletError as err:
                if err.grpc_status != "NOT_FOUND":
                    raise
                sentence = f"job {reference} not found"
                raise Refused("NOT_FOUND", sentence, code=err.code) from err
            # From here on the whole id: another job may come to share the prefix.
            setattr(request, field_name, status.id)
        elif full_name not in KEEP_TO_THE_OWNER:
            operation, _ = OPERATIONS[full_name]
            why_not = f"operation {operation} is not for those who see only their own jobs here"
            raise Refused("PERMISSION_DENIED", why_not, code=NotAllowed.code)
        return request


@contextmanager
def _identified(method: Method, context: grpc.aio.ServicerContext) -> Iterator[None]:
    try:
        yield
    except Unidentified as err:
        log.warning("%s from %s refused: %s", method.name, context.peer(), err)
        raise Refused(
            "UNAUTHENTICATED", f"failed to extract client role: {err}", code=NotAllowed.code
        ) from err


class _Ending:
    """Keeps what a call ended with, so that one place tells the client."""

    def __init__(self, method: Method) -> None:
        self._method = method
        self._status = "OK"
        self._details = ""
        self._code = ""

    def __enter__(self) -> _Ending:
        return self

    def __exit__(self, kind: object, err: BaseException | None, _trace: object) -> bool:
        if err is None or not isinstance(err, Exception):
            # A client that went away is a cancelled task.
            return False
        match err:
            case Refused():
                self._status, self._details, self._code = err.status, str(err), err.code
            case JobletError():
                self._status, self._details, self._code = err.grpc_status, str(err), err.code
            case grpc.aio.InternalError():
                # Sending or receiving failed: the client went away, and its cancellation, by which
                # the library tells of it, is still on its way here.
                raise asyncio.CancelledError from err
            case _:
                number = uuid.uuid4().hex[:8]
                log.error("internal error %s in %s", number, self._method.name, exc_info=err)
                self._status = "INTERNAL"
                self._details = f"internal error {number}; the journal of joblet-bridge says more"
                self._code = JobletError.code
        return True

    async def tell(self, context: grpc.aio.ServicerContext) -> Any:
        """End the call with what was kept."""
        # The name of the error, for clients that tell more of them apart than gRPC does.
        trailer = ((ERROR_TRAILER, self._code),) if self._code else ()
        await context.abort(grpc.StatusCode[self._status], self._details[:_DETAILS_MAX], trailer)


def _send_trailer(caller: Caller, context: grpc.aio.ServicerContext) -> None:
    if caller.trailer:
        context.set_trailing_metadata(tuple(caller.trailer.items()))


def refuse_half_messages() -> None:
    """For this whole process: a message that ends in the middle of itself is none.

    One of the library's decoders only warns of it; as an error the warning surfaces as one of the
    two that _decode knows.
    """
    warnings.filterwarnings("error", "Unexpected end-group tag", RuntimeWarning)


def _decode(method: Method, data: bytes) -> Any:
    try:
        return method.request.FromString(data)
    except (DecodeError, RuntimeWarning, SystemError) as err:
        raise Refused(
            "INVALID_ARGUMENT",
            f"this is no {method.request.DESCRIPTOR.name} ({err})",
            code=InvalidSpec.code,
        ) from err
