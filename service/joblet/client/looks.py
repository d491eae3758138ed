"""Answers to a look at the host: explanations, what is used, what happens.

Apart from api.py, since each of these classes costs about a millisecond to make, and who lists jobs
or waits for one asks for none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar

from joblet.client.api import broken
from joblet.model.states import JobState, Reason

NEW = "new"
STATE = "state"
FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What Manager.ExplainJob tells of a job that does not exist; the names are its keys."""

    state: JobState
    due_usec: int
    spec: Mapping[str, object] = field(hash=False)
    unit: str
    properties: Mapping[str, object] = field(hash=False)
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUsage:
    """What a running job uses; None where the host does not count it."""

    id: str
    name: str
    owner_uid: int
    started_usec: int | None = None
    command: str
    args: tuple[str, ...] = ()
    max_cpu: int | None = None
    max_memory: int | None = None
    cpu_usec: int | None = None
    memory_bytes: int | None = None
    tasks: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUsage:
    """The host, and what of it is in use."""

    hostname: str
    version: str
    cpus: int
    cpu_usec: int
    memory_bytes: int
    memory_available_bytes: int
    tasks: int
    load: float
    running_jobs: int
    waiting_jobs: int
    max_running_jobs: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """One look at the host and at those running jobs that this caller may see."""

    clock_usec: int
    host: HostUsage
    jobs: tuple[JobUsage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Something that happened to a job just now; what is None was not told."""

    event: str  # NEW, STATE or FINISHED
    id: str
    time_usec: int  # when it was heard
    state: JobState | None = None
    reason: Reason | None = None
    exit_code: int | None = None


Told = TypeVar("Told", HostUsage, JobUsage)


def usage_report(told: Mapping[str, object]) -> UsageReport:
    """Read what Manager.ListUsage gives; a key that this client does not know is passed over.

    Raises RemoteError when something is missing.
    """
    try:
        return UsageReport(
            told["clock_usec"],  # type: ignore[arg-type]
            _known(HostUsage, told["host"]),
            tuple(_known(JobUsage, job) for job in told["jobs"]),  # type: ignore[attr-defined]
        )
    except (KeyError, TypeError) as err:
        raise broken(f"a usage that this client cannot read ({err})") from err


def _known(kind: type[Told], keys: object) -> Told:
    if not isinstance(keys, Mapping):
        raise TypeError(f"a {type(keys).__name__}")
    names = {part.name for part in fields(kind)}
    known = {key: value for key, value in keys.items() if key in names}
    if "args" in known:
        known["args"] = tuple(known["args"])
    return kind(**known)
