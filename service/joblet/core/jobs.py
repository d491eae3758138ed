"""JobManager: every decision about a job, and the only writer of job state.

A change of state goes: lock of the job, new copy by the table of transitions, row, event. What a
client was promised is on disk before it is told. Processes, files and rows are reached through the
ports; recovery.py settles at start what happened while no JobManager was there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from joblet import failpoints
from joblet.config import Config
from joblet.core import admission, verdict
from joblet.core.admission import HostFacts
from joblet.core.events import EventFeed
from joblet.core.locks import KeyedLocks
from joblet.core.ports import Clock, JobFiles, JobHost, JobStore, SecretStore, WorkFiles
from joblet.core.scheduler import Scheduler
from joblet.core.slices import Slices
from joblet.core.submissions import NO_SECRETS, Submissions, to_the_end
from joblet.core.tasks import Tasks
from joblet.core.timers import Timers
from joblet.core.verdict import Verdict
from joblet.core.waiters import Waiters
from joblet.core.workdir import Draft, WorkDirs
from joblet.errors import Exhausted, HostFailure, InvalidSpec, JobletError, NotFound, WrongState
from joblet.model.events import JobChanged, JobFinished, JobNew, JobRemoved
from joblet.model.ids import check_job_reference, is_job_id
from joblet.model.job import Accounting, Job, JobFilter, JobSpec, JobState, Reason, Remote
from joblet.model.run import (
    Caller,
    Ended,
    HostUsage,
    LogSummary,
    Outline,
    RunFact,
    Upload,
    Usage,
)

log = logging.getLogger(__name__)

# joblet-init is restarted by systemd at once; a job that meets its end this often meets a bug.
_LAUNCHES_MAX = 5
_CANDIDATES_SHOWN = 5
_DELETE_BATCH = 500
# A record that could not be written (disk full) is tried again this much later.
_RETRY_S = 1.0
# Supervisors write within milliseconds; a shutdown does not wait for ever.
_LAST_ENDS_S = 10.0
_LOOK_AGAIN_S = 0.02
_ENDED = frozenset(state for state in JobState if state.terminal)


class JobManager:
    """The jobs of this host. Lives as long as the daemon; `start` lets jobs begin."""

    def __init__(
        self,
        *,
        config: Config,
        facts: Callable[[], HostFacts],
        store: JobStore,
        files: JobFiles,
        host: JobHost,
        mover: WorkFiles,
        secrets: SecretStore,
        clock: Clock,
        events: EventFeed,
    ) -> None:
        self._config = config
        self._facts = facts
        self._store = store
        self._files = files
        self._host = host
        self._secrets = secrets
        self._clock = clock
        self._events = events
        self._live: dict[str, Job] = {}
        self._locks = KeyedLocks()
        self._active: set[str] = set()  # jobs that take a place: starting or running
        self._launches: dict[str, int] = {}
        self._waiters = Waiters()
        self._deadlines = Timers()
        # Ends that are decided and that the disk does not take yet: when they are tried again.
        self._unrecorded = Timers()
        # Jobs that never ran and cannot be cleared away yet: when that is tried again.
        self._uncleared = Timers()
        self._scheduler = Scheduler(config.jobs.max_running)
        self._work = WorkDirs(config.ids, facts, files, mover)
        self._tasks = Tasks()
        self._slices = Slices(config.jobs.scope_shard_size, host, self._tasks)
        self._submissions = Submissions(
            config=config,
            facts=facts,
            store=store,
            host=host,
            secrets=secrets,
            work=self._work,
            clock=clock,
            tasks=self._tasks,
            waiting=lambda: len(self._scheduler),
        )
        self._alarm: asyncio.TimerHandle | None = None
        self._started = False
        self._held = False

    # Life of the manager.

    async def load(self) -> None:
        """Take over what earlier daemons gave out; before anything else."""
        await self._submissions.load()
        self._work.load(await self._store.projects())

    def start(self) -> None:
        """From now on jobs may begin."""
        self._started = True
        self._kick()

    def hold(self) -> None:
        """From now on no job begins: what waits, waits for the next daemon. Idempotent."""
        self._held = True
        self._started = False

    @property
    def held(self) -> bool:
        """Whether `hold` was called."""
        return self._held

    async def close(self) -> None:
        """Stop deciding. Jobs go on; the next daemon adopts them."""
        self._started = False
        if self._alarm is not None:
            self._alarm.cancel()
        self._slices.close()
        self._deadlines.close()
        self._unrecorded.close()
        self._uncleared.close()
        await self._tasks.cancel()

    async def record_last_ends(self) -> None:
        """Before close: at shutdown jobs end before us, and what /run knows goes with the boot."""
        if not self._active or not await self._going_down():
            return
        try:
            async with asyncio.timeout(_LAST_ENDS_S):
                while self._active:
                    for job_id in tuple(self._active):
                        await self.settle_now(job_id)
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            log.warning("%d jobs have not ended at shutdown", len(self._active))

    async def _going_down(self) -> bool:
        try:
            going_down = await self._host.shutting_down()
        except JobletError as err:
            log.warning("cannot tell whether the host goes down: %s", err)
            return False
        if going_down:
            # No scope can be started now: what waits, waits for the next boot.
            self._started = False
        return going_down

    # What clients ask for.

    async def upload(self, spec: JobSpec, upload: Upload, caller: Caller) -> Draft:
        """Fill the work directory of a job to come, which `submit` is to take.

        Nothing is left when this raises or is cancelled. Raises InvalidSpec and what else the
        archive is refused with, Exhausted, HostFailure.
        """
        return await self._submissions.upload(spec, upload, caller)

    async def submit(
        self,
        spec: JobSpec,
        *,
        owner_uid: int,
        remote: Remote | None = None,
        draft: Draft | None = None,
        secrets: Mapping[str, str] = NO_SECRETS,
    ) -> Job:
        """Accept a job; it is durable when this returns, its secrets included.

        What was uploaded for it is gone when this raises.

        Raises InvalidSpec, Exhausted, HostFailure.
        """
        job = await self._submissions.prepare(spec, owner_uid=owner_uid, remote=remote, draft=draft)
        if draft is None and not secrets and self._may_begin(job):
            await self._submit_beginning(job)
            return job
        await self._submissions.insert(job, draft=draft, secrets=secrets)
        self._listed(job)
        self._events.publish(JobNew(job))
        self.enqueue(job)
        return job

    def _may_begin(self, job: Job) -> bool:
        if job.state is not JobState.PENDING or not self._started or not self._work.has_range(job):
            return False
        return self._scheduler.vacant(len(self._active), self._clock.now_usec())

    async def _submit_beginning(self, job: Job) -> None:
        """Accept a job that need not wait: its row is written while its processes are made.

        The gate opens when the row is on disk, so if that fails nothing has run.
        """
        begun = self._beginning(job)
        self._active.add(job.id)

        async def insert() -> None:
            await self._submissions.insert(begun, draft=None, secrets=NO_SECRETS)
            self._listed(begun)
            self._events.publish(JobNew(job))
            self._events.publish(JobChanged(begun))

        row = asyncio.ensure_future(insert())
        self._tasks.start(self._launch_beginning(begun, row), f"{job.id}: launch")
        try:
            await to_the_end(row)
        except BaseException:
            # Nothing of the job is left when its client hears of it.
            async with self._locks.held(job.id):
                raise

    def _listed(self, job: Job) -> None:
        self._live[job.id] = job
        self._submissions.known(job)

    def explain(
        self, spec: JobSpec, *, owner_uid: int, secrets: Mapping[str, str] = NO_SECRETS
    ) -> tuple[Job, Outline]:
        """The job that `submit` would make of a spec, and what the host would do for it.

        None of it exists afterwards; whether there is room in the queue is not asked. Raises
        InvalidSpec.
        """
        return self._submissions.explain(spec, owner_uid=owner_uid, secrets=secrets)

    async def resolve(self, reference: str) -> Job:
        """The job that a whole id or a prefix names. Raises InvalidSpec, NotFound."""
        text = check_job_reference(reference)
        if is_job_id(text):
            return await self._get(text)
        found = await self._store.find_prefix(text, _CANDIDATES_SHOWN + 1)
        if not found:
            raise NotFound("job", text)
        if len(found) > 1:
            shown = ", ".join(found[:_CANDIDATES_SHOWN])
            more = " and more" if len(found) > _CANDIDATES_SHOWN else ""
            raise InvalidSpec("job", f"'{text}' is ambiguous: {shown}{more}")
        return await self._get(found[0])

    async def _get(self, job_id: str) -> Job:
        job = self._live.get(job_id) or await self._store.get(job_id)
        if job is None:
            raise NotFound("job", job_id)
        return job

    async def stop(self, job_id: str) -> Job:
        """End a running job, or cancel one that has not begun. Raises NotFound, WrongState."""
        async with self._locks.held(job_id):
            job = await self._get(job_id)
            if job.state in (JobState.PENDING, JobState.SCHEDULED):
                return await self._cancel(job)
            if job.state.terminal:
                raise WrongState(job.id, job.state, "stop", "it has ended already")
            if job.stop_reason is not None:
                # Whoever asks again may have seen the first request fail.
                await self._host.stop(job)
                return job
            return await self._end(job, Reason.STOPPED)

    async def update(self, job_id: str, changes: Mapping[str, object]) -> Job:
        """Give a job that has not ended other limits, by their names in a spec.

        They are on disk and in force when this returns. Raises NotFound, WrongState, InvalidSpec,
        HostFailure; after any of them the job is as it was.
        """
        async with self._locks.held(job_id):
            job = await self._get(job_id)
            if job.state.terminal:
                raise WrongState(job.id, job.state, "update", "it has ended already")
            spec = admission.change(job.spec, changes, self._config, self._facts())
            changed = replace(job, spec=spec)
            failpoints.between("update.before-save")
            await self._store.respecify(changed)
            failpoints.between("update.after-save")
            if job.state in (JobState.INITIALIZING, JobState.RUNNING):
                try:
                    # No scope any more: it is about to be settled, and had these limits at its end.
                    await self._host.limit(changed)
                except HostFailure:
                    await self._store.respecify(job)
                    raise
            self._live[job.id] = changed
            self._slices.reweigh(changed)
            log.info("%s: limits changed: %s", job.id, ", ".join(sorted(changes)))
            return changed

    async def cancel(self, job_id: str) -> Job:
        """Give up a job that has not begun. Raises NotFound, WrongState."""
        async with self._locks.held(job_id):
            job = await self._get(job_id)
            if job.state not in (JobState.PENDING, JobState.SCHEDULED):
                hint = "" if job.state.terminal else "stop it instead"
                raise WrongState(job.id, job.state, "cancel", hint)
            return await self._cancel(job)

    async def delete(self, job_id: str) -> Job:
        """Remove an ended job, its log and its files. Raises NotFound, WrongState."""
        async with self._locks.held(job_id):
            job = await self._get(job_id)
            if not job.state.terminal:
                raise WrongState(job.id, job.state, "delete", "stop it first")
            await self._remove([job])
            return job

    async def delete_all(self, owner_uid: int | None) -> tuple[int, int]:
        """Remove all ended jobs of an owner, or of everybody: (deleted, skipped)."""
        wanted = JobFilter(states=_ENDED, owner_uid=owner_uid)
        deleted = 0
        before: int | None = None
        while jobs := await self._store.page(wanted, before_seq=before, limit=_DELETE_BATCH):
            before = jobs[-1].seq
            await self._remove(jobs)
            deleted += len(jobs)
        skipped = sum(1 for job in self._live.values() if owner_uid in (None, job.owner_uid))
        return deleted, skipped

    async def wait(self, job_id: str, timeout_usec: int) -> Job:
        """The job when it has ended, or as it is when the time is up (0: no limit)."""
        job = await self._get(job_id)
        if job.state.terminal:
            return job
        return await self._waiters.until_ended(job_id, timeout_usec) or await self._get(job_id)

    async def page(self, wanted: JobFilter, *, before_seq: int | None, limit: int) -> list[Job]:
        """A page of jobs, newest first."""
        return await self._store.page(wanted, before_seq=before_seq, limit=limit)

    def live(self) -> list[Job]:
        """Every job that has not ended."""
        return list(self._live.values())

    def find_live(self, job_id: str) -> Job | None:
        """A job that has not ended, by its whole id."""
        return self._live.get(job_id)

    async def usage(self, jobs: Sequence[Job]) -> tuple[HostUsage, list[Usage]]:
        """What the host and each of these jobs, which run, use right now. Raises HostFailure."""
        return await self._host.usage(jobs)

    def open_log(self, job_id: str) -> tuple[int, int]:
        """Read-only descriptors of log and index; the caller closes. Raises NotFound."""
        # One that is being accepted has a row before it is among the live.
        over = job_id not in self._live and job_id not in self._submissions.coming
        if over:
            # Else a log that was opened before its job was canceled, by a daemon that was killed
            # right then, would keep its followers waiting.
            self._files.seal(job_id)
        try:
            return self._files.open_for_reading(job_id)
        except NotFound:
            # It has not begun, or never did: an empty log, sealed in the second case.
            self._files.create(job_id)
            if over:
                self._files.seal(job_id)
            return self._files.open_for_reading(job_id)

    def log_summary(self, job_id: str) -> LogSummary:
        """Sizes of a job's log."""
        return self._files.summary(job_id)

    async def read_log(self, job_id: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        """Bytes of a job's log. Raises NotFound."""
        return await asyncio.to_thread(self._files.read, job_id, offset, limit)

    @property
    def running(self) -> int:
        """Jobs that take a place."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """Jobs that wait for their time or for a place."""
        return len(self._scheduler)

    @property
    def max_running(self) -> int:
        """Places."""
        return self._scheduler.max_running

    async def drop_work(self, job_id: str) -> None:
        """Remove what an ended job left in its work directory. Idempotent. Raises HostFailure."""
        async with self._locks.held(job_id):
            job = await self._store.get(job_id)
            if job is None or not job.state.terminal or job.project is None:
                return
            await asyncio.to_thread(self._work.remove, job_id)
            await self._store.save(replace(job, project=None), durable=False)
            self._work.removed(job_id)

    async def fetch(self, job_id: str, path: str) -> int:
        """A path of a job's work directory as a tar stream; the caller closes the descriptor.

        Raises NotFound, WrongState when nothing is kept, HostFailure.
        """
        job = await self._get(job_id)
        if job.project is None:
            hint = "it left no files, or they were removed after their time"
            if not job.state.terminal:
                hint = "it has no files before it starts"
            raise WrongState(job.id, job.state, "copy files of", hint)
        return await self._work.fetch(job, path)

    @property
    def drafts(self) -> frozenset[str]:
        """Jobs to come that have files or secrets already and no row yet."""
        return self._submissions.coming

    # From the queue to the program.

    def enqueue(self, job: Job) -> None:
        """Let a PENDING or SCHEDULED job wait for its turn."""
        self._live[job.id] = job
        self._work.adopt(job)
        self._scheduler.add(job.id, job.seq, job.due_usec, self._clock.now_usec())
        self._kick()

    def _kick(self) -> None:
        if not self._started:
            return
        for job_id in self._scheduler.ripen(self._clock.now_usec()):
            self._tasks.start(self._ripe(job_id), f"{job_id}: due")
        while (head := self._scheduler.head()) is not None:
            job = self._live.get(head)
            if job is not None and not self._work.has_range(job):
                # Uploads that wait hold ranges too: it is the next when one of a job is free.
                break
            if (chosen := self._scheduler.next(len(self._active))) is None:
                break
            self._active.add(chosen)
            self._tasks.start(self._launch(chosen), f"{chosen}: launch")
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = self._scheduler.next_due_usec()
        if due is not None:
            # At most an hour ahead: the wall clock may be set meanwhile.
            delay = min(max(0.0, (due - self._clock.now_usec()) / 1e6), 3600.0)
            self._alarm = asyncio.get_running_loop().call_later(delay, self._kick)

    async def _ripe(self, job_id: str) -> None:
        async with self._locks.held(job_id):
            job = self._live.get(job_id)
            if job is not None and job.state is JobState.SCHEDULED:
                await self._change(job.moved(JobState.PENDING))

    async def _launch(self, job_id: str) -> None:
        async with self._locks.held(job_id):
            job = self._live.get(job_id)
            waits = job is not None and job.state in (JobState.PENDING, JobState.SCHEDULED)
            if job is None or not waits or job_id in self._unrecorded:
                self._release(job_id)
                self._kick()
                return
            try:
                due = job.moved(JobState.PENDING) if job.state is JobState.SCHEDULED else job
                begun = self._beginning(due)
            except Exhausted:
                # Another that was chosen with it took the last range.
                self._release(job_id)
                self.enqueue(job)
                return
            self._live[job_id] = begun
            self._events.publish(JobChanged(begun))
            written = asyncio.ensure_future(self._store.save(begun, durable=True))
            ended = not await self._begin(begun, written)
        if ended:
            await self.settle_now(job_id)

    async def _launch_beginning(self, job: Job, row: asyncio.Future[None]) -> None:
        async with self._locks.held(job.id):
            ended = not await self._begin(job, row)
        if ended:
            await self.settle_now(job.id)

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
        self._launches.pop(job.id, None)
        if launched is not None:
            await self._began(job, launched.started_usec)
        failpoints.between("launch.running")
        return launched is not None

    async def _not_begun(self, job: Job, err: Exception) -> None:
        """A launch failed."""
        if isinstance(err, ConnectionError):
            await self._launch_again(job, str(err))
            return
        if isinstance(err, HostFailure) and (self._held or await self._going_down()):
            await self.requeue(job)
            return
        log.warning("%s: launch failed: %s", job.id, err)
        failure = Verdict(JobState.FAILED, Reason.SETUP, verdict.EXIT_SETUP, str(err))
        ended = self._host.ended(job.id)
        if ended is not None and ended.setup_step:
            # The cause, where what failed here may be its consequence.
            failure = verdict.judge(job, ended, shutting_down=False)
        # A scope that could not be started is there, and failed.
        await self._finish(job, failure, ended, suspicious=True)

    async def _forget(self, job: Job) -> None:
        """Leave nothing of a job that was being launched and has no row."""
        await self._clear(job, suspicious=True)
        try:
            await asyncio.to_thread(self._files.remove, job.id)
        except HostFailure as err:
            # The next daemon removes files without a row.
            log.warning("%s: %s", job.id, err)
        self._work.unassign(job)
        self._release(job.id)
        self._kick()

    async def _secrets_of(self, job: Job) -> Mapping[str, str]:
        if not job.spec.secret_names:
            return NO_SECRETS
        secrets = await self._secrets.get(job.id)
        if secrets is None:
            raise HostFailure("secrets", 0, "they did not outlive the reboot of the host")
        return secrets

    async def _launch_again(self, job: Job, why: str) -> None:
        count = self._launches[job.id] = self._launches.get(job.id, 0) + 1
        if count >= _LAUNCHES_MAX:
            text = f"joblet-init went away {count} times while it was being started"
            failure = Verdict(JobState.FAILED, Reason.SETUP, verdict.EXIT_SETUP, text)
            await self._finish(job, failure, None)
            return
        log.warning("%s: starting again: %s", job.id, why)
        await self.requeue(job)

    async def requeue(self, job: Job) -> None:
        """A job that was being started and has not run waits again, in its old place."""
        self._release(job.id)
        job = self._work.unassign(job.moved(JobState.PENDING, shard=None, boot_id=""))
        await self._change(job)
        self.enqueue(job)

    # From the program to the record.

    def exited(self, job_id: str) -> None:
        """The job's supervisor says that there is news of it. May come doubled or late."""
        self._host.exited(job_id)
        self._tasks.start(self.settle_now(job_id), f"{job_id}: settle")

    async def settle_now(self, job_id: str, *, suspicious: bool = False) -> None:
        """Look at the job's records, and bring it to its end if they tell of one.

        suspicious: whatever they tell, a scope of it is still there.
        """
        async with self._locks.held(job_id):
            job = self._live.get(job_id)
            if job is None or job.state not in (JobState.INITIALIZING, JobState.RUNNING):
                return
            if job_id in self._unrecorded:
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
            await self._began(job, fact.started_usec)

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
            await self.requeue(job)
            return
        shutting_down = ended.term_seen_usec is not None and await self._going_down()
        end = verdict.judge(job, ended, shutting_down=shutting_down)
        await self._finish(job, end, ended, suspicious=suspicious)

    async def adopt(self, job: Job, fact: RunFact) -> None:
        """A job of an earlier daemon that runs, or is about to, or has just ended."""
        self._active.add(job.id)
        if job.shard is None:
            job = replace(job, shard=self._slices.take(job))
        else:
            self._slices.adopt(job, job.shard)
        self._work.adopt(job)
        self._live[job.id] = job
        if fact.ended is not None and not fact.ended.gate_closed:
            # Its supervisor may have been killed between the record and the seal.
            self._seal(job.id)
        # The row of the launch may be lost with the daemon, the launch is not.
        if job.state is JobState.SCHEDULED:
            job = job.moved(JobState.PENDING)
        if job.state is JobState.PENDING:
            job = job.moved(JobState.INITIALIZING, boot_id=self._host.boot_id())
            await self._change(job)
        if fact.started_usec is not None:
            await self._began(job, fact.started_usec)
        if job.spec.revision and fact.ended is None:
            # Whoever recorded other limits may not have lived to see them in force.
            self._tasks.start(self._limit_again(job.id), f"{job.id}: limits")

    async def _limit_again(self, job_id: str) -> None:
        async with self._locks.held(job_id):
            job = self._live.get(job_id)
            if job is None:
                return
            try:
                await self._host.limit(job)
            except HostFailure as err:
                log.error("%s: its limits may not be those of its record: %s", job_id, err)

    async def _began(self, job: Job, started_usec: int) -> None:
        if job.state is JobState.INITIALIZING:
            job = job.moved(JobState.RUNNING, started_usec=started_usec)
            await self._change(job)
        self._watch_deadline(job)
        if job.stop_reason is not None:
            # Whoever recorded the stop may not have lived to deliver it.
            self._tasks.start(self._host.stop(job), f"{job.id}: stop")

    async def lose(self, job: Job, detail: str) -> None:
        """A job whose end nobody can tell."""
        loss = Verdict(JobState.FAILED, Reason.LOST, verdict.EXIT_SETUP, detail)
        # Whoever may still run with its ids keeps them, until it is swept.
        self._work.adopt(job)
        # Recorded first, swept then: the other way round a daemon that is killed in between would
        # leave a job that looks as if it had never run.
        async with self._locks.held(job.id):
            await self._finish(job, loss, None)

    async def _finish(
        self, job: Job, end: Verdict, ended: Ended | None, *, suspicious: bool = False
    ) -> bool:
        """Record the end of a job; False: the disk does not take it now, it is tried again."""
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
            await self._store.save(done, durable=True)
        except HostFailure as err:
            # The exit record stays where it is, and the job stays as it is, until it can be kept.
            log.error("%s: its end cannot be recorded yet: %s", job.id, err)
            self._live[job.id] = job
            self._unrecorded.set(job.id, _RETRY_S, self._retry, job, end, ended, suspicious)
            return False
        failpoints.between("finish.after-save")
        waited = job.state in (JobState.PENDING, JobState.SCHEDULED)
        has_traces = not waited or job.id in self._launches
        self._live.pop(job.id, None)
        self._launches.pop(job.id, None)
        self._deadlines.cancel(job.id)
        self._unrecorded.cancel(job.id)
        self._release(job.id)
        if done.reason is not Reason.LOST:
            self._work.ended(done)
        if job.spec.secret_names:
            self._secrets.drop(job.id)
        if ended is None or ended.gate_closed or ended.status_lost:
            # No supervisor may have done it.
            self._seal(job.id)
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
            self._tasks.start(self._clear(done, suspicious=suspicious), f"{job.id}: clear")
        self._kick()
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

    def _seal(self, job_id: str) -> None:
        try:
            self._files.seal(job_id)
        except HostFailure as err:
            log.error("%s: its log cannot be sealed: %s", job_id, err)

    def _kept_project(self, job: Job) -> int | None:
        """Nothing in its work directory: nothing to keep, and the next job may have its number."""
        try:
            return self._work.project_at_end(job)
        except HostFailure as err:
            log.warning("%s: %s", job.id, err)
            return job.project

    def _retry(self, job: Job, end: Verdict, ended: Ended | None, suspicious: bool) -> None:
        async def again() -> None:
            async with self._locks.held(job.id):
                if job.id in self._live:
                    await self._finish(job, end, ended, suspicious=suspicious)

        self._tasks.start(again(), f"{job.id}: record the end")

    async def _clear(self, job: Job, *, suspicious: bool) -> None:
        try:
            failpoints.hit("finish.before-clear")
            if job.reason is Reason.LOST:
                # Nobody saw it end, so it may not have.
                await self._host.sweep(job.id)
                self._work.ended(job)
                self._kick()
            await self._host.clear(job, suspicious=suspicious)
        except (JobletError, OSError) as err:
            # The reconciler of the next start sees to it.
            log.warning("%s: not all was cleared away: %s", job.id, err)

    # Stop, cancel, timeout, delete.

    async def _cancel(self, job: Job) -> Job:
        self._scheduler.remove(job.id)
        end = Verdict(JobState.CANCELED, Reason.CANCELED, verdict.EXIT_STOPPED)
        if not await self._finish(job, end, None):
            # It does not start any more, unless the daemon dies before the disk takes it.
            raise HostFailure("cancel", 0, "it cannot be recorded yet; it will be tried again")
        return await self._get(job.id)

    async def _end(self, job: Job, reason: Reason) -> Job:
        job = replace(job, stop_reason=reason, stop_requested_usec=self._clock.now_usec())
        self._live[job.id] = job
        failpoints.between("stop.before-save")
        try:
            await self._store.save(job, durable=True)
        except HostFailure as err:
            # A full disk is no reason to let it run: only the reason may be lost in a crash.
            log.warning("%s: the %s is not recorded: %s", job.id, reason, err)
        failpoints.between("stop.before-deliver")
        await self._host.stop(job)
        return job

    def _watch_deadline(self, job: Job) -> None:
        if not job.spec.timeout_usec or job.started_usec is None:
            return
        left_usec = job.started_usec + job.spec.timeout_usec - self._clock.now_usec()
        self._deadlines.set(job.id, left_usec / 1e6, self._out_of_time, job.id)

    def _out_of_time(self, job_id: str) -> None:
        self._tasks.start(self._expire(job_id), f"{job_id}: timeout")

    async def _expire(self, job_id: str) -> None:
        async with self._locks.held(job_id):
            job = self._live.get(job_id)
            if job is not None and job.state is JobState.RUNNING and job.stop_reason is None:
                await self._end(job, Reason.TIMEOUT)

    async def _remove(self, jobs: list[Job]) -> None:
        failpoints.between("delete.before-rows")
        await self._store.delete([job.id for job in jobs])
        failpoints.between("delete.after-rows")
        failure: HostFailure | None = None
        for job in jobs:
            try:
                # Deep trees of hostile files: not on the event loop.
                await asyncio.to_thread(self._files.remove, job.id)
                self._work.removed(job.id)
            except HostFailure as err:
                # Nobody can ask for it again without a row; the next daemon removes it.
                log.warning("%s: deleted, but not its files: %s", job.id, err)
                failure = err
            self._events.publish(JobRemoved(job))
        if failure is not None:
            raise failure

    # Small things.

    async def _change(self, job: Job) -> None:
        self._live[job.id] = job
        await self._store.save(job, durable=False)
        self._events.publish(JobChanged(job))

    def _release(self, job_id: str) -> None:
        self._active.discard(job_id)
        self._slices.release(job_id)


def _accounting(ended: Ended) -> Accounting:
    return Accounting(
        cpu_usec=ended.cpu_usec,
        memory_peak_bytes=ended.memory_peak_bytes,
        io_read_bytes=ended.io_read_bytes,
        io_write_bytes=ended.io_write_bytes,
    )
