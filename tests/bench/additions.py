"""What one thing more adds to a job: each limit, an uploaded file, a secret.

Everything is measured in every round, alone and in parallel, against a job that asks for nothing;
what a job gets without asking (its namespaces, its ids, its work directory) is in steps.py.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from joblet.bus.connection import Typed
from tests.bench.contenders import CPU_PERCENT, MEMORY_BYTES, TASKS
from tests.bench.joblet_jobs import Joblet, Request
from tests.bench.samples import Series, median_of, percentile

NOTHING = "nothing"
_LIMITS = {
    "max_cpu": Typed("u", CPU_PERCENT),
    "cpu_weight": Typed("u", 200),
    "cpu_cores": Typed("s", "0"),
    "max_memory": Typed("t", MEMORY_BYTES),
    "max_io_bps": Typed("t", 100 << 20),
    "max_tasks": Typed("t", TASKS),
}
_FILE = b"what a small input file may hold\n" * 32


@dataclass(frozen=True, slots=True)
class Addition:
    """One request, and how its jobs did, by concurrency; a batch per round."""

    name: str
    request: Request
    series: dict[int, Series] = field(default_factory=dict)

    def over(self, base: Addition) -> dict[str, float]:
        """In ms: the median, and what it has over that of the base: median and spread of rounds."""
        figures: dict[str, float] = {}
        for at, series in self.series.items():
            figures[f"x{at} p50"] = 1000 * series.p(50)
            if self is not base:
                pairs = zip(series.batches, base.series[at].batches, strict=True)
                more = [1000 * (median_of(ours) - median_of(theirs)) for ours, theirs in pairs]
                figures |= {
                    f"x{at} adds": percentile(more, 50),
                    f"x{at} p10": percentile(more, 10),
                    f"x{at} p90": percentile(more, 90),
                }
        return figures


def measure(joblet: Joblet, concurrency: Sequence[int], rounds: int, batch: int) -> list[Addition]:
    """All of them; the first is the job that asks for nothing."""
    additions = _additions()
    for addition in additions:
        addition.series.update((at, Series()) for at in concurrency)
    turns = list(additions)
    for _ in range(rounds):
        for at in concurrency:
            for addition in turns:
                addition.series[at].batches.append(joblet.batch(batch, at, addition.request))
        turns = [*turns[1:], turns[0]]
    return additions


def _additions() -> list[Addition]:
    return [
        Addition(NOTHING, Request()),
        *(Addition(name, Request({name: value})) for name, value in _LIMITS.items()),
        Addition("all of these", Request(dict(_LIMITS))),
        Addition("a file of 1 KiB", Request(archive=_archive())),
        Addition("a secret", Request({"secrets": Typed("a{ss}", {"TOKEN": "of some length"})})),
    ]


def _archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("input")
        entry.size = len(_FILE)
        archive.addfile(entry, io.BytesIO(_FILE))
    return stream.getvalue()
