"""What people write for a time, as microseconds: durations, and moments since the epoch.

A duration is a sum of parts, the largest unit first, each unit at most once: `90s`, `1h30m`,
`1h 30m`, `2 hours, 30 min`, `1.5h`, `2d`, `1w`; any case. A number without a unit is refused, since
programs disagree on what it means. Decimals are taken when they are a whole number of microseconds.

A moment is a duration from now (`1h30m`, `+1h30m`), RFC 3339 with a zone, or a local time
`YYYY-MM-DD HH:MM[:SS]` (also with `T`). A local time that the change of clocks skips or repeats is
refused, because it does not name one moment. The whole text must match: nothing is skipped.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

SECOND = 1_000_000
YEARS_MAX = 10
# Ten years with their leap days: a duration beyond is a slip of the finger.
DURATION_MAX = (YEARS_MAX * 365 + 3) * 86_400 * SECOND

_UNITS = (
    (7 * 86_400 * SECOND, ("w", "wk", "wks", "week", "weeks")),
    (86_400 * SECOND, ("d", "day", "days")),
    (3_600 * SECOND, ("h", "hr", "hrs", "hour", "hours")),
    (60 * SECOND, ("m", "min", "mins", "minute", "minutes")),
    (SECOND, ("s", "sec", "secs", "second", "seconds")),
    (1_000, ("ms", "msec", "msecs", "millisecond", "milliseconds")),
)
_USEC_OF = {word: usec for usec, words in _UNITS for word in words}
_PART = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?\s*([a-z]+)(?:\s*,\s*(?=[0-9])|\s*)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?"
)
_EXAMPLES = "use a duration such as 90s, 1h30m or 2d"
_MOMENTS = f"{_EXAMPLES}, or a time such as 2030-01-31T22:00:00Z or '2030-01-31 22:00'"


class BadTime(ValueError):
    """The text is not a time; the message says why in one clause."""


def duration(text: str) -> int:
    """Microseconds. Raises BadTime."""
    return _duration(text, _EXAMPLES)


def moment(text: str, *, now_usec: int, ago: bool = False) -> int:
    """Microseconds since the epoch; with `ago` a duration counts back from now.

    A moment of the past is as good as any other. Raises BadTime, also beyond ten years from now.
    """
    stripped = text.strip()
    match = _DATE_TIME.fullmatch(stripped)
    if match is not None:
        at_usec = _absolute(match, stripped)
    elif ago:
        at_usec = now_usec - _duration(stripped, _MOMENTS)
    else:
        at_usec = now_usec + _duration(stripped.removeprefix("+"), _MOMENTS)
    if at_usec > now_usec + DURATION_MAX:
        raise BadTime(f"more than {YEARS_MAX} years from now")
    return at_usec


def _duration(text: str, examples: str) -> int:
    rest = text.strip().lower()
    if not rest:
        raise BadTime(f"empty; {examples}")
    if _NUMBER.fullmatch(rest):
        raise BadTime(f"a unit is missing: is it {rest}s, {rest}m or {rest}h?")
    total = at = 0
    smallest = 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise BadTime(examples)
        whole, fraction, word = part[1], part[2] or "", part[3]
        unit = _USEC_OF.get(word)
        if unit is None:
            raise BadTime(f"unknown unit '{word}'; {examples}")
        if smallest and unit >= smallest:
            raise BadTime("each unit may come once, the largest first")
        smallest = unit
        # Integers, not floats: 0.1 of something must not become 0.1000000000000000055.
        scaled, remainder = divmod(int(whole + fraction) * unit, int(10 ** len(fraction)))
        if remainder:
            raise BadTime(f"'{part[0].strip()}' is not a whole number of microseconds")
        total += scaled
        at = part.end()
    if total > DURATION_MAX:
        raise BadTime(f"more than {YEARS_MAX} years")
    return total


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
