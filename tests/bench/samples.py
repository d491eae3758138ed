"""What was measured: batches of one contender, and the figures a table wants of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVERYBODY = "all"
_CGROUPS = Path("/sys/fs/cgroup")
# Whose processor time is told apart; the rest is those whose cgroup is gone, and the kernel.
_PARTS = {
    "pid 1": "init.scope",
    "dbus": "system.slice/dbus.service",
    "journald": "system.slice/systemd-journald.service",
    "jobletd": "joblet.slice/jobletd.service",
    "joblet-init": "joblet.slice/joblet-init.service",
    "supervisors": "joblet.slice/joblet-supervisors.service",
    "jobs": "joblet.slice/joblet-jobs.slice",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some runs of one contender in one go; cpu_usec is that of the whole machine, by part."""

    seconds: list[float]
    wall_seconds: float
    cpu_usec: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Series:
    """The batches of one contender, one per round."""

    batches: list[Batch] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Of every run."""
        return [value for batch in self.batches for value in batch.seconds]

    @property
    def rate(self) -> float:
        """Runs per second."""
        return len(self.seconds) / sum(batch.wall_seconds for batch in self.batches)

    def p(self, percent: float) -> float:
        """A percentile over all runs."""
        return percentile(self.seconds, percent)

    def cpu_ms_each(self) -> dict[str, float]:
        """Processor time per run in ms, by part."""
        runs = len(self.seconds)
        totals: dict[str, int] = {}
        for batch in self.batches:
            for part, usec in batch.cpu_usec.items():
                totals[part] = totals.get(part, 0) + usec
        return {part: usec / 1000 / runs for part, usec in totals.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least so many percent do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def by_round(ours: Series, theirs: Series, of: Callable[[Batch], float]) -> tuple[float, float]:
    """How far a ratio went up and down with the rounds: its 10th and 90th percentile."""
    pairs = zip(ours.batches, theirs.batches, strict=True)
    ratios = [of(our) / of(their) for our, their in pairs]
    return percentile(ratios, 10), percentile(ratios, 90)


def median_of(batch: Batch) -> float:
    """The p50 of one batch."""
    return percentile(batch.seconds, 50)


def rate_of(batch: Batch) -> float:
    """Runs per second of one batch."""
    return len(batch.seconds) / batch.wall_seconds


def with_cpu(measure: Callable[[], Batch]) -> Batch:
    """Take a batch and what processor time it cost, ours, PID 1's and everybody's."""
    before = dict(_cpu_usec())
    batch = measure()
    spent = {part: usec - before.get(part, 0) for part, usec in _cpu_usec()}
    everybody = spent.pop(EVERYBODY, None)
    if everybody is not None:
        spent |= {"rest": everybody - sum(spent.values()), EVERYBODY: everybody}
    return Batch(batch.seconds, batch.wall_seconds, spent)


def _cpu_usec() -> Iterator[tuple[str, int]]:
    own = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
    for part, path in {EVERYBODY: ".", **_PARTS, "client and peers": own}.items():
        stat = _CGROUPS / path / "cpu.stat"
        if stat.exists():
            yield part, int(stat.read_text().split()[1])
