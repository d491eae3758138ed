"""From the program to the record: how a job comes to its end, and what is kept of it.

It ends by itself, is stopped, runs out of time, or is lost. An end that the disk does not take is
decided all the same, and tried again until it does.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from joblet import failpoints
from joblet.core import verdict
from joblet.core.events import EventFeed
from joblet.core.livejobs import LiveJobs
from joblet.core.ports import Clock, JobFiles, JobHost, SecretStore
from joblet.core.queue import JobQueue
from joblet.core.tasks import Tasks
from joblet.core.timers import Timers
from joblet.core.verdict import Verdict
from joblet.core.waiters import Waiters
from joblet.core.workdir import WorkDirs
from joblet.errors import HostFailure, JobletError
from joblet.model.events import JobFinished
from joblet.model.job import Accounting, Job, JobState, Reason
from joblet.model.run import Ended

log = logging.getLogger(__name__)

# A record that could not be written (disk full) is tried again this much later.
_RETRY_S = 1.0
# Supervisors write within milliseconds; a shutdown does not wait for ever.
_LAST_ENDS_S = 10.0
_LOOK_AGAIN_S = 0.02


class Endings:
    """The ends of a JobManager's jobs."""

    def __init__(
        self,
        *,
        live: LiveJobs,
        queue: JobQueue,
        files: JobFiles,
        host: JobHost,
        secrets: SecretStore,
        work: WorkDirs,
        clock: Clock,
        events: EventFeed,
        waiters: Waiters,
        tasks: Tasks,
    ) -> None:
        self._live = live
        self._queue = queue
        self._files = files
        self._host = host
        self._secrets = secrets
        self._work = work
        self._clock = clock
        self._events = events
        self._waiters = waiters
        self._tasks = tasks
        self._deadlines = Timers()
        # Ends that are decided and that the disk does not take yet: when they are tried again.
        self._unrecorded = Timers()
        # Jobs that never ran and cannot be cleared away yet: when that is tried again.
        self._uncleared = Timers()

    def close(self) -> None:
        """Try nothing again; no job runs out of time any more."""
        self._deadlines.close()
        self._unrecorded.close()
        self._uncleared.close()

    def is_decided(self, job_id: str) -> bool:
        """Whether a job that is among the live has ended, and only its record is missing."""
        return job_id in self._unrecorded

    # A program runs.

    async def began(self, job: Job, started_usec: int, *, age_usec: int | None = None) -> None:
        """The job's program runs, or did; its lock is held, or recovery settles it.

        age_usec: it runs for so long at most, whatever the clock on the wall says.
        """
        if job.state is JobState.INITIALIZING:
            job = job.moved(JobState.RUNNING, started_usec=started_usec)
            await self._live.change(job)
        self._watch_deadline(job, age_usec)
        if job.stop_reason is not None:
            # Whoever recorded the stop may not have lived to deliver it.
            self._tasks.start(self._host.stop(job), f"{job.id}: stop")

    def _watch_deadline(self, job: Job, age_usec: int | None) -> None:
        if not job.spec.timeout_usec or job.started_usec is None:
            return
        # Clocks are set, and a job must not pay for it with more than the seconds that its first
        # process waited for it. (Where the clock was set back, systemd ends the job in time.)
        ran_usec = self._clock.now_usec() - job.started_usec
        if age_usec is not None:
            ran_usec = min(ran_usec, age_usec)
        left_usec = job.spec.timeout_usec - ran_usec
        self._deadlines.set(job.id, left_usec / 1e6, self._out_of_time, job.id)

    def _out_of_time(self, job_id: str) -> None:
        self._tasks.start(self._expire(job_id), f"{job_id}: timeout")

    async def _expire(self, job_id: str) -> None:
        async with self._live.lock(job_id):
            job = self._live.get(job_id)
            if job is not None and job.state is JobState.RUNNING and job.stop_reason is None:
                await self.ask(job, Reason.TIMEOUT)

    async def ask(self, job: Job, reason: Reason) -> Job:
        """Tell a job to end, and remember why; its lock is held. Raises HostFailure."""
        job = replace(job, stop_reason=reason, stop_requested_usec=self._clock.now_usec())
        self._live.put(job)
        failpoints.between("stop.before-save")
        try:
            await self._live.record(job)
        except HostFailure as err:
            # A full disk is no reason to let it run: only the reason may be lost in a crash.
            log.warning("%s: the %s is not recorded: %s", job.id, reason, err)
        failpoints.between("stop.before-deliver")
        await self._host.stop(job)
        return job

    async def cancel(self, job: Job) -> None:
        """Give up a job that waits; its lock is held. Raises HostFailure."""
        self._queue.withdraw(job.id)
        end = Verdict(JobState.CANCELED, Reason.CANCELED, verdict.EXIT_STOPPED)
        if not await self.finish(job, end, None):
            # It does not start any more, unless the daemon dies before the disk takes it.
            raise HostFailure("cancel", 0, "it cannot be recorded yet; it will be tried again")

    # It has ended.

    def exited(self, job_id: str) -> None:
        """The job's supervisor says that there is news of it. May come doubled or late."""
        self._host.exited(job_id)
        self._tasks.start(self.settle_now(job_id), f"{job_id}: settle")

    async def settle_now(self, job_id: str, *, suspicious: bool = False) -> None:
        """Look at the job's records, and bring it to its end if they tell of one.

        suspicious: whatever they tell, a scope of it is still there.
        """
        async with self._live.lock(job_id):
            job = self._live.get(job_id)
            if job is None or job.state not in (JobState.INITIALIZING, JobState.RUNNING):
                return
            if self.is_decided(job_id):
                # What is decided stays decided: a gate that closed because of a failed launch
                # would send the job back to the queue.
                return
            ended = self._host.ended(job_id)
            if ended is None:
                await self._note_start(job)
                return
            await self._settle(job, ended, suspicious=suspicious)

    async def _note_start(self, job: Job) -> None:
        fact = self._host.run(job.id)
        if job.state is JobState.INITIALIZING and fact is not None and fact.started_usec:
            await self.began(job, fact.started_usec)

    async def _settle(self, job: Job, ended: Ended, *, suspicious: bool) -> None:
        never_ran = ended.gate_closed and job.state is JobState.INITIALIZING
        if never_ran and job.stop_reason is None:
            try:
                await self._host.clear(job, suspicious=True)
            except (JobletError, OSError) as err:
                # Another scope of its name could not be started beside what is left.
                log.warning("%s: it will be cleared away later: %s", job.id, err)
                self._uncleared.set(job.id, _RETRY_S, self.exited, job.id)
                return
            await self._queue.requeue(job)
            return
        shutting_down = ended.term_seen_usec is not None and await self._queue.going_down()
        end = verdict.judge(job, ended, shutting_down=shutting_down)
        await self.finish(job, end, ended, suspicious=suspicious)

    async def record_last(self) -> None:
        """At shutdown jobs end before us, and what /run knows goes with the boot."""
        if not self._live.taken or not await self._queue.going_down():
            return
        try:
            async with asyncio.timeout(_LAST_ENDS_S):
                while self._live.taken:
                    for job_id in self._live.places:
                        await self.settle_now(job_id)
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            log.warning("%d jobs have not ended at shutdown", self._live.taken)

    async def lose(self, job: Job, detail: str) -> None:
        """A job whose end nobody can tell."""
        loss = Verdict(JobState.FAILED, Reason.LOST, verdict.EXIT_SETUP, detail)
        # Whoever may still run with its ids keeps them, until it is swept.
        self._work.adopt(job)
        # Recorded first, swept then: the other way round a daemon that is killed in between would
        # leave a job that looks as if it had never run.
        async with self._live.lock(job.id):
            await self.finish(job, loss, None)

    # Its record.

    async def finish(
        self, job: Job, end: Verdict, ended: Ended | None, *, suspicious: bool = False
    ) -> bool:
        """Record the end of a job; its lock is held.

        suspicious: there may be a scope of it that failed. False: the disk does not take it now,
        it is tried again.
        """
        if job.state is JobState.PENDING and end.state is not JobState.CANCELED:
            job = job.moved(JobState.INITIALIZING)
        log_bytes, log_dropped = self._log_sizes(job, ended)
        done = job.moved(
            end.state,
            reason=end.reason,
            exit_code=end.exit_code,
            detail=end.detail,
            started_usec=job.started_usec if ended is None else ended.started_usec,
            finished_usec=self._clock.now_usec() if ended is None else ended.finished_usec,
            accounting=job.accounting if ended is None else _accounting(ended),
            log_bytes=log_bytes,
            log_dropped_bytes=log_dropped,
            project=self._kept_project(job),
        )
        failpoints.between("finish.before-save")
        try:
            await self._live.record(done)
        except HostFailure as err:
            # The exit record stays where it is, and the job stays as it is, until it can be kept.
            log.error("%s: its end cannot be recorded yet: %s", job.id, err)
            self._live.put(job)
            self._unrecorded.set(job.id, _RETRY_S, self._retry, job, end, ended, suspicious)
            return False
        failpoints.between("finish.after-save")
        waited = job.state in (JobState.PENDING, JobState.SCHEDULED)
        has_traces = not waited or self._live.was_cut_short(job.id)
        self._live.remove(job.id)
        self._deadlines.cancel(job.id)
        self._unrecorded.cancel(job.id)
        self._live.release(job.id)
        if done.reason is not Reason.LOST:
            self._work.ended(done)
        if job.spec.secret_names:
            self._secrets.drop(job.id)
        if ended is None or ended.gate_closed or ended.status_lost:
            # No supervisor may have done it.
            self.seal(job.id)
        await self._waiters.tell(done)
        self._events.publish(JobFinished(done))
        if has_traces:
            # A stop, a timeout, a failed launch or an unknown end may leave a failed scope behind.
            suspicious = (
                suspicious
                or ended is None
                # The scope may have got its processes when they had ended already: then systemd
                # does not notice that it is empty.
                or ended.started_usec is None
                or ended.term_seen_usec is not None
                or bool(ended.oom_kills)
            )
            self._tasks.start(self.clear(done, suspicious=suspicious), f"{job.id}: clear")
        self._queue.kick()
        return True

    def _log_sizes(self, job: Job, ended: Ended | None) -> tuple[int, int]:
        """Bytes in the log, and bytes that were lost."""
        known = (0, 0) if ended is None else (ended.log_bytes, ended.log_dropped_bytes)
        if ended is not None and not ended.status_lost:
            return known
        # Who wrote that record may not have known the log.
        try:
            summary = self._files.summary(job.id)
        except HostFailure as err:
            # The end of a job is worth more than the size of a log that nobody can read.
            log.warning("%s: %s", job.id, err)
            return known
        return summary.end_offset, summary.dropped_bytes

    def _kept_project(self, job: Job) -> int | None:
        """Nothing in its work directory: nothing to keep, and the next job may have its number."""
        try:
            return self._work.project_at_end(job)
        except HostFailure as err:
            log.warning("%s: %s", job.id, err)
            return job.project

    def _retry(self, job: Job, end: Verdict, ended: Ended | None, suspicious: bool) -> None:
        async def again() -> None:
            async with self._live.lock(job.id):
                if job.id in self._live:
                    await self.finish(job, end, ended, suspicious=suspicious)

        self._tasks.start(again(), f"{job.id}: record the end")

    def seal(self, job_id: str) -> None:
        """Nothing more comes into its log."""
        try:
            self._files.seal(job_id)
        except HostFailure as err:
            log.error("%s: its log cannot be sealed: %s", job_id, err)

    async def clear(self, job: Job, *, suspicious: bool) -> None:
        """Leave nothing of it on the host but its files."""
        try:
            failpoints.hit("finish.before-clear")
            if job.reason is Reason.LOST:
                # Nobody saw it end, so it may not have.
                await self._host.sweep(job.id)
                self._work.ended(job)
                self._queue.kick()
            await self._host.clear(job, suspicious=suspicious)
        except (JobletError, OSError) as err:
            # The reconciler of the next start sees to it.
            log.warning("%s: not all was cleared away: %s", job.id, err)


def _accounting(ended: Ended) -> Accounting:
    return Accounting(
        cpu_usec=ended.cpu_usec,
        memory_peak_bytes=ended.memory_peak_bytes,
        io_read_bytes=ended.io_read_bytes,
        io_write_bytes=ended.io_write_bytes,
    )
