"""The socket to joblet-init: send a plan, get pids, hear of the start.

One connection serves all jobs. When it breaks, everything that was under way on it is given up
with ConnectionResetError; the gate of such a job stays closed, so it has not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import socket

from joblet.errors import HostFailure
from joblet.init.passing import receive
from joblet.model.run import Launched
from joblet.records import spawn
from joblet.records.framing import BadRecord
from joblet.records.spawn import Failed, Message, Spawned, Started

log = logging.getLogger(__name__)

# F_SEAL_SEAL, _SHRINK, _GROW, _WRITE (fcntl(2)): what joblet-init reads is what we wrote.
_SEALS = 0x1 | 0x2 | 0x4 | 0x8
# A fork and two more; slower than this and joblet-init hangs.
_SPAWN_DEADLINE_S = 30.0


class Birth:
    """A job under way: its first process waits at the gate. Close it in any case."""

    def __init__(self, gate: int, spawned: Spawned, anchor_fd: int) -> None:
        self._gate = gate
        self.anchor_pid = spawned.anchor_pid
        self.anchor_fd = anchor_fd

    def open_gate(self) -> None:
        """Let the first process go on to the user's program."""
        with contextlib.suppress(BrokenPipeError):
            # a broken pipe: it failed in set-up, and its report says why
            os.write(self._gate, b"G")
        self._close_gate()

    def close(self) -> None:
        """Close gate and pidfd; unless the gate was opened the job will not run. Idempotent."""
        self._close_gate()
        if self.anchor_fd >= 0:
            os.close(self.anchor_fd)
            self.anchor_fd = -1

    def _close_gate(self) -> None:
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1


class _Waiting:
    __slots__ = ("spawned", "started")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # with the pidfds of its anchor and its first process
        self.spawned: asyncio.Future[tuple[Spawned, list[int]]] = loop.create_future()
        self.started: asyncio.Future[Launched | None] = loop.create_future()


