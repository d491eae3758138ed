"""The bytes of a message's body to Python values, compiled once per signature and byte order.

The library's own unmarshalling costs some 90 us per message; this takes a small part of that. What
arrives was checked by the bus daemon, so broken bytes need no more than to be noticed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from joblet.bus.values import NUMBERS, Malformed, Typed, alignment, parts

Read = Callable[[bytes, int, Sequence[int]], tuple[Any, int]]

LITTLE, BIG = "<", ">"
# Of a message of a stranger. A signature that was not seen lately is compiled, for some 2 us per
# character, and kept; what options are documented to have is a tenth of this.
_VARIANTS_MAX = 256
_SIGNATURE_MAX = 32


class _Given(list[int]):
    """Descriptors of a message of a stranger, and how many variants it has had up to now."""

    variants = 0


def decode(
    signature: str, data: bytes, fds: Sequence[int], *, order: str, typed: bool
) -> list[Any]:
    """The values of a body; fds are those that came with the message. Raises Malformed."""
    values = []
    offset = 0
    if typed:
        fds = _Given(fds)
    try:
        for read in _readers(signature, order, typed):
            value, offset = read(data, offset, fds)
            values.append(value)
    except (struct.error, LookupError, TypeError, ValueError, RecursionError) as err:
        raise Malformed(f"not a body of signature '{signature}': {err}") from err
    if offset != len(data):
        raise Malformed(f"{len(data)} bytes are not a body of signature '{signature}'")
    return values


def skip_variant(data: bytes, offset: int, order: str) -> tuple[Any, int]:
    """The value of any type at an offset of a header, and where it ends."""
    # A descriptor there stands for nothing, so any index will do.
    return _variant_reader(order)(data, offset, range(1 << 32))


@lru_cache(maxsize=1024)
def _readers(signature: str, order: str, typed: bool) -> list[Read]:
    return [_reader(part, order, typed) for part in parts(signature)]


def _reader(part: Any, order: str, typed: bool) -> Read:
    kind = part.signature[0]
    if kind in NUMBERS:
        return _number_reader(order + NUMBERS[kind], alignment(part))
    if kind == "(":
        return _struct_reader([_reader(child, order, typed) for child in part.children])
    if kind == "a":
        child = part.children[0]
        if child.signature == "y":
            return _bytes_reader(order)
        if child.signature[0] == "{":
            key, content = (_reader(half, order, typed) for half in child.children)
            return _dict_reader(key, content, order)
        return _array_reader(_reader(child, order, typed), alignment(child), order)
    if kind == "v":
        return _typed_reader(order) if typed else _variant_reader(order)
    if kind == "g":
        return _read_signature
    if kind in "so":
        return _text_reader(order)
    number = _number_reader(order + "I", 4)
    return _bool_reader(number) if kind == "b" else _fd_reader(number)


def _number_reader(code: str, size: int) -> Read:
    unpack = struct.Struct(code).unpack_from
    width = struct.calcsize(code)

    def read(data: bytes, offset: int, _fds: Sequence[int]) -> tuple[Any, int]:
        offset += -offset & (size - 1)
        return unpack(data, offset)[0], offset + width

    return read


def _bool_reader(number: Read) -> Read:
    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        value, offset = number(data, offset, fds)
        return bool(value), offset

    return read


def _fd_reader(number: Read) -> Read:
    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        index, offset = number(data, offset, fds)
        if index >= len(fds):
            raise Malformed(f"descriptor {index} did not come with the message")
        return fds[index], offset

    return read


def _text_reader(order: str) -> Read:
    unpack = struct.Struct(order + "I").unpack_from

    def read(data: bytes, offset: int, _fds: Sequence[int]) -> tuple[Any, int]:
        offset += -offset & 3
        start = offset + 4
        end = start + unpack(data, offset)[0]
        return data[start:end].decode(), end + 1

    return read


def _read_signature(data: bytes, offset: int, _fds: Sequence[int]) -> tuple[str, int]:
    end = offset + 1 + data[offset]
    return data[offset + 1 : end].decode(), end + 1


def _bytes_reader(order: str) -> Read:
    length = _number_reader(order + "I", 4)

    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        size, offset = length(data, offset, fds)
        return data[offset : offset + size], offset + size

    return read


def _struct_reader(fields: list[Read]) -> Read:
    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        offset += -offset & 7
        values = []
        for field in fields:
            value, offset = field(data, offset, fds)
            values.append(value)
        return values, offset

    return read


def _array_reader(element: Read, alignment: int, order: str) -> Read:
    length = _number_reader(order + "I", 4)

    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        size, offset = length(data, offset, fds)
        offset += -offset & (alignment - 1)
        end = offset + size
        values = []
        while offset < end:
            value, offset = element(data, offset, fds)
            values.append(value)
        return values, offset

    return read


def _dict_reader(key: Read, content: Read, order: str) -> Read:
    length = _number_reader(order + "I", 4)

    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        size, offset = length(data, offset, fds)
        offset += -offset & 7
        end = offset + size
        values = {}
        while offset < end:
            offset += -offset & 7
            name, offset = key(data, offset, fds)
            values[name], offset = content(data, offset, fds)
        return values, offset

    return read


def _variant_reader(order: str) -> Read:
    def read(data: bytes, offset: int, fds: Sequence[int]) -> tuple[Any, int]:
        signature, offset = _read_signature(data, offset, fds)
        [reader] = _readers(signature, order, False)
        return reader(data, offset, fds)

    return read


def _typed_reader(order: str) -> Read:
    def read(data: bytes, offset: int, fds: Any) -> tuple[Any, int]:
        signature, offset = _read_signature(data, offset, fds)
        fds.variants += 1
        if fds.variants > _VARIANTS_MAX:
            raise Malformed(f"more than {_VARIANTS_MAX} variants")
        if len(signature) > _SIGNATURE_MAX:
            raise Malformed(f"a variant of signature '{signature[:_SIGNATURE_MAX]}…'")
        [reader] = _readers(signature, order, True)
        value, offset = reader(data, offset, fds)
        return Typed(signature, value), offset

    return read
