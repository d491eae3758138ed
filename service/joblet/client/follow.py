"""A job's log from two descriptors, as pieces, up to its end: history and live are one operation.

Owns waiting for the writer (inotify) and turning log and index into LogPiece. Leaves reading the
format to records.logreader, and opening and closing the descriptors to the caller.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from collections.abc import AsyncGenerator, Iterator

from joblet.client.api import BOTH, GAP, STDERR, STDOUT, LogPiece, LogRequest
from joblet.records import logindex
from joblet.records.logreader import LogReader

CHUNK = 1 << 18
# Only where the user's inotify instances (fs.inotify.max_user_instances) are all taken.
POLL_INTERVAL_S = 0.1

_IN_MODIFY = 0x00000002
_IN_ATTRIB = 0x00000004
# struct inotify_event; the watched files are no directories, so no event has a name
_EVENT = struct.Struct("iIII")
_OVERFLOWN = -1
_STREAMS = {logindex.STDOUT: STDOUT, logindex.STDERR: STDERR}
_NUMBERS = {name: number for number, name in _STREAMS.items()}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_init1.argtypes = (ctypes.c_int,)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_libc.inotify_rm_watch.argtypes = (ctypes.c_int, ctypes.c_int)


async def pieces(
    log_fd: int, index_fd: int, request: LogRequest, watches: Watches
) -> AsyncGenerator[LogPiece, None]:
    """Everything the request selects; when it follows, until the log is sealed."""
    reader = LogReader(log_fd, index_fd)
    wanted = _NUMBERS.get(request.stream or "")
    offset, limit = await _found(reader, request, wanted)
    # Before the first read: what is written from here on is either read or heard of.
    watch = watches.watch(log_fd) if request.follow else None
    losses = _Losses(from_start=offset == 0)
    try:
        while True:
            room = CHUNK if limit is None else min(CHUNK, limit - offset)
            data, after, sealed = reader.read(offset, room)
            base = after - len(data)
            if base > offset:
                yield LogPiece(GAP, 0, b"", base - offset, base)
            if request.merged:
                if data:
                    yield LogPiece(BOTH, 0, data, after=after)
                if sealed and (lost := losses.rest(reader)):
                    yield LogPiece(GAP, 0, b"", lost, after)
            elif data or sealed:
                for piece in _split(reader, base, data, sealed, losses):
                    if wanted is None or piece.stream in (GAP, request.stream):
                        yield piece
            moved = after > offset
            offset = after
            if sealed or (limit is not None and offset >= limit):
                return
            if moved:
                # A long history must not keep everything else on this loop waiting.
                await asyncio.sleep(0)
            elif watch is not None:
                await watch.changed()
            else:
                # the log is shorter than it was a moment ago: there is nothing to wait for
                return
    finally:
        if watch is not None:
            watch.close()


async def _found(
    reader: LogReader, request: LogRequest, stream: int | None
) -> tuple[int, int | None]:
    if request.tail_lines is None:
        return _range(reader, request, stream)
    # It may read all of a long log, which must not keep everything else on this loop waiting.
    looking = asyncio.ensure_future(asyncio.to_thread(_range, reader, request, stream))
    try:
        return await asyncio.shield(looking)
    finally:
        # The descriptors are closed after us.
        await asyncio.wait([looking])


def _range(reader: LogReader, request: LogRequest, stream: int | None) -> tuple[int, int | None]:
    start = 0
    if request.tail_lines is not None:
        start = reader.tail_offset(request.tail_lines, stream)
    if request.since_usec is not None:
        start = max(start, reader.offset_at(max(0, request.since_usec) * 1000))
    if request.offset is not None:
        start = max(start, request.offset)
    # Without following, a busy writer must not move the end for ever.
    return start, None if request.follow else reader.facts().end_offset


class _Losses:
    """Counts what a full disk took, to tell of a loss at the very end that no entry marks."""

    def __init__(self, *, from_start: bool) -> None:
        self._whole = from_start
        self._counted = 0

    def add(self, lost: int) -> None:
        self._counted += lost

    def rest(self, reader: LogReader) -> int:
        facts = reader.facts()
        # Entries that the cap dropped may have held losses too: then the sum says nothing.
        if not self._whole or facts.valid_from:
            return 0
        return max(0, facts.dropped_bytes - self._counted)


def _split(
    reader: LogReader, base: int, data: bytes, sealed: bool, losses: _Losses
) -> Iterator[LogPiece]:
    end = base + len(data)
    gaps = []
    if reader.facts().dropped_bytes:
        # A loss at the end of these bytes belongs to the next ones, if there are any.
        gaps = [gap for gap in reader.gaps(base, end) if gap[0] < end or sealed]
    time_ns = 0
    position = base
    for _, stop, stream, time_ns in reader.segments(base, end):
        while gaps and gaps[0][0] <= position:
            yield _gap(gaps.pop(0), position, losses)
        # From `position`, not from the segment's start: entries dropped since the read leave
        # their bytes to the first segment that is left.
        piece = data[position - base : stop - base]
        yield LogPiece(_STREAMS[stream], time_ns, piece, after=stop)
        position = stop
    if position < end:
        yield LogPiece(STDOUT, time_ns, data[position - base :], after=end)
    for gap in gaps:
        yield _gap(gap, end, losses)
    if sealed and (lost := losses.rest(reader)):
        yield LogPiece(GAP, time_ns, b"", lost, end)


def _gap(gap: tuple[int, int, int], place: int, losses: _Losses) -> LogPiece:
    _, lost, time_ns = gap
    losses.add(lost)
    return LogPiece(GAP, time_ns, b"", lost, place)


class Watches:
    """Hears of changes to any number of open files through one inotify instance.

    Belongs to one event loop; lives until close(). Without a follower it holds nothing.
    """

    def __init__(self) -> None:
        self._fd = -1
        self._by_number: dict[int, list[Watch]] = {}

    def watch(self, fd: int) -> Watch:
        """Listen for writes to this file and for changes of its mode, from now on."""
        number = self._add(fd)
        watch = Watch(self, number)
        if number is not None:
            self._by_number.setdefault(number, []).append(watch)
        return watch

    def forget(self, watch: Watch) -> None:
        """The other half of `watch`. Idempotent."""
        number = watch.number
        watchers = [] if number is None else self._by_number.get(number, [])
        if watch not in watchers:
            return
        watchers.remove(watch)
        if number is not None and not watchers:
            del self._by_number[number]
            _libc.inotify_rm_watch(self._fd, number)
        if not self._by_number:
            self.close()

    def close(self) -> None:
        """Give the instance back; who still waits is not woken. Idempotent."""
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
        self._by_number.clear()

    def _add(self, fd: int) -> int | None:
        """A watch number, the same one for the same file; None where the user's are all taken."""
        if self._fd < 0:
            self._fd = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
            if self._fd < 0:
                code = ctypes.get_errno()
                if code == errno.EMFILE:
                    return None
                raise OSError(code, os.strerror(code), "inotify_init1")
            asyncio.get_running_loop().add_reader(self._fd, self._read)
        path = f"/proc/self/fd/{fd}"
        number = int(_libc.inotify_add_watch(self._fd, path.encode(), _IN_MODIFY | _IN_ATTRIB))
        if number < 0:
            code = ctypes.get_errno()
            if not self._by_number:
                self.close()
            if code == errno.ENOSPC:
                return None
            raise OSError(code, os.strerror(code), path)
        return number

    def _read(self) -> None:
        try:
            events = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            return
        numbers = {number for number, _, _, _ in _EVENT.iter_unpack(events)}
        # Too many events at once: the kernel says so, and no longer of whom.
        everybody = _OVERFLOWN in numbers
        for number in tuple(self._by_number) if everybody else numbers:
            for watch in self._by_number.get(number, ()):
                watch.heard.set()


class Watch:
    """One follower's ear; made by Watches.watch, ends with close()."""

    __slots__ = ("_watches", "heard", "number")

    def __init__(self, watches: Watches, number: int | None) -> None:
        self._watches = watches
        self.number = number
        self.heard = asyncio.Event()

    @property
    def polls(self) -> bool:
        """True when the kernel granted no watch."""
        return self.number is None

    async def changed(self) -> None:
        """Return at once if something happened since the last call, else when it does."""
        if self.polls:
            await asyncio.sleep(POLL_INTERVAL_S)
            return
        await self.heard.wait()
        self.heard.clear()

    def close(self) -> None:
        """Stop listening. Idempotent."""
        self._watches.forget(self)
