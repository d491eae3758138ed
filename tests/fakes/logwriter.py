"""A plain writer of a job's log: what the supervisor does, by the rules in records/logreader.py.

For tests of readers. Time is given by the caller; nothing is batched: an entry per call of write.
"""

from __future__ import annotations

import ctypes
import os

from joblet.records.logindex import (
    ENTRY_SIZE,
    GAP,
    HEADER_SIZE,
    STDERR,
    STDOUT,
    Header,
    decode_entries,
    decode_header,
    encode_entry,
)

_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


def punch(fd: int, start: int, end: int) -> None:
    """Make the bytes in between a hole; the size stays."""
    mode = _FALLOC_FL_KEEP_SIZE | _FALLOC_FL_PUNCH_HOLE
    if end > start and _LIBC.fallocate(fd, mode, start, end - start):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class LogWriter:
    """Writes to two open descriptors, as a fresh writer or as one that takes over."""

    def __init__(self, log_fd: int, idx_fd: int) -> None:
        self.log_fd = log_fd
        self.idx_fd = idx_fd
        head = os.pread(idx_fd, HEADER_SIZE, 0)
        self.header = decode_header(head) if head else Header()
        if not head:
            self._write_header()
        self.count = (os.fstat(idx_fd).st_size - HEADER_SIZE) // ENTRY_SIZE
        self.end = os.fstat(log_fd).st_size

    def entry(self, time_ns: int, kind: int, value: int = 0) -> None:
        """Only the entry, as if the writer had died before the bytes."""
        place = HEADER_SIZE + self.count * ENTRY_SIZE
        os.pwrite(self.idx_fd, encode_entry(self.end, time_ns, kind, value), place)
        self.count += 1

    def write(self, data: bytes, time_ns: int, stream: int = STDOUT) -> None:
        """The entry, then the bytes."""
        self.entry(time_ns, stream)
        self.more(data)

    def more(self, data: bytes) -> None:
        """Bytes that belong to the last entry."""
        os.pwrite(self.log_fd, data, self.end)
        self.end += len(data)

    def lose(self, count: int, time_ns: int) -> None:
        """Count bytes that found no room on the disk."""
        self.header.dropped_bytes += count
        self._write_header()
        self.entry(time_ns, GAP, count)

    def drop_before(self, offset: int) -> None:
        """Drop the oldest bytes, and the entries that speak of nothing else."""
        number = first = self.header.first_entry
        place = HEADER_SIZE + first * ENTRY_SIZE
        data = os.pread(self.idx_fd, (self.count - first) * ENTRY_SIZE, place)
        for at, _, kind, _ in decode_entries(data):
            if at > offset:
                break
            if kind in (STDOUT, STDERR):
                first = number
            number += 1
        self.header.valid_from = offset
        self.header.first_entry = first
        self._write_header()
        punch(self.log_fd, 0, offset)
        punch(self.idx_fd, HEADER_SIZE, HEADER_SIZE + first * ENTRY_SIZE)

    def seal(self) -> None:
        """The end, the flag, the modes."""
        self.header.end_offset = self.end
        self._write_header()
        self.header.sealed = True
        self._write_header()
        os.fchmod(self.idx_fd, 0o444)
        os.fchmod(self.log_fd, 0o444)

    def _write_header(self) -> None:
        os.pwrite(self.idx_fd, self.header.encode(), 0)
