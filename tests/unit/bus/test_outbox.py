"""The send queue: in order, several in one write, nothing lost, merged while it waits."""

from __future__ import annotations

import asyncio
import os

import pytest

from joblet.bus.outbox import HIGH_WATER, LOW_WATER, Outbox
from joblet.errors import Unreachable


class FakeLibrary:
    """Takes messages; when `full`, the rest of a write is sent when the test says so."""

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.fds: list[int] = []
        self.full = False
        self.sending: list[asyncio.Future[None]] = []

    @property
    def taken(self) -> list[bytes]:
        return [data for write in self.writes for data in write]

    def write(self, chunks: list[bytes], fds: list[int]) -> asyncio.Future[None] | None:
        self.writes.append(chunks)
        self.fds.extend(fds)
        if not self.full:
            return None
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sending.append(future)
        return future

    async def sent(self) -> None:
        """The library has written what it was given last."""
        self.sending[-1].set_result(None)
        await _turn()


async def _turn() -> None:
    """One round of the event loop, and one for what it called soon."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.fixture
async def library() -> FakeLibrary:
    return FakeLibrary()


@pytest.fixture
async def outbox(library: FakeLibrary) -> Outbox:
    return Outbox(library)  # type: ignore[arg-type]


def _pipe() -> tuple[int, int]:
    return os.pipe()


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_what_one_round_makes_goes_in_one_write_in_order(
    outbox: Outbox, library: FakeLibrary
) -> None:
    for message in (b"a", b"b", b"c"):
        outbox.put(message)
    assert library.writes == []
    await outbox.empty()
    assert library.writes == [[b"a", b"b", b"c"]]


async def test_a_patient_message_goes_with_the_next_or_after_a_moment(
    outbox: Outbox, library: FakeLibrary
) -> None:
    outbox.put(b"signal", patient=True)
    await _turn()
    assert library.writes == []
    outbox.put(b"answer")
    outbox.put(b"signal too", patient=True)
    await _turn()
    assert library.writes == [[b"signal", b"answer", b"signal too"]]
    outbox.put_mergeable(("path", "interface"), lambda: b"change")
    await _turn()
    assert len(library.writes) == 1
    await outbox.empty()
    assert library.writes[1:] == [[b"change"]]


async def test_a_patient_message_waits_no_longer_than_the_connection(
    outbox: Outbox, library: FakeLibrary
) -> None:
    outbox.put(b"signal", patient=True)
    outbox.close()
    await asyncio.sleep(0.01)
    assert library.writes == []
    await outbox.empty()


async def test_the_library_never_has_more_than_one_rest(
    outbox: Outbox, library: FakeLibrary
) -> None:
    library.full = True
    outbox.put(b"a")
    await _turn()
    outbox.put(b"b")
    await _turn()
    outbox.put(b"c")
    await _turn()
    assert library.writes == [[b"a"]]
    await library.sent()
    assert library.writes == [[b"a"], [b"b", b"c"]]
    assert len(outbox) == 2
    await library.sent()
    assert len(outbox) == 0


async def test_a_write_is_bounded_in_messages_and_in_bytes(
    outbox: Outbox, library: FakeLibrary
) -> None:
    for _ in range(150):
        outbox.put(b"x")
    for _ in range(3):
        outbox.put(b"y" * 40_000)
    await outbox.empty()
    assert [len(write) for write in library.writes] == [64, 64, 24, 1]


async def test_descriptors_go_with_the_first_byte_of_a_write(
    outbox: Outbox, library: FakeLibrary
) -> None:
    read_end, write_end = _pipe()
    outbox.put(b"a")
    outbox.put(b"b", [write_end])
    outbox.put(b"c")
    await outbox.empty()
    assert library.writes == [[b"a"], [b"b", b"c"]]
    assert library.fds == [write_end]
    assert not _is_open(write_end), "what has gone is closed here"
    os.close(read_end)


async def test_a_merged_message_keeps_its_place_and_is_made_when_it_goes(
    outbox: Outbox, library: FakeLibrary
) -> None:
    key = ("/path", "interface")
    changes = [b"1"]
    library.full = True
    outbox.put(b"in flight")
    await _turn()
    outbox.put_mergeable(key, lambda: b"".join(changes))
    outbox.put(b"later")
    assert outbox.waits(key)
    changes.append(b"2")
    await library.sent()
    assert not outbox.waits(key), "it is on its way and may not be changed any more"
    assert library.writes[1] == [b"12", b"later"]


async def test_descriptors_are_kept_until_the_rest_has_gone(
    outbox: Outbox, library: FakeLibrary
) -> None:
    read_end, write_end = _pipe()
    library.full = True
    outbox.put(b"a", [write_end])
    await _turn()
    assert _is_open(write_end)
    await library.sent()
    assert not _is_open(write_end)
    os.close(read_end)


async def test_a_withdrawn_message_is_not_sent_and_its_descriptors_are_closed(
    outbox: Outbox, library: FakeLibrary
) -> None:
    read_end, write_end = _pipe()
    outbox.put(b"a")
    outbox.put(b"b", [write_end]).withdrawn = True
    outbox.put(b"c")
    await outbox.empty()
    assert library.taken == [b"a", b"c"]
    assert not _is_open(write_end)
    os.close(read_end)


async def test_who_can_wait_waits_from_the_high_to_the_low_mark(
    outbox: Outbox, library: FakeLibrary
) -> None:
    library.full = True
    for _ in range(HIGH_WATER):
        outbox.put(b"x")
    assert not outbox.congested
    outbox.put(b"one too many")
    assert outbox.congested
    waiter = asyncio.create_task(outbox.drained())
    await _turn()
    while len(outbox) - 64 > LOW_WATER:
        assert not waiter.done()
        await library.sent()
    await waiter
    assert not outbox.congested
    assert len(outbox) > 0


async def test_closing_frees_what_waits_and_all_who_wait(
    outbox: Outbox, library: FakeLibrary
) -> None:
    ends = [_pipe() for _ in range(3)]
    library.full = True
    outbox.put(b"a", [ends[0][1]])
    await _turn()
    outbox.put(b"b", [ends[1][1]])
    for _ in range(HIGH_WATER + 2):
        outbox.put(b"x")
    waiters = [asyncio.create_task(outbox.drained()), asyncio.create_task(outbox.empty())]
    outbox.close()
    await asyncio.gather(*waiters)
    with pytest.raises(Unreachable):
        outbox.put(b"c", [ends[2][1]])
    assert not any(_is_open(write_end) for _, write_end in ends)
    for read_end, _ in ends:
        os.close(read_end)
    await library.sent()
    assert library.taken == [b"a"]
