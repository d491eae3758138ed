"""Accepting jobs: what is checked, filled, kept and written before a client is told yes.

Everything here happens before there is a job; from the row on it is JobManager's. What is refused
or given up in between leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from joblet import failpoints
from joblet.config import Config
from joblet.core import admission
from joblet.core.admission import HostFacts
from joblet.core.ports import Clock, JobHost, JobStore, SecretStore
from joblet.core.tasks import Tasks
from joblet.core.workdir import Draft, WorkDirs
from joblet.errors import Exhausted, HostFailure
from joblet.model.ids import new_job_id
from joblet.model.job import Job, JobSpec, JobState, Remote
from joblet.model.run import Caller, Outline, Upload

log = logging.getLogger(__name__)

NO_SECRETS: Mapping[str, str] = MappingProxyType({})
# Stands where the id of a job that is only explained would be.
_NO_JOB = "00000000-0000-4000-8000-000000000000"


class Submissions:
    """The way into the store; made once by JobManager, which tells how many jobs wait."""

    def __init__(
        self,
        *,
        config: Config,
        facts: Callable[[], HostFacts],
        store: JobStore,
        host: JobHost,
        secrets: SecretStore,
        work: WorkDirs,
        clock: Clock,
        tasks: Tasks,
        waiting: Callable[[], int],
    ) -> None:
        self._config = config
        self._facts = facts
        self._store = store
        self._host = host
        self._secrets = secrets
        self._work = work
        self._clock = clock
        self._tasks = tasks
        self._waiting = waiting
        self._coming: set[str] = set()  # jobs that have secrets or a log, and no row yet
        self._seq = 0

    async def load(self) -> None:
        """Take over the counter of earlier daemons; before anything else."""
        self._seq = await self._store.last_seq()

    @property
    def coming(self) -> frozenset[str]:
        """Jobs to come that have files or secrets already and no row yet."""
        return self._work.drafts | self._coming

    async def upload(self, spec: JobSpec, upload: Upload, caller: Caller) -> Draft:
        """Fill the work directory of a job to come, which `prepare` is to take.

        Nothing is left when this raises or is cancelled. Raises InvalidSpec and what else the
        archive is refused with, Exhausted, HostFailure.
        """
        spec = self._admitted(spec)
        return await self._work.fill(spec, upload, caller)

    def _admitted(self, spec: JobSpec) -> JobSpec:
        settled = admission.settle(spec, self._config, self._facts())
        waiting = self._waiting()
        if waiting >= self._config.jobs.max_waiting:
            raise Exhausted(f"{waiting} jobs are waiting already; try again when some have ended")
        return settled

    async def prepare(
        self, spec: JobSpec, *, owner_uid: int, remote: Remote | None, draft: Draft | None
    ) -> Job:
        """The job that a spec makes; `insert` is to follow.

        What was uploaded for it is gone when this raises InvalidSpec or Exhausted.
        """
        try:
            return self._new_job(self._admitted(spec), owner_uid, remote, draft)
        except BaseException:
            await self._discard(draft)
            raise

    async def insert(self, job: Job, *, draft: Draft | None, secrets: Mapping[str, str]) -> None:
        """A row for a job; it is durable when this returns, its secrets included.

        What was uploaded for it is gone when this raises HostFailure.
        """
        # Files, too, that the manager may make for it meanwhile are somebody's.
        self._coming.add(job.id)
        try:
            await self._insert(job, secrets)
        except BaseException:
            self._coming.discard(job.id)
            await self._discard(draft)
            raise
        if draft is not None:
            self._work.accepted(draft)

    async def _discard(self, draft: Draft | None) -> None:
        if draft is not None:
            await asyncio.shield(self._work.discard(draft))

    def known(self, job: Job) -> None:
        """The manager has taken the job over: it is no job to come any more."""
        self._coming.discard(job.id)

    def explain(
        self, spec: JobSpec, *, owner_uid: int, secrets: Mapping[str, str] = NO_SECRETS
    ) -> tuple[Job, Outline]:
        """The job that `prepare` would make of a spec, and what the host would do for it.

        None of it exists afterwards; whether there is room in the queue is not asked. Raises
        InvalidSpec.
        """
        settled = admission.settle(spec, self._config, self._facts())
        now = self._clock.now_usec()
        due = max(now, settled.start_at_usec or 0)
        job = Job(
            id=_NO_JOB,
            seq=0,
            spec=settled,
            owner_uid=owner_uid,
            state=JobState.SCHEDULED if due > now else JobState.PENDING,
            submitted_usec=now,
            due_usec=due,
            shard=0,
            first_id=self._config.ids.first,
            project=0,
        )
        return job, self._host.outline(job, secrets)

    def _new_job(
        self, spec: JobSpec, owner_uid: int, remote: Remote | None, draft: Draft | None
    ) -> Job:
        now = self._clock.now_usec()
        due = max(now, spec.start_at_usec or 0)
        self._seq += 1
        return Job(
            id=new_job_id() if draft is None else draft.job_id,
            seq=self._seq,
            spec=spec,
            owner_uid=owner_uid,
            remote=remote,
            state=JobState.SCHEDULED if due > now else JobState.PENDING,
            submitted_usec=now,
            due_usec=due,
            first_id=None if draft is None else draft.first_id,
            project=None if draft is None else draft.project,
        )

    async def _insert(self, job: Job, secrets: Mapping[str, str]) -> None:
        failpoints.between("submit.before-insert")
        try:
            if secrets:
                # First these: a row promises them.
                await self._secrets.keep(job.id, secrets)
            await to_the_end(self._store.insert(job))
        except BaseException as err:
            if secrets:
                self._secrets.drop(job.id)
            if isinstance(err, HostFailure):
                # A disk that reports an error may have taken it all the same, and the next daemon
                # would run what this client is told has failed.
                self._tasks.start(self._take_back(job.id), f"{job.id}: take back")
            raise
        failpoints.between("submit.after-insert")

    async def _take_back(self, job_id: str) -> None:
        try:
            await self._store.delete([job_id])
        except HostFailure as err:
            log.warning("%s: refused, and perhaps on disk: %s", job_id, err)


async def to_the_end(work: Awaitable[None]) -> None:
    """Wait for it even when cancelled: what it does cannot be taken back half-way.

    A cancellation counts for nothing if it succeeds all the same.
    """
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue
    task.result()
