"""The send queue: messages go in order, several in one write; what the socket refuses waits here.

Nothing that was put in is dropped while the connection lives. Changes of properties of one object
are merged while they wait. A signal waits a moment for the next message, since each write wakes the
bus; a call or an answer goes at once and takes along what is in front of it. Writers who can wait
call `drained` and are held up while the queue is long; those who cannot (signals of core) are
bounded by the work of those who can.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from joblet.bus.library import Library
from joblet.bus.values import close_all
from joblet.errors import Unreachable

# Far above what one busy moment makes, far below what would be felt in memory (about 1 MB).
HIGH_WATER = 1000
LOW_WATER = 200
# One write: what a socket buffer of the usual size takes, and below IOV_MAX.
_WRITE_BYTES = 1 << 16
_WRITE_MESSAGES = 64
# What a signal may wait for company. Each write costs us and the bus 0.1 ms.
_PATIENCE_S = 0.002

MergeKey = tuple[str, str]


class Entry:
    """A message that waits; its descriptors are closed when it has gone or is given up."""

    __slots__ = ("data", "fds", "withdrawn")

    def __init__(self, data: bytes, fds: Sequence[int] = ()) -> None:
        self.data = data
        self.fds = fds
        self.withdrawn = False


class _Mergeable(Entry):
    """A message whose bytes are made when it goes, so that it can change until then."""

    __slots__ = ("key", "make")

    def __init__(self, key: MergeKey, make: Callable[[], bytes]) -> None:
        super().__init__(b"")
        self.key = key
        self.make = make


class Outbox:
    """The queue of one connection; it lives as long."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Entry] = deque()
        self._mergeable: set[MergeKey] = set()
        self._in_flight: list[Entry] = []
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None  # while patient messages alone wait
        self._drained = asyncio.Event()
        self._drained.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    def put(self, data: bytes, fds: Sequence[int] = (), *, patient: bool = False) -> Entry:
        """Queue a message; a patient one may go with the next that is not.

        Raises Unreachable when the connection is gone; the descriptors are closed in any case.
        """
        entry = Entry(data, fds)
        self._add(entry, patient=patient)
        return entry

    def put_mergeable(self, key: MergeKey, make: Callable[[], bytes]) -> None:
        """Queue a patient message that is made when it goes; no other may wait with this key."""
        self._add(_Mergeable(key, make), patient=True)
        self._mergeable.add(key)

    def waits(self, key: MergeKey) -> bool:
        """True while a message with this key has not gone."""
        return key in self._mergeable

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
        if self._timer is not None:
            self._timer.cancel()
        for entry in (*self._in_flight, *self._waiting):
            close_all(entry.fds)
        self._in_flight = []
        self._waiting.clear()
        self._mergeable.clear()
        self._drained.set()
        self._empty.set()

    def _add(self, entry: Entry, *, patient: bool) -> None:
        if self._closed:
            close_all(entry.fds)
            raise Unreachable("the connection to the bus is closed")
        self._waiting.append(entry)
        self._empty.clear()
        if len(self._waiting) > HIGH_WATER:
            self._drained.clear()
        if self._scheduled or self._in_flight:
            return
        if patient:
            if self._timer is None:
                self._timer = self._loop.call_later(_PATIENCE_S, self._flush)
            return
        # At the end of this round of the event loop: what else it makes goes in the same write.
        self._scheduled = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and not self._in_flight:
            batch = self._next_batch()
            if not batch:
                continue
            rest = self._library.write([entry.data for entry in batch], batch[0].fds)
            if rest is None:
                close_all(batch[0].fds)
            else:
                self._in_flight = batch
                rest.add_done_callback(self._sent)
        if not self._drained.is_set() and len(self._waiting) <= LOW_WATER:
            self._drained.set()
        if not self._waiting and not self._in_flight:
            self._empty.set()

    def _next_batch(self) -> list[Entry]:
        """Messages for one write; descriptors travel with the first byte of it."""
        batch: list[Entry] = []
        size = 0
        while self._waiting and len(batch) < _WRITE_MESSAGES and size < _WRITE_BYTES:
            entry = self._waiting[0]
            if entry.fds and batch and not entry.withdrawn:
                break
            self._waiting.popleft()
            if entry.withdrawn:
                close_all(entry.fds)
                continue
            if isinstance(entry, _Mergeable):
                self._mergeable.discard(entry.key)
                entry.data = entry.make()
            batch.append(entry)
            size += len(entry.data)
        return batch

    def _sent(self, rest: asyncio.Future[None]) -> None:
        if rest.cancelled() or rest.exception() is not None or self._closed:
            return  # the connection is gone; close() follows or has been
        close_all(self._in_flight[0].fds)
        self._in_flight = []
        self._flush()
