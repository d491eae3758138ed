"""Bars 5 and 6: what the processes of joblet.slice hold in memory, idle and with sleeping jobs.

The users' own processes are not counted; supervisors and anchors are, those that wait for a job to
come among them, and what the daemons grew.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.joblet_jobs import Joblet

JOBLETD = "jobletd"
_SLICE = Path("/sys/fs/cgroup/joblet.slice")
_PARTS = {
    "jobletd.service": JOBLETD,
    "joblet-init.service": "joblet-init",
    "joblet-supervisors.service": "supervisors",
}
_POLL_SECONDS = 0.02
_IN_SCOPES = "anchors"
_SLEEP = ["sleep", "3600"]


@dataclass(frozen=True, slots=True)
class Footprint:
    """KiB of our processes, by part, and how many they are."""

    private: dict[str, int]
    pss: dict[str, int]
    processes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Memory:
    """Before, with so many jobs, and what that makes of one job, in KiB."""

    jobs: int
    idle: Footprint
    busy: Footprint

    @property
    def private_each(self) -> float:
        """Private memory per job, growth of the daemons included."""
        return self._each(self.idle.private, self.busy.private)

    @property
    def pss_each(self) -> float:
        """The same with the fair share of what is shared."""
        return self._each(self.idle.pss, self.busy.pss)

    def by_part(self) -> dict[str, dict[str, float]]:
        """Processes and private memory of every part, for a listing."""
        return {
            part: {
                "idle processes": self.idle.processes[part],
                "KiB": self.idle.private[part],
                f"with {self.jobs} jobs": self.busy.processes[part],
                "KiB then": self.busy.private[part],
            }
            for part in self.idle.private
        }

    def _each(self, idle: dict[str, int], busy: dict[str, int]) -> float:
        # Supervisors that wait for a job do one job after the other: those belong to the jobs.
        daemons = sum(idle[part] for part in ("jobletd", "joblet-init"))
        return (sum(busy.values()) - daemons) / self.jobs


def weigh(joblet: Joblet, jobs: int) -> Memory:
    """Start so many jobs that sleep, look, and end them."""
    _await_nobody()
    idle = _footprint()
    started = joblet.start(_SLEEP, jobs)
    busy = _footprint()
    joblet.stop(started)
    return Memory(jobs, idle, busy)


def _await_nobody() -> None:
    """The end of a job is known a moment before its scope is gone."""
    while any(procs.parent.name.endswith(".scope") for procs in _SLICE.rglob("cgroup.procs")):
        time.sleep(_POLL_SECONDS)


def pss_of(cgroup: Path) -> float:
    """KiB that all processes of a cgroup hold, each its fair share of what is shared."""
    pids = [pid for procs in cgroup.rglob("cgroup.procs") for pid in procs.read_text().split()]
    return float(sum(_sizes(pid)[1] for pid in pids))


def _footprint() -> Footprint:
    parts = [*_PARTS.values(), _IN_SCOPES]
    private, pss, processes = (dict.fromkeys(parts, 0) for _ in range(3))
    for unit, pid in _processes():
        if not _is_users(pid):
            part = _PARTS.get(unit, _IN_SCOPES)
            sizes = _sizes(pid)
            private[part] += sizes[0]
            pss[part] += sizes[1]
            processes[part] += 1
    return Footprint(private, pss, processes)


def _processes() -> Iterator[tuple[str, str]]:
    for procs in _SLICE.rglob("cgroup.procs"):
        for pid in procs.read_text().split():
            yield procs.parent.name, pid


def _is_users(pid: str) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == _SLEEP[0]


def _sizes(pid: str) -> tuple[int, int]:
    """Private and proportional KiB of a process."""
    figures: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        figures[name] = int(value.split()[0])
    return figures["Private_Clean"] + figures["Private_Dirty"], figures["Pss"]
