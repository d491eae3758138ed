"""Durations as Go programs write them: `90s`, `1h30m`, `1.5h`, `250ms`. Pure."""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS_USEC = {
    "ns": Fraction(1, 1000),
    "us": Fraction(1),
    "µs": Fraction(1),  # both spellings of micro
    "μs": Fraction(1),
    "ms": Fraction(1000),
    "s": Fraction(1_000_000),
    "m": Fraction(60_000_000),
    "h": Fraction(3_600_000_000),
}
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(ns|us|µs|μs|ms|s|m|h)")
_TEXT_MAX = 64


def parse_usec(text: str) -> int:
    """Microseconds of a positive duration, at least one. Raises ValueError."""
    if len(text) > _TEXT_MAX:
        raise ValueError("too long for a duration")
    total = Fraction(0)
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise ValueError("expected a duration like 90s, 10m or 1h30m")
        total += Fraction(part[1].rstrip(".")) * _UNITS_USEC[part[2]]
        position = part.end()
    if total <= 0:
        raise ValueError("expected a duration above zero, like 90s, 10m or 1h30m")
    return max(1, round(total))


def format_usec(usec: int) -> str:
    """As Go prints it, so that its parser and ours read it back; "" for none."""
    if not usec:
        return ""
    seconds, below = divmod(usec, 1_000_000)
    if not seconds:
        return _number(usec, 1000) + "ms" if usec >= 1000 else f"{usec}µs"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return text + _number(seconds * 1_000_000 + below, 1_000_000) + "s"


def _number(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    fraction = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)
