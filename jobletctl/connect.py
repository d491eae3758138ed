"""Chooses the transport to the Joblet host and lends a connected client to one action.

The only place that imports a transport, and only when a command needs one: the D-Bus library and
asyncio cost more time than everything else that jobletctl does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from joblet.client.api import JobletClient

Result = TypeVar("Result")
Connector = Callable[[], AbstractAsyncContextManager["JobletClient"]]


@asynccontextmanager
async def local() -> AsyncIterator[JobletClient]:
    """The jobletd of this host, over the system bus."""
    from joblet.client.local import LocalClient

    async with LocalClient.connect() as client:
        yield client


def with_client(
    connector: Connector, action: Callable[[JobletClient], Awaitable[Result]]
) -> Result:
    """Connect, do one thing, disconnect."""
    import asyncio

    async def connected() -> Result:
        async with connector() as client:
            return await action(client)

    return asyncio.run(connected())
