"""A job's work directory: whose it is, what it is filled with before the job, how long it is held.

Owns the two pools that go with it: the range of host ids, which a job has from its launch (or its
upload) until its last process is gone, and the project id that its quota hangs on, which lives as
long as the directory. Both are in the job's row; this is a view of the rows. It never writes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from joblet.config import IdsConfig
from joblet.core.admission import HostFacts
from joblet.core.idranges import IdRanges
from joblet.core.ports import JobFiles, WorkFiles
from joblet.core.projects import Projects
from joblet.errors import Exhausted, HostFailure
from joblet.model.ids import new_job_id
from joblet.model.job import Job, JobSpec
from joblet.model.run import Caller, Upload

# Waiting uploads never take the last range: whoever is before them in the queue needs one.
_KEPT_RANGES = 1


@dataclass(frozen=True, slots=True)
class Draft:
    """A work directory that was filled for a job which has no row yet."""

    job_id: str
    first_id: int
    project: int


class WorkDirs:
    """The work directories of all jobs; made once by JobManager."""

    def __init__(
        self,
        config: IdsConfig,
        facts: Callable[[], HostFacts],
        files: JobFiles,
        mover: WorkFiles,
    ) -> None:
        self._facts = facts
        self._files = files
        self._mover = mover
        self._ranges = IdRanges(config.first, config.count)
        self._projects = Projects()
        self._drafts: dict[str, Draft] = {}

    @property
    def drafts(self) -> frozenset[str]:
        """Jobs that have files and no row yet."""
        return frozenset(self._drafts)

    def load(self, projects: dict[str, int]) -> None:
        """Take over the directories that earlier daemons kept."""
        for job_id, project in projects.items():
            self._projects.adopt(job_id, project)

    async def fill(self, spec: JobSpec, upload: Upload, caller: Caller) -> Draft:
        """Make a directory for a job to come and put the caller's files into it.

        Nothing is left when this raises or is cancelled: InvalidSpec and what else joblet-files
        answers, naming the entry; Exhausted, HostFailure.
        """
        if self._ranges.free <= _KEPT_RANGES:
            raise Exhausted(
                "too many jobs with uploads wait: they hold the id ranges that others need; "
                "raise ids.count in joblet.toml, or try again when some have ended"
            )
        job_id = new_job_id()
        draft = Draft(job_id, self._ranges.take(job_id), self._projects.take(job_id))
        self._drafts[job_id] = draft
        try:
            owner_id = draft.first_id + spec.uid
            self._files.create_work(job_id, owner_id)
            quota = (draft.project, spec.max_work or 0) if self._facts().work_quota else None
            await self._mover.fill(job_id, upload, caller, owner_id=owner_id, quota=quota)
        except BaseException:
            # A caller that goes away meanwhile must not leave half of it behind.
            await asyncio.shield(self.discard(draft))
            raise
        return draft

    def accepted(self, draft: Draft) -> None:
        """Its job has a row."""
        del self._drafts[draft.job_id]

    async def discard(self, draft: Draft) -> None:
        """Its job will never be. Raises HostFailure; the next daemon removes what is left then."""
        try:
            await asyncio.to_thread(self._files.remove_work, draft.job_id)
        finally:
            self._drafts.pop(draft.job_id, None)
            self._ranges.release(draft.job_id)
            self._projects.release(draft.job_id)

    def has_range(self, job: Job) -> bool:
        """Whether `assign` has one for it."""
        return job.first_id is not None or self._ranges.free > 0

    def assign(self, job: Job) -> Job:
        """A job about to be launched, with its ids and its directory. Raises Exhausted."""
        if job.first_id is None:
            job = replace(job, first_id=self._ranges.take(job.id))
        if job.project is None:
            job = replace(job, project=self._projects.take(job.id))
        return job

    def create(self, job: Job) -> None:
        """The directory itself; one that was filled stays as it is. Raises HostFailure."""
        assert job.first_id is not None  # noqa: S101
        if job.spec.uploaded and not self._files.has_work(job.id):
            # Its file system may not be mounted. An empty one is not what was asked for.
            raise HostFailure("work directory", 0, "what was uploaded for it is not there any more")
        self._files.create_work(job.id, job.first_id + job.spec.uid)

    def adopt(self, job: Job) -> None:
        """A job of an earlier daemon that has not ended. Idempotent."""
        if job.first_id is not None:
            self._ranges.adopt(job.id, job.first_id)

    def unassign(self, job: Job) -> Job:
        """A job that goes back to the queue without having run."""
        if job.spec.uploaded:
            return job
        self._ranges.release(job.id)
        self._projects.release(job.id)
        return replace(job, first_id=None, project=None)

    def project_at_end(self, job: Job) -> int | None:
        """What the row of an ended job is to say; None: nothing is left in its directory.

        Raises HostFailure.
        """
        return None if self._files.remove_empty_work(job.id) else job.project

    def ended(self, job: Job) -> None:
        """The row of an ended job is written: nobody runs with its ids any more."""
        self._ranges.release(job.id)
        if job.project is None:
            self._projects.release(job.id)

    def remove(self, job_id: str) -> None:
        """Remove a directory, whatever is in it. Slow. Raises HostFailure."""
        self._files.remove_work(job_id)

    def removed(self, job_id: str) -> None:
        """The row says, or no row says any more, that the directory is gone."""
        self._projects.release(job_id)

    async def fetch(self, job: Job, path: str) -> int:
        """What is at a path in a job's directory, as a tar stream to read from. Raises NotFound."""
        return await self._mover.pack(job.id, path)
