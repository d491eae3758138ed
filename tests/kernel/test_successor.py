"""A supervisor that takes over from another: what it meets there ends neither it nor the job."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from joblet.init import procfs
from joblet.init.supervisor import Held, Supervisor
from joblet.records import exit as exit_record
from joblet.records.logindex import Header
from joblet.records.run import Process, RunRecord
from tests.kernel.sandbox import tmpfs

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
GONE = Process(pid=1, start_ticks=1 << 62)
STATUS = 7 << 8


@dataclass
class TakenOver:
    """When everything is over, unless a test says otherwise."""

    run_dir: int
    record: RunRecord
    supervisor: Supervisor
    status: int


def _holding(data: bytes) -> int:
    end, other = os.pipe()
    os.write(other, data)
    os.close(other)
    return end


@pytest.fixture
def taken_over() -> Iterator[TakenOver]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    run_dir = tmpfs(64 << 10)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.close()
    pokes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    stdout, stderr, status = _holding(b"out"), _holding(b""), _holding(STATUS.to_bytes(4, "little"))
    log, index = os.memfd_create("log"), os.memfd_create("index")
    os.write(index, Header().encode())
    record = RunRecord()
    record.first = record.anchor = GONE
    record.log_cap_bytes = 1 << 20
    record.poke_path = b"/nonexistent/poke"
    held = Held(stdout, stderr, near.fileno(), log, index, run_dir)
    yield TakenOver(run_dir, record, Supervisor(JOB, held, record, pokes), status)
    for sock in (near, pokes):
        sock.close()
    for fd in (stdout, stderr, status, log, index, run_dir):
        os.close(fd)


def test_other_errors_of_the_end_are_the_helpers(taken_over: TakenOver) -> None:
    """It may know better, and replaces whoever could not write it."""
    taken_over.supervisor.take_over(taken_over.status)
    os.mkdir("exit.new", dir_fd=taken_over.run_dir)
    with pytest.raises(IsADirectoryError):
        taken_over.supervisor.work()


@pytest.fixture
def ends() -> Iterator[list[int]]:
    """Two processes that wait for their end, and for nobody to see it."""
    pids = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            signal.pause()
            os._exit(0)
        pids.append(pid)
    yield pids
    for pid in pids:
        end(pid)


def end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except ProcessLookupError:
        return


def test_kernel_may_have_killed_the_first_process_for_memory(
    taken_over: TakenOver, ends: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no child of a supervisor that took over, and may be reaped by then."""
    scope = tmp_path / f"joblet-{JOB}.scope"
    scope.mkdir()
    (scope / "memory.events").write_text("oom_kill 1\n")
    monkeypatch.setattr(procfs, "cgroup_directory", lambda _pid: str(scope))
    taken_over.record.first, taken_over.record.anchor = map(procfs.identify, ends)
    taken_over.supervisor.take_over(taken_over.status)
    for pid in ends:
        end(pid)
    taken_over.supervisor.work()
    record = exit_record.decode(procfs.read_bytes("exit", taken_over.run_dir))
    assert (record.exit_status, record.oom_kills) == (7, 1)
