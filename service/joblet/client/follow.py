"""A job's log from two descriptors, as pieces, up to its end: history and live are one operation.

Owns waiting for the writer (inotify) and turning log and index into LogPiece. Leaves reading the
format to records.logreader, and opening and closing the descriptors to the caller.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
from collections.abc import AsyncGenerator, Iterator

from joblet.client.api import GAP, STDERR, STDOUT, LogPiece, LogRequest
from joblet.records import logindex
from joblet.records.logreader import LogReader

CHUNK = 1 << 18
# Only where the user's inotify instances (fs.inotify.max_user_instances) are all taken.
POLL_INTERVAL_S = 0.1

_IN_MODIFY = 0x00000002
_IN_ATTRIB = 0x00000004
_STREAMS = {logindex.STDOUT: STDOUT, logindex.STDERR: STDERR}
_NUMBERS = {name: number for number, name in _STREAMS.items()}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_init1.argtypes = (ctypes.c_int,)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


async def pieces(log_fd: int, index_fd: int, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
    """Everything the request selects; when it follows, until the log is sealed."""
    reader = LogReader(log_fd, index_fd)
    wanted = _NUMBERS.get(request.stream or "")
    offset, limit = _range(reader, request, wanted)
    # Before the first read: what is written from here on is either read or heard of.
    watch = Watch(log_fd) if request.follow else None
    losses = _Losses(from_start=offset == 0)
    try:
        while True:
            room = CHUNK if limit is None else min(CHUNK, limit - offset)
            data, after, sealed = reader.read(offset, room)
            base = after - len(data)
            if base > offset:
                yield LogPiece(GAP, 0, b"", base - offset)
            if data or sealed:
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


def _range(reader: LogReader, request: LogRequest, stream: int | None) -> tuple[int, int | None]:
    start = 0
    if request.tail_lines is not None:
        start = reader.tail_offset(request.tail_lines, stream)
    if request.since_usec is not None:
        start = max(start, reader.offset_at(max(0, request.since_usec) * 1000))
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
            yield _gap(gaps.pop(0), losses)
        # From `position`, not from the segment's start: entries dropped since the read leave
        # their bytes to the first segment that is left.
        yield LogPiece(_STREAMS[stream], time_ns, data[position - base : stop - base])
        position = stop
    if position < end:
        yield LogPiece(STDOUT, time_ns, data[position - base :])
    for gap in gaps:
        yield _gap(gap, losses)
    if sealed and (lost := losses.rest(reader)):
        yield LogPiece(GAP, time_ns, b"", lost)


def _gap(gap: tuple[int, int, int], losses: _Losses) -> LogPiece:
    _, lost, time_ns = gap
    losses.add(lost)
    return LogPiece(GAP, time_ns, b"", lost)


class Watch:
    """Hears of writes to one open file and of changes to its mode; lives until close()."""

    def __init__(self, fd: int) -> None:
        self._fd = _inotify(fd)

    @property
    def polls(self) -> bool:
        """True when the kernel granted no inotify instance."""
        return self._fd < 0

    async def changed(self) -> None:
        """Return at once if something happened since the last call, else when it does."""
        if self.polls:
            await asyncio.sleep(POLL_INTERVAL_S)
            return
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._fd)
        try:
            while os.read(self._fd, 1 << 16):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the inotify instance back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _inotify(fd: int) -> int:
    instance = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if instance < 0:
        code = ctypes.get_errno()
        if code == errno.EMFILE:
            return -1
        raise OSError(code, os.strerror(code), "inotify_init1")
    path = f"/proc/self/fd/{fd}"
    if _libc.inotify_add_watch(instance, path.encode(), _IN_MODIFY | _IN_ATTRIB) < 0:
        code = ctypes.get_errno()
        os.close(instance)
        if code == errno.ENOSPC:
            return -1
        raise OSError(code, os.strerror(code), path)
    return instance
