"""The log of a real supervisor: a disk that is full, a cap, both streams, and what comes last."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from joblet.init.logwriter import LogWriter
from joblet.records import logindex
from joblet.records.logindex import GAP, STDERR, STDOUT, Header
from joblet.records.logreader import LogReader
from tests.kernel.sandbox import Sandbox, fill, tmpfs

MIB = 1 << 20


def numbers(count: int) -> bytes:
    return b"".join(b"%d\n" % number for number in range(1, count + 1))


def test_everything_a_job_says_is_in_its_log(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "seq 1 300000; echo last >&2; printf end")
    assert outcome.exit.exit_status == 0
    whole = numbers(300_000)
    said = outcome.log.replace(b"last\n", b"", 1)
    assert said == whole + b"end"
    assert outcome.exit.log_bytes == outcome.header.end_offset == len(outcome.log)
    assert outcome.exit.log_dropped_bytes == 0
    assert outcome.sealed


def test_what_a_child_says_after_its_parent_is_in_the_log(sandbox: Sandbox) -> None:
    # Its PID namespace ends with PID 1, and what was in the pipe by then counts.
    child = "echo child; : >said; while :; do echo child; done"
    parent = "until [ -e said ]; do :; done; exit 2"
    outcome = sandbox.run("sh", "-c", f"({child}) & {parent}")
    assert outcome.exit.exit_status == 2
    assert outcome.log.startswith(b"child\n")
    assert set(outcome.log.split(b"\n")[:-1]) == {b"child"}


def test_a_full_disk_loses_output_and_counts_it_and_stops_nothing(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "seq 1 300000; echo done >&2; exit 3", log_bytes_max=MIB)
    whole = numbers(300_000)
    assert outcome.exit.exit_status == 3
    assert 0 < len(outcome.log) < MIB
    assert whole.startswith(outcome.log)
    lost = len(whole) + len(b"done\n") - len(outcome.log)
    assert outcome.exit.log_dropped_bytes == outcome.header.dropped_bytes == lost
    assert outcome.exit.log_bytes == outcome.header.end_offset == len(outcome.log)
    assert outcome.sealed


def test_an_index_that_takes_nothing_loses_the_output_and_not_the_end(sandbox: Sandbox) -> None:
    """As on a disk that the kernel has made read-only after a failure."""
    outcome = sandbox.run("sh", "-c", "seq 1 300000; exit 3", index_flags=os.O_RDONLY)
    assert outcome.exit.exit_status == 3
    assert (outcome.log, outcome.exit.log_bytes) == (b"", 0)
    assert outcome.exit.log_dropped_bytes == len(numbers(300_000))
    assert not outcome.sealed


def test_a_cap_keeps_the_newest_bytes(sandbox: Sandbox) -> None:
    outcome = sandbox.run("seq", "1", "600000", cap_bytes=MIB)
    whole = numbers(600_000)
    start = outcome.header.valid_from
    assert outcome.exit.exit_status == 0
    assert outcome.exit.log_bytes == len(outcome.log) == len(whole)
    assert len(whole) - MIB <= start <= len(whole) - MIB // 2
    assert outcome.log[start:] == whole[start:]
    # Whole blocks before it are holes.
    assert outcome.log[: start - start % 4096] == bytes(start - start % 4096)
    assert outcome.header.dropped_bytes == 0


# The writer alone, where a disk fills and empties again.


@pytest.fixture
def disk() -> Iterator[int]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    descriptor = tmpfs(MIB)
    yield descriptor
    os.close(descriptor)


def test_output_goes_on_after_a_marked_gap_when_there_is_room_again(disk: int) -> None:
    log = os.open("log", os.O_RDWR | os.O_CREAT, dir_fd=disk)
    index = os.open("log.idx", os.O_RDWR | os.O_CREAT, dir_fd=disk)
    near, far = os.pipe()
    os.set_blocking(near, False)
    try:
        os.pwrite(index, Header().encode(), 0)
        writer = LogWriter(log, index, 1 << 30)

        def say(stream: int, data: bytes, now_ns: int) -> None:
            os.write(far, data)
            # The last block of the disk may take a part of it.
            taken = 0
            while taken < len(data):
                taken += writer.take(stream, near, now_ns)

        say(STDOUT, b"first\n", 1)
        fill(disk)
        # What fits into the block that the log has is kept; then nothing is.
        pieces = [b"%05d\n" % number for number in range(2000)]
        for at, piece in enumerate(pieces, 2):
            say(STDOUT, piece, at)
        lost = writer.dropped_bytes
        assert lost > 0
        kept = writer.offset
        os.unlink("filler", dir_fd=disk)
        say(STDERR, b"there is room again\n", 5000)
        writer.flush()
        writer.seal()
        reader = LogReader(log, index)
        data, after, sealed = reader.read(0, MIB)
        assert sealed
        assert after == len(data) == writer.offset
        assert data[:kept] == (b"first\n" + b"".join(pieces))[:kept]
        assert data[kept:] == b"there is room again\n"
        # While the index has room each loss is marked, all at the one place.
        gaps = list(reader.gaps(0, after))
        assert {offset for offset, _, _ in gaps} == {kept}
        assert sum(count for _, count, _ in gaps) == lost
        entries = list(logindex.decode_entries(os.pread(index, MIB, logindex.HEADER_SIZE)))
        assert [entry[2] for entry in entries[-2:]] == [GAP, STDERR]
        assert reader.facts().dropped_bytes == lost
    finally:
        for fd in (log, index, near, far):
            os.close(fd)
