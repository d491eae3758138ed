"""What every child of the zygote will do first, done a few times before the first fork.

The interpreter specialises code that runs often, in place (PEP 659), and keeps what it looked up. A
child lives for a handful of calls: it never gets there by itself, and each try of it writes to a
page that it shares with the zygote, which costs a copy.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from joblet.init import anchor, mounts, plan, procfs, report, syscalls
from joblet.init.state import Setup
from joblet.init.supervisor import Held, Supervisor
from joblet.records import logindex, poke, run, spawn
from joblet.records.run import Process, RunRecord

# More than the interpreter's warm-up of an instruction (16 in CPython 3.13).
_ROUNDS = 32
_ID = "00000000-0000-4000-8000-000000000000"
# One that cannot be: no process begins before the host does.
_NOBODY = Process(pid=1, start_ticks=1 << 62)
_NOWHERE = b"/nonexistent/joblet"


def rehearse() -> None:
    """Touches nothing outside this process but memory that goes with it. Raises OSError."""
    place = syscalls.detached_tmpfs()
    try:
        for number in range(_ROUNDS):
            _talk()
            _serve_a_job()
            _supervise_a_job(place)
            _build_a_root(place, b"%d" % number)
    finally:
        os.close(place)


def _talk() -> None:
    spawn.decode(spawn.Spawn(_ID, 1 << 30, b"path").encode())
    spawn.Spawned(_ID, 1, 2).encode()
    spawn.Started(_ID, 1).encode()
    report.Report(report.executing(1))
    report.answered(report.answer(0))
    report.Report(report.wants_ids(1, 2))
    poke.encode(_ID)
    record = run.RunRecord()
    record.first = procfs.identify(os.getpid())
    cgroup = procfs.cgroup_directory(os.getpid())
    if cgroup is not None:
        procfs.read_counters(cgroup)


def _serve_a_job() -> None:
    """As an anchor does it."""
    home, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    job, job_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    signal_fd = syscalls.signalfd(0, os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        socket.send_fds(home, [b"J"], [job_end.fileno()])
        given = anchor.next_job(far)
        for word in (anchor.QUERY, anchor.RELEASE):
            job.send(word)
        anchor.serve(given, signal_fd)
        os.close(given)
    finally:
        os.close(signal_fd)
        for sock in (home, far, job, job_end):
            sock.close()


def _supervise_a_job(run_dir: int) -> None:
    """As a supervisor does it that takes over from another, when everything is over."""
    stdout, stderr, status = (_holding(data) for data in (b"output", b"output", bytes(4)))
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log, index = os.memfd_create("log"), os.memfd_create("index")
    poke_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        os.write(index, logindex.Header().encode())
        record = RunRecord()
        record.first = record.anchor = _NOBODY
        record.log_cap_bytes = 1 << 30
        record.poke_path = _NOWHERE
        far.close()
        held = Held(stdout, stderr, near.fileno(), log, index, run_dir)
        supervisor = Supervisor(_ID, held, record, poke_socket)
        supervisor.take_over(status)
        supervisor.work()
        os.unlink("exit", dir_fd=run_dir)
    finally:
        for sock in (near, far, poke_socket):
            sock.close()
        for fd in (stdout, stderr, status, log, index):
            os.close(fd)


def _holding(data: bytes) -> int:
    """A pipe that ends after these bytes."""
    end, other = os.pipe()
    try:
        os.write(other, data)
    finally:
        os.close(other)
    return end


def _build_a_root(root: int, name: bytes) -> None:
    """As far as a first process gets without mounts."""
    steps = plan.encode(
        [
            plan.step("directory", name, 0o755),
            plan.step("file", name + b"/file", 0o644, "text"),
            plan.step("symlink", "target", name + b"/link"),
            plan.step("device", name + b"/null", 1, 3),
            plan.step("exec", "true", "true", "argument"),
        ]
    )
    setup = Setup(report_fd=-1)
    setup.root_fd = root
    made: dict[bytes, Callable[..., None]] = {
        b"directory": mounts.directory,
        b"file": mounts.file,
        b"symlink": mounts.symlink,
        b"device": mounts.device,
    }
    for step in plan.decode(steps):
        if step.name in made:
            made[step.name](setup, *step.operands)
