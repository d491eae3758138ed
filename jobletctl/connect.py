"""Chooses the transport to the Joblet host and lends a connected client to one action.

The only place that imports a transport, and only when a command needs one: the D-Bus library and
asyncio cost more time than everything else that jobletctl does.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import TYPE_CHECKING, TypeVar

from joblet.errors import JobletError, Unreachable, Unsupported

if TYPE_CHECKING:
    from joblet.client.api import JobletClient

Result = TypeVar("Result")
# Who lives so long may leave garbage in circles.
_LONG_S = 1.0
# Of several hosts one that does not answer must not keep the others waiting for long.
EACH_PATIENCE_S = 15.0
Connector = Callable[[], AbstractAsyncContextManager["JobletClient"]]


@asynccontextmanager
async def local() -> AsyncIterator[JobletClient]:
    """The jobletd of this host, over the system bus."""
    from joblet.client.local import LocalClient

    async with LocalClient.connect() as client:
        yield client


def remote(name: str | None, path: str | None) -> Connector:
    """The bridge of a node, over gRPC; by default the default node of the first file there is."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[JobletClient]:
        from jobletctl.nodesfile import load

        node = load(path).node(name)
        async with AsyncExitStack() as stack:
            with _quiet_grpc():
                try:
                    from joblet.client.remote import RemoteClient
                except ModuleNotFoundError as err:
                    if err.name is None or err.name.partition(".")[0] not in ("grpc", "google"):
                        raise
                    raise Unsupported(
                        "asking another host needs gRPC, which is not installed here: "
                        "'apt-get install python3-grpcio python3-protobuf', or "
                        "'pip install grpcio protobuf'"
                    ) from err
                client = await stack.enter_async_context(RemoteClient.connect(node))
            yield client

    return connect


@contextmanager
def _quiet_grpc() -> Iterator[None]:
    """Its own words about a connection that fails are not for users; ours say what it means.

    It looks once, at its beginning; programs that are started later are not to inherit it.
    """
    variable = "GRPC_VERBOSITY"
    quiet = variable not in os.environ
    if quiet:
        os.environ[variable] = "NONE"
    try:
        yield
    finally:
        if quiet:
            del os.environ[variable]


@contextmanager
def _without_tls() -> Iterator[None]:
    """asyncio loads TLS where it is installed: 5 ms that nobody here uses."""
    hide = "ssl" not in sys.modules
    if hide:
        sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hide:
            del sys.modules["ssl"]


def with_each(
    connectors: Sequence[Connector], action: Callable[[JobletClient], Awaitable[Result]]
) -> list[Result | JobletError]:
    """Do one thing with each of several hosts at the same time; one that fails is its error."""
    with _without_tls():
        import asyncio

    async def one(connector: Connector) -> Result | JobletError:
        try:
            async with asyncio.timeout(EACH_PATIENCE_S), connector() as client:
                return await action(client)
        except TimeoutError:
            return Unreachable("it does not answer in time")
        except JobletError as err:
            return err

    async def all_of_them() -> list[Result | JobletError]:
        return await asyncio.gather(*map(one, connectors))

    return asyncio.run(all_of_them())


def with_client(
    connector: Connector, action: Callable[[JobletClient], Awaitable[Result]]
) -> Result:
    """Connect, do one thing, disconnect."""
    with _without_tls():
        import asyncio

    async def connected() -> Result:
        # packaging/bin/jobletctl turned it off: a short command leaves nothing worth collecting.
        asyncio.get_running_loop().call_later(_LONG_S, gc.enable)
        async with connector() as client:
            return await action(client)

    return asyncio.run(connected())
