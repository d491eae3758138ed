"""MetricsHost and MetricsFiles in memory: counters that a test sets, samples that stay."""

from __future__ import annotations

import errno
from dataclasses import replace

from joblet.core.ports import MetricsFiles, MetricsHost
from joblet.errors import HostFailure
from joblet.model.job import Job
from joblet.model.metrics import Sample
from tests.fakes.clock import FakeClock


class FakeMetricsHost(MetricsHost):
    """Each look at a job finds a second more of CPU time; `gone` has no cgroup any more."""

    def __init__(self, clock: FakeClock, now_usec: int = 0) -> None:
        self._clock = clock
        self.now_usec = now_usec  # the loop's time cannot be asked for in a thread
        self.looks: list[str] = []
        self.gone: set[str] = set()
        self.broken: set[str] = set()

    def sample(self, job: Job) -> Sample | None:
        self.looks.append(job.id)
        if job.id in self.broken:
            raise HostFailure("read the counters of a job", errno.EIO, job.id)
        if job.id in self.gone:
            return None
        count = self.looks.count(job.id)
        return Sample(
            time_usec=self.now_usec + count,
            clock_usec=count * 2_000_000,
            cpu_usec=count * 1_000_000,
        )


class FakeMetricsFiles(MetricsFiles):
    """The samples of all jobs; `full` takes no more."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = {}
        self.open: set[str] = set()
        self.full = False

    def append(self, job_id: str, sample: Sample) -> int | None:
        if self.full:
            raise HostFailure("job metrics", errno.ENOSPC, job_id)
        kept = self.samples.setdefault(job_id, [])
        self.open.add(job_id)
        number = kept[-1].number + 1 if kept else 1
        kept.append(replace(sample, number=number))
        return number

    def read(self, job_id: str) -> list[Sample]:
        return list(self.samples.get(job_id, ()))

    def forget(self, job_id: str) -> None:
        self.open.discard(job_id)
