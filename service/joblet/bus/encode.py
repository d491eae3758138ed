"""Python values to the bytes of a message's body, compiled once per signature.

The library's own marshalling costs some 50 us per message, half of what jobletd spends on one;
this takes a small part of that. Everything is checked here, because the daemon answers a bad
message by closing the connection, and that would cost us every client.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from joblet.bus.values import NUMBERS, Unsendable, alignment, is_path, parts

Write = Callable[[bytearray, Any, list[int]], None]

_PADDING = [bytes(size) for size in range(8)]
_U32 = struct.Struct("<I")
# Limits of the D-Bus specification.
_ARRAY_MAX_BYTES = 1 << 26
_SIGNATURE_MAX_BYTES = 255


def encode(signature: str, body: Sequence[Any], fds: list[int]) -> bytearray:
    """The bytes of a body; descriptors found in it are appended to fds. Raises Unsendable."""
    writers = _writers(signature)
    if len(writers) != len(body):
        raise Unsendable(f"{len(body)} values for signature '{signature}'")
    out = bytearray()
    try:
        for write, value in zip(writers, body, strict=True):
            write(out, value, fds)
    except (struct.error, TypeError, AttributeError, UnicodeEncodeError) as err:
        raise Unsendable(f"a value does not fit signature '{signature}': {err}") from err
    return out


@lru_cache(maxsize=1024)
def _writers(signature: str) -> list[Write]:
    return [_writer(part) for part in parts(signature)]


def _align(out: bytearray, size: int) -> None:
    out += _PADDING[-len(out) & (size - 1)]


def _writer(part: Any) -> Write:
    kind = part.signature[0]
    if kind in NUMBERS:
        return _number_writer(NUMBERS[kind], alignment(part))
    if kind == "(":
        return _struct_writer([_writer(child) for child in part.children])
    if kind == "a":
        child = part.children[0]
        if child.signature == "y":
            return _write_bytes
        if child.signature[0] == "{":
            return _dict_writer(*(_writer(half) for half in child.children))
        return _array_writer(_writer(child), alignment(child))
    return _WRITERS[kind]


def _number_writer(code: str, size: int) -> Write:
    pack = struct.Struct("<" + code).pack

    def write(out: bytearray, value: Any, _fds: list[int]) -> None:
        out += _PADDING[-len(out) & (size - 1)]
        out += pack(value)

    return write


def _write_bool(out: bytearray, value: Any, _fds: list[int]) -> None:
    if not isinstance(value, bool):
        raise Unsendable(f"not a boolean: {value!r}")
    _align(out, 4)
    out += _U32.pack(value)


def _write_text(out: bytearray, value: Any, _fds: list[int]) -> None:
    data = value.encode()
    if b"\0" in data:
        raise Unsendable(f"not a string that a message can carry: {value!r}")
    out += _PADDING[-len(out) & 3]
    out += _U32.pack(len(data))
    out += data
    out.append(0)


def _write_path(out: bytearray, value: Any, fds: list[int]) -> None:
    if not is_path(value):
        raise Unsendable(f"not an object path: {value!r}")
    _write_text(out, value, fds)


def _write_signature(out: bytearray, value: Any, _fds: list[int]) -> None:
    if len(value) > _SIGNATURE_MAX_BYTES:
        raise Unsendable("a signature of more than 255 bytes")
    parts(value)
    out.append(len(value))
    out += value.encode("ascii")
    out.append(0)


def _write_fd(out: bytearray, value: Any, fds: list[int]) -> None:
    _align(out, 4)
    out += _U32.pack(len(fds))
    fds.append(value)


def _write_variant(out: bytearray, value: Any, fds: list[int]) -> None:
    if not isinstance(value, tuple) or len(value) != 2:
        raise Unsendable(f"a variant is a pair of signature and value, not {value!r}")
    signature, content = value
    writers = _writers(signature)
    if len(writers) != 1:
        raise Unsendable(f"a variant of signature '{signature}'")
    _write_signature(out, signature, fds)
    writers[0](out, content, fds)


def _write_bytes(out: bytearray, value: Any, _fds: list[int]) -> None:
    data = bytes(memoryview(value))
    _align(out, 4)
    out += _U32.pack(len(data))
    out += data


def _struct_writer(fields: list[Write]) -> Write:
    def write(out: bytearray, value: Any, fds: list[int]) -> None:
        if isinstance(value, str) or len(value) != len(fields):
            raise Unsendable(f"a structure of {len(fields)} fields, not {value!r}")
        _align(out, 8)
        for field, item in zip(fields, value, strict=True):
            field(out, item, fds)

    return write


def _array_writer(element: Write, alignment: int) -> Write:
    def write(out: bytearray, value: Any, fds: list[int]) -> None:
        if isinstance(value, str | bytes | dict):
            raise Unsendable(f"not an array: {value!r}")
        start = _open_array(out, alignment)
        for item in value:
            element(out, item, fds)
        _close_array(out, start, alignment)

    return write


def _dict_writer(key: Write, content: Write) -> Write:
    def write(out: bytearray, value: Any, fds: list[int]) -> None:
        start = _open_array(out, 8)
        for name, item in value.items():
            out += _PADDING[-len(out) & 7]
            key(out, name, fds)
            content(out, item, fds)
        _close_array(out, start, 8)

    return write


def _open_array(out: bytearray, alignment: int) -> int:
    out += _PADDING[-len(out) & 3]
    out += b"\0\0\0\0"
    start = len(out)
    if alignment == 8:
        out += _PADDING[-start & 7]
    return start


def _close_array(out: bytearray, start: int, alignment: int) -> None:
    # The padding before the first element does not count.
    size = len(out) - (start + (-start & (alignment - 1)))
    if size > _ARRAY_MAX_BYTES:
        raise Unsendable("an array of more than 64 MiB")
    _U32.pack_into(out, start - 4, size)


_WRITERS: dict[str, Write] = {
    "b": _write_bool,
    "s": _write_text,
    "o": _write_path,
    "g": _write_signature,
    "h": _write_fd,
    "v": _write_variant,
}
