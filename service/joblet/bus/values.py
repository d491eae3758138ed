"""What travels in messages: values with types, their errors, and signatures parsed once.

Variants leave this package as plain values (in replies and signals, where we know what we asked
for) or as Typed pairs (in calls from strangers, where the type is part of what must be checked),
and enter it as Typed pairs. Descriptors are plain integers on our side and indexes on the wire.
encode.py and decode.py turn values into bytes and back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from joblet.bus.library import SignatureTree

# Codes of the struct module for the numbers that stand for themselves.
NUMBERS = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
_ALIGNMENT = {"n": 2, "q": 2, "x": 8, "t": 8, "d": 8, "(": 8, "{": 8, "y": 1, "g": 1, "v": 1}
_PATH = re.compile(r"/|(?:/[A-Za-z0-9_]+)+")


class Typed(NamedTuple):
    """A value with its D-Bus signature: what travels in a variant."""

    signature: str
    value: Any


class Unsendable(ValueError):
    """A value that does not fit its signature, or that no message may carry."""


class Malformed(ValueError):
    """Bytes that are not what their signature says."""


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors that nobody took."""
    for fd in fds:
        os.close(fd)


def is_path(text: str) -> bool:
    """True for an object path."""
    return _PATH.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def parts(signature: str) -> tuple[Any, ...]:
    """The complete types of a signature, parsed. Raises Unsendable."""
    try:
        return tuple(SignatureTree(signature).types)
    except ValueError as err:
        raise Unsendable(f"bad signature '{signature}': {err}") from err


def alignment(part: Any) -> int:
    """Where a value of this type may begin: at a multiple of so many bytes."""
    return _ALIGNMENT.get(part.signature[0], 4)
