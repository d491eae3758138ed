"""LogReader against logs written by the rules, torn, cut, dropped from and still growing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joblet.records.framing import BadRecord
from joblet.records.logindex import (
    ENTRY_SIZE,
    HEADER_SIZE,
    STDERR,
    STDOUT,
    encode_entry,
)
from joblet.records.logreader import LogReader
from tests.fakes.logwriter import LogWriter, punch

MS = 1_000_000
CHUNKS = st.lists(
    st.tuples(
        st.sampled_from([STDOUT, STDERR]),
        st.text("ab\n", max_size=12).map(str.encode),
        st.integers(0, 3),
    ),
    max_size=40,
)


class Log:
    """A log in a directory with its writer and its reader."""

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT
        self.log = os.open(directory / "log", flags, 0o644)
        self.idx = os.open(directory / "log.idx", flags, 0o644)
        self.writer = LogWriter(self.log, self.idx)
        self.reader = LogReader(self.log, self.idx)

    def close(self) -> None:
        os.close(self.log)
        os.close(self.idx)


@contextmanager
def fresh_log() -> Iterator[Log]:
    with TemporaryDirectory() as directory:
        log = Log(Path(directory))
        try:
            yield log
        finally:
            log.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.close()


def read_all(reader: LogReader, offset: int = 0, limit: int = 7) -> bytes:
    parts = []
    while True:
        data, offset, sealed = reader.read(offset, limit)
        parts.append(data)
        if sealed or not data:
            return b"".join(parts)


def pattern(start: int, end: int) -> bytes:
    """Bytes that tell their own offset and are never NUL."""
    first = start % 251
    table = bytes(1 + n for n in range(251))
    times = (end - start) // 251 + 2
    return (table * times)[first : first + end - start]


def write_chunks(log: Log, chunks: list[tuple[int, bytes, int]]) -> list[tuple[int, int]]:
    """Writes them; gives (stream, time) of each byte."""
    owner = []
    now = 0
    for stream, data, pause in chunks:
        now += pause * MS
        log.writer.write(data, now, stream)
        owner += [(stream, now)] * len(data)
    return owner


@given(CHUNKS, st.integers(1, 20), st.booleans())
def test_reading_in_pieces_gives_what_was_written(
    chunks: list[tuple[int, bytes, int]], limit: int, seal: bool
) -> None:
    with fresh_log() as log:
        write_chunks(log, chunks)
        if seal:
            log.writer.seal()
        assert read_all(log.reader, 0, limit) == b"".join(data for _, data, _ in chunks)


@given(CHUNKS, st.data())
def test_segments_name_stream_and_time_of_every_byte_between_two_offsets(
    chunks: list[tuple[int, bytes, int]], data: st.DataObject
) -> None:
    with fresh_log() as log:
        owner = write_chunks(log, chunks)
        start = data.draw(st.integers(0, len(owner) + 2))
        end = data.draw(st.integers(0, len(owner) + 2))
        found = []
        position = start
        for a, b, stream, time_ns in log.reader.segments(start, end):
            assert a == position
            assert b > a
            found += [(stream, time_ns)] * (b - a)
            position = b
        assert found == owner[start:end]


@given(CHUNKS, st.integers(0, 100))
def test_offset_at_is_the_first_byte_of_that_time_or_later(
    chunks: list[tuple[int, bytes, int]], ms: int
) -> None:
    with fresh_log() as log:
        times = [time_ns for _, time_ns in write_chunks(log, chunks)]
        offset = log.reader.offset_at(ms * MS)
        assert all(time_ns < ms * MS for time_ns in times[:offset])
        assert all(time_ns >= ms * MS for time_ns in times[offset:])


@given(CHUNKS, st.integers(0, 12), st.sampled_from([None, STDOUT, STDERR]))
def test_the_last_lines_follow_the_tail_offset(
    chunks: list[tuple[int, bytes, int]], lines: int, stream: int | None
) -> None:
    with fresh_log() as log:
        owner = write_chunks(log, chunks)
        everything = b"".join(data for _, data, _ in chunks)

        def seen(offset: int) -> bytes:
            return bytes(
                byte
                for byte, (kind, _) in list(zip(everything, owner, strict=True))[offset:]
                if stream in (None, kind)
            )

        wanted = seen(0).splitlines(keepends=True)[-lines:] if lines else []
        assert seen(log.reader.tail_offset(lines, stream)) == b"".join(wanted)


@given(CHUNKS, st.data())
def test_after_a_drop_every_answer_begins_at_valid_from(
    chunks: list[tuple[int, bytes, int]], data: st.DataObject
) -> None:
    with fresh_log() as log:
        owner = write_chunks(log, chunks)
        everything = b"".join(data for _, data, _ in chunks)
        cut = data.draw(st.integers(0, len(owner)))
        log.writer.drop_before(cut)
        assert log.reader.read(0, 10**6) == (everything[cut:], len(everything), False)
        assert [
            (stream, time_ns)
            for a, b, stream, time_ns in log.reader.segments(0, len(owner))
            for _ in range(b - a)
        ] == owner[cut:]
        assert log.reader.tail_offset(10**6) == cut
        assert log.reader.offset_at(0) == cut
        assert log.reader.facts().valid_from == cut


def test_tail_works_over_many_blocks_and_long_lines(log: Log) -> None:
    long = b"x" * 300_000 + b"\n"
    log.writer.write(long * 2 + b"short\n" + long, MS)
    size = log.writer.end
    assert log.reader.tail_offset(1) == size - len(long)
    assert log.reader.tail_offset(2) == size - len(long) - 6
    assert log.reader.tail_offset(3) == len(long)
    assert log.reader.tail_offset(9) == 0


def test_tail_of_a_rare_stream_looks_behind_much_of_the_other(log: Log) -> None:
    log.writer.write(b"one\ntwo\n", MS, STDERR)
    for n in range(40):
        log.writer.write(b"o" * 9_999 + b"\n", n * MS, STDOUT)
    assert log.reader.tail_offset(1, STDERR) == 4


def test_an_entry_at_the_end_of_the_log_is_not_effective_yet(log: Log) -> None:
    log.writer.write(b"abc", 1 * MS, STDOUT)
    log.writer.entry(2 * MS, STDERR)
    assert list(log.reader.segments(0, 100)) == [(0, 3, STDOUT, MS)]
    assert log.reader.offset_at(2 * MS) == 3
    # The writer died there; the one that took over says what comes instead.
    LogWriter(log.log, log.idx).write(b"d", 3 * MS, STDOUT)
    assert list(log.reader.segments(0, 100)) == [(0, 3, STDOUT, MS), (3, 4, STDOUT, 3 * MS)]


def test_a_torn_last_entry_is_ignored_and_overwritten_by_the_next_writer(log: Log) -> None:
    log.writer.write(b"abc", MS, STDERR)
    end = HEADER_SIZE + ENTRY_SIZE
    os.pwrite(log.idx, encode_entry(3, 2 * MS, STDOUT)[:17], end)
    log.writer.more(b"def")
    assert list(log.reader.segments(0, 100)) == [(0, 6, STDERR, MS)]
    assert log.reader.offset_at(2 * MS) == 6
    LogWriter(log.log, log.idx).write(b"g", 3 * MS, STDOUT)
    assert list(log.reader.segments(5, 100)) == [(5, 6, STDERR, MS), (6, 7, STDOUT, 3 * MS)]


def test_entries_that_a_power_cut_left_as_zeros_are_not_believed(log: Log) -> None:
    for n in range(5):
        log.writer.write(b"abc", (n + 1) * MS, STDERR)
    os.ftruncate(log.idx, HEADER_SIZE + 9 * ENTRY_SIZE)
    assert [kind for _, _, kind, _ in log.reader.segments(0, 15)] == [STDERR] * 5
    assert list(log.reader.segments(4, 5)) == [(4, 5, STDERR, 2 * MS)]
    assert log.reader.offset_at(3 * MS) == 6
    assert log.reader.offset_at(6 * MS) == 15


def test_a_log_without_any_entry_counts_as_standard_output(log: Log) -> None:
    log.writer.more(b"abc")
    assert list(log.reader.segments(0, 9)) == [(0, 3, STDOUT, 0)]


def test_bytes_before_the_first_entry_left_count_as_its_own(log: Log) -> None:
    log.writer.more(b"ab")
    log.writer.write(b"cd", 0, STDERR)
    log.writer.write(b"ef", MS, STDOUT)
    assert list(log.reader.segments(0, 9)) == [
        (0, 2, STDERR, 0),
        (2, 4, STDERR, 0),
        (4, 6, STDOUT, MS),
    ]


def test_lost_bytes_are_counted_and_change_no_stream(log: Log) -> None:
    log.writer.write(b"ab", 1 * MS, STDERR)
    log.writer.lose(70, 2 * MS)
    log.writer.more(b"cd")
    log.writer.lose(5, 3 * MS)
    log.writer.write(b"ef", 4 * MS, STDOUT)
    assert list(log.reader.segments(3, 9)) == [(3, 4, STDERR, MS), (4, 6, STDOUT, 4 * MS)]
    assert list(log.reader.segments(0, 9)) == [(0, 4, STDERR, MS), (4, 6, STDOUT, 4 * MS)]
    assert list(log.reader.gaps(0, 9)) == [(2, 70, 2 * MS), (4, 5, 3 * MS)]
    assert list(log.reader.gaps(2, 3)) == [(2, 70, 2 * MS)]
    assert list(log.reader.gaps(3, 4)) == [(4, 5, 3 * MS)]
    assert log.reader.facts().dropped_bytes == 75


def test_sealed_is_said_only_at_the_end(log: Log) -> None:
    log.writer.write(b"abcd", MS)
    assert log.reader.read(0, 4) == (b"abcd", 4, False)
    log.writer.seal()
    assert log.reader.read(0, 3) == (b"abc", 3, False)
    assert log.reader.read(3, 3) == (b"d", 4, True)
    assert log.reader.read(4, 3) == (b"", 4, True)
    facts = log.reader.facts()
    assert (facts.end_offset, facts.sealed) == (4, True)


def test_an_offset_far_beyond_the_end_reads_nothing(log: Log) -> None:
    log.writer.write(b"abcd", MS)
    assert log.reader.read(2**64 - 1, 10) == (b"", 2**64 - 1, False)
    log.writer.seal()
    assert log.reader.read(2**64 - 1, 10) == (b"", 2**64 - 1, True)


def test_a_sealed_log_that_a_power_cut_made_shorter_has_an_end(log: Log) -> None:
    log.writer.write(b"abcd", MS)
    log.writer.seal()
    os.ftruncate(log.log, 2)
    assert log.reader.read(0, 10) == (b"ab", 2, True)
    assert log.reader.facts().end_offset == 2


def test_an_index_that_never_got_its_header_reads_as_a_fresh_one(log: Log) -> None:
    log.writer.more(b"abcd")
    for size in (0, HEADER_SIZE):
        os.ftruncate(log.idx, 0)
        os.ftruncate(log.idx, size)
        assert log.reader.read(0, 10) == (b"abcd", 4, False)
        assert log.reader.tail_offset(1) == 0
        assert log.reader.offset_at(0) == 4


def test_a_foreign_index_is_refused(log: Log) -> None:
    os.pwrite(log.idx, b"nonsense", 0)
    with pytest.raises(BadRecord, match="not a log index"):
        log.reader.read(0, 1)


def test_a_million_entries_are_searched_not_loaded(tmp_path: Path) -> None:
    log = Log(tmp_path)
    count = 1_000_000
    entries = b"".join(encode_entry(n * 10, n * MS, 1 + n % 2) for n in range(count))
    os.pwrite(log.idx, entries, HEADER_SIZE)
    os.ftruncate(log.log, count * 10)

    preads = 0
    real = os.pread

    def counted(fd: int, size: int, offset: int) -> bytes:
        nonlocal preads
        preads += 1
        return real(fd, size, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", counted)
        assert log.reader.offset_at(123_456 * MS) == 1_234_560
        assert list(log.reader.segments(7_654_325, 7_654_335)) == [
            (7_654_325, 7_654_330, 1, 765_432 * MS),
            (7_654_330, 7_654_335, 2, 765_433 * MS),
        ]
    log.close()
    assert preads < 80


def test_entries_dropped_in_the_middle_of_a_walk_are_left_out(log: Log) -> None:
    for n in range(5000):
        log.writer.write(pattern(n, n + 1), n * MS, 1 + n % 2)
    walk = log.reader.segments(0, 5000)
    assert next(walk) == (0, 1, STDOUT, 0)
    log.writer.drop_before(4500)
    # The rest of the block in memory comes as it was, then it goes on where entries are left.
    rest = list(walk)
    assert (rest[0][0], rest[-1][1]) == (1, 5000)
    assert rest[-500:] == [(n, n + 1, 1 + n % 2, n * MS) for n in range(4500, 5000)]


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 70_000), st.integers(1, 5000))
def test_a_reader_beside_a_dropping_writer_never_sees_a_hole(limit: int, chunk: int) -> None:
    total = 400 * chunk
    keep = 8 * chunk
    with fresh_log() as log:
        failed: list[BaseException] = []

        def write() -> None:
            try:
                while log.writer.end < total:
                    start = log.writer.end
                    log.writer.write(pattern(start, start + chunk), start, 1 + start % 2)
                    log.writer.drop_before(max(0, log.writer.end - keep))
                log.writer.seal()
            except BaseException as err:
                failed.append(err)
                raise

        thread = threading.Thread(target=write)
        thread.start()
        offset = 0
        sealed = False
        while not sealed and not failed:
            data, after, sealed = log.reader.read(offset, limit)
            start = after - len(data)
            assert start >= offset
            assert data == pattern(start, after)
            offset = after
            for a, b, _, time_ns in log.reader.segments(offset, offset + limit):
                assert b > a
                assert time_ns <= a or a < log.reader.facts().valid_from
        thread.join()
        assert not failed
        assert offset == log.writer.end


def test_a_dropped_range_reads_as_a_jump_not_as_zeros(log: Log) -> None:
    log.writer.write(pattern(0, 100_000), MS)
    punch(log.log, 0, 8192)
    log.writer.drop_before(50_000)
    data, after, _ = log.reader.read(10, 1000)
    assert (after - len(data), after) == (50_000, 51_000)
    assert data == pattern(50_000, 51_000)
