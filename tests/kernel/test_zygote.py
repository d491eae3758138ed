"""A helper that cannot replace a killed supervisor at once, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from joblet.records import exit as exit_record
from joblet.records import poke

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
# Its supervisor is killed, and then its first process ends with status 7.
LEFT_ALONE = """
import errno, os, signal, socket, sys
from joblet.init import procfs, rundir, syscalls, zygote
from joblet.init.supervisor import Held
from joblet.records.logindex import Header
from joblet.records.run import RunRecord

def child(body):
    pid = os.fork()
    if pid == 0:
        body()
    return pid

def refuse(*refusals):
    left = list(refusals)
    def clone3(flags, cgroup_fd=-1):
        if left:
            raise OSError(left.pop(0), "refused")
        return clone(flags)
    syscalls.clone3, clone = clone3, syscalls.clone3

job_id, run_path = sys.argv[1:]
zygote.RETRY_S = 0.0
zygote.Zygote._adopt_living = lambda self: None
zygote.rehearse = lambda: None
zygote.blank.make = lambda: os.open("/proc/self/ns/mnt", os.O_RDONLY)
zygote._open_supervisors_cgroup = lambda: os.open("/", os.O_PATH)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(f"{{run_path}}/init")
listener.listen()
helper = zygote.Zygote(listener, trace=False)
helper._cgroup_fd = zygote._open_supervisors_cgroup()

run_dir = os.open(run_path, os.O_RDONLY)
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
far.close()
(out, out_end), (err, err_end) = os.pipe(), os.pipe()
log, index = os.memfd_create("log"), os.memfd_create("index")
os.write(index, Header().encode())
os.write(out_end, b"out")
for end in (out_end, err_end):
    os.close(end)
record = RunRecord()
record.log_cap_bytes, record.poke_path = 1 << 20, f"{{run_path}}/poke".encode()
record.first = procfs.identify(child(lambda: os._exit(7)))
record.anchor.pid, record.anchor.start_ticks = 1, 1 << 62
rundir.write_record(run_dir, "run", record.encode())
job = zygote.Job(job_id, Held(out, err, near.detach(), log, index, run_dir))
worker = zygote.Worker(child(signal.pause), None, job)
helper._by_pid[worker.pid] = worker
{}
os.kill(worker.pid, signal.SIGKILL)
# As it is of its children only then.
os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
helper.run()
"""
NO_PROCESS = """
refuse(errno.EAGAIN, errno.ENOMEM, errno.ENODEV, errno.EAGAIN)
"""
CGROUP_IS_GONE = """
refuse(errno.ENODEV)
"""
NO_ROOM_TO_GIVE_UP = """
job.replacements = zygote.REPLACEMENTS_MAX
write, left = rundir.write_record, [errno.ENOSPC, errno.ENOSPC]
def write_record(*what):
    if left:
        raise OSError(left.pop(), "refused")
    write(*what)
rundir.write_record = write_record
"""
RECORDED = """
job.replacements = zygote.REPLACEMENTS_MAX
from joblet.records.exit import ExitRecord
end = ExitRecord()
end.exit_status = 7
rundir.write_record(run_dir, "exit", end.encode())
"""


@pytest.mark.parametrize(
    ("trouble", "refusals", "status"),
    [
        (NO_PROCESS, 3, 7),
        (CGROUP_IS_GONE, 0, 7),
        (NO_ROOM_TO_GIVE_UP, 2, None),
        (RECORDED, 0, 7),
    ],
    ids=["no process", "cgroup is gone", "no room to give up", "recorded"],
)
def test_job_is_seen_to_in_the_end(
    tmp_path: Path, trouble: str, refusals: int, status: int | None
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pokes:
        pokes.settimeout(60)
        pokes.bind(str(tmp_path / "poke"))
        with subprocess.Popen(
            [sys.executable, "-c", LEFT_ALONE.format(trouble), JOB, str(tmp_path)],
            env={"PYTHONPATH": ":".join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
        ) as helper:
            try:
                assert poke.decode(pokes.recv(poke.SIZE_MAX)) == JOB
            finally:
                helper.terminate()
                _, said = helper.communicate()
    record = exit_record.decode((tmp_path / "exit").read_bytes())
    assert (record.exit_status, record.status_lost) == (status, status is None)
    assert said.count("no supervisor yet") == refusals
    assert helper.returncode == 0, said
