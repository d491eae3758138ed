"""JobManager: what clients ask of jobs, and what recovery tells of them.

It has a part for each stretch of a job's life: submissions.py until there is a row, queue.py while
it waits, launches.py up to its program, endings.py from there to its record. livejobs.py is what
they share; nobody else changes the state of a job. Here are limits, files and deletion, which
belong to no stretch.

What a client was promised is on disk before it is told. Processes, files and rows are reached
through the ports; recovery.py settles at start what happened while no JobManager was there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from joblet import failpoints
from joblet.config import Config
from joblet.core import admission
from joblet.core.admission import HostFacts
from joblet.core.endings import Endings
from joblet.core.events import EventFeed
from joblet.core.launches import Launches
from joblet.core.livejobs import LiveJobs
from joblet.core.ports import Clock, JobFiles, JobHost, JobStore, SecretStore, WorkFiles
from joblet.core.queue import JobQueue
from joblet.core.slices import Slices
from joblet.core.submissions import NO_SECRETS, Submissions
from joblet.core.tasks import Tasks
from joblet.core.waiters import Waiters
from joblet.core.workdir import Draft, WorkDirs
from joblet.errors import HostFailure, InvalidSpec, NotFound, WrongState
from joblet.model.events import JobChanged, JobNew, JobRemoved
from joblet.model.ids import check_job_reference, is_job_id
from joblet.model.job import Job, JobFilter, JobSpec, JobState, Reason, Remote
from joblet.model.run import Caller, HostUsage, LogSummary, Outline, RunFact, Upload, Usage

log = logging.getLogger(__name__)

_CANDIDATES_SHOWN = 5
_DELETE_BATCH = 500
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
        self._events = events
        self._waiters = Waiters()
        self._tasks = tasks = Tasks()
        self._work = work = WorkDirs(config.ids, facts, files, mover)
        self._slices = slices = Slices(config.jobs.scope_shard_size, host, tasks)
        self._live = live = LiveJobs(store, events, slices)
        self._queue = queue = JobQueue(
            config.jobs.max_running,
            live=live,
            work=work,
            host=host,
            clock=clock,
            tasks=tasks,
            # made below, since it sends jobs back to the queue
            launch=lambda job_id: self._launches.launch(job_id),
        )
        self._submissions = Submissions(
            config=config,
            facts=facts,
            store=store,
            host=host,
            secrets=secrets,
            work=work,
            clock=clock,
            tasks=tasks,
            waiting=lambda: len(queue),
        )
        self._endings = Endings(
            live=live,
            queue=queue,
            files=files,
            host=host,
            secrets=secrets,
            work=work,
            clock=clock,
            events=events,
            waiters=self._waiters,
            tasks=tasks,
        )
        self._launches = Launches(
            live=live,
            queue=queue,
            endings=self._endings,
            files=files,
            host=host,
            secrets=secrets,
            work=work,
            slices=slices,
            events=events,
            tasks=tasks,
        )

    # Life of the manager.

    async def load(self) -> None:
        """Take over what earlier daemons gave out; before anything else."""
        await self._submissions.load()
        self._work.load(await self._store.projects())

    def start(self) -> None:
        """From now on jobs may begin."""
        self._queue.start()

    def hold(self) -> None:
        """From now on no job begins: what waits, waits for the next daemon. Idempotent."""
        self._queue.hold()

    @property
    def held(self) -> bool:
        """Whether `hold` was called."""
        return self._queue.held

    async def close(self) -> None:
        """Stop deciding. Jobs go on; the next daemon adopts them."""
        self._queue.close()
        self._slices.close()
        self._endings.close()
        await self._tasks.cancel()

    async def record_last_ends(self) -> None:
        """Before close: at shutdown jobs end before us, and what /run knows goes with the boot."""
        await self._endings.record_last()

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
        if draft is None and not secrets and self._queue.may_begin(job):

            async def insert(begun: Job) -> None:
                await self._submissions.insert(begun, draft=None, secrets=NO_SECRETS)
                self._accepted(begun)
                self._events.publish(JobNew(job))
                self._events.publish(JobChanged(begun))

            await self._launches.launch_while_inserted(job, insert)
            return job
        await self._submissions.insert(job, draft=draft, secrets=secrets)
        self._accepted(job)
        self._events.publish(JobNew(job))
        self._queue.enqueue(job)
        return job

    def _accepted(self, job: Job) -> None:
        self._live.put(job)
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
        async with self._live.lock(job_id):
            job = await self._get(job_id)
            if job.state in (JobState.PENDING, JobState.SCHEDULED):
                await self._endings.cancel(job)
                return await self._get(job.id)
            if job.state.terminal:
                raise WrongState(job.id, job.state, "stop", "it has ended already")
            if job.stop_reason is not None:
                # Whoever asks again may have seen the first request fail.
                await self._host.stop(job)
                return job
            return await self._endings.ask(job, Reason.STOPPED)

    async def update(self, job_id: str, changes: Mapping[str, object]) -> Job:
        """Give a job that has not ended other limits, by their names in a spec.

        They are on disk and in force when this returns. Raises NotFound, WrongState, InvalidSpec,
        HostFailure; after any of them the job is as it was.
        """
        async with self._live.lock(job_id):
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
            self._live.put(changed)
            self._slices.reweigh(changed)
            log.info("%s: limits changed: %s", job.id, ", ".join(sorted(changes)))
            return changed

    async def cancel(self, job_id: str) -> Job:
        """Give up a job that has not begun. Raises NotFound, WrongState."""
        async with self._live.lock(job_id):
            job = await self._get(job_id)
            if job.state not in (JobState.PENDING, JobState.SCHEDULED):
                hint = "" if job.state.terminal else "stop it instead"
                raise WrongState(job.id, job.state, "cancel", hint)
            await self._endings.cancel(job)
            return await self._get(job.id)

    async def delete(self, job_id: str) -> Job:
        """Remove an ended job, its log and its files. Raises NotFound, WrongState."""
        async with self._live.lock(job_id):
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
        skipped = sum(1 for job in self._live if owner_uid in (None, job.owner_uid))
        return deleted, skipped

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
        return list(self._live)

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
        return self._live.taken

    @property
    def waiting(self) -> int:
        """Jobs that wait for their time or for a place."""
        return len(self._queue)

    @property
    def max_running(self) -> int:
        """Places."""
        return self._queue.max_running

    async def drop_work(self, job_id: str) -> None:
        """Remove what an ended job left in its work directory. Idempotent. Raises HostFailure."""
        async with self._live.lock(job_id):
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

    # What the host and recovery tell.

    def enqueue(self, job: Job) -> None:
        """A job of an earlier daemon waits for its turn."""
        self._queue.enqueue(job)

    async def requeue(self, job: Job) -> None:
        """A job that was being started and has not run waits again, in its old place."""
        await self._queue.requeue(job)

    def exited(self, job_id: str) -> None:
        """The job's supervisor says that there is news of it. May come doubled or late."""
        self._endings.exited(job_id)

    async def settle_now(self, job_id: str, *, suspicious: bool = False) -> None:
        """Look at the job's records, and bring it to its end if they tell of one.

        suspicious: whatever they tell, a scope of it is still there.
        """
        await self._endings.settle_now(job_id, suspicious=suspicious)

    async def lose(self, job: Job, detail: str) -> None:
        """A job whose end nobody can tell."""
        await self._endings.lose(job, detail)

    async def adopt(self, job: Job, fact: RunFact) -> None:
        """A job of an earlier daemon that runs, or is about to, or has just ended."""
        await self._launches.adopt(job, fact)
