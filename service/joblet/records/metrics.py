"""The metrics file of a job: a record per sample, appended by jobletd, read by whoever asks.

A header of 16 bytes, then records, little-endian. A record is a head (number of words, check sum)
and that many words of 64 bits: number of the sample, time, a set of fields, the value of each field
of the set in order of its bit, number of devices, seven words per device. So a field that is not in
the set is not known, which is not the same as zero.

FIELDS grow at the end only. The bits of a newer writer are above those known here, and their values
behind them, so an older reader passes over them. What is behind the last whole record is the rest
of a write that a crash cut off: it is nobody's, and the next writer overwrites it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from joblet.records.framing import BadRecord

MAGIC = b"JLMS"
VERSION = 1
_HEADER = struct.Struct("<4sHH8x")
HEADER_SIZE = _HEADER.size
HEADER = _HEADER.pack(MAGIC, VERSION, 0)
_HEAD = struct.Struct("<II")
# Far more than a record of any version has.
_WORDS_MAX = 1 << 12
_WORD_MAX = (1 << 64) - 1
# A prime near 32 bits; one is added, so that no check sum is zero as a lost block is.
_CHECK = (1 << 32) - 17
# number, time, set of fields
_FIXED = 3
_PER_DEVICE = 7

FIELDS = (
    "clock_usec",
    "cpu_usec",
    "cpu_user_usec",
    "cpu_system_usec",
    "cpu_periods",
    "cpu_throttled_periods",
    "cpu_throttled_usec",
    "cpu_some_avg10",
    "cpu_some_avg60",
    "cpu_some_avg300",
    "cpu_full_avg10",
    "cpu_full_avg60",
    "cpu_full_avg300",
    "memory_bytes",
    "memory_peak_bytes",
    "memory_anon_bytes",
    "memory_file_bytes",
    "memory_kernel_stack_bytes",
    "memory_slab_bytes",
    "memory_sock_bytes",
    "memory_shmem_bytes",
    "memory_file_mapped_bytes",
    "memory_file_dirty_bytes",
    "memory_file_writeback_bytes",
    "page_faults",
    "major_page_faults",
    "oom_events",
    "oom_kills",
    "memory_some_avg10",
    "memory_some_avg60",
    "memory_some_avg300",
    "memory_full_avg10",
    "memory_full_avg60",
    "memory_full_avg300",
    "io_read_bytes",
    "io_write_bytes",
    "io_discard_bytes",
    "io_read_ops",
    "io_write_ops",
    "io_discard_ops",
    "io_some_avg10",
    "io_some_avg60",
    "io_some_avg300",
    "io_full_avg10",
    "io_full_avg60",
    "io_full_avg300",
    "tasks",
    "task_limit_hits",
    "max_cpu",
    "max_memory",
    "max_io_bps",
    "max_tasks",
)
_BITS = tuple((name, 1 << number) for number, name in enumerate(FIELDS))
# The kernel's number of a device (MAJOR << 32 | MINOR), then bytes and operations: read, written,
# discarded.
Device = tuple[int, int, int, int, int, int, int]


class MetricsRecord:
    """One sample; a name of FIELDS that is not in `values` is not known, nor are devices None."""

    __slots__ = ("devices", "number", "time_usec", "values")

    def __init__(
        self,
        number: int,
        time_usec: int,
        values: Mapping[str, int],
        devices: tuple[Device, ...] | None = None,
    ) -> None:
        self.number = number
        self.time_usec = time_usec
        self.values = values
        self.devices = devices

    def encode(self) -> bytes:
        """The bytes on disk."""
        values = self.values
        words = [self.number, self.time_usec, 0]
        bits = 0
        for name, bit in _BITS:
            if name in values:
                bits |= bit
                words.append(values[name])
        words[2] = bits
        if self.devices is not None:
            words.append(len(self.devices))
            for device in self.devices:
                words += device
        try:
            body = struct.pack(f"<{len(words)}Q", *words)
        except struct.error:
            # No counter of the kernel is as large; a wrong one must not cost all of the sample.
            words = [min(max(0, word), _WORD_MAX) for word in words]
            body = struct.pack(f"<{len(words)}Q", *words)
        return _HEAD.pack(len(words), _check(words)) + body


def check_header(data: bytes) -> None:
    """Raises BadRecord for a file that is not ours or of a version not known here."""
    if len(data) < HEADER_SIZE:
        raise BadRecord("metrics: header cut short")
    magic, version, _ = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise BadRecord("metrics: not a file of metrics")
    if version != VERSION:
        raise BadRecord(f"metrics: version {version} is not known here")


def records(data: bytes) -> Iterator[tuple[int, MetricsRecord]]:
    """Every whole record of a file, each with where it ends; the header is the caller's."""
    at = HEADER_SIZE
    while at + _HEAD.size <= len(data):
        count, check = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        end = at + 8 * count
        if not _FIXED <= count <= _WORDS_MAX or end > len(data):
            return
        words = struct.unpack_from(f"<{count}Q", data, at)
        if _check(words) != check:
            return
        record = _record(words)
        if record is None:
            return
        at = end
        yield end, record


def _record(words: tuple[int, ...]) -> MetricsRecord | None:
    number, time_usec, bits = words[:_FIXED]
    at = _FIXED
    values = {}
    devices_at = _FIXED + bits.bit_count()
    if len(words) < devices_at:
        return None
    for bit, name in enumerate(FIELDS):
        if bits >> bit & 1:
            values[name] = words[at]
            at += 1
    devices = None
    if len(words) > devices_at:
        first, last = devices_at + 1, devices_at + 1 + _PER_DEVICE * words[devices_at]
        if len(words) < last:
            return None
        devices = tuple(
            (
                words[i],
                words[i + 1],
                words[i + 2],
                words[i + 3],
                words[i + 4],
                words[i + 5],
                words[i + 6],
            )
            for i in range(first, last, _PER_DEVICE)
        )
    return MetricsRecord(number, time_usec, values, devices)


def _check(words: Iterable[int]) -> int:
    return 1 + sum(words) % _CHECK
