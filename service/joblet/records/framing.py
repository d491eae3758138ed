"""The frame that our small records share: magic, version, then items, each bytes, a number or none.

Records grow at the end only. A reader takes the items it knows: fewer items (an older writer) mean
defaults, more items (a newer writer) are passed over; so both sides of an upgrade or a downgrade
understand each other. A change that this cannot express takes a new version number, and the
reader keeps the code for the old one.

All lengths stand together in front, so that reading a plan of hundreds of items is one call of
struct and a slice per item. Numbers are decimal text.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

Item = bytes | int | None

_HEAD = struct.Struct("<4sHI")
# The top two bits of a length say what the item is.
_BLOB, _WORD, _NONE = 0, 1 << 30, 2 << 30
_LENGTH = (1 << 30) - 1


class BadRecord(ValueError):
    """Bytes that are not a record of ours, or of a version that this program does not know."""


def pack(magic: bytes, version: int, items: Sequence[Item]) -> bytes:
    """One record."""
    lengths: list[int] = []
    parts: list[bytes] = []
    for item in items:
        if item is None:
            lengths.append(_NONE)
        elif isinstance(item, int):
            text = b"%d" % item
            lengths.append(_WORD | len(text))
            parts.append(text)
        else:
            lengths.append(_BLOB | len(item))
            parts.append(item)
    table = struct.pack(f"<{len(lengths)}I", *lengths)
    return b"".join((_HEAD.pack(magic, version, len(lengths)), table, *parts))


def unpack(data: bytes, magic: bytes, versions: Sequence[int]) -> tuple[int, list[Item]]:
    """Version and items of a record.

    Raises BadRecord for foreign, torn or trailing bytes and for a version not in `versions`.
    """
    name = magic.decode()
    if len(data) < _HEAD.size:
        raise BadRecord(f"{name} record cut short")
    found, version, count = _HEAD.unpack_from(data)
    if found != magic:
        raise BadRecord(f"expected a {name} record, found {found!r}")
    if version not in versions:
        raise BadRecord(f"{name} record of version {version} is not known here")
    at = _HEAD.size + 4 * count
    if len(data) < at:
        raise BadRecord(f"{name} record cut short")
    items: list[Item] = []
    for length in struct.unpack_from(f"<{count}I", data, _HEAD.size):
        if length <= _LENGTH:
            end = at + length
            items.append(data[at:end])
            at = end
        elif length == _NONE:
            items.append(None)
        elif length & _WORD and not length & _NONE:
            end = at + (length & _LENGTH)
            try:
                items.append(int(data[at:end]))
            except ValueError as err:
                raise BadRecord(f"{name} record with a bad number") from err
            at = end
        else:
            raise BadRecord(f"{name} record with an unknown kind of item")
    if at != len(data):
        raise BadRecord(f"{name} record cut short, or with trailing bytes")
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
