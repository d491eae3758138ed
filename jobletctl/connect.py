"""Chooses the transport to the Joblet host and lends a connected client to one action.

The only place that imports a transport, and only when a command needs one: the D-Bus library and
asyncio cost more time than everything else that jobletctl does.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from joblet.client.api import JobletClient

Result = TypeVar("Result")
# Who lives so long may leave garbage in circles.
_LONG_S = 1.0
Connector = Callable[[], AbstractAsyncContextManager["JobletClient"]]


@asynccontextmanager
async def local() -> AsyncIterator[JobletClient]:
    """The jobletd of this host, over the system bus."""
    from joblet.client.local import LocalClient

    async with LocalClient.connect() as client:
        yield client


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
