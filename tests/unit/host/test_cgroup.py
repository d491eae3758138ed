"""Counters of jobs and of the host, read from trees that look like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from joblet.errors import HostFailure
from joblet.host import cgroup
from joblet.model.ids import scope_name
from joblet.model.job import Job, JobSpec, JobState
from joblet.model.run import HostUsage, Usage

ID = "01234567-89ab-4cde-8f01-23456789abcd"
JOB = Job(
    id=ID,
    seq=1,
    spec=JobSpec(command="true"),
    owner_uid=0,
    state=JobState.RUNNING,
    submitted_usec=0,
    due_usec=0,
    shard=3,
)
STAT = """\
cpu  100 10 50 5000 40 3 2 1 7 7
cpu0 50 5 25 2500 20 1 1 0 0 0
cpu1 50 5 25 2500 20 2 1 1 0 0
intr 1 2 3
"""
MEMINFO = "MemTotal:        2048 kB\nMemFree:          100 kB\nMemAvailable:    1024 kB\nHuge: 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    for name, text in {
        "stat": STAT,
        "meminfo": MEMINFO,
        "loadavg": "0.25 0.10 0.05 2/345 6789\n",
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    folder = tmp_path / "cgroup/joblet.slice/joblet-jobs.slice/joblet-jobs-03.slice"
    folder = folder / scope_name(ID)
    folder.mkdir(parents=True)
    return folder


def read(tmp_path: Path, *jobs: Job) -> tuple[HostUsage, list[Usage]]:
    return cgroup.read(jobs, str(tmp_path / "cgroup"), str(tmp_path / "proc"))


def test_all_counters_of_a_job(tmp_path: Path, proc: Path, scope: Path) -> None:
    for name, text in {
        "cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n",
        "memory.current": "4096\n",
        "pids.current": "3\n",
        "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
    }.items():
        (scope / name).write_text(text)
    _, [used] = read(tmp_path, JOB)
    # two of the three tasks are the job's: the third holds the scope
    assert used == Usage(1234, 4096, 2, 11, 22)


def test_what_the_host_does_not_count_is_unknown(tmp_path: Path, proc: Path, scope: Path) -> None:
    (scope / "cpu.stat").write_text("usage_usec 7\n")
    (scope / "cgroup.threads").write_text("10\n11\n12\n13\n")
    _, [used] = read(tmp_path, JOB)
    assert used == Usage(cpu_usec=7, tasks=3)


def test_nothing_is_known_of_a_job_that_has_ended_meanwhile(tmp_path: Path, proc: Path) -> None:
    _, used = read(tmp_path, JOB, JOB)
    assert used == [Usage(), Usage()]


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_cgroup_that_goes_while_it_is_read(
    tmp_path: Path, proc: Path, scope: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (scope / "cpu.stat").write_text("usage_usec 7\n")

    def gone(*_: object, **__: object) -> NoReturn:
        raise OSError(19, os.strerror(19))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, gone)
        _, [used] = read(tmp_path, JOB)
    assert used == Usage()


def test_the_host(tmp_path: Path, proc: Path) -> None:
    host, _ = read(tmp_path)
    ticks = 100 + 10 + 50 + 3 + 2 + 1
    assert host == HostUsage(
        hostname=os.uname().nodename,
        cpus=2,
        cpu_usec=ticks * (1_000_000 // os.sysconf("SC_CLK_TCK")),
        memory_bytes=2 << 20,
        memory_available_bytes=1 << 20,
        tasks=345,
        load=0.25,
    )


def test_the_real_host_has_them_all() -> None:
    host, _ = cgroup.read([])
    assert host.cpus >= 1
    assert host.cpu_usec > 0
    assert 0 < host.memory_available_bytes <= host.memory_bytes
    assert host.tasks > 0


def test_a_host_without_proc_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match=r"read what is used: .*proc/stat"):
        read(tmp_path)
