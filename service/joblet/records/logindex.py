"""log.idx: which bytes of a job's log came when, from which stream, and what is gone.

A header of 64 bytes, then entries of 24 bytes, little-endian. An entry says: from this offset of
the log on, until the next entry, the bytes came from this stream, the first of them at this time.
The writer (the job's supervisor) updates the header in place, so that even a full disk can say
what was lost; it advances `valid_from` before it drops the oldest bytes, so a reader that finds
`valid_from` unchanged after a read has read real bytes.

Dropped entries read as zeros; `first_entry` says which entry is the first that counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from joblet.records.framing import BadRecord

MAGIC = b"JLIX"
VERSION = 1
# magic, version, flags, valid_from, first_entry, dropped_bytes, end_offset (when sealed), reserved
_HEADER = struct.Struct("<4sHHQQQQ24x")
_ENTRY = struct.Struct("<QQQ")
HEADER_SIZE = _HEADER.size
ENTRY_SIZE = _ENTRY.size

STDOUT = 1
STDERR = 2
# `value` bytes of output were lost just before this offset: the disk was full
GAP = 3

FLAG_SEALED = 1


class Header:
    """The mutable head of an index."""

    __slots__ = ("dropped_bytes", "end_offset", "first_entry", "sealed", "valid_from")

    def __init__(
        self,
        valid_from: int = 0,
        first_entry: int = 0,
        dropped_bytes: int = 0,
        end_offset: int = 0,
        sealed: bool = False,
    ) -> None:
        self.valid_from = valid_from
        self.first_entry = first_entry
        self.dropped_bytes = dropped_bytes
        self.end_offset = end_offset
        self.sealed = sealed

    def encode(self) -> bytes:
        """The 64 bytes on disk."""
        return _HEADER.pack(
            MAGIC,
            VERSION,
            FLAG_SEALED if self.sealed else 0,
            self.valid_from,
            self.first_entry,
            self.dropped_bytes,
            self.end_offset,
        )


def decode_header(data: bytes) -> Header:
    """Raises BadRecord."""
    if len(data) < HEADER_SIZE:
        raise BadRecord("log index: header cut short")
    magic, version, flags, valid_from, first_entry, dropped, end = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BadRecord("log index: not a log index")
    if version != VERSION:
        raise BadRecord(f"log index: version {version} is not known here")
    return Header(valid_from, first_entry, dropped, end, bool(flags & FLAG_SEALED))


def encode_entry(offset: int, time_ns: int, kind: int, value: int = 0) -> bytes:
    """One entry; `value` counts the lost bytes of a GAP."""
    return _ENTRY.pack(offset, time_ns, kind | (value << 8))


def decode_entries(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(offset, time_ns, kind, value) of every whole entry in data; a torn last one is left out."""
    usable = len(data) - len(data) % ENTRY_SIZE
    for offset, time_ns, word in _ENTRY.iter_unpack(memoryview(data)[:usable]):
        yield offset, time_ns, word & 0xFF, word >> 8
