"""JobletClient: what a client program can ask of a Joblet host, whatever carries the question.

Owns the shapes of the answers. The transports (local.py over D-Bus, remote.py over gRPC) fulfil the
Protocol; callers choose one and know nothing else of it. Errors are those of joblet.errors:
RemoteError for a refusal by the daemon, Unreachable when there was no daemon to ask.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import TYPE_CHECKING, Protocol

from joblet.errors import DBUS_ERROR_PREFIX, JobletError, RemoteError
from joblet.model.states import JobState, Reason

if TYPE_CHECKING:
    from joblet.client.looks import Explanation, JobEvent, UsageReport
    from joblet.client.monitoring import MetricsRequest
    from joblet.model.host import HostStatus
    from joblet.model.job import JobSpec, Remote
    from joblet.model.metrics import Sample

STDOUT = "stdout"
STDERR = "stderr"
GAP = "gap"
BOTH = "both"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What the daemon tells this caller of a job; the names are the keys of Manager.GetJob.

    None means: not known (yet), or not for the eyes of this caller.
    """

    id: str
    path: str | None = None
    name: str = ""
    state: JobState
    owner_uid: int
    remote_subject: str | None = None
    remote_role: str | None = None
    unit: str | None = None
    submitted_usec: int
    due_usec: int | None = None
    started_usec: int | None = None
    finished_usec: int | None = None
    queue_usec: int | None = None
    run_usec: int | None = None
    reason: Reason | None = None
    exit_code: int | None = None
    detail: str | None = None
    cpu_usec: int | None = None
    memory_peak_bytes: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    log_bytes: int | None = None
    log_dropped_bytes: int | None = None
    command: str | None = None
    args: tuple[str, ...] | None = None
    environment: Mapping[str, str] | None = field(default=None, hash=False)
    secrets: Mapping[str, str] | None = field(default=None, hash=False)
    uploaded: bool | None = None
    timeout_usec: int | None = None
    stop_grace_usec: int | None = None
    max_cpu: int | None = None
    cpu_weight: int | None = None
    cpu_cores: str | None = None
    max_memory: int | None = None
    max_io_bps: int | None = None
    max_iops: int | None = None
    io_weight: int | None = None
    max_tasks: int | None = None
    max_work: int | None = None
    max_tmp: int | None = None
    max_shm: int | None = None
    user: int | None = None
    network: str | None = None
    init: bool | None = None

    def known(self) -> dict[str, object]:
        """The same keys again, without those that are not known."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {key: value for key, value in pairs if value is not None}


def job_status(keys: Mapping[str, object]) -> JobStatus:
    """Read the keys of Manager.GetJob; a key that this client does not know is passed over.

    Raises RemoteError when a key has a type that the contract rules out, or is missing.
    """
    known = {
        name: _checked(name, kind, keys[name]) for name, kind in _kinds().items() if name in keys
    }
    try:
        return JobStatus(**known)  # type: ignore[arg-type]
    except TypeError as err:
        raise broken(f"a job without a required key ({err})") from err


@cache
def _kinds() -> dict[str, str]:
    """The type of each key, as it is written in the class."""
    return {part.name: str(part.type).removesuffix(" | None") for part in fields(JobStatus)}


def _checked(key: str, kind: str, value: object) -> object:
    if kind == "JobState":
        return _word(JobState, key, value)
    if kind == "Reason":
        # "" on the Job interface: no reason while the job lives
        return _word(Reason, key, value) if value else None
    if kind.startswith("tuple"):
        if isinstance(value, Sequence) and not isinstance(value, str):
            return tuple(value)
    elif kind.startswith("Mapping"):
        if isinstance(value, Mapping):
            return dict(value)
    # type(), since a bool is an int to isinstance
    elif type(value).__name__ == kind:
        return value
    raise broken(f"{key} as {type(value).__name__}")


def _word(words: type[JobState] | type[Reason], key: str, value: object) -> JobState | Reason:
    try:
        return words(str(value))
    except ValueError as err:
        raise broken(f"{key} '{value}', unknown here: the daemon may be newer") from err


def broken(what: str) -> RemoteError:
    """The error for an answer that the contract rules out."""
    return RemoteError(DBUS_ERROR_PREFIX + "Internal", f"the daemon sent {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which page of the job list: no states means all; the cursor is `next` of the page before."""

    states: Sequence[JobState] = ()
    mine: bool = False
    limit: int = 100
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, newest first; `next` is "" on the last page."""

    jobs: Sequence[JobStatus]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """Which part of a log; of several starts the latest counts."""

    follow: bool = True
    tail_lines: int | None = None
    since_usec: int | None = None
    # Where an earlier reader was: `after` of its last piece. No gap, and nothing twice.
    offset: int | None = None
    stream: str | None = None
    # Both streams as one, in big pieces: for those who pass bytes on and do not look at them.
    merged: bool = False


@dataclass(frozen=True, slots=True)
class LogPiece:
    """Bytes of one stream in their order of arrival, cut anywhere.

    stream is STDOUT, STDERR or GAP, or BOTH in a merged log; a GAP has no data: `lost_bytes` were
    dropped at this place. `after` is the place in the log behind the piece, which never changes.
    """

    stream: str
    time_ns: int
    data: bytes
    lost_bytes: int = 0
    after: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Attachments:
    """What travels with a spec and is kept elsewhere; descriptors stay the caller's.

    `tar` yields a plain tar stream to unpack into /work; the content of `directory` is copied
    there.
    """

    secrets: Mapping[str, str] = field(default_factory=dict, hash=False)
    tar: int | None = None
    directory: int | None = None
    remote: Remote | None = None  # for whom the bridge asks; from nobody else


NO_ATTACHMENTS = Attachments()


class JobletClient(Protocol):
    """One connection to one host. A `job` is a whole id or a prefix of at least four characters."""

    async def run(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> str:
        """Submit a job; its whole id. When this returns, the job is safe on disk.

        With files it returns when all of them have arrived there.
        """

    async def explain(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> Explanation:
        """What `run` would make of the same; nothing is run, and nothing of an upload is read."""

    async def usage(self) -> UsageReport:
        """What the host and its running jobs use right now."""

    async def version(self) -> str:
        """The version of the daemon."""

    def events(self) -> AsyncGenerator[JobEvent, None]:
        """What happens to jobs from now on, without end."""

    async def files(self, job: str, path: str) -> int:
        """A path of the job's /work as a tar stream; the caller closes the descriptor."""

    async def status(self, job: str) -> JobStatus:
        """What is known of a job."""

    async def statuses(self, jobs: Sequence[str]) -> Sequence[JobStatus | JobletError]:
        """Many jobs in one question, in the order asked for; one that is not there is an error."""

    async def list_jobs(self, query: JobQuery) -> JobPage:
        """One page of jobs."""

    async def wait(self, job: str, *, timeout_usec: int = 0) -> JobStatus:
        """Return when the job has ended, or after the time (0: never); the state says which.

        Outlives a restart of the daemon.
        """

    async def stop(self, job: str) -> str:
        """Ask a job to end; its whole id. Does not wait for the end."""

    async def update(self, job: str, limits: Mapping[str, object]) -> str:
        """Give a job other limits, by their names in a JobSpec; its whole id."""

    async def cancel(self, job: str) -> str:
        """Give up a job that has not started; its whole id."""

    async def delete(self, job: str) -> str:
        """Remove an ended job with its log; its whole id."""

    async def delete_all(self, *, everybody: bool = False) -> tuple[int, int]:
        """Remove all ended jobs of the caller or of everybody: how many, and how many live on."""

    def log(self, job: str, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """The log from where the request says, to its end; following waits for what comes."""

    def metrics(self, job: str, request: MetricsRequest) -> AsyncGenerator[Sample, None]:
        """The samples of a job, oldest first, each once; following: to the end of the job."""

    async def host_status(
        self, groups: Sequence[str], *, window_usec: int = 1_000_000
    ) -> HostStatus:
        """The host right now, with rates over about the window; no groups are all."""
