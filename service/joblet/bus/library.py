"""The D-Bus library, with its faults contained.

The only module that touches dbus-next 0.2.3. What is overridden or worked around here:

- its writer dies of EAGAIN when two messages wait: outbox.py hands it one at a time;
- its reader goes on while there is input, so a flood starves the event loop: ours takes turns;
- its cache of signatures grows with every new one a stranger sends: ours is emptied;
- it reads an authentication that the other side hung up on for ever, takes a refused Hello for a
  success, and leaves its socket open at the end;
- its message handling sends tracebacks to callers: connection.py answers every message itself.

The names it overrides are pinned by a test.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from typing import Any

from joblet.errors import Unreachable

# The library's glib half loads gi where it is installed: 15 ms and 4 MB that nobody here uses.
_hide_gi = "gi" not in sys.modules
if _hide_gi:
    sys.modules["gi"] = None  # type: ignore[assignment]

from dbus_next import (  # noqa: E402
    AuthError,
    InvalidAddressError,
    Message,
    MessageFlag,
    MessageType,
    SignatureTree,
    Variant,
)
from dbus_next.aio import MessageBus  # noqa: E402

if _hide_gi:
    del sys.modules["gi"]

__all__ = [
    "Library",
    "Message",
    "MessageFlag",
    "MessageType",
    "SignatureTree",
    "Unsendable",
    "Variant",
    "connect",
]

# Messages read before other work gets its turn; at some 100 us each a turn stays below 5 ms.
_TURN = 32
_SIGNATURES_MAX = 4096
# What a message that the library does not understand raises in it; the stream is lost then.
_PARSE_FAULTS = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, struct.error)
# The daemon itself gives a peer 5 s to authenticate and 30 s in its slowest configuration.
_CONNECT_DEADLINE_S = 30


class Unsendable(ValueError):
    """A value that does not fit its signature, or that no message may carry."""


class Library(MessageBus):  # type: ignore[misc]
    """One connection of the library; connection.py owns it."""

    _unmarshaller: Any

    def __init__(self, address: str) -> None:
        try:
            super().__init__(bus_address=address, negotiate_unix_fd=True)
        except BaseException:
            self.release()
            raise

    def hand_over(self, message: Message) -> asyncio.Future[None]:
        """Marshal and send one message; only when the one before has gone. Raises Unsendable."""
        try:
            sent: asyncio.Future[None] = self.send(message)
        except (ValueError, TypeError, AttributeError, struct.error) as err:
            raise Unsendable(str(err)) from err
        return sent

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

    def _message_reader(self) -> None:
        try:
            for _ in range(_TURN):
                message = self._unmarshaller.unmarshall()
                if message is None:
                    return
                self._unmarshaller = self._create_unmarshaller()
                for fd in message.unix_fds:
                    os.set_inheritable(fd, False)
                self._on_message(message)
            if len(SignatureTree._cache) > _SIGNATURES_MAX:
                SignatureTree._cache.clear()
        except (OSError, EOFError, *_PARSE_FAULTS) as err:
            self._finalize(err)

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
