"""Which jobs a list shows, and in which order: `--filter KEY=VALUE` and `--sort KEY`.

Pure, but for the names of users. States are left to the daemon, which has an index of them.
"""

from __future__ import annotations

import pwd
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from joblet.client.api import JobStatus
from joblet.model.states import JobState, Reason
from jobletctl import jobview, suggest
from jobletctl.paramtypes import BadValue, Parsed

FILTER_KEYS = ("name", "state", "reason", "owner", "exit-code")


class Condition(NamedTuple):
    """One `KEY=VALUE`, the value as it is compared."""

    key: str
    value: object
    # It was the name of a user of this host.
    by_name: bool = False


class Order(NamedTuple):
    """One of KEYS; what is not known comes last either way."""

    key: str
    reverse: bool = False

    def sorted(self, jobs: Iterable[JobStatus], now_usec: int) -> list[JobStatus]:
        """The jobs in this order; those that are alike stay as they were."""
        read = _READ[self.key]
        known: list[tuple[Any, JobStatus]] = []
        unknown: list[JobStatus] = []
        for job in jobs:
            value = read(job, now_usec)
            if value is None:
                unknown.append(job)
            else:
                known.append((value, job))
        # turned round or not, those that are alike keep their order
        known.sort(key=lambda pair: pair[0], reverse=self.reverse)
        return [job for _, job in known] + unknown


def matches(job: JobStatus, conditions: Sequence[Condition]) -> bool:
    """Whether of each key that is named at least one condition is true."""
    met: dict[str, bool] = {}
    for one in conditions:
        met[one.key] = met.get(one.key, False) or _MATCH[one.key](job, one.value)
    return all(met.values())


def states_of(
    conditions: Sequence[Condition],
) -> tuple[tuple[Condition, ...], frozenset[JobState]]:
    """The conditions without those on states, and the states that these name."""
    states = frozenset(one.value for one in conditions if isinstance(one.value, JobState))
    rest = tuple(one for one in conditions if not isinstance(one.value, JobState))
    return rest, states


def _parse_condition(text: str) -> Condition:
    key, equals, value = text.partition("=")
    known = ", ".join(FILTER_KEYS)
    key = key.strip().lower().replace("_", "-")
    if key not in FILTER_KEYS:
        raise BadValue(f"no such key '{key}'{suggest.meant(key, FILTER_KEYS)}; keys are {known}")
    if not equals:
        raise BadValue(f"use {key}=VALUE")
    found = _VALUES[key](value.strip())
    return Condition(key, found, by_name=key == "owner" and not value.strip().isdecimal())


def _parse_order(text: str) -> Order:
    key = text.removeprefix("-").strip().lower().replace("_", "-")
    if key not in KEYS:
        known = ", ".join(KEYS)
        raise BadValue(f"no such key '{key}'{suggest.meant(key, KEYS)}; keys are {known}")
    return Order(key, text.startswith("-"))


def _state(text: str) -> JobState:
    """A state, in letters of any case. Raises BadValue."""
    try:
        return JobState(text.upper())
    except ValueError as err:
        known = ", ".join(JobState)
        raise BadValue(
            f"no such state '{text}'{suggest.meant(text, JobState)}; states are {known}"
        ) from err


def _reason(text: str) -> Reason:
    try:
        return Reason(text.lower())
    except ValueError as err:
        known = ", ".join(Reason)
        raise BadValue(
            f"no such reason '{text}'{suggest.meant(text, Reason)}; reasons are {known}"
        ) from err


def _owner(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError as err:
        raise BadValue(f"there is no user '{text}'; use a name or a uid") from err


def _exit_code(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 255):
        raise BadValue(f"'{text}' is no exit code; use 0 to 255")
    return int(text)


def _name(text: str) -> str:
    if not text:
        raise BadValue("the name is empty; a job without a name is found by nothing")
    return text


def _has_name(job: JobStatus, wanted: object) -> bool:
    return fnmatchcase(job.name, str(wanted))


_VALUES: Mapping[str, Callable[[str], object]] = {
    "name": _name,
    "state": _state,
    "reason": _reason,
    "owner": _owner,
    "exit-code": _exit_code,
}
_MATCH: Mapping[str, Callable[[JobStatus, object], bool]] = {
    "name": _has_name,
    "reason": lambda job, wanted: job.reason == wanted,
    "owner": lambda job, wanted: job.owner_uid == wanted,
    "exit-code": lambda job, wanted: job.exit_code == wanted,
}
_READ: Mapping[str, Callable[[JobStatus, int], Any]] = {
    "submitted": lambda job, now_usec: job.submitted_usec,
    "start": lambda job, now_usec: job.started_usec,
    "end": lambda job, now_usec: job.finished_usec,
    "duration": jobview.run_time_usec,
    "name": lambda job, now_usec: job.name or None,
    "state": lambda job, now_usec: job.state.value,
    "owner": lambda job, now_usec: jobview.owner(job.owner_uid),
    "exit-code": lambda job, now_usec: job.exit_code,
    "queued": lambda job, now_usec: job.queue_usec,
    "cpu": lambda job, now_usec: job.cpu_usec,
    "memory": lambda job, now_usec: job.memory_peak_bytes,
    "read": lambda job, now_usec: job.io_read_bytes,
    "written": lambda job, now_usec: job.io_write_bytes,
}
KEYS = tuple(_READ)

CONDITION = Parsed("key=value", _parse_condition)
ORDER = Parsed("key", _parse_order)
