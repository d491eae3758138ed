"""The frame that our small records share: magic, version, then tagged items.

Records grow at the end only. A reader takes the items it knows: fewer items (an older writer) mean
defaults, more items (a newer writer) are passed over; so both sides of an upgrade or a downgrade
understand each other. A change that this cannot express takes a new version number, and the
reader keeps the code for the old one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

Item = bytes | int | None

_HEAD = struct.Struct("<4sHI")
_INT = struct.Struct("<q")
_LENGTH = struct.Struct("<I")
_NONE, _WORD, _BLOB = b"n", b"i", b"b"


class BadRecord(ValueError):
    """Bytes that are not a record of ours, or of a version that this program does not know."""


def pack(magic: bytes, version: int, items: Sequence[Item]) -> bytes:
    """One record. Integers are signed 64 bit."""
    parts = [_HEAD.pack(magic, version, len(items))]
    for item in items:
        if item is None:
            parts.append(_NONE)
        elif isinstance(item, int):
            parts.append(_WORD + _INT.pack(item))
        else:
            parts.append(_BLOB + _LENGTH.pack(len(item)) + item)
    return b"".join(parts)


def unpack(data: bytes, magic: bytes, versions: Sequence[int]) -> tuple[int, list[Item]]:
    """Version and items of a record.

    Raises BadRecord for foreign, torn or trailing bytes and for a version not in `versions`.
    """
    try:
        found, version, count = _HEAD.unpack_from(data)
        if found != magic:
            raise BadRecord(f"expected a {magic.decode()} record, found {found!r}")
        if version not in versions:
            raise BadRecord(f"{magic.decode()} record of version {version} is not known here")
        at = _HEAD.size
        items: list[Item] = []
        for _ in range(count):
            tag = data[at : at + 1]
            at += 1
            if tag == _NONE:
                items.append(None)
            elif tag == _WORD:
                items.append(_INT.unpack_from(data, at)[0])
                at += _INT.size
            elif tag == _BLOB:
                (length,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size
                if at + length > len(data):
                    raise BadRecord(f"{magic.decode()} record cut short")
                items.append(data[at : at + length])
                at += length
            else:
                raise BadRecord(f"{magic.decode()} record with an unknown tag {tag!r}")
    except struct.error as err:
        raise BadRecord(f"{magic.decode()} record cut short") from err
    if at != len(data):
        raise BadRecord(f"{magic.decode()} record with trailing bytes")
    return version, items


class Fields:
    """Items of a record by position, with defaults for those an older writer did not have."""

    __slots__ = ("_at", "_items", "_what")

    def __init__(self, items: list[Item], what: str) -> None:
        self._items = items
        self._at = 0
        self._what = what

    def _next(self) -> Item:
        self._at += 1
        return self._items[self._at - 1] if self._at <= len(self._items) else None

    def word(self, default: int = 0) -> int:
        """The next item as an integer. Raises BadRecord if it is a blob."""
        item = self._next()
        if item is None:
            return default
        if not isinstance(item, int):
            raise BadRecord(f"{self._what}: item {self._at} is not a number")
        return item

    def maybe_word(self) -> int | None:
        """The next item as an integer, or None when it is not known."""
        item = self._next()
        if item is not None and not isinstance(item, int):
            raise BadRecord(f"{self._what}: item {self._at} is not a number")
        return item

    def blob(self, default: bytes = b"") -> bytes:
        """The next item as bytes. Raises BadRecord if it is a number."""
        item = self._next()
        if item is None:
            return default
        if isinstance(item, int):
            raise BadRecord(f"{self._what}: item {self._at} is not a blob")
        return item
