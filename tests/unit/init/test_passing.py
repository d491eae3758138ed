"""Descriptors with a message: whose they are then, and that nobody waits who did not want to."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from joblet.init.passing import receive


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        yield near, far


def test_descriptors_arrive_in_order_and_close_on_exec(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    sent = [os.open(path, os.O_RDONLY) for path in ("/", "/dev/null", "/proc")]
    socket.send_fds(near, [b"message"], sent)
    data, received, flags = receive(far, 100, 3)
    try:
        assert data == b"message"
        assert not flags & socket.MSG_CTRUNC
        assert [os.fstat(fd) for fd in received] == [os.fstat(fd) for fd in sent]
        assert not any(os.get_inheritable(fd) for fd in received)
    finally:
        for fd in sent + received:
            os.close(fd)


def test_a_message_without_descriptors_and_the_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    near.send(b"message")
    near.close()
    assert receive(far, 100, 3)[:2] == (b"message", [])
    assert receive(far, 100, 3)[:2] == (b"", [])


def test_flags_are_handed_on(ends: tuple[socket.socket, socket.socket]) -> None:
    _near, far = ends
    with pytest.raises(BlockingIOError):
        receive(far, 100, 3, socket.MSG_DONTWAIT)


def test_more_descriptors_than_wanted_are_told_of(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    near, far = ends
    before = len(os.listdir("/proc/self/fd"))
    null = os.open("/dev/null", os.O_RDONLY)
    socket.send_fds(near, [b"message"], [null] * 4)
    os.close(null)
    _data, received, flags = receive(far, 100, 2)
    for fd in received:
        os.close(fd)
    assert flags & socket.MSG_CTRUNC
    assert len(received) == 2
    assert len(os.listdir("/proc/self/fd")) == before
