"""What people write for a moment, as microseconds since the epoch.

A moment is a duration from now (`1h30m`, `+1h30m`; the grammar is that of joblet.model.limits),
RFC 3339 with a zone, or a local time `YYYY-MM-DD HH:MM[:SS]` (also with `T`). A local time that the
change of clocks skips or repeats is refused, because it does not name one moment. The whole text
must match: nothing is skipped.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from joblet.model.limits import (
    DURATION_EXAMPLES,
    DURATION_MAX,
    YEARS_MAX,
    BadLimit,
    parse_duration,
)

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?"
)
_MOMENTS = f"{DURATION_EXAMPLES}, or a time such as 2030-01-31T22:00:00Z or '2030-01-31 22:00'"


class BadTime(ValueError):
    """The text is not a time; the message says why in one clause."""


def moment(text: str, *, now_usec: int, ago: bool = False) -> int:
    """Microseconds since the epoch; with `ago` a duration counts back from now.

    A moment of the past is as good as any other. Raises BadTime, also beyond ten years from now.
    """
    stripped = text.strip()
    match = _DATE_TIME.fullmatch(stripped)
    if match is not None:
        at_usec = _absolute(match, stripped)
    elif ago:
        at_usec = now_usec - _duration(stripped)
    else:
        at_usec = now_usec + _duration(stripped.removeprefix("+"))
    if at_usec > now_usec + DURATION_MAX:
        raise BadTime(f"more than {YEARS_MAX} years from now")
    return at_usec


def _duration(text: str) -> int:
    try:
        return parse_duration(text, _MOMENTS)
    except BadLimit as err:
        raise BadTime(str(err)) from err


def _absolute(match: re.Match[str], text: str) -> int:
    year, month, day, hour, minute, second = (int(match[i] or 0) for i in range(1, 7))
    usec = int((match[7] or "0").ljust(6, "0")[:6])
    try:
        naive = datetime(year, month, day, hour, minute, second, usec)
        if match[8]:
            return _usec(naive.replace(tzinfo=UTC))
        if match[9]:
            if int(match[11]) > 59:
                raise BadTime("no such zone offset")
            offset = timedelta(hours=int(match[10]), minutes=int(match[11]))
            zone = timezone(offset if match[9] == "+" else -offset)
            return _usec(naive.replace(tzinfo=zone))
        return _local(naive, text)
    except (ValueError, OverflowError) as err:
        if isinstance(err, BadTime):
            raise
        raise BadTime(f"no such date or time: {err}") from err


def _local(naive: datetime, text: str) -> int:
    early, late = naive.astimezone(), naive.replace(fold=1).astimezone()
    if early.utcoffset() == late.utcoffset():
        return _usec(early)
    if early.replace(tzinfo=None) != naive:
        raise BadTime(f"the clocks skip {text} on that day; name the zone, for example {text}Z")
    zones = [aware.isoformat()[-6:] for aware in (early, late)]
    raise BadTime(f"the clocks repeat {text} on that day; name the zone: {' or '.join(zones)}")


def _usec(aware: datetime) -> int:
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
