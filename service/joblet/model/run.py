"""Facts of one run of a job, as host reports them and core judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the bus knows it."""

    uid: int
    groups: tuple[int, ...] = ()  # all of them


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client wants in a work directory, as open descriptors; they stay the client's."""

    tar: int | None = None  # to read a tar stream from
    directory: int | None = None  # whose content is copied, with the client's rights


@dataclass(frozen=True, slots=True)
class Launched:
    """The user's program runs."""

    started_usec: int


@dataclass(frozen=True, slots=True)
class ScopeFact:
    """What systemd knows of one of our scopes."""

    job_id: str
    active_state: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job's first process ended, as its supervisor recorded it."""

    started_usec: int | None  # None: the user's program never began
    finished_usec: int
    exit_status: int | None  # 0-255, or None if a signal ended it or nothing is known
    signal: int | None
    term_seen_usec: int | None  # systemd sent the scope a stop (SIGTERM and SIGCONT)
    oom_kills: int
    setup_step: str  # "" unless set-up failed
    setup_errno: int
    setup_path: str
    setup_detail: str
    gate_closed: bool  # the gate closed without the go: nothing ran
    status_lost: bool  # the wait status could not be had
    cpu_usec: int | None
    memory_peak_bytes: int | None
    io_read_bytes: int | None
    io_write_bytes: int | None
    log_bytes: int
    log_dropped_bytes: int


@dataclass(frozen=True, slots=True)
class RunFact:
    """What /run/joblet/jobs knows of one job of this boot."""

    job_id: str
    supervisor_known: bool  # it wrote a run record: the job's processes were forked
    supervisor_alive: bool
    started_usec: int | None
    ended: Ended | None
    # Since its first process was made, by a clock that nobody sets: seconds more than its program.
    age_usec: int | None = None


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What is in a job's log: bytes ever written (also those the cap dropped), bytes lost."""

    end_offset: int
    valid_from: int
    dropped_bytes: int
    sealed: bool


class UnitProperty(NamedTuple):
    """One property of a transient unit: its D-Bus signature and value."""

    name: str
    signature: str
    value: object


@dataclass(frozen=True, slots=True)
class Outline:
    """What a job would be on this host: its scope, and the steps up to its program in words."""

    unit: str
    properties: tuple[UnitProperty, ...]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running job uses; None where the host does not count it."""

    cpu_usec: int | None = None  # since its start, over all CPUs
    memory_bytes: int | None = None
    tasks: int | None = None  # processes and threads
    io_read_bytes: int | None = None  # since its start
    io_write_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HostUsage:
    """What this host has, and what of it is in use; totals count from its boot."""

    hostname: str
    cpus: int  # online
    cpu_usec: int  # spent on anything but idling, over all CPUs
    memory_bytes: int
    memory_available_bytes: int  # without swapping
    tasks: int
    load: float  # of the last minute
