"""Protocols of what core needs from store and host; wiring hands in the real ones.

tests/fakes implements the same Protocols, so a fake that drifts fails mypy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Protocol

from joblet.model.host import Look
from joblet.model.job import Job, JobFilter
from joblet.model.metrics import Sample
from joblet.model.run import (
    Caller,
    Ended,
    HostUsage,
    Launched,
    LogSummary,
    Outline,
    RunFact,
    ScopeFact,
    Upload,
    Usage,
)


class JobStore(Protocol):
    """Rows of jobs. A durable write has reached the disk when its await returns."""

    async def insert(self, job: Job) -> None:
        """Add a new row, durably. Raises AlreadyExists."""

    async def save(self, job: Job, *, durable: bool) -> None:
        """Replace a row. Not durable: returns at once, written with the next commit."""

    async def respecify(self, job: Job) -> None:
        """Replace a row together with its specification, durably."""

    async def delete(self, job_ids: Sequence[str]) -> None:
        """Remove rows, durably. An id without a row is no error."""

    async def get(self, job_id: str) -> Job | None:
        """One job by its whole id."""

    async def find_prefix(self, prefix: str, limit: int) -> list[str]:
        """Up to `limit` ids that begin with prefix, in order."""

    async def page(self, wanted: JobFilter, *, before_seq: int | None, limit: int) -> list[Job]:
        """Up to `limit` jobs, newest first, with seq below before_seq."""

    async def existing(self, job_ids: Sequence[str]) -> set[str]:
        """Which of these ids have a row."""

    async def unfinished(self) -> list[Job]:
        """All jobs not in a terminal state, oldest first."""

    async def projects(self) -> dict[str, int]:
        """The project id of every kept work directory, by job."""

    async def kept(self, *, finished_before_usec: int, limit: int) -> list[str]:
        """Up to `limit` ended jobs whose work directory is kept, the first to end first."""

    async def last_seq(self) -> int:
        """The highest seq ever given out, also to a job that was deleted since; 0 for none."""


class JobFiles(Protocol):
    """A job's log and work directory on disk."""

    def create(self, job_id: str) -> None:
        """Make the log and its index, empty. Idempotent."""

    def create_work(self, job_id: str, owner_id: int) -> None:
        """Make the work directory, empty, and give it to a host id. Idempotent."""

    def has_work(self, job_id: str) -> bool:
        """Whether the work directory is there."""

    def open_for_writing(self, job_id: str) -> tuple[int, int, int]:
        """Descriptors of log, index and work directory for the supervisor; caller closes."""

    def open_for_reading(self, job_id: str) -> tuple[int, int]:
        """Read-only descriptors of log and index; caller closes. Raises NotFound."""

    def read(self, job_id: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        """Bytes from offset, the offset to ask for next, and whether that is the sealed end.

        Dropped bytes are jumped over. Raises NotFound.
        """

    def summary(self, job_id: str) -> LogSummary:
        """Sizes of the log; all zero and sealed when there is no log."""

    def seal(self, job_id: str) -> None:
        """Mark the log as complete, for a job that had no supervisor to do it.

        Idempotent; a job without files needs none.
        """

    def remove(self, job_id: str) -> None:
        """Remove log and work directory. Idempotent."""

    def remove_work(self, job_id: str) -> None:
        """Remove the work directory, whatever is in it. Idempotent."""

    def remove_empty_work(self, job_id: str) -> bool:
        """Remove the work directory if nothing is in it; True when it is not there any more."""

    def work_space(self) -> tuple[int, int]:
        """Bytes of the file system of the work directories: in all, and free."""

    def list_ids(self) -> set[str]:
        """Ids that have files."""


class JobHost(Protocol):
    """Processes and scopes of jobs on this host."""

    async def launch(
        self,
        job: Job,
        files: tuple[int, int, int],
        cleared: Awaitable[None],
        secrets: Mapping[str, str],
    ) -> Launched | None:
        """Start a job and wait until its program runs; closes the descriptors in any case.

        Everything is prepared meanwhile, but nothing runs before `cleared` is done; its failure
        is raised as it is.

        None: it ended before, and its exit record says how. Raises HostFailure when the host
        refused, ConnectionError when joblet-init went away; in both cases nothing has run and
        nothing runs any more.
        """

    def outline(self, job: Job, secrets: Mapping[str, str]) -> Outline:
        """What `launch` would do for this job; does none of it."""

    async def usage(self, jobs: Sequence[Job]) -> tuple[HostUsage, list[Usage]]:
        """What the host and each of these running jobs use right now.

        All of it is unknown for a job that has just ended. Raises HostFailure.
        """

    def exited(self, job_id: str) -> None:
        """The job's supervisor says that it has an exit record."""

    def ended(self, job_id: str) -> Ended | None:
        """The exit record of a job, or None while it has none."""

    def run(self, job_id: str) -> RunFact | None:
        """What this boot knows of one job."""

    def runs(self) -> list[RunFact]:
        """Every job that this boot knows of."""

    async def scopes(self) -> list[ScopeFact]:
        """Every loaded scope of ours. Raises HostFailure."""

    async def stop(self, job: Job) -> None:
        """Ask a running job to end; kills at once when nothing in it catches SIGTERM.

        Returns when the request was delivered, not when the job ended. Nothing to stop is fine.
        Raises HostFailure.
        """

    async def weigh(self, shard: int, *, cpu_weight: int, io_weight: int) -> None:
        """Say what the slice of a shard weighs among the others. Raises HostFailure."""

    async def limit(self, job: Job) -> bool:
        """Give a running job's scope the limits of its spec; False if it has no scope any more.

        Raises HostFailure.
        """

    async def clear(self, job: Job, *, suspicious: bool) -> None:
        """Remove what the boot keeps of an ended job; suspicious: its scope may have failed.

        Idempotent. Raises HostFailure.
        """

    async def sweep(self, job_id: str) -> None:
        """End and remove what is left of a job that no row knows. Idempotent."""

    async def shutting_down(self) -> bool:
        """True when the host is going down. Raises HostFailure."""

    def boot_id(self) -> str:
        """The id of this boot."""


class MetricsHost(Protocol):
    """Counters of running jobs. Blocks: for a thread."""

    def sample(self, job: Job) -> Sample | None:
        """What a job that runs has used up to now; None when it has ended. Raises HostFailure."""


class MetricsFiles(Protocol):
    """Samples of jobs on disk. Blocks; one thread appends, any may read."""

    def append(self, job_id: str, sample: Sample) -> int | None:
        """Keep a sample; its number, which is the next one of the job, from 1 on.

        None when the job has no files (any more). Raises HostFailure.
        """

    def read(self, job_id: str) -> list[Sample]:
        """All samples that are kept, oldest first. Raises HostFailure."""

    def forget(self, job_id: str) -> None:
        """No more samples of this job come. Idempotent; what is kept stays."""


class HostProbe(Protocol):
    """The host itself. Blocks: for a thread."""

    def look(self, *, processes: bool) -> Look:
        """Everything but rates; processes only if asked for. Raises HostFailure."""

    def describe(self, pids: Collection[int]) -> dict[int, tuple[str, str]]:
        """Command line and user of these processes; without those that have ended."""


class WorkFiles(Protocol):
    """Moves files into and out of work directories, never as root."""

    async def fill(
        self,
        job_id: str,
        upload: Upload,
        caller: Caller,
        *,
        owner_id: int,
        quota: tuple[int, int] | None,
    ) -> None:
        """Put an upload into a work directory, as the host id that owns it.

        quota: project id and bytes (0: no limit), set before the first byte. Raises what the
        archive is refused with, naming the entry, and HostFailure; what was written stays then.
        """

    async def pack(self, job_id: str, path: str) -> int:
        """A path of a work directory as a tar stream; the caller closes. Raises NotFound."""


class SecretStore(Protocol):
    """Values of secret variables, from the submission of a job until its end."""

    async def keep(self, job_id: str, secrets: Mapping[str, str]) -> None:
        """Keep them as durably as this host can. Raises HostFailure."""

    async def get(self, job_id: str) -> Mapping[str, str] | None:
        """What was kept, or None if it is lost. Raises HostFailure."""

    def drop(self, job_id: str) -> None:
        """Forget them. Idempotent."""

    def list_ids(self) -> set[str]:
        """Jobs that have some."""


class Clock(Protocol):
    """Time, so that tests can turn it."""

    def now_usec(self) -> int:
        """Microseconds since the epoch."""
