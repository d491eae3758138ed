"""From the queue to the program: ids, files, processes, and what a failed launch means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from joblet import failpoints
from joblet.core import verdict
from joblet.core.endings import Endings
from joblet.core.events import EventFeed
from joblet.core.livejobs import LiveJobs
from joblet.core.ports import JobFiles, JobHost, SecretStore
from joblet.core.queue import JobQueue
from joblet.core.slices import Slices
from joblet.core.submissions import NO_SECRETS, to_the_end
from joblet.core.tasks import Tasks
from joblet.core.verdict import Verdict
from joblet.core.workdir import WorkDirs
from joblet.errors import Exhausted, HostFailure, JobletError
from joblet.model.events import JobChanged
from joblet.model.job import Job, JobState, Reason
from joblet.model.run import RunFact

log = logging.getLogger(__name__)

# joblet-init is restarted by systemd at once; a job that meets its end this often meets a bug.
_LAUNCHES_MAX = 5


class Launches:
    """The launches of a JobManager."""

    def __init__(
        self,
        *,
        live: LiveJobs,
        queue: JobQueue,
        endings: Endings,
        files: JobFiles,
        host: JobHost,
        secrets: SecretStore,
        work: WorkDirs,
        slices: Slices,
        events: EventFeed,
        tasks: Tasks,
    ) -> None:
        self._live = live
        self._queue = queue
        self._endings = endings
        self._files = files
        self._host = host
        self._secrets = secrets
        self._work = work
        self._slices = slices
        self._events = events
        self._tasks = tasks

    async def launch(self, job_id: str) -> None:
        """Begin a job that was taken out of the queue and has a place."""
        async with self._live.lock(job_id):
            job = self._live.get(job_id)
            waits = job is not None and job.state in (JobState.PENDING, JobState.SCHEDULED)
            if job is None or not waits or self._endings.is_decided(job_id):
                self._live.release(job_id)
                self._queue.kick()
                return
            try:
                due = job.moved(JobState.PENDING) if job.state is JobState.SCHEDULED else job
                begun = self._beginning(due)
            except Exhausted:
                # Another that was chosen with it took the last range.
                self._live.release(job_id)
                self._queue.enqueue(job)
                return
            self._live.put(begun)
            self._events.publish(JobChanged(begun))
            written = asyncio.ensure_future(self._live.record(begun))
            ended = not await self._begin(begun, written)
        if ended:
            await self._endings.settle_now(job_id)

    async def launch_while_inserted(
        self, job: Job, insert: Callable[[Job], Awaitable[None]]
    ) -> None:
        """Begin a job that need not wait, while its row is written by `insert`.

        The gate opens when the row is on disk, so if that fails nothing has run. `insert` makes
        the job live when its row is on disk, and only then. Raises what `insert` raises, when
        nothing of the job is left.
        """
        begun = self._beginning(job)
        self._live.take_place(job.id)
        row = asyncio.ensure_future(insert(begun))
        self._tasks.start(self._launch_inserted(begun, row), f"{job.id}: launch")
        try:
            await to_the_end(row)
        except BaseException:
            # Nothing of the job is left when its client hears of it.
            async with self._live.lock(job.id):
                raise

    async def _launch_inserted(self, job: Job, row: asyncio.Future[None]) -> None:
        async with self._live.lock(job.id):
            ended = not await self._begin(job, row)
        if ended:
            await self._endings.settle_now(job.id)

    async def adopt(self, job: Job, fact: RunFact) -> None:
        """A job of an earlier daemon that runs, or is about to, or has just ended."""
        self._live.take_place(job.id)
        if job.shard is None:
            job = replace(job, shard=self._slices.take(job))
        else:
            self._slices.adopt(job, job.shard)
        self._work.adopt(job)
        self._live.put(job)
        if fact.ended is not None and not fact.ended.gate_closed:
            # Its supervisor may have been killed between the record and the seal.
            self._endings.seal(job.id)
        # The row of the launch may be lost with the daemon, the launch is not.
        if job.state is JobState.SCHEDULED:
            job = job.moved(JobState.PENDING)
        if job.state is JobState.PENDING:
            job = job.moved(JobState.INITIALIZING, boot_id=self._host.boot_id())
            await self._live.change(job)
        if fact.started_usec is not None:
            await self._endings.began(job, fact.started_usec, age_usec=fact.age_usec)
        if job.spec.revision and fact.ended is None:
            # Whoever recorded other limits may not have lived to see them in force.
            self._tasks.start(self._limit_again(job.id), f"{job.id}: limits")

    async def _limit_again(self, job_id: str) -> None:
        async with self._live.lock(job_id):
            job = self._live.get(job_id)
            if job is None:
                return
            try:
                await self._host.limit(job)
            except HostFailure as err:
                log.error("%s: its limits may not be those of its record: %s", job_id, err)

    def _beginning(self, job: Job) -> Job:
        """The job with all that it needs to be launched. Raises Exhausted."""
        job = self._work.assign(job)
        return job.moved(
            JobState.INITIALIZING, shard=self._slices.take(job), boot_id=self._host.boot_id()
        )

    async def _begin(self, job: Job, written: asyncio.Future[None]) -> bool:
        """Launch a job whose row is being written; its lock is held.

        Before the gate opens the disk knows that the job may have run: after a power cut it is
        lost, not run a second time. False: it ended before it could tell us; the exit record has
        the reason.
        """
        try:
            try:
                self._files.create(job.id)
                self._work.create(job)
                secrets = await self._secrets_of(job)
                files = self._files.open_for_writing(job.id)
                launched = await self._host.launch(job, files, written, secrets)
            finally:
                await asyncio.wait([written])
                # If the launch did not get as far as waiting for it, its error is not news.
                written.exception()
        except Exception as err:
            if job.id not in self._live:
                # Its row could not be written: the job never was.
                await self._forget(job)
            else:
                await self._not_begun(job, err)
                if not isinstance(err, ConnectionError | JobletError | OSError | ValueError):
                    # Ours, and nobody has foreseen it: that is for the journal.
                    raise
            return True
        self._live.launched(job.id)
        if launched is not None:
            await self._endings.began(job, launched.started_usec)
        failpoints.between("launch.running")
        return launched is not None

    async def _secrets_of(self, job: Job) -> Mapping[str, str]:
        if not job.spec.secret_names:
            return NO_SECRETS
        secrets = await self._secrets.get(job.id)
        if secrets is None:
            raise HostFailure("secrets", 0, "they did not outlive the reboot of the host")
        return secrets

    async def _not_begun(self, job: Job, err: Exception) -> None:
        """A launch failed."""
        if isinstance(err, ConnectionError):
            await self._launch_again(job, str(err))
            return
        if isinstance(err, HostFailure) and (self._queue.held or await self._queue.going_down()):
            await self._queue.requeue(job)
            return
        log.warning("%s: launch failed: %s", job.id, err)
        failure = Verdict(JobState.FAILED, Reason.SETUP, verdict.EXIT_SETUP, str(err))
        ended = self._host.ended(job.id)
        if ended is not None and ended.setup_step:
            # The cause, where what failed here may be its consequence.
            failure = verdict.judge(job, ended, shutting_down=False)
        # A scope that could not be started is there, and failed.
        await self._endings.finish(job, failure, ended, suspicious=True)

    async def _launch_again(self, job: Job, why: str) -> None:
        count = self._live.cut_short(job.id)
        if count >= _LAUNCHES_MAX:
            text = f"joblet-init went away {count} times while it was being started"
            failure = Verdict(JobState.FAILED, Reason.SETUP, verdict.EXIT_SETUP, text)
            await self._endings.finish(job, failure, None)
            return
        log.warning("%s: starting again: %s", job.id, why)
        await self._queue.requeue(job)

    async def _forget(self, job: Job) -> None:
        """Leave nothing of a job that was being launched and has no row."""
        await self._endings.clear(job, suspicious=True)
        try:
            await asyncio.to_thread(self._files.remove, job.id)
        except HostFailure as err:
            # The next daemon removes files without a row.
            log.warning("%s: %s", job.id, err)
        self._work.unassign(job)
        self._live.release(job.id)
        self._queue.kick()
