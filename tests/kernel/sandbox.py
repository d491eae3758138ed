"""Runs a command with the real plan, supervisor and first process, and without systemd.

The steps are PlanMaker's, made for this host; a test may change the list before it is run.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from joblet.config import Config
from joblet.core import admission
from joblet.host import jobplan, machine, seccomp
from joblet.host.jobplan import PlanMaker
from joblet.init.passing import receive
from joblet.init.plan import Step
from joblet.model.ids import new_job_id
from joblet.model.job import Job, JobSpec, JobState
from joblet.records import exit as exit_record
from joblet.records import logindex, spawn
from joblet.records.exit import ExitRecord
from joblet.records.logindex import Header
from joblet.records.spawn import Message
from tests.fakes.daemon import FACTS

CHECKOUT = Path(__file__).parents[2]
FIRST_ID = 1_900_000_000
RUN_BYTES = 64 << 10
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

Change = Callable[[list[Step]], list[Step]]


@dataclass(frozen=True)
class Outcome:
    """What a job left."""

    exit: ExitRecord
    log: bytes
    header: Header
    sealed: bool
    told: tuple[Message, ...]  # to jobletd, over the connection

    @property
    def failure(self) -> tuple[str, int, str]:
        """The step that failed, its errno and its path."""
        return self.exit.setup_step.decode(), self.exit.setup_errno, self.exit.setup_path.decode()


class Sandbox:
    """Jobs of one test below its directory."""

    def __init__(self, directory: Path) -> None:
        # Every ancestor must let the job's ids pass: it has no capability to search closed ones.
        self.directory = directory
        self.works = directory / "work"
        self.works.mkdir(mode=0o700)
        self.plans = PlanMaker(
            machine.layout(),
            str(self.works),
            work_quota=False,
            system_calls=seccomp.job_filter(),
        )

    def job(self, *command: str, init: bool = False) -> Job:
        """A job as it is launched."""
        spec = JobSpec(command=command[0], args=command[1:], init=init)
        return Job(
            id=new_job_id(),
            seq=1,
            spec=admission.settle(spec, Config(), FACTS),
            owner_uid=0,
            state=JobState.INITIALIZING,
            submitted_usec=0,
            due_usec=0,
            shard=0,
            first_id=FIRST_ID,
        )

    def run(
        self,
        *command: str,
        change: Change = list,
        init: bool = False,
        open_gate: bool = True,
        cap_bytes: int = 1 << 30,
        log_bytes_max: int = 64 << 20,
        index_flags: int = os.O_RDWR,
        before_gate: Callable[[int], None] | None = None,
        after_gate: Callable[[int, Path], None] | None = None,
    ) -> Outcome:
        """From the fork to the exit record; the log lies on a tmpfs of log_bytes_max.

        What a test does meanwhile is given the run directory, a tmpfs of its own, and /work.
        """
        job = self.job(*command, init=init)
        work = self.works / job.id
        work.mkdir(mode=0o700)
        os.chown(work, FIRST_ID + job.spec.uid, FIRST_ID + job.spec.uid)
        run_dir = tmpfs(RUN_BYTES)
        disk = tmpfs(log_bytes_max)
        plan = os.memfd_create("plan")
        # Without systemd there is no scope.
        steps = without("scope")(self.plans.steps(job, {}))
        os.write(plan, jobplan.encode(change(steps)))
        gate_end, gate = os.pipe2(os.O_CLOEXEC)
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        index = os.open("log.idx", os.O_RDWR | os.O_CREAT, 0o644, dir_fd=disk)
        os.pwrite(index, Header().encode(), 0)
        os.close(index)
        given = {
            "plan": plan,
            "log": os.open("log", os.O_RDWR | os.O_CREAT, 0o644, dir_fd=disk),
            "index": os.open("log.idx", index_flags, dir_fd=disk),
            "work": os.open(work, os.O_RDONLY | os.O_DIRECTORY),
            "gate": gate_end,
            "run_dir": os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=run_dir),
            "connection": far.detach(),
        }
        asked = {**given, "job_id": job.id, "cap_bytes": cap_bytes}
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.kernel.child", json.dumps(asked)],
            cwd=CHECKOUT,
            env={"PYTHONPATH": str(CHECKOUT / "service"), "PATH": "/usr/bin:/bin"},
            pass_fds=list(given.values()),
            stderr=subprocess.PIPE,
        )
        try:
            os.close(gate_end)
            if before_gate is not None:
                before_gate(run_dir)
            if open_gate:
                os.write(gate, b"G")
            os.close(gate)
            if after_gate is not None:
                after_gate(run_dir, work)
            _, said = child.communicate(timeout=120)
            record = record_in(run_dir, "exit")
            if record is None:
                raise AssertionError(f"no exit record ({child.returncode}): {said.decode()}")
            size = os.fstat(given["log"]).st_size
            return Outcome(
                exit=exit_record.decode(record),
                log=os.pread(given["log"], size, 0),
                header=logindex.decode_header(os.pread(given["index"], logindex.HEADER_SIZE, 0)),
                sealed=os.fstat(given["log"]).st_mode & 0o777 == 0o444,
                told=_told(near),
            )
        finally:
            child.kill()
            child.wait()
            near.close()
            for fd in (disk, run_dir, *(fd for name, fd in given.items() if name != "gate")):
                os.close(fd)


def without(*names: str) -> Change:
    """The plan but for the steps of these names."""
    return lambda steps: [one for one in steps if one.name.decode() not in names]


def _told(connection: socket.socket) -> tuple[Message, ...]:
    """What waits there, all of it: who could say more has ended."""
    messages: list[Message] = []
    while True:
        try:
            data, fds, _flags = receive(connection, spawn.SIZE_MAX, 2, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return tuple(messages)
        for fd in fds:
            os.close(fd)
        messages.append(spawn.decode(data))


def record_in(run_dir: int, name: str) -> bytes | None:
    """A record as it is now; None when it is not there."""
    try:
        fd = os.open(name, os.O_RDONLY, dir_fd=run_dir)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        return file.read()


def fill(disk: int) -> None:
    """Leave no room on a tmpfs, in a file `filler`."""
    filler = os.open("filler", os.O_WRONLY | os.O_CREAT, dir_fd=disk)
    try:
        while os.write(filler, bytes(4096)):
            pass
    except OSError as err:
        if err.errno != errno.ENOSPC:
            raise
    finally:
        os.close(filler)


def tmpfs(size: int) -> int:
    """A mounted tmpfs that no mount table shows; it goes with the descriptor."""
    context = _call(_FSOPEN, b"tmpfs", 1)
    try:
        _call(_FSCONFIG, context, 1, b"size", str(size).encode(), 0)
        _call(_FSCONFIG, context, 6, None, None, 0)  # FSCONFIG_CMD_CREATE
        return _call(_FSMOUNT, context, 1, 0)
    finally:
        os.close(context)


def _call(number: int, *words: int | bytes | None) -> int:
    arguments = [
        ctypes.c_long(word) if isinstance(word, int) else ctypes.c_char_p(word) for word in words
    ]
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"system call {number}")
    return result