class Spawner:
    """The client of joblet-init."""

    def __init__(self, socket_path: str, poke_path: str, log_cap_bytes: int) -> None:
        self._socket_path = socket_path
        self._poke_path = poke_path
        self._log_cap_bytes = log_cap_bytes
        self._socket: socket.socket | None = None
        self._waiting: dict[str, _Waiting] = {}
        # The loop knows one writer of a socket: who finds no room in it waits alone, the others
        # behind.
        self._turn = asyncio.Lock()
        self._room: asyncio.Future[None] | None = None

    def close(self) -> None:
        """Give up the connection and everything under way on it."""
        self._disconnect("the daemon ends")

    async def spawn(
        self, job_id: str, plan: bytes, files: tuple[int, int, int], run_dir: int
    ) -> Birth:
        """Have a job's processes forked. files: log, index, work; all stay the caller's.

        Raises HostFailure if they could not be, ConnectionError if joblet-init went away: nothing
        has run then, and it may be tried again.
        """
        loop = asyncio.get_running_loop()
        gate_end, gate = os.pipe2(os.O_CLOEXEC)
        try:
            plan_fd = _sealed(plan)
            try:
                request = spawn.Spawn(job_id, self._log_cap_bytes, self._poke_path.encode())
                fds = [plan_fd, *files, gate_end, run_dir]
                async with self._turn:
                    sock = self._connect()
                    waiting = self._waiting[job_id] = _Waiting(loop)
                    await self._send(sock, request.encode(), fds)
            finally:
                os.close(plan_fd)
                os.close(gate_end)
            async with asyncio.timeout(_SPAWN_DEADLINE_S):
                spawned, (anchor_fd, first_fd) = await waiting.spawned
        except TimeoutError as err:
            self._give_up(job_id, gate)
            raise HostFailure("spawn", 0, "joblet-init does not answer") from err
        except BaseException:
            self._give_up(job_id, gate)
            raise
        # It moves into its scope by itself.
        os.close(first_fd)
        return Birth(gate, spawned, anchor_fd)

    def _give_up(self, job_id: str, gate: int) -> None:
        os.close(gate)
        waiting = self._waiting.pop(job_id, None)
        if waiting is None or not waiting.spawned.done() or waiting.spawned.cancelled():
            return
        if waiting.spawned.exception() is None:
            for fd in waiting.spawned.result()[1]:
                os.close(fd)

    async def started(self, job_id: str) -> Launched | None:
        """Wait until the user's program runs; None if it never will (the exit record says why)."""
        try:
            return await self._waiting[job_id].started
        finally:
            self._waiting.pop(job_id, None)

    def ended(self, job_id: str) -> None:
        """There is news of the job on record: nobody needs to wait for that of its start."""
        # What its supervisor said before is here, but perhaps not heard yet.
        self._receive()
        waiting = self._waiting.get(job_id)
        if waiting is None:
            return
        if not waiting.spawned.done():
            # Its supervisor was killed before it could answer, and a successor wrote the record.
            waiting.spawned.set_exception(ConnectionResetError("its supervisor was killed"))
        elif not waiting.started.done():
            waiting.started.set_result(None)

    def _connect(self) -> socket.socket:
        if self._socket is None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
            try:
                sock.connect(self._socket_path)
            except OSError as err:
                sock.close()
                raise HostFailure(
                    "connect to joblet-init", err.errno or 0, "is joblet-init.socket started?"
                ) from err
            sock.setblocking(False)
            asyncio.get_running_loop().add_reader(sock.fileno(), self._receive)
            self._socket = sock
        return self._socket

    async def _send(self, sock: socket.socket, data: bytes, fds: list[int]) -> None:
        while sock is self._socket:
            try:
                socket.send_fds(sock, [data], fds)
            except BlockingIOError:
                await self._until_room(sock)
            except (BrokenPipeError, ConnectionResetError):
                self._disconnect("it closed the connection")
                raise
            else:
                return
        raise ConnectionResetError("joblet-init went away")

    async def _until_room(self, sock: socket.socket) -> None:
        """Until joblet-init has taken something, or is gone."""
        loop = asyncio.get_running_loop()
        room = self._room = loop.create_future()
        loop.add_writer(sock.fileno(), _wake, room)
        try:
            await room
        finally:
            self._room = None
            if sock is self._socket:
                loop.remove_writer(sock.fileno())

    def _disconnect(self, why: str) -> None:
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.fileno())
        loop.remove_writer(self._socket.fileno())
        if self._room is not None:
            _wake(self._room)
        self._socket.close()
        self._socket = None
        if self._waiting:
            log.warning("joblet-init: %s with %d jobs under way", why, len(self._waiting))
        for waiting in self._waiting.values():
            if not waiting.spawned.done():
                waiting.spawned.set_exception(ConnectionResetError("joblet-init went away"))
            elif not waiting.started.done():
                # Every holder of the far end is gone, the supervisor too.
                waiting.started.set_result(None)

    def _receive(self) -> None:
        while self._socket is not None:
            try:
                data, fds, _flags = receive(self._socket, spawn.SIZE_MAX, 2)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data, fds = b"", []
            if not data:
                self._disconnect("it went away")
                return
            try:
                self._hear(spawn.decode(data), fds)
            except BadRecord:
                log.exception("joblet-init sent something else than an answer")
                for fd in fds:
                    os.close(fd)

    def _hear(self, message: Message, fds: list[int]) -> None:
        waiting = self._waiting.get(message.job_id)
        if isinstance(message, Spawned) and waiting is not None and not waiting.spawned.done():
            waiting.spawned.set_result((message, fds))
            return
        for fd in fds:
            os.close(fd)
        if waiting is None:
            return
        if isinstance(message, Started) and not waiting.started.done():
            waiting.started.set_result(Launched(started_usec=message.started_ns // 1000))
        elif isinstance(message, Failed):
            if not waiting.spawned.done():
                waiting.spawned.set_exception(_failure(message))
            elif not waiting.started.done():
                waiting.started.set_result(None)


def _wake(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)


def _failure(message: Failed) -> Exception:
    detail = message.detail or message.path
    if message.errno == errno.ECONNRESET:
        # killed, not refused: worth another try
        return ConnectionResetError(message.errno, detail)
    return HostFailure(f"joblet-init {message.step}", message.errno, detail)


def _sealed(data: bytes) -> int:
    fd = os.memfd_create("joblet-plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd
