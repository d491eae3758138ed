"""The D-Bus library, with its faults contained.

The only module that touches dbus-next 0.2.3. The library finds the bus, authenticates, says Hello
and writes what the socket would not take at once. What is done here or above it, and why:

- its writer dies of EAGAIN when two messages wait: it gets one at a time, from outbox.py;
- its reader goes on while there is input, so a flood starves the event loop, it loses the
  connection over a message that it does not understand, and it is slow: stream.py reads;
- its message handling sends tracebacks to callers: connection.py answers every message;
- it waits for ever for the end of a line when the other side hangs up during authentication,
  takes a refused Hello for a success, and never closes its socket.

The names it overrides are pinned by a test.
"""

from __future__ import annotations

import array
import asyncio
import socket
import sys
from collections.abc import Sequence
from typing import Any

from joblet.errors import Unreachable

# The library's glib half loads gi where it is installed: 15 ms and 4 MB that nobody here uses.
_hide_gi = "gi" not in sys.modules
if _hide_gi:
    sys.modules["gi"] = None  # type: ignore[assignment]

from dbus_next import (  # noqa: E402
    AuthError,
    InvalidAddressError,
    SignatureTree,
    assert_bus_name_valid,
    assert_interface_name_valid,
    assert_member_name_valid,
)
from dbus_next.aio import MessageBus  # noqa: E402

if _hide_gi:
    del sys.modules["gi"]

__all__ = [
    "Library",
    "MessageBus",
    "SignatureTree",
    "assert_bus_name_valid",
    "assert_interface_name_valid",
    "assert_member_name_valid",
    "connect",
]

# The daemon itself gives a peer 5 s to authenticate and 30 s in its slowest configuration.
_CONNECT_DEADLINE_S = 30


class _Rest:
    """Bytes that the socket did not take at once, in the shape of a message of the library."""

    __slots__ = ("data", "serial", "unix_fds")

    def __init__(self, data: bytes, fds: Sequence[int]) -> None:
        self.data = data
        self.unix_fds = list(fds)
        self.serial = 1

    def _marshall(self, *, negotiate_unix_fd: bool) -> bytes:
        del negotiate_unix_fd
        return self.data


class Library(MessageBus):  # type: ignore[misc]
    """One connection of the library; connection.py owns it."""

    def __init__(self, address: str) -> None:
        try:
            super().__init__(bus_address=address, negotiate_unix_fd=True)
        except BaseException:
            self.release()
            raise

    @property
    def socket(self) -> socket.socket:
        """The connected socket."""
        return self._sock  # type: ignore[no-any-return]

    def write(self, chunks: Sequence[bytes], fds: Sequence[int]) -> asyncio.Future[None] | None:
        """Send whole messages, fds with the first byte; None when all of it has gone at once.

        Otherwise a future of the rest, before which nothing else may be written.
        """
        control = []
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        try:
            count = self._sock.sendmsg(chunks, control)
        except (BlockingIOError, InterruptedError):
            count = 0
        except OSError as err:
            self.fail(err)
            return self._loop.create_future()  # type: ignore[no-any-return]
        if count == sum(map(len, chunks)):
            return None
        rest = _Rest(b"".join(chunks)[count:], () if count else fds)
        return self.send(rest)  # type: ignore[no-any-return]

    def fail(self, err: Exception) -> None:
        """The connection is lost."""
        self._finalize(err)

    def leftovers(self) -> tuple[bytes, list[int]]:
        """Stop the library's reader; what it had read of a message that was not whole yet."""
        self._loop.remove_reader(self._fd)
        return bytes(self._unmarshaller.buf), list(self._unmarshaller.unix_fds)

    def release(self) -> None:
        """Close the socket. Idempotent; the library itself never does it."""
        for name in ("_stream", "_sock"):
            end = getattr(self, name, None)
            if end is not None:
                end.close()

    def abandon(self) -> None:
        """Drop a connection that never came to be."""
        self._method_return_handlers.clear()
        self._user_disconnect = True
        self._finalize()
        self._disconnect_future.exception()  # seen: `connect` tells the caller
        self.release()

    async def _auth_readline(self) -> str:
        line = b""
        while not line.endswith(b"\r\n"):
            received = await self._loop.sock_recv(self._sock, 1)
            if not received:
                raise EOFError("the bus hung up during authentication")
            line += received
        return line[:-2].decode()


async def connect(address: str) -> Library:
    """A connection that has its unique name. Raises Unreachable."""
    failures = []
    for candidate in filter(None, address.split(";")):
        try:
            return await _connect_one(candidate)
        except (OSError, EOFError, ValueError, AuthError, InvalidAddressError) as err:
            failures.append(f"{candidate}: {err or type(err).__name__}")
    raise Unreachable(f"cannot connect to the bus at {'; '.join(failures) or 'no address'}")


async def _connect_one(address: str) -> Library:
    library = Library(address)
    try:
        async with asyncio.timeout(_CONNECT_DEADLINE_S):
            await library.connect()
        name: Any = library.unique_name
        if not name.startswith(":"):
            raise ConnectionRefusedError(name)
    except BaseException:
        library.abandon()
        raise
    return library
