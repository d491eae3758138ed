from __future__ import annotations

import asyncio
import os
import resource
import struct
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joblet.client.api import BOTH, GAP, STDERR, STDOUT, LogPiece, LogRequest
from joblet.client.follow import CHUNK, Watches, pieces
from joblet.records import logindex
from tests.fakes.logwriter import LogWriter

DEADLINE_S = 10
MS = 1_000_000


class Log:
    """A log on disk: its writer, and read-only descriptors for whoever follows."""

    def __init__(self, directory: Path) -> None:
        modes = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._fds = [
            os.open(directory / "log", modes, 0o644),
            os.open(directory / "log.idx", os.O_RDWR | os.O_CREAT, 0o644),
        ]
        self.writer = LogWriter(*self._fds)
        self.fds = (
            os.open(directory / "log", os.O_RDONLY),
            os.open(directory / "log.idx", os.O_RDONLY),
        )

    def close(self) -> None:
        for fd in (*self._fds, *self.fds):
            os.close(fd)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path)
    yield made
    made.close()


async def collect(log: Log, request: LogRequest) -> list[LogPiece]:
    async with asyncio.timeout(DEADLINE_S), aclosing(pieces(*log.fds, request, Watches())) as found:
        return [piece async for piece in found]


def joined(found: list[LogPiece], stream: str | None = None) -> bytes:
    return b"".join(piece.data for piece in found if stream in (None, piece.stream))


async def test_a_finished_log_is_given_in_order_with_streams_and_times(log: Log) -> None:
    log.writer.write(b"one\n", 1 * MS)
    log.writer.write(b"two\n", 2 * MS, logindex.STDERR)
    log.writer.write(b"three\n", 3 * MS)
    log.writer.seal()
    assert await collect(log, LogRequest()) == [
        LogPiece(STDOUT, 1 * MS, b"one\n"),
        LogPiece(STDERR, 2 * MS, b"two\n"),
        LogPiece(STDOUT, 3 * MS, b"three\n"),
    ]


@pytest.mark.parametrize("follow", [True, False])
async def test_an_empty_sealed_log_ends_at_once(log: Log, follow: bool) -> None:
    log.writer.seal()
    assert await collect(log, LogRequest(follow=follow)) == []


async def test_without_following_a_live_log_ends_where_it_is(log: Log) -> None:
    log.writer.write(b"so far", 1)
    assert await collect(log, LogRequest(follow=False)) == [LogPiece(STDOUT, 1, b"so far")]


async def test_without_following_an_empty_live_log_is_empty(log: Log) -> None:
    assert await collect(log, LogRequest(follow=False)) == []


async def test_without_following_a_busy_writer_does_not_move_the_end(log: Log) -> None:
    log.writer.write(b"x" * CHUNK * 2, 1)
    got = b""
    async with aclosing(pieces(*log.fds, LogRequest(follow=False), Watches())) as found:
        async for piece in found:
            got += piece.data
            log.writer.write(b"y" * CHUNK, 2)
    assert got == b"x" * CHUNK * 2


async def test_a_follower_gets_history_and_what_comes_and_ends_with_the_seal(log: Log) -> None:
    log.writer.write(b"history ", 1)
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(pieces(*log.fds, LogRequest(), Watches())) as found,
    ):
        assert await anext(found) == LogPiece(STDOUT, 1, b"history ")
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        assert not waiting.done()
        log.writer.write(b"live", 2, logindex.STDERR)
        assert await waiting == LogPiece(STDERR, 2, b"live")
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        log.writer.seal()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_bytes_without_an_entry_of_their_own_wake_a_follower(log: Log) -> None:
    log.writer.write(b"a", 1)
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(pieces(*log.fds, LogRequest(), Watches())) as found,
    ):
        await anext(found)
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        log.writer.more(b"b")
        assert await waiting == LogPiece(STDOUT, 1, b"b")


async def test_bytes_spliced_from_a_pipe_wake_a_follower(log: Log, tmp_path: Path) -> None:
    # what the supervisor does; kernels have not always told inotify of it
    reader, writer = os.pipe()
    target = os.open(tmp_path / "log", os.O_WRONLY)
    log.writer.write(b"a", 1)
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(pieces(*log.fds, LogRequest(), Watches())) as found,
    ):
        await anext(found)
        waiting = asyncio.ensure_future(anext(found))
        await asyncio.sleep(0)
        os.write(writer, b"spliced")
        assert os.splice(reader, target, 100, offset_dst=1) == 7
        assert await waiting == LogPiece(STDOUT, 1, b"spliced")
    for fd in (reader, writer, target):
        os.close(fd)


