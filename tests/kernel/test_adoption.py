"""What a helper makes of supervisors whose end it sees half-way, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from joblet.records import exit as exit_record

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
HELPER = """
import errno, os, signal, socket, sys
from joblet.init import procfs, rundir, syscalls, zygote
from joblet.records.run import RunRecord

job_id, directory = sys.argv[1:]
zygote.RUN_JOBS = directory
zygote.blank.make = lambda: os.open("/proc/self/ns/mnt", os.O_RDONLY)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
helper = zygote.Zygote(listener, trace=False)
{}
"""
STALE = """
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
worker = zygote.Worker(1 << 22, near, None)
helper._hear_worker(worker)
assert worker.control is near
"""
ENDED = """
pid = os.fork()
if pid == 0:
    signal.pause()
record = RunRecord()
record.supervisor = procfs.identify(pid)
record.first.pid = record.anchor.pid = 1
record.first.start_ticks = record.anchor.start_ticks = 1 << 62
record.descriptors = (0, 1, 2, 0, 1, 2)
record.poke_path = b"/nonexistent/poke"
os.mkdir(f"{directory}/{job_id}")
run_dir = os.open(f"{directory}/{job_id}", os.O_RDONLY)
rundir.write_record(run_dir, "run", record.encode())
get, asked = syscalls.pidfd_getfd, []

def pidfd_getfd(pidfd, number):
    asked.append(number)
    if len(asked) == 3:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED)
    return get(pidfd, number)

syscalls.pidfd_getfd = pidfd_getfd
before = os.listdir("/proc/self/fd")
helper._adopt_living()
assert os.listdir("/proc/self/fd") == before
assert len(asked) == 3
"""


def run(body: str, directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    done = subprocess.run(
        [sys.executable, "-c", HELPER.replace("{}", body), JOB, str(directory)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_an_event_of_somebody_who_had_that_number_before_is_nothing(tmp_path: Path) -> None:
    run(STALE, tmp_path)


def test_supervisor_that_is_killed_while_it_is_adopted_is_written_off(tmp_path: Path) -> None:
    run(ENDED, tmp_path)
    record = exit_record.decode((tmp_path / JOB / "exit").read_bytes())
    assert record.status_lost
