"""The send queue: one message in the library at a time, nothing lost, merged while it waits."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from joblet.bus.library import Unsendable
from joblet.bus.outbox import HIGH_WATER, LOW_WATER, Outbox
from joblet.errors import Unreachable


class FakeLibrary:
    """Takes messages and lets the test say when they are sent."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.sending: list[asyncio.Future[None]] = []
        self.bad: set[str] = set()

    def hand_over(self, message: Any) -> asyncio.Future[None]:
        if message in self.bad:
            raise Unsendable("bad")
        self.taken.append(message)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sending.append(future)
        return future

    async def sent(self) -> None:
        """The library has written the message that it was given last."""
        self.sending[-1].set_result(None)
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


async def test_the_library_never_has_more_than_one_message(
    outbox: Outbox, library: FakeLibrary
) -> None:
    for message in ("a", "b", "c"):
        outbox.put(message)
    assert library.taken == ["a"]
    await library.sent()
    assert library.taken == ["a", "b"]
    await library.sent()
    await library.sent()
    assert library.taken == ["a", "b", "c"]
    assert len(outbox) == 0


async def test_a_message_that_cannot_be_marshalled_is_told_and_the_next_goes(
    outbox: Outbox, library: FakeLibrary
) -> None:
    library.bad = {"bad"}
    told: list[Unsendable] = []

    def failed(err: Unsendable) -> None:
        told.append(err)
        outbox.put("error reply")

    read_end, write_end = _pipe()
    outbox.put("bad", [write_end], failed=failed)
    assert library.taken == ["error reply"]
    assert len(told) == 1
    assert not _is_open(write_end)
    outbox.put("bad", failed=failed)
    outbox.put("next")
    for _ in range(3):
        await library.sent()
    assert library.taken == ["error reply", "next", "error reply"]
    os.close(read_end)


async def test_a_merged_message_keeps_its_place(outbox: Outbox, library: FakeLibrary) -> None:
    key = ("/path", "interface")
    outbox.put("in flight")
    assert outbox.waiting(key) is None
    outbox.put("changes", key=key)
    outbox.put("later")
    assert outbox.waiting(key) == "changes"
    await library.sent()
    assert outbox.waiting(key) is None, "it is on its way and may not be changed any more"


async def test_descriptors_are_closed_when_the_message_has_gone(
    outbox: Outbox, library: FakeLibrary
) -> None:
    read_end, write_end = _pipe()
    outbox.put("a", [write_end])
    assert _is_open(write_end)
    await library.sent()
    assert not _is_open(write_end)
    os.close(read_end)


async def test_a_withdrawn_message_is_not_sent_and_its_descriptors_are_closed(
    outbox: Outbox, library: FakeLibrary
) -> None:
    read_end, write_end = _pipe()
    outbox.put("a")
    outbox.put("b", [write_end]).withdrawn = True
    outbox.put("c")
    await library.sent()
    assert library.taken == ["a", "c"]
    assert not _is_open(write_end)
    os.close(read_end)


async def test_who_can_wait_waits_from_the_high_to_the_low_mark(
    outbox: Outbox, library: FakeLibrary
) -> None:
    for number in range(HIGH_WATER + 1):
        outbox.put(str(number))
    assert not outbox.congested
    outbox.put("one too many")
    assert outbox.congested
    waiter = asyncio.create_task(outbox.drained())
    while len(outbox) > LOW_WATER + 2:
        await library.sent()
        assert not waiter.done()
    await library.sent()
    await waiter
    assert not outbox.congested
    assert len(library.taken) == HIGH_WATER + 2 - LOW_WATER


async def test_closing_frees_what_waits_and_all_who_wait(
    outbox: Outbox, library: FakeLibrary
) -> None:
    ends = [_pipe() for _ in range(3)]
    outbox.put("a", [ends[0][1]])
    outbox.put("b", [ends[1][1]])
    for number in range(HIGH_WATER + 2):
        outbox.put(str(number))
    waiters = [asyncio.create_task(outbox.drained()), asyncio.create_task(outbox.empty())]
    outbox.close()
    await asyncio.gather(*waiters)
    with pytest.raises(Unreachable):
        outbox.put("c", [ends[2][1]])
    assert not any(_is_open(write_end) for _, write_end in ends)
    for read_end, _ in ends:
        os.close(read_end)
    await library.sent()
    assert library.taken == ["a"]