@settings(max_examples=30, deadline=None)
@given(
    writes=st.lists(
        st.tuples(st.binary(min_size=1, max_size=50), st.sampled_from([1, 2])), max_size=40
    ),
    early=st.integers(0, 40),
)
async def test_a_follower_loses_and_doubles_nothing(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[bytes, int]], early: int
) -> None:
    log = Log(tmp_path_factory.mktemp("log"))
    for number, (data, stream) in enumerate(writes[:early]):
        log.writer.write(data, number, stream)
    following = asyncio.ensure_future(collect(log, LogRequest()))
    for number, (data, stream) in enumerate(writes[early:]):
        await asyncio.sleep(0)
        log.writer.write(data, number, stream)
    log.writer.seal()
    found = await following
    assert joined(found) == b"".join(data for data, _ in writes)
    for name, number in ((STDOUT, 1), (STDERR, 2)):
        assert joined(found, name) == b"".join(data for data, stream in writes if stream == number)
    log.close()


async def test_a_long_log_comes_whole(log: Log) -> None:
    whole = os.urandom(CHUNK * 3 + 17)
    for start in range(0, len(whole), 100_000):
        log.writer.write(whole[start : start + 100_000], start)
    log.writer.seal()
    assert joined(await collect(log, LogRequest())) == whole


def three_lines(log: Log) -> None:
    log.writer.write(b"first\n", 10 * MS)
    log.writer.write(b"oops\n", 20 * MS, logindex.STDERR)
    log.writer.write(b"last\n", 30 * MS)
    log.writer.seal()


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (LogRequest(tail_lines=0), b""),
        (LogRequest(tail_lines=1), b"last\n"),
        (LogRequest(tail_lines=2), b"oops\nlast\n"),
        (LogRequest(tail_lines=99), b"first\noops\nlast\n"),
        (LogRequest(stream=STDOUT), b"first\nlast\n"),
        (LogRequest(stream=STDERR), b"oops\n"),
        (LogRequest(stream=STDOUT, tail_lines=1), b"last\n"),
        (LogRequest(stream=STDERR, tail_lines=1), b"oops\n"),
        (LogRequest(since_usec=0), b"first\noops\nlast\n"),
        (LogRequest(since_usec=15_000), b"oops\nlast\n"),
        (LogRequest(since_usec=30_000), b"last\n"),
        (LogRequest(since_usec=30_001), b""),
        (LogRequest(since_usec=-5), b"first\noops\nlast\n"),
        (LogRequest(since_usec=15_000, tail_lines=1), b"last\n"),
        (LogRequest(since_usec=30_000, tail_lines=3), b"last\n"),
    ],
    ids=str,
)
async def test_a_request_selects_its_part(log: Log, request_: LogRequest, wanted: bytes) -> None:
    three_lines(log)
    assert joined(await collect(log, request_)) == wanted


async def test_bytes_lost_to_a_full_disk_are_told_at_their_place(log: Log) -> None:
    log.writer.write(b"before\n", 1)
    log.writer.lose(42, 2)
    log.writer.write(b"after\n", 3)
    log.writer.seal()
    assert await collect(log, LogRequest()) == [
        LogPiece(STDOUT, 1, b"before\n"),
        LogPiece(GAP, 2, b"", 42),
        LogPiece(STDOUT, 3, b"after\n"),
    ]


async def test_a_loss_between_two_reads_is_told_once(log: Log) -> None:
    log.writer.write(b"before\n", 1)
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(pieces(*log.fds, LogRequest(), Watches())) as found,
    ):
        await anext(found)
        log.writer.lose(42, 2)
        log.writer.write(b"after\n", 3)
        log.writer.seal()
        rest = [piece async for piece in found]
    assert rest == [LogPiece(GAP, 2, b"", 42), LogPiece(STDOUT, 3, b"after\n")]


async def test_a_loss_at_the_very_end_is_told_although_no_entry_marks_it(log: Log) -> None:
    log.writer.write(b"before\n", 1)
    log.writer.header.dropped_bytes += 42
    log.writer.seal()
    assert await collect(log, LogRequest()) == [
        LogPiece(STDOUT, 1, b"before\n"),
        LogPiece(GAP, 1, b"", 42),
    ]


async def test_the_oldest_bytes_dropped_by_the_cap_are_told_at_the_beginning(log: Log) -> None:
    log.writer.write(b"x" * 8192, 1)
    log.writer.write(b"kept", 2)
    log.writer.drop_before(8192)
    log.writer.seal()
    assert await collect(log, LogRequest()) == [
        LogPiece(GAP, 0, b"", 8192),
        LogPiece(STDOUT, 2, b"kept"),
    ]


async def test_a_follower_that_falls_behind_the_cap_is_told_what_it_missed(log: Log) -> None:
    log.writer.write(b"seen", 1)
    async with (
        asyncio.timeout(DEADLINE_S),
        aclosing(pieces(*log.fds, LogRequest(), Watches())) as found,
    ):
        await anext(found)
        log.writer.write(b"x" * 8188, 2)
        log.writer.write(b"kept", 3)
        log.writer.drop_before(8192)
        log.writer.seal()
        rest = [piece async for piece in found]
    assert rest == [LogPiece(GAP, 0, b"", 8188), LogPiece(STDOUT, 3, b"kept")]


