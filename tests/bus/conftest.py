"""A private system bus for each test, and what the tests of this tier share."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from joblet.bus.connection import Connection

PATIENCE_S = 60.0
Result = TypeVar("Result")
Open = Callable[[], Awaitable[Connection]]

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow user="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""


class PrivateBus:
    """A dbus-daemon of our own; its socket is open to every user."""

    def __init__(self, directory: Path) -> None:
        socket = directory / "bus"
        config = directory / "bus.conf"
        config.write_text(_CONFIG.format(socket=socket))
        self.address = f"unix:path={socket}"
        self._daemon = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._daemon.stdout is not None
        if not self._daemon.stdout.readline():
            raise RuntimeError("dbus-daemon does not start")

    def kill(self) -> None:
        """End the daemon. Idempotent."""
        self._daemon.kill()
        self._daemon.wait()
        if self._daemon.stdout is not None:
            self._daemon.stdout.close()


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    """A bus for one test."""
    # Not below pytest's own directory, which is closed to other users.
    with tempfile.TemporaryDirectory(prefix="joblet-bus-") as directory:
        Path(directory).chmod(0o755)
        private = PrivateBus(Path(directory))
        try:
            yield private
        finally:
            private.kill()


@pytest.fixture
async def connect(bus: PrivateBus) -> AsyncIterator[Open]:
    """Opens connections that are closed after the test."""
    connections: list[Connection] = []

    async def open_one() -> Connection:
        connection = await Connection.open(bus.address)
        connections.append(connection)
        return connection

    yield open_one
    for connection in connections:
        await connection.close()


@pytest.fixture
def within() -> Callable[[Awaitable[Result]], Awaitable[Result]]:
    """Awaits something with a deadline."""

    async def wait(awaitable: Awaitable[Result]) -> Result:
        async with asyncio.timeout(PATIENCE_S):
            return await awaitable

    return wait


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Waits until a condition of this process holds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            # The condition is of any kind; there is no event to wait for.
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    return wait
