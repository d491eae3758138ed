"""The incoming stream of a connection, cut into messages, in turns.

Between two turns everything else gets to run, however much a peer sends. A message that cannot be
understood is dropped with a line in the log; only a stream that is out of step ends the connection.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from joblet.bus import frames
from joblet.bus.frames import Message
from joblet.bus.library import Library
from joblet.bus.values import Malformed, close_all

# Messages handled before other work gets its turn; at some 50 us each a turn stays below 2 ms.
TURN = 32
# Some cost a thousand times as much: a turn ends with the one that goes past this.
_TURN_S = 0.004
_READ_BYTES = 1 << 16
# SCM_MAX_FD of the kernel: what one message can carry at most.
_FDS_MAX = 253
_CONTROL_BYTES = socket.CMSG_SPACE(_FDS_MAX * 4)

logger = logging.getLogger(__name__)


class Stream:
    """Reads one connection until it ends; takes the socket over from the library."""

    def __init__(self, library: Library, receive: Callable[[Message], None]) -> None:
        self._library = library
        self._receive = receive
        self._socket = library.socket
        self._loop = asyncio.get_running_loop()
        early, self._fds = library.leftovers()
        self._buffer = bytearray(early)
        self._resting = False
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        """Close descriptors of messages that were not whole."""
        close_all(self._fds)
        self._fds.clear()
        self._buffer.clear()

    def _readable(self) -> None:
        if self._resting:
            return
        try:
            data, control, flags, _ = self._socket.recvmsg(
                _READ_BYTES, _CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError as err:
            self._library.fail(err)
            return
        for level, kind, received in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                usable = len(received) - len(received) % 4
                self._fds.extend(memoryview(received)[:usable].cast("i"))
        if flags & socket.MSG_CTRUNC:
            # Which descriptors belong to which message cannot be said any more.
            self._library.fail(OSError("descriptors were lost: too many are open"))
        elif not data:
            self._library.fail(EOFError("the bus hung up"))
        else:
            self._buffer += data
            self._turn()

    def _turn(self) -> None:
        self._resting = True
        end_s = self._loop.time() + _TURN_S
        try:
            for _ in range(TURN):
                size = frames.size_of(self._buffer)
                if not 0 < size <= len(self._buffer):
                    self._resting = False
                    return
                data = bytes(memoryview(self._buffer)[:size])
                del self._buffer[:size]
                self._handle(data)
                if self._loop.time() > end_s:
                    break
        except Malformed as err:
            self._resting = False
            self._library.fail(err)
        finally:
            if self._resting:
                self._loop.call_soon(self._turn)

    def _handle(self, data: bytes) -> None:
        try:
            message = frames.parse(data)
        except Malformed as err:
            if self._fds:
                # They may be this message's; the next one must not get them.
                raise
            logger.warning("a message was dropped: %s", err)
            return
        count = message.fds_expected
        if count:
            message.fds = self._fds[:count]
            del self._fds[:count]
        self._receive(message)
