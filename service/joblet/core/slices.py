"""Keeps the weights of the slices what their jobs weigh together; which is which, Shards knows."""

from __future__ import annotations

import asyncio
import logging

from joblet.core.ports import JobHost
from joblet.core.shards import Shards, Weights
from joblet.core.tasks import Tasks
from joblet.errors import HostFailure
from joblet.model.job import Job, JobSpec
from joblet.model.limits import WEIGHT_DEFAULT

log = logging.getLogger(__name__)

# How long weights may be behind; each costs PID 1 about as much as a scope.
_DELAY_S = 0.1


class Slices:
    """The slices of this host's jobs; made once by JobManager."""

    def __init__(self, size: int, host: JobHost, tasks: Tasks) -> None:
        self._shards = Shards(size)
        self._host = host
        self._tasks = tasks
        self._timer: asyncio.TimerHandle | None = None

    def take(self, job: Job) -> int:
        """The slice for a job about to be launched."""
        shard = self._shards.take(job.id, _weights(job.spec))
        self._tell_soon()
        return shard

    def adopt(self, job: Job, shard: int) -> None:
        """A job that is in a slice already."""
        self._shards.adopt(job.id, shard, _weights(job.spec))
        self._tell_soon()

    def reweigh(self, job: Job) -> None:
        """The job weighs otherwise from now on."""
        self._shards.reweigh(job.id, _weights(job.spec))
        self._tell_soon()

    def release(self, job_id: str) -> None:
        """The job's scope is gone. Idempotent."""
        self._shards.release(job_id)
        self._tell_soon()

    def close(self) -> None:
        """Tell the host nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell_soon(self) -> None:
        # Later, and at once for all that comes until then: a start waits for PID 1 often enough.
        if self._timer is None and self._shards.divided:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(
                _DELAY_S, lambda: self._tasks.start(self._tell(), "weights of slices")
            )

    async def _tell(self) -> None:
        self._timer = None
        for shard, weights in self._shards.unsaid().items():
            try:
                await self._host.weigh(shard, cpu_weight=weights.cpu, io_weight=weights.io)
            except HostFailure as err:
                # The next job that comes or goes tries again.
                log.warning("slice of shard %d keeps its weight: %s", shard, err)
                return
            self._shards.said(shard, weights)


def _weights(spec: JobSpec) -> Weights:
    return Weights(spec.cpu_weight or WEIGHT_DEFAULT, spec.io_weight or WEIGHT_DEFAULT)
