"""The send queue: one message at a time in the library, the rest waits here.

Nothing that was put in is dropped while the connection lives. Changes of properties of one object
are merged while they wait. Writers who can wait call `drained` and are held up while the queue is
long; those who cannot (signals of core) are bounded by the work of those who can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from joblet.bus.library import Library, Message, Unsendable
from joblet.bus.values import close_all
from joblet.errors import Unreachable

# Far above what one busy moment makes, far below what would be felt in memory (about 1 MB).
HIGH_WATER = 1000
LOW_WATER = 200

MergeKey = tuple[str, str]


class Entry:
    """A message that waits; its descriptors are closed when it is sent or given up."""

    __slots__ = ("failed", "fds", "key", "message", "withdrawn")

    def __init__(
        self,
        message: Message,
        fds: Sequence[int],
        key: MergeKey | None,
        failed: Callable[[Unsendable], None] | None,
    ) -> None:
        self.message = message
        self.fds = fds
        self.key = key
        self.failed = failed
        self.withdrawn = False


class Outbox:
    """The queue of one connection; it lives as long."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._waiting: deque[Entry] = deque()
        self._mergeable: dict[MergeKey, Entry] = {}
        self._in_flight: Entry | None = None
        self._drained: asyncio.Event = asyncio.Event()
        self._drained.set()
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting) + (self._in_flight is not None)

    def put(
        self,
        message: Message,
        fds: Sequence[int] = (),
        *,
        key: MergeKey | None = None,
        failed: Callable[[Unsendable], None] | None = None,
    ) -> Entry:
        """Queue a message. `failed` hears of one that could not be marshalled; a key may wait once.

        Raises Unreachable when the connection is gone; the descriptors are closed in any case.
        """
        if self._closed:
            close_all(fds)
            raise Unreachable("the connection to the bus is closed")
        entry = Entry(message, fds, key, failed)
        self._waiting.append(entry)
        if key is not None:
            self._mergeable[key] = entry
        if self._in_flight is None:
            self._send_next()
        if len(self._waiting) > HIGH_WATER:
            self._drained.clear()
        if self._in_flight is not None:
            self._empty.clear()
        return entry

    def waiting(self, key: MergeKey) -> Message | None:
        """The message with this key that has not gone yet, to be changed in place."""
        entry = self._mergeable.get(key)
        return None if entry is None else entry.message

    @property
    def congested(self) -> bool:
        """True while writers who can wait should."""
        return not self._drained.is_set()

    async def drained(self) -> None:
        """Wait until the queue is short again."""
        await self._drained.wait()

    async def empty(self) -> None:
        """Wait until everything has gone."""
        await self._empty.wait()

    def close(self) -> None:
        """Give up what waits; wakes all who wait for it."""
        self._closed = True
        if self._in_flight is not None:
            close_all(self._in_flight.fds)
            self._in_flight = None
        for entry in self._waiting:
            close_all(entry.fds)
        self._waiting.clear()
        self._mergeable.clear()
        self._drained.set()
        self._empty.set()

    def _send_next(self) -> None:
        # `failed` may put an error reply into the queue, so something may be on its way again.
        while self._waiting and self._in_flight is None:
            entry = self._waiting.popleft()
            if entry.key is not None:
                del self._mergeable[entry.key]
            if entry.withdrawn:
                close_all(entry.fds)
                continue
            try:
                sent = self._library.hand_over(entry.message)
            except Unsendable as err:
                close_all(entry.fds)
                if entry.failed is not None:
                    entry.failed(err)
                continue
            self._in_flight = entry
            sent.add_done_callback(self._sent)
        if not self._drained.is_set() and len(self._waiting) <= LOW_WATER:
            self._drained.set()
        if self._in_flight is None:
            self._empty.set()

    def _sent(self, sent: asyncio.Future[None]) -> None:
        if sent.cancelled() or sent.exception() is not None or self._closed:
            return  # the connection is gone; close() follows or has been
        if self._in_flight is not None:
            close_all(self._in_flight.fds)
            self._in_flight = None
        self._send_next()
