"""The states of a job, why it ended, and the one table of legal transitions.

Apart from job.py for the clients' sake: they know jobs as they are told of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job is in its life; the second line holds the terminal states."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    CANCELED = "CANCELED"
    TIMEOUT = "TIMEOUT"

    @property
    def terminal(self) -> bool:
        """True when nothing can follow."""
        return not TRANSITIONS[self]


class Reason(StrEnum):
    """Why a job is in its terminal state."""

    EXIT = "exit"
    SIGNAL = "signal"
    OOM = "oom"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    CANCELED = "canceled"
    SETUP = "setup"
    SHUTDOWN = "shutdown"
    LOST = "lost"


_S = JobState
# A launch that never passed the gate has not run anything: it goes back to the queue.
TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    _S.SCHEDULED: frozenset({_S.PENDING, _S.CANCELED}),
    _S.PENDING: frozenset({_S.INITIALIZING, _S.CANCELED, _S.FAILED}),
    _S.INITIALIZING: frozenset(
        {_S.PENDING, _S.RUNNING, _S.COMPLETED, _S.FAILED, _S.STOPPED, _S.TIMEOUT}
    ),
    _S.RUNNING: frozenset({_S.COMPLETED, _S.FAILED, _S.STOPPED, _S.TIMEOUT}),
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.STOPPED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.TIMEOUT: frozenset(),
}
