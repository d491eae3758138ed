"""Reading a{sv}: types, unknown keys and ranges, with the key named in every complaint.

A type must be the documented one, but integers of any width stand in for one another while the
value fits: people write `busctl call … i 5`. A boolean is no integer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from joblet.bus.values import Typed
from joblet.errors import InvalidSpec

_INTEGERS = frozenset("ynqiuxt")
_TYPE_NAMES = {
    "s": "a string (s)",
    "as": "an array of strings (as)",
    "a{ss}": "a dictionary of strings (a{ss})",
    "b": "a boolean (b)",
    "u": "a number (u)",
    "t": "a number (t)",
    "h": "a file descriptor (h)",
}
# A key comes from a stranger and goes into an error message and the log.
_KEY_SHOWN_MAX = 64


class Key(NamedTuple):
    """A documented key: its signature and what else must hold (raises InvalidSpec)."""

    signature: str
    check: Callable[[str, object], object]


def read(
    options: Mapping[str, Typed], known: Mapping[str, Key], hints: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The checked values; hints say more than "unknown" of some keys. Raises InvalidSpec."""
    values = {}
    for name, typed in options.items():
        key = known.get(name)
        if key is None:
            raise _unknown(name, known, hints or {})
        if not _fits(typed.signature, key.signature):
            wanted = _TYPE_NAMES.get(key.signature, key.signature)
            raise InvalidSpec(name, f"expected {wanted}, got type '{typed.signature}'")
        values[name] = key.check(name, typed.value)
    return values


def number(minimum: int, maximum: int, *, zero: bool = False) -> Callable[[str, object], int]:
    """A check for a range; zero: 0 is allowed besides."""

    def check(name: str, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidSpec(name, "expected a number")
        if not (minimum <= value <= maximum or (zero and value == 0)):
            none = "0 or " if zero and minimum > 0 else ""
            raise InvalidSpec(name, f"use {none}{minimum} to {maximum}, not {value}")
        return value

    return check


def text(name: str, value: object) -> str:
    """A check for a string without NUL."""
    if not isinstance(value, str):
        raise InvalidSpec(name, "expected a string")
    if "\0" in value:
        raise InvalidSpec(name, "must not contain a NUL character")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """A check for an array of strings without NUL."""
    if not isinstance(value, list):
        raise InvalidSpec(name, "expected an array of strings")
    for index, item in enumerate(value):
        if not isinstance(item, str) or "\0" in item:
            text(f"{name}[{index}]", item)
    return tuple(value)


def flag(name: str, value: object) -> bool:
    """A check for a boolean."""
    if not isinstance(value, bool):
        raise InvalidSpec(name, "expected a boolean")
    return value


def descriptor(name: str, value: object) -> int:
    """A check for a descriptor."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidSpec(name, "expected a file descriptor")
    return value


def _fits(signature: str, wanted: str) -> bool:
    return signature == wanted or (wanted in _INTEGERS and signature in _INTEGERS)


def _unknown(name: str, known: Mapping[str, Key], hints: Mapping[str, str]) -> InvalidSpec:
    if name in hints:
        return InvalidSpec(name, hints[name])
    shown = name if len(name) <= _KEY_SHOWN_MAX else name[:_KEY_SHOWN_MAX] + "…"
    if not shown or not shown.isprintable():
        shown = ascii(shown)
    if not known:
        return InvalidSpec(shown, "unknown key; there are no options yet")
    return InvalidSpec(shown, f"unknown key; known are {', '.join(sorted(known))}")
