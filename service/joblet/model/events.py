"""Facts that core publishes and the edge turns into signals and journal entries."""

from __future__ import annotations

from dataclasses import dataclass

from joblet.model.job import Job


@dataclass(frozen=True, slots=True)
class JobNew:
    """A job was accepted; it is durable."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A live job moved to another state."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job reached a terminal state; the record is durable."""

    job: Job


@dataclass(frozen=True, slots=True)
class JobRemoved:
    """A job's record, log and work directory are gone."""

    job: Job


Event = JobNew | JobChanged | JobFinished | JobRemoved
