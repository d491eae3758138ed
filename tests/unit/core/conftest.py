"""Core is tested in turned time: its timers are over at once, in their right order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

import pytest

from tests.fakes.clock import TurnedLoop
from tests.fakes.daemon import Daemon, World, open_descriptors

Start = Callable[..., Awaitable[Daemon]]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test of this folder runs in a loop that jumps."""
    return {"turned": TurnedLoop}


@pytest.fixture
def world() -> Iterator[World]:
    """A disk, a shelf of logs and a host; no descriptor that it gave out may be left."""
    before = open_descriptors()
    yield World()
    assert open_descriptors() == before


@pytest.fixture
async def start(world: World, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Start]:
    """Starts daemons on the world; at the end none may have seen an illegal event or a crash."""
    daemons: list[Daemon] = []

    async def begin(**keys: object) -> Daemon:
        daemon = Daemon(world, **keys)  # type: ignore[arg-type]
        daemons.append(daemon)
        return await daemon.start()

    yield begin
    for daemon in daemons:
        await daemon.bury()
        assert daemon.seen.complaints == []
    records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    crashes = [r.getMessage() for r in records if r.exc_info and r.levelname == "ERROR"]
    assert crashes == []
