"""More jobs at once than the socket to joblet-init holds, and a joblet-init that goes away then."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from joblet.host.spawner import Spawner
from joblet.init.passing import receive
from joblet.records import spawn
from joblet.records.spawn import Spawn, Spawned

# The socket is made so narrow that a few requests fill it.
JOBS = [f"{number:08x}-5b7f-4c1c-9a58-3a2d1a4a3c11" for number in range(40)]


class Narrow(socket.socket):
    """One with the smallest buffer that there is."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)


class Init:
    """The far end, in the hands of a test."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen()
        self._connection: socket.socket | None = None

    def accept(self) -> None:
        self._connection, _ = self._listener.accept()
        self._connection.setblocking(False)
        # narrow as well, otherwise
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)

    def answer_all(self) -> list[str]:
        """Answer what has come until now; which jobs it was for."""
        assert self._connection is not None
        heard: list[str] = []
        while True:
            try:
                data, fds, _ = receive(self._connection, spawn.SIZE_MAX, len(spawn.FDS))
            except BlockingIOError:
                return heard
            request = spawn.decode(data)
            assert isinstance(request, Spawn)
            assert len(fds) == len(spawn.FDS)
            answer = Spawned(request.job_id, 1, 1).encode()
            socket.send_fds(self._connection, [answer], fds[:2])
            for fd in fds:
                os.close(fd)
            heard.append(request.job_id)

    def hang_up(self) -> None:
        assert self._connection is not None
        self._connection.close()

    def close(self) -> None:
        self._listener.close()
        if self._connection is not None:
            self._connection.close()


@pytest.fixture
def init(tmp_path: Path) -> Iterator[Init]:
    far = Init(f"{tmp_path}/init.sock")
    yield far
    far.close()


@pytest.fixture
async def spawner(
    init: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Spawner]:
    monkeypatch.setattr(socket, "socket", Narrow)
    near = Spawner(f"{tmp_path}/init.sock", f"{tmp_path}/poke.sock", 1 << 20)
    yield near
    near.close()


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open("/dev/null", os.O_RDWR)
    yield fd
    os.close(fd)


async def quiet() -> None:
    """Everybody has come as far as the socket lets them."""
    for _ in range(20):
        await asyncio.sleep(0)


async def started(spawner: Spawner, job_id: str, fd: int) -> None:
    (await spawner.spawn(job_id, b"plan", (fd, fd, fd), fd)).close()


async def test_all_come_through_a_socket_that_is_full(
    spawner: Spawner, init: Init, null: int
) -> None:
    tasks = {asyncio.create_task(started(spawner, job, null)) for job in JOBS}
    await quiet()
    init.accept()
    heard: list[str] = []
    while some := init.answer_all():
        heard += some
        await quiet()
    assert heard == JOBS
    await asyncio.gather(*tasks)


async def test_who_waits_for_room_hears_that_nobody_will_make_any(
    spawner: Spawner, init: Init, null: int
) -> None:
    tasks = [asyncio.create_task(started(spawner, job, null)) for job in JOBS[:20]]
    await quiet()
    init.accept()
    init.hang_up()
    await quiet()
    # Whoever had not been sent when it broke was sent on a connection of its own.
    init.accept()
    while init.answer_all():
        await quiet()
    await quiet()
    assert all(task.done() for task in tasks)
    ends = [task.exception() for task in tasks]
    assert isinstance(ends[0], ConnectionResetError)
    assert ends[-1] is None
    assert {type(end) for end in ends} == {ConnectionResetError, type(None)}


async def test_who_gives_up_waiting_for_room_leaves_it_to_the_next(
    spawner: Spawner, init: Init, null: int
) -> None:
    tasks = [asyncio.create_task(started(spawner, job, null)) for job in JOBS]
    await quiet()
    init.accept()
    for task in tasks[1:-1]:
        task.cancel()
    await quiet()
    while init.answer_all():
        await quiet()
    await tasks[0]
    await tasks[-1]
    assert all(task.cancelled() for task in tasks[1:-1])
