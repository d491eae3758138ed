"""The incoming stream: cut into messages wherever the reads fall; what is done with bad ones."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from joblet.bus.encode import encode
from joblet.bus.frames import Kind, Message, build
from joblet.bus.stream import TURN, Stream


class FakeLibrary:
    """Our end of a socket pair, and what the library had read before."""

    def __init__(self, end: socket.socket, early: bytes) -> None:
        self.socket = end
        self.failure: Exception | None = None
        self._early = early

    def leftovers(self) -> tuple[bytes, list[int]]:
        return self._early, []

    def fail(self, err: Exception) -> None:
        self.failure = err
        asyncio.get_running_loop().remove_reader(self.socket)


class Reader:
    """A stream over a socket pair and what came out of it."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self._ours = ours
        self.peer = theirs
        self.heard: list[Message] = []
        self.library = FakeLibrary(ours, b"")

    def start(self, early: bytes = b"") -> Stream:
        self.library = FakeLibrary(self._ours, early)
        return Stream(self.library, self.heard.append)  # type: ignore[arg-type]

    async def rounds(self, count: int = 3) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    @property
    def words(self) -> list[object]:
        return [message.values(typed=False)[0] for message in self.heard]


@pytest.fixture
def reader() -> Iterator[Reader]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield Reader(ours, theirs)
    ours.close()
    theirs.close()


def _message(word: str, fds: int = 0) -> bytes:
    return build(
        Kind.SIGNAL,
        1,
        path="/",
        interface="org.joblet1.Test",
        member="Tick",
        signature="s",
        body=encode("s", [word], []),
        fds=range(fds),
    )


async def test_messages_are_whole_wherever_the_reads_fall(reader: Reader) -> None:
    reader.start()
    for byte in _message("one") + _message("two"):
        reader.peer.send(bytes((byte,)))
        await reader.rounds(2)
    assert reader.words == ["one", "two"]


async def test_what_the_library_had_read_comes_first(reader: Reader) -> None:
    whole = _message("one")
    reader.start(early=whole[:20])
    reader.peer.send(whole[20:] + _message("two"))
    await reader.rounds()
    assert reader.words == ["one", "two"]


async def test_a_message_with_a_bad_header_is_dropped_and_the_next_is_read(
    reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    reader.start()
    bad = b"l\4\0\1" + struct.pack("<III", 0, 1, 8) + b"\1\1z\0\0\0\0\0"
    reader.peer.send(_message("one") + bad + _message("two"))
    await reader.rounds()
    assert reader.words == ["one", "two"]
    assert "a message was dropped: a bad header: a header field of type b'z'" in caplog.text
    assert reader.library.failure is None


async def test_a_bad_header_with_descriptors_about_ends_the_connection(reader: Reader) -> None:
    bad = b"l\4\0\1" + struct.pack("<III", 0, 1, 8) + b"\1\1z\0\0\0\0\0"
    read_end, write_end = os.pipe()
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write_end]))]
    stream = reader.start()
    reader.peer.sendmsg([bad], control)
    await reader.rounds()
    assert reader.library.failure is not None
    stream.close()
    os.close(write_end)
    assert os.read(read_end, 1) == b"", "somebody still holds the writing end"
    os.close(read_end)


async def test_a_stream_out_of_step_ends_the_connection(reader: Reader) -> None:
    reader.start()
    reader.peer.send(_message("one") + b"nonsense nonsense")
    await reader.rounds()
    assert reader.words == ["one"]
    assert "not the D-Bus protocol" in str(reader.library.failure)


async def test_the_end_of_the_stream_ends_the_connection(reader: Reader) -> None:
    reader.start()
    reader.peer.close()
    await reader.rounds()
    assert isinstance(reader.library.failure, EOFError)


async def test_other_work_gets_its_turn_in_a_flood(reader: Reader) -> None:
    reader.start()
    count = 4 * TURN
    reader.peer.send(b"".join(_message(str(number)) for number in range(count)))
    seen = []
    while len(reader.heard) < count:
        await reader.rounds(1)
        seen.append(len(reader.heard))
    assert len(seen) >= 4
    assert reader.words == [str(number) for number in range(count)]


async def test_descriptors_go_to_the_message_they_came_with(reader: Reader) -> None:
    reader.start()
    first, second = os.pipe()
    for fds in ([first, second], [second]):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        reader.peer.send(_message("none"))
        reader.peer.sendmsg([_message("some", len(fds))], control)
    await reader.rounds(6)
    counts = [len(message.fds) for message in reader.heard]
    assert counts == [0, 2, 0, 1]
    received = [fd for message in reader.heard for fd in message.fds]
    assert [os.fstat(fd).st_ino for fd in received] == [
        os.fstat(fd).st_ino for fd in (first, second, second)
    ]
    assert not any(os.get_inheritable(fd) for fd in received)
    for fd in (*received, first, second):
        os.close(fd)


async def test_messages_that_cost_much_are_a_turn_each(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("joblet.bus.stream._TURN_S", -1.0)
    reader.start()
    reader.peer.send(b"".join(_message(str(number)) for number in range(5)))
    seen = []
    while len(reader.heard) < 5:
        await reader.rounds(1)
        seen.append(len(reader.heard))
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert max(steps) == 1
