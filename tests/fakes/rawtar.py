"""Tar blocks made by hand, with every lie that a real packer would refuse to write."""

from __future__ import annotations

from collections.abc import Mapping

POSIX, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)
END = bytes(1024)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def binary(value: int, width: int) -> bytes:
    """GNU's form of a number that octal digits cannot hold."""
    if value < 0:
        return value.to_bytes(width, "big", signed=True)
    return b"\x80" + value.to_bytes(width - 1, "big")


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    mtime: int | bytes = 1_000_000_000,
    target: bytes = b"",
    magic: bytes = POSIX,
    prefix: bytes = b"",
    checksum: bytes | None = None,
) -> bytes:
    """One block; numbers as bytes are put in as they are."""
    fields = [
        name.ljust(100, b"\0"),
        mode if isinstance(mode, bytes) else octal(mode, 8),
        octal(0, 8),
        octal(0, 8),
        size if isinstance(size, bytes) else octal(size, 12),
        mtime if isinstance(mtime, bytes) else octal(mtime, 12),
        b" " * 8,
        kind,
        target.ljust(100, b"\0"),
        magic,
        bytes(32 + 32 + 8 + 8),
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(fields)
    assert len(block) == 512, "a field does not fit"
    sum_field = b"%06o\0 " % sum(block) if checksum is None else checksum
    return block[:148] + sum_field + block[156:]


def file(name: bytes, content: bytes = b"content", *, mode: int | bytes = 0o644) -> bytes:
    return header(name, size=len(content), mode=mode) + padded(content)


def directory(name: bytes, *, mode: int = 0o755, mtime: int = 1_000_000_000) -> bytes:
    return header(name, b"5", mode=mode, mtime=mtime)


def link(name: bytes, target: bytes) -> bytes:
    return header(name, b"2", target=target)


def record(key: bytes, value: bytes) -> bytes:
    length = 0
    while True:
        text = b"%d %s=%s\n" % (length, key, value)
        if len(text) == length:
            return text
        length = len(text)


def pax_raw(data: bytes, kind: bytes = b"x") -> bytes:
    return header(b"PaxHeaders/x", kind, size=len(data)) + padded(data)


def pax(records: Mapping[bytes, bytes], kind: bytes = b"x") -> bytes:
    return pax_raw(b"".join(record(key, value) for key, value in records.items()), kind)


def gnu_long(text: bytes, kind: bytes = b"L") -> bytes:
    """The header in front of a name (L) or link target (K) that is too long for its field."""
    data = text + b"\0"
    return header(b"././@LongLink", kind, size=len(data), magic=GNU) + padded(data)
