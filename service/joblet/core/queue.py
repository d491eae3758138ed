"""Jobs that wait: for their time, for a place, for a range of ids; and whether any may begin.

scheduler.py knows the order, launches.py what is done with the one whose turn it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from joblet.core.livejobs import LiveJobs
from joblet.core.ports import Clock, JobHost
from joblet.core.scheduler import Scheduler
from joblet.core.tasks import Tasks
from joblet.core.workdir import WorkDirs
from joblet.errors import JobletError
from joblet.model.job import Job, JobState

log = logging.getLogger(__name__)

# The wall clock may be set while somebody waits for a time.
_ALARM_MAX_S = 3600.0


class JobQueue:
    """The queue of a JobManager; `start` lets jobs begin."""

    def __init__(
        self,
        max_running: int,
        *,
        live: LiveJobs,
        work: WorkDirs,
        host: JobHost,
        clock: Clock,
        tasks: Tasks,
        launch: Callable[[str], Coroutine[None, None, None]],
    ) -> None:
        """launch: begins a job that was taken out of the queue and has a place."""
        self._scheduler = Scheduler(max_running)
        self._live = live
        self._work = work
        self._host = host
        self._clock = clock
        self._tasks = tasks
        self._launch = launch
        self._alarm: asyncio.TimerHandle | None = None
        self._started = False
        self._held = False

    def __len__(self) -> int:
        return len(self._scheduler)

    @property
    def max_running(self) -> int:
        """Places."""
        return self._scheduler.max_running

    def start(self) -> None:
        """From now on jobs may begin."""
        self._started = True
        self.kick()

    def hold(self) -> None:
        """From now on no job begins: what waits, waits for the next daemon. Idempotent."""
        self._held = True
        self._started = False

    @property
    def held(self) -> bool:
        """Whether `hold` was called."""
        return self._held

    def close(self) -> None:
        """No job begins any more."""
        self._started = False
        if self._alarm is not None:
            self._alarm.cancel()

    async def going_down(self) -> bool:
        """Whether the host does; then no job begins any more."""
        try:
            going_down = await self._host.shutting_down()
        except JobletError as err:
            log.warning("cannot tell whether the host goes down: %s", err)
            return False
        if going_down:
            # No scope can be started now: what waits, waits for the next boot.
            self._started = False
        return going_down

    def may_begin(self, job: Job) -> bool:
        """Whether a job that is about to be accepted need not wait at all."""
        if job.state is not JobState.PENDING or not self._started or not self._work.has_range(job):
            return False
        return self._scheduler.vacant(self._live.taken, self._clock.now_usec())

    def enqueue(self, job: Job) -> None:
        """Let a PENDING or SCHEDULED job wait for its turn."""
        self._live.put(job)
        self._work.adopt(job)
        self._scheduler.add(job.id, job.seq, job.due_usec, self._clock.now_usec())
        self.kick()

    async def requeue(self, job: Job) -> None:
        """A job that was being started and has not run waits again, in its old place."""
        self._live.release(job.id)
        job = self._work.unassign(job.moved(JobState.PENDING, shard=None, boot_id=""))
        await self._live.change(job)
        self.enqueue(job)

    def withdraw(self, job_id: str) -> None:
        """It waits no longer. Idempotent."""
        self._scheduler.remove(job_id)

    def kick(self) -> None:
        """Something has changed: begin what may begin."""
        if not self._started:
            return
        for job_id in self._scheduler.ripen(self._clock.now_usec()):
            self._tasks.start(self._ripe(job_id), f"{job_id}: due")
        while (head := self._scheduler.head()) is not None:
            job = self._live.get(head)
            if job is not None and not self._work.has_range(job):
                # Uploads that wait hold ranges too: it is the next when one of a job is free.
                break
            if (chosen := self._scheduler.next(self._live.taken)) is None:
                break
            self._live.take_place(chosen)
            self._tasks.start(self._launch(chosen), f"{chosen}: launch")
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self._scheduler.next_due_usec()
        if due is not None:
            delay = min(max(0.0, (due - self._clock.now_usec()) / 1e6), _ALARM_MAX_S)
            self._alarm = asyncio.get_running_loop().call_later(delay, self.kick)

    async def _ripe(self, job_id: str) -> None:
        async with self._live.lock(job_id):
            job = self._live.get(job_id)
            if job is not None and job.state is JobState.SCHEDULED:
                await self._live.change(job.moved(JobState.PENDING))
