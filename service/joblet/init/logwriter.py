"""Appends a job's output to its log and keeps the index; the only writer of both.

An index entry goes in before the bytes it describes, so no byte is ever without one. A full disk
loses output, counted, and never stops the supervisor; a cap drops the oldest bytes.
"""

from __future__ import annotations

import fcntl
import os

from joblet import failpoints
from joblet.init import syscalls
from joblet.records import logindex

READ_MAX = 1 << 20
# What a pipe holds by default (pipe(7)). One that was found full is widened to READ_MAX.
PIPE_BYTES = 1 << 16
# A further entry of the same stream comes at the earliest after this time or this many bytes.
ENTRY_INTERVAL_NS = 1_000_000
ENTRY_BYTES = 1 << 16
# Entries that only tell the time stop when the index is larger than the log by this much.
INDEX_ALLOWANCE = 4096
BLOCK = 4096


class LogWriter:
    """The open log of one job. Also picks up where a killed supervisor left off."""

    def __init__(self, log_fd: int, index_fd: int, cap_bytes: int) -> None:
        self._log_fd = log_fd
        self._index_fd = index_fd
        self._cap = cap_bytes
        self._offset = os.fstat(log_fd).st_size
        self._header = logindex.decode_header(os.pread(index_fd, logindex.HEADER_SIZE, 0))
        index_size = os.fstat(index_fd).st_size
        # an entry torn by a crash is overwritten
        self._entries = (index_size - logindex.HEADER_SIZE) // logindex.ENTRY_SIZE
        self._stream = 0
        self._entry_ns = 0
        self._entry_offset = 0
        self._gap = 0  # bytes lost since the last byte that reached the log
        self._may_punch = True
        self._wide: set[int] = set()  # pipes that need no look any more

    @property
    def offset(self) -> int:
        """Bytes ever appended: the offset of the next one."""
        return self._offset

    @property
    def dropped_bytes(self) -> int:
        """Output that never reached the log."""
        return self._header.dropped_bytes

    def take(self, stream: int, pipe_fd: int, now_ns: int) -> int:
        """Move what the pipe holds to the log, up to READ_MAX bytes; 0 means end of file.

        The pipe must be readable or at its end. Raises BlockingIOError if it holds nothing.
        """
        if not self._may_punch:
            return self._lose(pipe_fd)
        try:
            self._note(stream, now_ns)
            # The bytes go from the pipe to the page cache without a stop in this process.
            count = os.splice(
                pipe_fd, self._log_fd, READ_MAX, offset_dst=self._offset, flags=os.SPLICE_F_NONBLOCK
            )
        except BlockingIOError:
            raise
        except OSError:
            # Disk full, quota, file size, I/O: the job goes on, what it says is counted.
            return self._lose(pipe_fd)
        self._offset += count
        if count >= PIPE_BYTES and pipe_fd not in self._wide:
            self._widen(pipe_fd)
        if self._offset + self._entries * logindex.ENTRY_SIZE - self._dropped > self._cap:
            self._drop_oldest()
        return count

    def _widen(self, pipe_fd: int) -> None:
        """Fewer turns for who writes much: each turn of both sides costs a change of process."""
        self._wide.add(pipe_fd)
        try:
            fcntl.fcntl(pipe_fd, fcntl.F_SETPIPE_SZ, READ_MAX)
        except OSError:
            # The host's limit (pipe-max-size, pipe-user-pages-soft), or no memory, or a job that
            # made it wider still and filled it: it goes on as it is.
            return

    @property
    def _dropped(self) -> int:
        return self._header.valid_from + self._header.first_entry * logindex.ENTRY_SIZE

    def _lose(self, pipe_fd: int) -> int:
        count = len(os.read(pipe_fd, BLOCK * 16))
        self._gap += count
        self._header.dropped_bytes += count
        try:
            # In place: needs no new block, so it works on the disk that has none.
            self._write_header()
        except OSError:
            # A disk that has failed, or one that copies on write: the exit record has the count.
            pass
        self._stream = 0
        return count

    def _note(self, stream: int, now_ns: int) -> None:
        if stream == self._stream:
            due = (
                now_ns - self._entry_ns >= ENTRY_INTERVAL_NS
                or self._offset - self._entry_offset >= ENTRY_BYTES
            )
            if not due or self._entries * logindex.ENTRY_SIZE > self._offset + INDEX_ALLOWANCE:
                return
        data = logindex.encode_entry(self._offset, now_ns, stream)
        if self._gap:
            data = logindex.encode_entry(self._offset, now_ns, logindex.GAP, self._gap) + data
        self._append_entries(data)
        self._gap = 0
        self._stream = stream
        self._entry_ns = now_ns
        self._entry_offset = self._offset

    def _append_entries(self, data: bytes) -> None:
        at = logindex.HEADER_SIZE + self._entries * logindex.ENTRY_SIZE
        # by offset, so a write cut short by a full disk is overwritten by the next one
        if os.pwrite(self._index_fd, data, at) != len(data):
            raise OSError(28, "no space for an index entry")
        self._entries += len(data) // logindex.ENTRY_SIZE

    def _write_header(self) -> None:
        os.pwrite(self._index_fd, self._header.encode(), 0)

    def _drop_oldest(self) -> None:
        # An eighth at a time, so that the work is rare. Entries share the cap with the bytes.
        target = self._cap - self._cap // 8
        low, high = self._header.first_entry, self._entries - 1
        while low < high:
            middle = (low + high + 1) // 2
            offset = self._entry_offset_at(middle)
            rest = self._offset - offset + (self._entries - middle) * logindex.ENTRY_SIZE
            if rest >= target:
                low = middle
            else:
                high = middle - 1
        offset = self._entry_offset_at(low)
        rest = self._offset - offset + (self._entries - low) * logindex.ENTRY_SIZE
        valid_from = max(self._header.valid_from, offset + max(0, rest - target))
        valid_from = min(valid_from, self._offset)
        self._header.valid_from = valid_from
        self._header.first_entry = low
        try:
            # Readers must know before the bytes are gone.
            self._write_header()
            failpoints.hit("supervisor.before-punch")
            syscalls.punch_hole(self._log_fd, 0, valid_from - valid_from % BLOCK)
            end = logindex.HEADER_SIZE + low * logindex.ENTRY_SIZE
            syscalls.punch_hole(self._index_fd, BLOCK, end - end % BLOCK - BLOCK)
        except OSError:
            # A file system without holes, or a failed disk: the cap holds by taking nothing more,
            # counted.
            self._may_punch = False

    def _entry_offset_at(self, number: int) -> int:
        data = os.pread(
            self._index_fd,
            logindex.ENTRY_SIZE,
            logindex.HEADER_SIZE + number * logindex.ENTRY_SIZE,
        )
        return next(logindex.decode_entries(data))[0]

    def flush(self) -> None:
        """Everything that was written reaches the disk; nothing to do for an empty log."""
        if self._offset:
            os.fdatasync(self._log_fd)
            os.fdatasync(self._index_fd)

    def seal(self) -> None:
        """The log is complete: say so in the header, then in the mode, which followers watch.

        Raises OSError.
        """
        self._header.sealed = True
        self._header.end_offset = self._offset
        self._write_header()
        os.fchmod(self._index_fd, 0o444)
        os.fchmod(self._log_fd, 0o444)