async def test_following_works_without_an_inotify_instance(log: Log) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    # no descriptor left, which inotify_init1 reports like a lack of instances
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        watch = Watches().watch(log.fds[0])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert watch.polls
    async with asyncio.timeout(DEADLINE_S):
        await watch.changed()
    watch.close()


async def test_a_watch_hears_of_what_happened_before_it_waits(log: Log) -> None:
    watch = Watches().watch(log.fds[0])
    log.writer.write(b"x", 1)
    async with asyncio.timeout(DEADLINE_S):
        await watch.changed()
    watch.close()


async def test_a_watch_of_nothing_is_an_error_and_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        Watches().watch(1 << 20)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_many_followers_share_one_inotify_instance(tmp_path: Path) -> None:
    logs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        logs.append(Log(tmp_path / name))
    before = len(os.listdir("/proc/self/fd"))
    watches = Watches()
    ears = [watches.watch(log.fds[0]) for log in logs for _ in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before + 1
    logs[1].writer.write(b"x", 1)
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(ear.changed() for ear in ears[50:]))
    assert not any(ear.heard.is_set() for ear in ears)
    for ear in ears[:75]:
        ear.close()
        ear.close()
    logs[1].writer.write(b"y", 2)
    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*(ear.changed() for ear in ears[75:]))
    for ear in ears[75:]:
        ear.close()
    assert len(os.listdir("/proc/self/fd")) == before
    for log in logs:
        log.close()


async def test_when_the_kernel_lost_count_everybody_looks(log: Log) -> None:
    watches = Watches()
    ear = watches.watch(log.fds[0])
    lost, ours = os.pipe()
    os.set_blocking(lost, False)
    os.write(ours, struct.pack("iIII", -1, 0x4000, 0, 0))
    real, watches._fd = watches._fd, lost
    watches._read()
    watches._fd = real
    assert ear.heard.is_set()
    ear.close()
    os.close(lost)
    os.close(ours)


async def test_a_merged_log_comes_whole_whatever_the_stream(log: Log) -> None:
    for number in range(100):
        log.writer.write(b"%d\n" % number, number * MS, 1 + number % 2)
    log.writer.seal()
    whole = b"".join(b"%d\n" % number for number in range(100))
    assert await collect(log, LogRequest(merged=True)) == [LogPiece(BOTH, 0, whole)]


async def test_a_merged_log_tells_what_the_cap_took(log: Log) -> None:
    log.writer.write(b"x" * 8192, 1)
    log.writer.write(b"kept", 2)
    log.writer.drop_before(8192)
    log.writer.seal()
    assert await collect(log, LogRequest(merged=True)) == [
        LogPiece(GAP, 0, b"", 8192),
        LogPiece(BOTH, 0, b"kept"),
    ]


async def test_an_abandoned_follower_gives_its_inotify_instance_back(log: Log) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log.writer.write(b"x", 1)
    async with aclosing(pieces(*log.fds, LogRequest(), Watches())) as found:
        await anext(found)
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_reader_goes_on_anywhere_without_a_gap_and_with_nothing_twice(log: Log) -> None:
    log.writer.write(b"one\n", 1)
    log.writer.write(b"two\n", 2, logindex.STDERR)
    log.writer.lose(42, 3)
    log.writer.write(b"three\n", 4)
    log.writer.write(b"four", 5, logindex.STDERR)
    log.writer.seal()
    whole = await collect(log, LogRequest())
    assert [piece.after for piece in whole] == [4, 8, 8, 14, 18]
    for number, piece in enumerate(whole, 1):
        rest = await collect(log, LogRequest(offset=piece.after))
        # Of a loss a reader is told who begins at its place: it knows whether it had been.
        told = [piece] if piece.stream == GAP else []
        assert rest == told + whole[number:]
    assert await collect(log, LogRequest(offset=18)) == []
    assert joined(await collect(log, LogRequest(offset=6))) == b"o\nthree\nfour"


@pytest.mark.parametrize("follow", [True, False])
async def test_a_place_behind_the_end_is_the_end(log: Log, follow: bool) -> None:
    log.writer.write(b"one\n", 1)
    log.writer.seal()
    assert await collect(log, LogRequest(follow=follow, offset=(1 << 64) - 1)) == []


async def test_a_merged_log_tells_its_places(log: Log) -> None:
    log.writer.write(b"one\n", 1)
    log.writer.write(b"two\n", 2, logindex.STDERR)
    log.writer.seal()
    [piece] = await collect(log, LogRequest(merged=True))
    assert (piece.data, piece.after) == (b"one\ntwo\n", 8)


async def test_who_gives_up_during_a_search_for_lines_leaves_nothing_behind(log: Log) -> None:
    log.writer.write(b"line\n" * 100_000, 1)
    found = pieces(*log.fds, LogRequest(follow=False, tail_lines=1_000_000), Watches())
    looking = asyncio.ensure_future(anext(found))
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.wait([looking])
    assert looking.cancelled()
    await found.aclose()
