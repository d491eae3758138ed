"""The processes that a supervisor process has at hand: its anchor and the next first process.

Both are forked while nobody waits for them: a fork and what it makes both sides copy afterwards is
a tenth of a job's time. The anchor serves one job after the other; a first process becomes its job
and is followed by another. (Building the job's root ahead as well was measured and is no gain: it
takes the processor from the end of the job before.)
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Sequence

from joblet.init import anchor, firstprocess, procfs, syscalls
from joblet.init.passing import receive
from joblet.init.state import Setup
from joblet.records.run import Process

# With either assignment go descriptors; the byte is there because a message needs one.
_ASSIGNMENT = b"J"
_FIRST_FDS = 5


class Birth:
    """What only a new job needs: the plan, the far ends of its pipes, the way to answer."""

    __slots__ = ("anchor_end", "connection", "gate", "plan", "stderr_end", "stdout_end", "work")

    def __init__(
        self,
        *,
        plan: int,
        work: int,
        gate: int,
        stdout_end: int,
        stderr_end: int,
        anchor_end: int,
        connection: socket.socket,
    ) -> None:
        self.plan = plan
        self.work = work
        self.gate = gate
        self.stdout_end = stdout_end
        self.stderr_end = stderr_end
        self.anchor_end = anchor_end
        self.connection = connection

    def numbers(self) -> tuple[int, ...]:
        """All but the connection."""
        return (
            self.plan,
            self.work,
            self.gate,
            self.stdout_end,
            self.stderr_end,
            self.anchor_end,
        )


class Child:
    """A process of ours: who it is, pidfd, and our end of the socket between us."""

    __slots__ = ("fd", "process", "socket")

    def __init__(self, process: Process, fd: int, sock: socket.socket) -> None:
        self.process = process
        self.fd = fd
        self.socket = sock

    def numbers(self) -> tuple[int, int]:
        """Its descriptors."""
        return (self.fd, self.socket.fileno())


def set_anchor_to_work(anchor: Child, birth: Birth) -> None:
    """Give a job to the anchor. Raises OSError."""
    socket.send_fds(anchor.socket, [_ASSIGNMENT], [birth.anchor_end])


def set_first_to_work(first: Child, birth: Birth) -> None:
    """Give a job to a first process. Raises OSError."""
    socket.send_fds(
        first.socket,
        [_ASSIGNMENT],
        [birth.plan, birth.work, birth.gate, birth.stdout_end, birth.stderr_end],
    )


class Crew:
    """Anchor and first process of one supervisor process."""

    __slots__ = ("_blank", "_first", "_supervisor", "_trace", "anchor")

    def __init__(self, *, blank: int, trace: bool) -> None:
        self.anchor: Child | None = None
        try:
            # First of all: what we have written by then and write again stays with the anchor.
            self.anchor = _fork(0, _be_anchor)
        except OSError as err:
            # `prepare` tries it again.
            complain(err)
        self._blank = blank
        self._trace = trace
        self._supervisor: Process | None = None
        self._first: Child | None = None

    def numbers(self) -> list[int]:
        """Every descriptor that belongs to them."""
        return [fd for child in (self.anchor, self._first) if child for fd in child.numbers()]

    @property
    def supervisor(self) -> Process:
        """Who we are."""
        if self._supervisor is None:
            self._supervisor = procfs.identify(os.getpid())
        return self._supervisor

    def prepare(self) -> None:
        """Fork whoever is missing. Idempotent. Raises OSError."""
        if self.anchor is not None and is_readable(self.anchor.fd):
            self.lose_anchor()
        if self._first is not None and is_readable(self._first.fd):
            self.dismiss_first()
        if self.anchor is None:
            # The next first process takes the end of its socket as the end of its supervisor, and
            # an anchor that has not come to close its copy yet would hide it.
            self.dismiss_first()
            self.anchor = _fork(0, _be_anchor)
        if self._first is None:
            blank, trace = self._blank, self._trace
            self._first = _fork(
                syscalls.CLONE_NEWPID, lambda end: _be_first(end, blank, trace=trace), [blank]
            )

    def take(self) -> tuple[Child, Child]:
        """Anchor and first process for a job; the first process is the caller's. Raises OSError."""
        self.prepare()
        assert self.anchor is not None and self._first is not None  # noqa: S101, PT018
        first, self._first = self._first, None
        return self.anchor, first

    def anchor_is_home(self) -> None:
        """Wait until the anchor has left the scope of the job that it was told to leave."""
        assert self.anchor is not None  # noqa: S101
        try:
            word = self.anchor.socket.recv(1)
        except ConnectionResetError:
            word = b""
        if word != anchor.HOME:
            self.lose_anchor()

    def lose_anchor(self) -> None:
        """It was killed, or ended with its job; there will be another one."""
        if self.anchor is not None:
            _see_off(self.anchor.fd, self.anchor.socket)
            self.anchor = None

    def dismiss_first(self) -> None:
        """End the next first process before it had a job. Idempotent."""
        if self._first is not None:
            signal.pidfd_send_signal(self._first.fd, signal.SIGKILL)
            _see_off(self._first.fd, self._first.socket)
            self._first = None


def complain(err: OSError) -> None:
    """Nobody could be forked while nobody waits; the job that comes tries it again, and is told."""
    os.write(2, f"<4>joblet-init: no process at hand: {err}\n".encode())


def is_readable(fd: int, wait_ms: int = 0) -> bool:
    """Whether there is something to read; of a pidfd, whether the process has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(wait_ms))


def close_all_but(keep: list[int]) -> None:
    """Close every descriptor that is not in the list."""
    low = 0
    for fd in sorted(keep):
        if fd > low:
            syscalls.close_range(low, fd - 1)
        low = fd + 1
    syscalls.close_range(low, 0xFFFFFFFF)


def _see_off(pidfd: int, sock: socket.socket) -> None:
    sock.close()
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)


def _fork(flags: int, body: Callable[[int], int], keep: Sequence[int] = ()) -> Child:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        pid, pidfd = syscalls.clone3(flags)
    except OSError:
        near.close()
        far.close()
        raise
    if pid == 0:
        status = firstprocess.STATUS_SETUP
        try:
            end = far.detach()
            close_all_but([0, 1, 2, end, *keep])
            near.detach()
            status = body(end)
        except BaseException as err:
            os.write(2, f"<3>joblet-init: {type(err).__name__}: {err}\n".encode())
        finally:
            os._exit(status)
    far.close()
    try:
        process = procfs.identify(pid)
    except OSError:
        # Nobody will speak of it again.
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _see_off(pidfd, near)
        raise
    return Child(process, pidfd, near)


def _be_anchor(end: int) -> int:
    anchor.run(end)
    return 0


def _be_first(end: int, blank: int, *, trace: bool) -> int:
    # Until the gate: a set-up without its supervisor is nobody's.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    setup = Setup(report_fd=end)
    setup.blank_fd = blank
    firstprocess.settle_in(setup)
    supervisor = socket.socket(fileno=end)
    # A supervisor that died before prctl sends no signal any more, but its end is closed.
    word, fds, _flags = receive(supervisor, 1, _FIRST_FDS)
    supervisor.detach()
    if not word:
        return firstprocess.STATUS_SETUP
    plan, setup.work_fd, setup.gate_fd, setup.stdout_fd, setup.stderr_fd = fds
    return firstprocess.run(setup, plan, trace=trace)
