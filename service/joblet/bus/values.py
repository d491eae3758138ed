"""Plain Python values to the library's form and back, by signature.

Variants leave this package as plain values (in replies and signals, where we know what we asked
for) or as Typed pairs (in calls from strangers, where the type is part of what must be checked),
and enter it as Typed pairs. Descriptors are plain integers on our side and indexes on the wire.
Converters are compiled once per signature; a part of a signature that needs no conversion costs
nothing. Ranges and types of basic values are the library's to verify when it marshals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from joblet.bus.library import SignatureTree, Unsendable, Variant

_Converter = Callable[[Any, list[int]], Any]


class Typed(NamedTuple):
    """A value with its D-Bus signature: what travels in a variant."""

    signature: str
    value: Any


def pack(signature: str, body: Sequence[Any], fds: list[int]) -> list[Any]:
    """The library's form of body; descriptors found in it are appended to fds.

    Raises Unsendable.
    """
    converters = _packers(signature)
    if len(converters) != len(body):
        raise Unsendable(f"{len(body)} values for signature '{signature}'")
    return [
        value if convert is None else convert(value, fds)
        for convert, value in zip(converters, body, strict=True)
    ]


def pack_variant(value: Any, fds: list[int]) -> Any:
    """One Typed pair as the library's variant. Raises Unsendable."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise Unsendable(f"a variant is a pair of signature and value, not {value!r}")
    signature, content = value
    [packed] = pack(signature, [content], fds)
    try:
        return Variant(signature, packed)
    except (ValueError, TypeError) as err:
        raise Unsendable(str(err)) from err


def unpack(signature: str, body: Sequence[Any], fds: list[int], *, typed: bool) -> list[Any]:
    """Our form of a received body; fds are those that came with it.

    Raises Unsendable if a descriptor is missing.
    """
    return [
        value if convert is None else convert(value, fds)
        for convert, value in zip(_unpackers(signature, typed), body, strict=True)
    ]


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors that nobody took."""
    for fd in fds:
        os.close(fd)


@lru_cache(maxsize=1024)
def _packers(signature: str) -> list[_Converter | None]:
    try:
        return [_packer(part) for part in SignatureTree(signature).types]
    except ValueError as err:
        raise Unsendable(f"bad signature '{signature}': {err}") from err


def _packer(part: Any) -> _Converter | None:
    kind = part.signature[0]
    if kind in "sog":
        return _pack_text
    if kind == "h":
        return _pack_fd
    if kind == "v":
        return pack_variant
    if kind == "(":
        return _pack_struct([_packer(child) for child in part.children])
    if kind == "a":
        child = part.children[0]
        if child.signature[0] == "{":
            return _pack_dict(*(_packer(half) for half in child.children))
        if child.signature[0] == "y":
            return lambda value, _fds: bytes(value)
        return _pack_list(_packer(child))
    return None


def _pack_text(value: Any, _fds: list[int]) -> Any:
    # The daemon answers a NUL by closing the connection, which would cost us every client.
    if not isinstance(value, str) or "\0" in value:
        raise Unsendable(f"not a string that a message can carry: {value!r}")
    return value


def _pack_fd(value: Any, fds: list[int]) -> Any:
    fds.append(value)
    return len(fds) - 1


def _pack_struct(converters: list[_Converter | None]) -> _Converter:
    def convert(value: Any, fds: list[int]) -> Any:
        if len(value) != len(converters):
            raise Unsendable(f"a structure of {len(converters)} fields, not {value!r}")
        return [
            item if field is None else field(item, fds)
            for field, item in zip(converters, value, strict=True)
        ]

    return convert


def _pack_list(element: _Converter | None) -> _Converter:
    if element is None:
        return lambda value, _fds: list(value)
    return lambda value, fds: [element(item, fds) for item in value]


def _pack_dict(key: _Converter | None, value: _Converter | None) -> _Converter:
    def convert(mapping: Any, fds: list[int]) -> Any:
        return {
            (k if key is None else key(k, fds)): (v if value is None else value(v, fds))
            for k, v in mapping.items()
        }

    return convert


@lru_cache(maxsize=1024)
def _unpackers(signature: str, typed: bool) -> list[_Converter | None]:
    return [_unpacker(part, typed) for part in SignatureTree(signature).types]


def _unpacker(part: Any, typed: bool) -> _Converter | None:
    kind = part.signature[0]
    if kind == "h":
        return _unpack_fd
    if kind == "v":
        return _unpack_typed if typed else _unpack_plain
    if kind == "(":
        fields = [_unpacker(child, typed) for child in part.children]
        return _pack_struct(fields) if any(fields) else None
    if kind == "a":
        child = part.children[0]
        if child.signature[0] == "{":
            key, value = (_unpacker(half, typed) for half in child.children)
            return _pack_dict(key, value) if key or value else None
        element = _unpacker(child, typed)
        return _pack_list(element) if element else None
    return None


def _unpack_fd(index: Any, fds: list[int]) -> Any:
    if index >= len(fds):
        raise Unsendable(f"descriptor {index} did not come with the message")
    return fds[index]


def _unpack_plain(variant: Any, fds: list[int]) -> Any:
    [convert] = _unpackers(variant.signature, False)
    return variant.value if convert is None else convert(variant.value, fds)


def _unpack_typed(variant: Any, fds: list[int]) -> Any:
    [convert] = _unpackers(variant.signature, True)
    value = variant.value if convert is None else convert(variant.value, fds)
    return Typed(variant.signature, value)
