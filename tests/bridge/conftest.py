"""A bridge in this process, around a host in memory, on a port of loopback; and who calls it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from joblet.bridge.wiring import bridge
from joblet.client.looks import UsageReport
from joblet.config import BridgeConfig
from joblet.paths import Paths
from joblet.rpc import methods
from tests.bridge.authority import Authority, Pair
from tests.fakes.client import HOST, FakeClient

PATIENCE_S = 60.0
# They go on for ever.
ENDLESS = ("Watch", "Events", "StreamSystemMetrics")
METHODS = {method.name: method for method in methods.EVERY}


class Remote:
    """A client of one certificate: calls any method by name with a message, or with bytes."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def __call__(self, name: str, request: Any = None) -> Any:
        """One call to its end: the answer, or a list of the answers of a stream."""
        method = METHODS[name]
        call = self.start(name, request)
        async with asyncio.timeout(PATIENCE_S):
            return [answer async for answer in call] if method.streams else await call

    def start(self, name: str, request: Any = None) -> Any:
        """Begin a call."""
        method = METHODS[name]
        data = request if isinstance(request, bytes) else _bytes(method, request)
        decode = method.response.FromString
        if method.takes_stream:
            return self._channel.stream_unary(method.path, response_deserializer=decode)([data])
        kind = self._channel.unary_stream if method.streams else self._channel.unary_unary
        return kind(method.path, response_deserializer=decode)(data)

    async def refused(self, name: str, request: Any = None) -> tuple[str, str]:
        """Code and sentence of a call that must fail."""
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await self(name, request)
        return refusal.value.code().name, refusal.value.details() or ""


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so in this process."""
    async with asyncio.timeout(PATIENCE_S):
        # The condition is of any kind; there is no event to wait for.
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def _bytes(method: methods.Method, request: Any) -> bytes:
    return bytes((method.request() if request is None else request).SerializeToString())


class Ground(NamedTuple):
    """A bridge with what is behind and before it."""

    host: FakeClient
    authority: Authority
    ports: tuple[int, ...]
    config_folder: Path
    connect: Callable[..., Remote]
    end: Callable[[], Awaitable[None]]  # before the test does

    def user(self, unit: str = "admin", name: str = "ada") -> Remote:
        """Somebody with a certificate of this unit."""
        return self.connect(self.authority.issue(name, unit))


Start = Callable[..., Awaitable[Ground]]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The CA of the tests."""
    return Authority()


@pytest.fixture
async def start(authority: Authority, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a bridge with these settings; ended after the test, its clients first."""
    async with AsyncExitStack() as stack:

        async def start_one(host: FakeClient | None = None, **settings: Any) -> Ground:
            if host is None:
                host = FakeClient()
                host.reports = [UsageReport(1, HOST, ())]
            authority.write_server(tmp_path / "pki/bridge")
            config = BridgeConfig(
                **{"listeners": ("127.0.0.1:0",), "stop_grace_usec": 1_000_000, **settings}
            )
            paths = Paths(config=str(tmp_path))
            serving = await stack.enter_async_context(AsyncExitStack())
            ports = await serving.enter_async_context(
                bridge(config, paths, host, alive=lambda: True)
            )

            def connect(pair: Pair | None, *, listener: int = 0, **options: int) -> Remote:
                channel = authority.channel(ports[listener], pair, **options)
                stack.push_async_callback(channel.close)
                return Remote(channel)

            return Ground(host, authority, ports, tmp_path, connect, serving.aclose)

        yield start_one


@pytest.fixture
async def ground(start: Start) -> Ground:
    """A bridge with the settings of the tests."""
    return await start()
