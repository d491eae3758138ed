"""Counters of one job, read from trees that look like the kernel's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from joblet.core.ports import MetricsHost
from joblet.errors import HostFailure
from joblet.host.jobmetrics import JobCounters
from joblet.model.ids import scope_name
from joblet.model.metrics import DeviceIo, Sample
from tests.unit.host.test_cgroup import ID, JOB

FILES = {
    "cgroup.procs": "10\n11\n",
    "cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\nnr_periods 5\n"
    "nr_throttled 4\nthrottled_usec 3\nnr_bursts 0\n",
    "cpu.pressure": "some avg10=0.12 avg60=1.50 avg300=99.99 total=5\n"
    "full avg10=0.00 avg60=0.01 avg300=0.02 total=6\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.stat": "anon 1\nfile 2\nkernel_stack 3\nslab 4\nsock 5\nshmem 6\nfile_mapped 7\n"
    "file_dirty 8\nfile_writeback 9\npgfault 10\npgmajfault 11\nunheard_of 12\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n",
    "memory.pressure": "some avg10=2.00 avg60=0.00 avg300=0.00 total=0\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=30 dios=3\n7:1 \n"
    "8:16 rbytes=1 wbytes=2 rios=1 wios=1 dbytes=0 dios=0\n",
    "pids.current": "3\n",
    "pids.events": "max 7\n",
}


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    folder = tmp_path / "joblet.slice/joblet-jobs.slice/joblet-jobs-03.slice" / scope_name(ID)
    folder.mkdir(parents=True)
    write(folder, "cgroup.procs")
    return folder


@pytest.fixture
def host(tmp_path: Path) -> MetricsHost:
    return JobCounters(str(tmp_path), str(tmp_path / "proc"))


def write(scope: Path, *names: str) -> None:
    for name in names:
        (scope / name).write_text(FILES[name])


def test_all_there_is(host: MetricsHost, scope: Path) -> None:
    write(scope, *FILES)
    job = replace(JOB, spec=replace(JOB.spec, max_cpu=150, max_memory=1 << 20, max_tasks=0))
    sample = host.sample(job)
    assert sample is not None
    assert sample.time_usec > 0
    assert sample.clock_usec
    first = DeviceIo(
        device="8:0",
        read_bytes=10,
        write_bytes=20,
        discard_bytes=30,
        read_ops=1,
        write_ops=2,
        discard_ops=3,
    )
    second = replace(
        first,
        device="8:16",
        read_bytes=1,
        write_bytes=2,
        discard_bytes=0,
        write_ops=1,
        discard_ops=0,
    )
    assert sample == Sample(
        time_usec=sample.time_usec,
        clock_usec=sample.clock_usec,
        cpu_usec=1234,
        cpu_user_usec=1000,
        cpu_system_usec=234,
        cpu_periods=5,
        cpu_throttled_periods=4,
        cpu_throttled_usec=3,
        cpu_some_avg10=12,
        cpu_some_avg60=150,
        cpu_some_avg300=9999,
        cpu_full_avg10=0,
        cpu_full_avg60=1,
        cpu_full_avg300=2,
        memory_bytes=4096,
        memory_peak_bytes=8192,
        memory_anon_bytes=1,
        memory_file_bytes=2,
        memory_kernel_stack_bytes=3,
        memory_slab_bytes=4,
        memory_sock_bytes=5,
        memory_shmem_bytes=6,
        memory_file_mapped_bytes=7,
        memory_file_dirty_bytes=8,
        memory_file_writeback_bytes=9,
        page_faults=10,
        major_page_faults=11,
        oom_events=2,
        oom_kills=1,
        memory_some_avg10=200,
        memory_some_avg60=0,
        memory_some_avg300=0,
        io_read_bytes=11,
        io_write_bytes=22,
        io_discard_bytes=30,
        io_read_ops=2,
        io_write_ops=3,
        io_discard_ops=3,
        # two of the three: the third holds the scope
        tasks=2,
        task_limit_hits=7,
        max_cpu=150,
        max_memory=1 << 20,
        max_tasks=0,
        devices=(first, second),
    )


def test_what_the_host_does_not_count_is_unknown(host: MetricsHost, scope: Path) -> None:
    (scope / "cpu.stat").write_text("usage_usec 7\nuser_usec 4\nsystem_usec 3\n")
    (scope / "cgroup.threads").write_text("10\n11\n")
    sample = host.sample(JOB)
    assert sample is not None
    assert (sample.cpu_usec, sample.tasks) == (7, 1)
    unknown = ("memory_bytes", "io_read_bytes", "cpu_some_avg10", "cpu_periods", "oom_kills")
    assert [getattr(sample, name) for name in unknown] == [None] * len(unknown)
    assert sample.devices is None


def test_a_job_that_used_no_disk_has_used_none_of_it(host: MetricsHost, scope: Path) -> None:
    (scope / "cpu.stat").write_text("usage_usec 7\n")
    (scope / "io.stat").write_text("")
    sample = host.sample(JOB)
    assert sample is not None
    assert (sample.io_read_bytes, sample.devices) == (0, ())


def test_of_many_devices_the_busiest_are_told_and_all_are_counted(
    host: MetricsHost, scope: Path
) -> None:
    write(scope, "cpu.stat")
    lines = [f"8:{n} rbytes={n} wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n" for n in range(20)]
    (scope / "io.stat").write_text("".join(lines))
    sample = host.sample(JOB)
    assert sample is not None
    assert sample.devices is not None
    assert [device.device for device in sample.devices] == [f"8:{n}" for n in range(19, 11, -1)]
    assert sample.io_read_bytes == sum(range(20))


def test_a_job_that_has_ended_has_no_sample(host: MetricsHost) -> None:
    assert host.sample(JOB) is None


def test_a_cgroup_that_is_going_has_no_sample(host: MetricsHost, scope: Path) -> None:
    assert host.sample(JOB) is None
    write(scope, *FILES)
    (scope / "cgroup.procs").unlink()
    assert host.sample(JOB) is None


@pytest.mark.parametrize(
    ("name", "sampled"),
    [(b"joblet-anchor", False), (b"sleep", True), (b"\xff\n) R 1", True), (None, False)],
    ids=["the anchor", "the job, without its anchor", "the same of any name", "gone meanwhile"],
)
def test_the_last_process_of_a_scope_is_the_anchor_or_the_job(
    host: MetricsHost, scope: Path, tmp_path: Path, name: bytes | None, sampled: bool
) -> None:
    """With the anchor alone the end is not known yet, and a sample would be later than that."""
    write(scope, *FILES)
    (scope / "cgroup.procs").write_text("10\n")
    if name is not None:
        folder = tmp_path / "proc/10"
        folder.mkdir(parents=True)
        (folder / "comm").write_bytes(name + b"\n")
    assert (host.sample(JOB) is not None) is sampled


def test_of_many_processes_the_first_ones_are_enough(host: MetricsHost, scope: Path) -> None:
    write(scope, *FILES)
    (scope / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in range(100_000)))
    assert host.sample(JOB) is not None


def test_another_error_names_the_cgroup(host: MetricsHost, scope: Path) -> None:
    (scope / "cpu.stat").mkdir()
    with pytest.raises(HostFailure, match=scope.name):
        host.sample(JOB)
