"""Reading and writing a pipe on the event loop, without a thread that could be left hanging.

The descriptor must not block (os.set_blocking); it stays the caller's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

# As much as a pipe holds, several times over; one message of a stream.
PIECE = 1 << 18


async def read(fd: int, limit: int = PIECE) -> bytes:
    """The next bytes, as soon as there are any; none at the end. Raises OSError."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.read(fd, limit)
        except BlockingIOError:
            await _ready(fd, loop.add_reader, loop.remove_reader)


async def write(fd: int, data: bytes) -> None:
    """All of it. Raises BrokenPipeError when nobody reads any more, OSError."""
    loop = asyncio.get_running_loop()
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            await _ready(fd, loop.add_writer, loop.remove_writer)


async def _ready(
    fd: int, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]
) -> None:
    ready = asyncio.Event()
    add(fd, ready.set)
    try:
        await ready.wait()
    finally:
        remove(fd)
