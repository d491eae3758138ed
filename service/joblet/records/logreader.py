"""Reads a job's log through its index, while it is being written or long after.

Owns the reader's half of the log format; `logindex` has the bytes, the supervisor writes them.
The rules of the writer on which every answer here rests:

- The entry first (its offset is the end of the log at that moment), then the bytes: no byte is
  ever without an entry. A last entry at or beyond the end of the log is not effective yet. Of
  several entries at one offset the last one counts.
- Entries stand at fixed places: entry n at HEADER_SIZE + n * ENTRY_SIZE. A writer that takes over
  overwrites a torn last entry.
- A GAP does not name a stream: an entry of a stream follows it before the next bytes.
- To drop the oldest bytes, the header goes first: `valid_from` forward, `first_entry` to the last
  entry of a stream that is not beyond `valid_from`; then the holes are punched.
- Sealing: `end_offset` first, the flag in a second write, then the modes (index before log).

Holds no state and does not own the descriptors: any number of readers may share a pair.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from joblet.records.logindex import (
    ENTRY_SIZE,
    GAP,
    HEADER_SIZE,
    STDERR,
    STDOUT,
    Header,
    decode_entries,
    decode_header,
)

# Each further attempt means that the writer dropped all of what was just read; a reader so far
# behind is given the new beginning and comes back.
_READ_ATTEMPTS = 16
_ENTRIES_PER_BLOCK = 1024
_TAIL_BLOCK = 64 * 1024

Entry = tuple[int, int, int, int]


class Facts:
    """Sizes of a log at one moment; `end_offset` is final once `sealed`."""

    __slots__ = ("dropped_bytes", "end_offset", "sealed", "valid_from")

    def __init__(self, end_offset: int, valid_from: int, dropped_bytes: int, sealed: bool) -> None:
        self.end_offset = end_offset
        self.valid_from = valid_from
        self.dropped_bytes = dropped_bytes
        self.sealed = sealed


class LogReader:
    """Answers questions about one log from two open descriptors, without moving their positions.

    Every method raises BadRecord for an index that is not ours or of a version not known here.
    """

    __slots__ = ("_index", "_log")

    def __init__(self, log_fd: int, idx_fd: int) -> None:
        self._log = log_fd
        self._index = idx_fd

    def facts(self) -> Facts:
        """Sizes as they are now."""
        header = self._header()
        return Facts(self._end(header), header.valid_from, header.dropped_bytes, header.sealed)

    def read(self, offset: int, limit: int) -> tuple[bytes, int, bool]:
        """Bytes from offset, the offset to ask for next, and whether that is the sealed end.

        The bytes end where `next` begins: when dropped bytes were jumped over, they begin later
        than asked for.
        """
        start = offset
        for _ in range(_READ_ATTEMPTS):
            header = self._header()
            start = max(start, header.valid_from)
            end = self._end(header)
            room = min(limit, end - start)
            data = os.pread(self._log, room, start) if room > 0 else b""
            valid_from = self._header().valid_from
            if valid_from > start:
                # The first bytes may come out of a hole; those from valid_from on are real.
                data = data[valid_from - start :]
                start = valid_from
                if not data:
                    continue
            after = start + len(data)
            return data, after, header.sealed and after >= end
        return b"", start, False

    def offset_at(self, time_ns: int) -> int:
        """Where the output of that time and later begins; the end if there is none.

        As exact as the entries are: all bytes up to the next entry count as of the same time.
        """
        while True:
            header = self._header()
            end = self._end(header)
            number = self._search(header.first_entry, lambda entry: entry[1] < time_ns)
            entry = self._entry(number)
            header = self._header()
            # Below first_entry, the search and the entry itself saw holes.
            if header.first_entry <= number:
                start = end if entry is None or not entry[2] else min(entry[0], end)
                return max(start, header.valid_from)

    def tail_offset(self, lines: int, stream: int | None = None) -> int:
        """The offset after which the last lines follow; with stream, counting only its lines.

        A last line without a newline counts. Reads backwards in blocks.
        """
        facts = self.facts()
        if lines <= 0:
            return facts.end_offset
        wanted = lines
        last_byte = True
        position = facts.end_offset
        while position > facts.valid_from:
            start = max(facts.valid_from, position - _TAIL_BLOCK)
            for at, data in self._pieces_backwards(start, position, stream):
                # The newline that ends the last line does not begin another.
                cut = len(data) - 1 if last_byte and data.endswith(b"\n") else len(data)
                last_byte = False
                newlines = data.count(b"\n", 0, cut)
                if newlines < wanted:
                    wanted -= newlines
                    continue
                for _ in range(wanted):
                    cut = data.rfind(b"\n", 0, cut)
                return at + cut + 1
            position = start
            facts.valid_from = self._header().valid_from
        return facts.valid_from

    def segments(self, offset: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(start, end, stream, time in ns) of consecutive runs between two offsets, without gaps.

        Begins at valid_from when offset is below it, ends at the end of the log at the latest.
        Two runs of one stream may follow each other: each entry has its own time.
        """
        header = self._header()
        position = max(offset, header.valid_from)
        # The end is taken before the entries are read: then each byte before it has its entry.
        end = min(end, self._end(header))
        if position >= end:
            return
        stream = since = 0
        for at, time_ns, kind, _ in self._entries(self._entry_for(position, header.first_entry)):
            if kind not in (STDOUT, STDERR):
                continue
            stop = min(at, end)
            if stop > position:
                if not stream:
                    # Bytes before the first entry that is left count as its own.
                    stream, since = kind, time_ns
                yield position, stop, stream, since
                position = stop
            if at >= end:
                return
            stream, since = kind, time_ns
        if position < end:
            # No entry at all: a power cut took the index and left the log.
            yield position, end, stream or STDOUT, since

    def gaps(self, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(offset, lost bytes, time in ns) of every loss between two offsets, both included."""
        number = self._search(self._header().first_entry, lambda entry: entry[0] < offset)
        for at, time_ns, kind, value in self._entries(number):
            if at > end:
                return
            if kind == GAP:
                yield at, value, time_ns

    def _header(self) -> Header:
        data = os.pread(self._index, HEADER_SIZE, 0)
        if not any(data):
            # Created, and the header not yet there, or never after a power cut.
            return Header()
        header = decode_header(data)
        # The kernel does not promise that 64 bytes are read in one piece while they are written;
        # the flag must not be believed next to an older end_offset.
        while header.sealed and (again := os.pread(self._index, HEADER_SIZE, 0)) != data:
            data = again
            header = decode_header(data)
        return header

    def _end(self, header: Header) -> int:
        size = os.fstat(self._log).st_size
        # After a power cut the log may be shorter than its index says.
        return min(size, header.end_offset) if header.sealed else size

    def _entry(self, number: int) -> Entry | None:
        data = os.pread(self._index, ENTRY_SIZE, HEADER_SIZE + number * ENTRY_SIZE)
        return next(decode_entries(data), None)

    def _entries(self, number: int) -> Iterator[Entry]:
        """Entries from number on, as many as there are; those dropped meanwhile are left out."""
        while True:
            data = os.pread(
                self._index, _ENTRIES_PER_BLOCK * ENTRY_SIZE, HEADER_SIZE + number * ENTRY_SIZE
            )
            count = len(data) // ENTRY_SIZE
            if not count:
                return
            dropped = self._header().first_entry - number
            if dropped >= count:
                number += dropped
                continue
            yield from decode_entries(data[max(0, dropped) * ENTRY_SIZE :])
            number += count

    def _search(self, low: int, before: Callable[[Entry], bool]) -> int:
        """The first entry from low on for which `before` is false; the count if there is none.

        An entry of zeros is one that was dropped during the search or, at the end, never reached
        the disk. It is taken as `not before`, so the answer can be too low, never too high.
        """
        high = max(low, (os.fstat(self._index).st_size - HEADER_SIZE) // ENTRY_SIZE)
        while low < high:
            middle = (low + high) // 2
            entry = self._entry(middle)
            if entry is not None and entry[2] and before(entry):
                low = middle + 1
            else:
                high = middle
        return low

    def _entry_for(self, offset: int, first: int) -> int:
        """The last entry of a stream at or before offset, or the first there is."""
        number = self._search(first, lambda entry: entry[0] <= offset) - 1
        while number > first and ((entry := self._entry(number)) is None or entry[2] == GAP):
            number -= 1
        return max(number, first)

    def _pieces_backwards(
        self, start: int, end: int, stream: int | None
    ) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) between two offsets, last first; with stream, only what came from it."""
        wanted = [(start, end)]
        if stream is not None:
            wanted = [(a, b) for a, b, kind, _ in self.segments(start, end) if kind == stream]
            if not wanted:
                return
        data, after, _ = self.read(start, end - start)
        base = after - len(data)
        for a, b in reversed(wanted):
            piece = data[max(a - base, 0) : max(b - base, 0)]
            if piece:
                yield max(a, base), piece
