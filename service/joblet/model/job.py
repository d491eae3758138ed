"""JobSpec (what was asked), Job (what is known); their states are those of states.py.

Times are microseconds since the epoch (`_usec`); durations carry the same suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from joblet.errors import WrongState
from joblet.model.limits import GRACE_DEFAULT_USEC, USER_DEFAULT
from joblet.model.states import TRANSITIONS as TRANSITIONS
from joblet.model.states import JobState as JobState
from joblet.model.states import Reason as Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What was asked.

    A limit that is None was left out. Before the job exists core settles it: from then on every
    limit has its value, and zero (of cpu_cores: no CPU) means no limit of its own.
    """

    command: str
    args: tuple[str, ...] = ()
    name: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    secret_names: tuple[str, ...] = ()  # variables whose values are kept elsewhere
    uploaded: bool = False  # its work directory was filled by whoever submitted it
    timeout_usec: int | None = None
    stop_grace_usec: int | None = None
    start_at_usec: int | None = None
    max_cpu: int | None = None  # percent of one CPU
    cpu_weight: int | None = None
    cpu_cores: tuple[int, ...] | None = None
    max_memory: int | None = None  # bytes, without swap
    max_io_bps: int | None = None  # bytes per second, for reads and for writes
    max_iops: int | None = None  # the same way
    io_weight: int | None = None
    max_tasks: int | None = None
    max_work: int | None = None  # bytes of /work, /tmp and /dev/shm
    max_tmp: int | None = None
    max_shm: int | None = None
    user: int | None = None  # uid inside
    network: str = "none"
    init: bool = False
    revision: int = 0  # how often its limits were changed since it was accepted

    @property
    def uid(self) -> int:
        """The user, and the group, inside."""
        return USER_DEFAULT if self.user is None else self.user

    @property
    def grace_usec(self) -> int:
        """The time between SIGTERM and SIGKILL."""
        return GRACE_DEFAULT_USEC if self.stop_grace_usec is None else self.stop_grace_usec


@dataclass(frozen=True, slots=True)
class Remote:
    """Who asked for a job over the network, as the bridge passes it along."""

    subject: str  # of the client certificate
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """Totals of a finished job, read from its scope; None where the controller is missing."""

    cpu_usec: int | None = None
    memory_peak_bytes: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is known of one job. Only core/jobs.py and its parts make a changed copy."""

    id: str
    seq: int  # order of acceptance, unique
    spec: JobSpec
    owner_uid: int
    remote: Remote | None = None  # the owner behind the bridge's uid
    state: JobState
    submitted_usec: int
    due_usec: int  # when it could first have started: submission, or the scheduled time
    started_usec: int | None = None  # the user's program began
    finished_usec: int | None = None
    reason: Reason | None = None
    exit_code: int | None = None
    detail: str = ""  # one sentence, for set-up failures and losses
    stop_reason: Reason | None = None  # stopped, timeout or shutdown: recorded before we act
    stop_requested_usec: int | None = None
    shard: int | None = None
    boot_id: str = ""  # boot in which it was launched
    first_id: int | None = None  # of its range of host ids, from the launch on
    project: int | None = None  # of its work directory, while that is kept
    accounting: Accounting = Accounting()
    log_bytes: int = 0
    log_dropped_bytes: int = 0

    @property
    def queue_usec(self) -> int | None:
        """Time between being due and the real start, or None before the start."""
        if self.started_usec is None:
            return None
        return max(0, self.started_usec - self.due_usec)

    @property
    def run_usec(self) -> int | None:
        """How long the program ran, or None before its end."""
        if self.started_usec is None or self.finished_usec is None:
            return None
        return max(0, self.finished_usec - self.started_usec)

    def moved(self, state: JobState, **changes: object) -> Job:
        """A copy in another state.

        Raises WrongState if the table of transitions does not have that arrow.
        """
        if state not in TRANSITIONS[self.state]:
            raise WrongState(self.id, self.state, f"move to {state}")
        return replace(self, state=state, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a listing wants; an empty set of states means all."""

    states: frozenset[JobState] = frozenset()
    owner_uid: int | None = None
