"""A job that cannot even be announced: who asked for it is told, if he is still there."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from joblet.records import spawn

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
# In a process of its own: it ends there.
PROGRAM = """
import errno, socket, sys
from joblet.init import supervisor
from joblet.init.crew import Birth
from joblet.init.supervisor import Held
from joblet.records.spawn import Spawn

class Refused:
    born = False

    def __init__(self, *given):
        pass

    def announce(self, *given):
        raise OSError(errno.ENOENT, "gone", "run directory")

supervisor.Supervisor = Refused
connection = socket.socket(fileno=int(sys.argv[2]))
birth = Birth(plan=-1, work=-1, gate=-1, stdout_end=-1, stderr_end=-1, anchor_end=-1,
    connection=connection)
held = Held(-1, -1, -1, -1, -1, int(sys.argv[3]))
supervisor.run_new(None, held, birth, Spawn(sys.argv[1], 1 << 20, b"/nowhere/poke"), None)
"""


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("there", [True, False], ids=["daemon is there", "daemon is gone"])
def test_what_cannot_be_announced_ends_quietly(tmp_path: Path, there: bool) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    record = tmp_path / "run"
    record.touch()
    with near, far, open_directory(tmp_path) as run_dir:
        if not there:
            near.close()
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, JOB, str(far.fileno()), str(run_dir)],
            pass_fds=[far.fileno(), run_dir],
            env={"PYTHONPATH": ":".join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        told = near.recv(spawn.SIZE_MAX) if there else b""
    # STATUS_STILLBORN: joblet-init has nothing to see to, and says nothing.
    assert (ended.returncode, ended.stderr) == (3, "")
    # Whoever was told knows better than what is left; for the next daemon it has never begun.
    assert record.exists() == there
    if there:
        failed = spawn.decode(told)
        assert isinstance(failed, spawn.Failed)
        assert (failed.job_id, failed.step, failed.recorded) == (JOB, "fork", False)
