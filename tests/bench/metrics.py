"""What sampling a thousand jobs every five seconds costs the daemon: a table, and JSON.

    python3 -m tests.bench.metrics [--output FILE] [--jobs 1000] [--seconds 30] [--cgroups real]

The daemon's own sampler, adapter and files, in a loop of their own, over a tree of cgroup files
with all controllers as a job with work to do has them, on a memory file system; the samples go to
the disk that TMPDIR names. The kernel's part of reading a counter is not in it: `--cgroups real`
makes as many cgroups with two processes below this process's own instead, where the host lets it,
and then the counters are those that the host has. The cost of the loop itself is measured without
a job and taken off. A missed bar is a line of the table, not a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from joblet.core.events import EventFeed
from joblet.core.metrics import JobMetrics
from joblet.host import cgroup
from joblet.host.jobmetrics import JobCounters
from joblet.model.ids import new_job_id
from joblet.model.job import Job, JobSpec, JobState
from joblet.paths import Paths
from joblet.store.logs import DiskJobFiles
from joblet.store.metrics import DiskMetricsFiles

BAR_PERCENT = 5.0
INTERVAL_S = 5
SHARD = 64

_PRESSURE = (
    "some avg10=1.25 avg60=0.50 avg300=0.10 total=1234567\n"
    "full avg10=0.25 avg60=0.10 avg300=0.00 total=234567\n"
)
# Names and length as of Linux 6.12.
_MEMORY_NAMES = """
anon file kernel kernel_stack pagetables sec_pagetables percpu sock vmalloc shmem zswap zswapped
file_mapped file_dirty file_writeback swapcached anon_thp file_thp shmem_thp inactive_anon
active_anon inactive_file active_file unevictable slab_reclaimable slab_unreclaimable slab
workingset_refault_anon workingset_refault_file workingset_activate_anon
workingset_activate_file workingset_restore_anon workingset_restore_file workingset_nodereclaim
pgdemote_kswapd pgdemote_direct pgdemote_khugepaged pgscan pgsteal pgscan_kswapd pgscan_direct
pgscan_khugepaged pgsteal_kswapd pgsteal_direct pgsteal_khugepaged pgfault pgmajfault pgrefill
pgactivate pgdeactivate pglazyfree pglazyfreed swpin_zero swpout_zero zswpin zswpout zswpwb
thp_fault_alloc thp_collapse_alloc thp_swpout thp_swpout_fallback
"""
_MEMORY_STAT = "".join(
    f"{name} {number * 4096}\n" for number, name in enumerate(_MEMORY_NAMES.split())
)
_FILES = {
    "cgroup.procs": "1234\n1235\n",
    "cpu.stat": "usage_usec 123456789\nuser_usec 100000000\nsystem_usec 23456789\n"
    "core_sched.force_idle_usec 0\nnr_periods 1000\nnr_throttled 10\nthrottled_usec 12345\n"
    "nr_bursts 0\nburst_usec 0\n",
    "memory.stat": _MEMORY_STAT,
    "memory.current": "123456789\n",
    "memory.peak": "234567890\n",
    "memory.events": "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\noom_group_kill 0\n",
    "io.stat": "259:0 rbytes=123456 wbytes=234567 rios=12 wios=23 dbytes=0 dios=0\n"
    "253:0 rbytes=123456 wbytes=234567 rios=12 wios=23 dbytes=0 dios=0\n",
    "pids.current": "5\n",
    "pids.events": "max 0\n",
    **{f"{name}.pressure": _PRESSURE for name in ("cpu", "memory", "io")},
}


def a_job(number: int) -> Job:
    """A job that runs."""
    return Job(
        id=new_job_id(),
        seq=number,
        spec=JobSpec(command="true", max_cpu=100, max_memory=1 << 30, max_tasks=100, max_io_bps=0),
        owner_uid=0,
        state=JobState.RUNNING,
        submitted_usec=0,
        due_usec=0,
        started_usec=time.time_ns() // 1000,
        shard=number // SHARD,
    )


@contextmanager
def counters(jobs: list[Job], *, real: bool) -> Iterator[str]:
    """The root of a tree with a cgroup for each job."""
    if real:
        with _real(jobs) as root:
            yield root
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        for job in jobs:
            folder = Path(root, cgroup.place(job))
            folder.mkdir(parents=True)
            for name, text in _FILES.items():
                (folder / name).write_text(text)
        yield root


@contextmanager
def _real(jobs: list[Job]) -> Iterator[str]:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    [own] = [line.removeprefix("0::") for line in lines if line.startswith("0::")]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    [mount, *_] = [line.split()[1] for line in mounts if line.split()[2] == "cgroup2"]
    root = f"{mount}{own.rstrip('/')}/joblet-bench-{os.getpid()}"
    made: list[str] = []
    pids: list[int] = []
    try:
        for path in dict.fromkeys(
            part for job in jobs for part in _ancestors(f"{root}/{cgroup.place(job)}", len(root))
        ):
            os.mkdir(path)
            made.append(path)
        for job in jobs:
            # One that holds the scope, and one that works.
            for _ in range(2):
                pids.append(_sleeper())
                place = Path(root, cgroup.place(job), "cgroup.procs")
                place.write_text(str(pids[-1]))
        yield root
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for path in reversed(made):
            os.rmdir(path)


def _sleeper() -> int:
    if pid := os.fork():
        return pid
    try:
        signal.pause()
    finally:
        os._exit(0)


def _ancestors(path: str, root: int) -> Iterator[str]:
    yield path[:root]
    for at, char in enumerate(path):
        if char == "/" and at > root:
            yield path[:at]
    yield path


async def cost(jobs: list[Job], root: str, logs: str, seconds: float) -> tuple[float, int]:
    """CPU time over a time of sampling, in seconds, and how many samples that made."""
    by_id = {job.id: job for job in jobs}
    paths = Paths(state=f"{logs}/state", logs=f"{logs}/logs")
    shelf = DiskJobFiles(paths)
    for job in jobs:
        shelf.create(job.id)
    metrics = JobMetrics(
        INTERVAL_S * 1_000_000,
        host=JobCounters(root),
        files=DiskMetricsFiles(paths),
        find=by_id.get,
    )
    stop = metrics.watch(EventFeed(), jobs)
    running = asyncio.ensure_future(metrics.run())
    # The first round takes all at once, and makes the files.
    await asyncio.sleep(1.5 * INTERVAL_S if jobs else 0)
    before = sum(len(DiskMetricsFiles(paths).read(job.id)) for job in jobs)
    spent = time.process_time()
    await asyncio.sleep(seconds)
    spent = time.process_time() - spent
    running.cancel()
    stop()
    await asyncio.wait([running])
    after = sum(len(DiskMetricsFiles(paths).read(job.id)) for job in jobs)
    return spent, after - before


def main() -> int:
    """Measure, print, write down."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.metrics")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--cgroups", choices=("tree", "real"), default="tree")
    options = parser.parse_args()
    jobs = [a_job(number) for number in range(options.jobs)]
    with ExitStack() as stack:
        root = stack.enter_context(counters(jobs, real=options.cgroups == "real"))
        idle, _ = asyncio.run(cost([], root, stack.enter_context(_folder()), options.seconds))
        spent, count = asyncio.run(
            cost(jobs, root, stack.enter_context(_folder()), options.seconds)
        )
    figures = {
        "jobs": float(options.jobs),
        "samples": float(count),
        "us per sample": 1e6 * (spent - idle) / max(1, count),
        f"% of one core (bar {BAR_PERCENT:g})": 100 * (spent - idle) / options.seconds,
    }
    for name, value in figures.items():
        sys.stdout.write(f"{name:36} {value:10.2f}\n")
    if options.output is not None:
        options.output.write_text(json.dumps(figures, indent=1))
    return 0


@contextmanager
def _folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield folder


if __name__ == "__main__":
    sys.exit(main())
