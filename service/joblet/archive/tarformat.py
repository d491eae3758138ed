"""The bytes of a tar stream: reads ustar, GNU and pax, writes pax.

Written for a sender that lies. `tarfile` of the standard library is not: it reads an extended
header of any size into memory, calls itself once per header, keeps every member, and takes
14 µs for a block where this takes 3. What it forgives is refused here, since a stream that two
readers understand in two ways is what an attacker wants.

Knows nothing of the file system. Entries come out as they are named; `names` judges the names.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from joblet.archive.names import PATH_MAX, shown
from joblet.archive.streams import Source
from joblet.errors import UploadRefused

BLOCK = 512
FILE, DIRECTORY, LINK = b"0", b"5", b"2"

# The largest file there can be: off_t, rounded down to a block so that padding cannot overflow it.
SIZE_MAX = (1 << 63) - BLOCK
# Access lists and attributes of a file come in its extended header, and take up to 64 KiB each.
EXTENDED_MAX = 1 << 20
# Between the end mark and the end of the stream: tar fills up its last record.
PADDING_MAX = 8 << 20
_SECOND = 1_000_000_000
_TIME_MAX = 1 << 63

_ZEROS = bytes(BLOCK)
# name, mode, size, mtime, checksum, type, link name, magic, prefix; owner, device and rest not
_HEADER = struct.Struct("100s8s16x12s12s8sc100s6s82x155s12x")
_POSIX, _GNU, _V7 = b"ustar\0", b"ustar ", bytes(6)

_REFUSED = {
    b"1": "hard links are not taken",
    b"3": "it is a character device",
    b"4": "it is a block device",
    b"6": "it is a FIFO",
    b"S": "sparse files are not taken; pack it without --sparse",
    b"M": "archives in several volumes are not taken",
    b"V": "volume labels are not taken",
}
_FILES = (b"0", b"\0", b"7")


class Entry:
    """What one header, with those in front that belong to it, says of a file."""

    __slots__ = ("kind", "mode", "mtime_ns", "name", "size", "target")

    def __init__(
        self, name: bytes, kind: bytes, mode: int, size: int, mtime_ns: int, target: bytes
    ) -> None:
        self.name = name
        self.kind = kind
        self.mode = mode
        self.size = size
        self.mtime_ns = mtime_ns
        self.target = target


def read(source: Source) -> Iterator[Entry]:
    """The entries of a stream, to its end. Of a file, `size` bytes must be taken before the next.

    Raises UploadRefused, and HostFailure when the stream cannot be read.
    """
    number = 0
    while True:
        number += 1
        entry = _next_entry(source, f"#{number}")
        if entry is None:
            _check_end(source)
            return
        yield entry
        padding = -entry.size % BLOCK
        if source.skip(padding) < padding:
            raise UploadRefused(shown(entry.name), "the archive ends in the middle of it")


def _next_entry(source: Source, label: str) -> Entry | None:
    """The next entry; None at the end mark. The label names it while it has no name."""
    extended: dict[bytes, bytes] | None = None
    long_name: bytes | None = None
    long_target: bytes | None = None
    global_seen = False
    while True:
        block = source.take(BLOCK)
        if block == _ZEROS:
            if extended is not None or long_name is not None or long_target is not None:
                raise UploadRefused(label, "an extended header with no file behind it")
            return None
        name, mode_field, size_field, mtime_field, target, kind, posix = _header(block, label)
        if kind == b"x":
            if extended is not None:
                raise UploadRefused(label, "two extended headers in a row")
            extended = _extended(source, _size(size_field, label), label)
        elif kind == b"L":
            if long_name is not None:
                raise UploadRefused(label, "two long names in a row")
            long_name = _long(source, _size(size_field, label), label)
        elif kind == b"K":
            if long_target is not None:
                raise UploadRefused(label, "two long link targets in a row")
            long_target = _long(source, _size(size_field, label), label)
        elif kind == b"g":
            if global_seen:
                raise UploadRefused(label, "two global headers in a row")
            global_seen = True
            _check_global(_extended(source, _size(size_field, label), label), label)
        else:
            break
    if long_name is not None:
        name = long_name
    elif posix:
        # Only here is the field a part of the name: GNU keeps other things in it.
        prefix = _text(block[345:500], label)
        if prefix:
            name = prefix + b"/" + name
    if long_target is not None:
        target = long_target
    size_text = mtime_text = None
    if extended is not None:
        if long_name is not None and b"path" in extended:
            raise UploadRefused(shown(name), "it has two different long names")
        if long_target is not None and b"linkpath" in extended:
            raise UploadRefused(shown(name), "it has two different long link targets")
        name = extended.get(b"path", name)
        target = extended.get(b"linkpath", target)
        size_text = extended.get(b"size")
        mtime_text = extended.get(b"mtime")
        if any(key.startswith(b"GNU.sparse.") for key in extended):
            raise UploadRefused(shown(name), _REFUSED[b"S"])
    if not name:
        raise UploadRefused(label, "its name is empty")
    entry = shown(name)
    if kind in _REFUSED:
        raise UploadRefused(entry, _REFUSED[kind])
    if kind in _FILES:
        # Archives from before there was a type for directories, and only those.
        kind = DIRECTORY if kind == b"\0" and name.endswith(b"/") else FILE
    elif kind not in (DIRECTORY, LINK):
        raise UploadRefused(entry, f"entries of type '{shown(kind)}' are not taken")
    size = _size(size_field, entry) if size_text is None else _decimal(size_text, entry)
    if size and kind != FILE:
        raise UploadRefused(entry, "only a file may have content")
    if mtime_text is None:
        mtime_ns = _number(mtime_field, entry, "time") * _SECOND
    else:
        mtime_ns = _moment(mtime_text, entry)
    if not -_TIME_MAX * _SECOND <= mtime_ns < _TIME_MAX * _SECOND:
        raise UploadRefused(entry, "its time is absurd")
    mode = _number(mode_field, entry, "mode") & 0o777
    return Entry(name, kind, mode, size, mtime_ns, target)


def _header(block: bytes, label: str) -> tuple[bytes, bytes, bytes, bytes, bytes, bytes, bool]:
    if len(block) < BLOCK:
        raise UploadRefused(
            label,
            "the archive ends in the middle of its header"
            if block
            else "the archive ends without an end mark",
        )
    name, mode, size, mtime, checksum, kind, target, magic, _prefix = _HEADER.unpack(block)
    if magic not in (_POSIX, _GNU, _V7):
        raise UploadRefused(label, "this is no tar archive, or a damaged one")
    if _number(checksum, label, "checksum") != _checksum(block):
        raise UploadRefused(label, "the checksum of its header is wrong")
    return _text(name, label), mode, size, mtime, _text(target, label), kind, magic == _POSIX


def _checksum(block: bytes) -> int:
    """The sum of all bytes, the eight of the sum itself counted as spaces.

    Adler-32 keeps the plain sum modulo 65521 in its lower half, and 256 bytes add up to less: six
    times as fast as sum().
    """
    total = (zlib.adler32(block[:256], 0) & 0xFFFF) + (zlib.adler32(block[256:], 0) & 0xFFFF)
    return total - (zlib.adler32(block[148:156], 0) & 0xFFFF) + 8 * 0x20


def _text(field: bytes, label: str) -> bytes:
    """A field up to its NUL; what hides behind it is refused."""
    text = field.rstrip(b"\0")
    if b"\0" in text:
        raise UploadRefused(label, "a name in its header holds a NUL byte")
    return text


def _number(field: bytes, entry: str, what: str) -> int:
    """Octal digits, or GNU's big-endian binary for what these cannot hold."""
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if digits.isdigit():
        try:
            return int(digits, 8)
        except ValueError:
            raise UploadRefused(entry, f"its {what} is no octal number") from None
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    raise UploadRefused(entry, f"its {what} is no octal number")


def _size(field: bytes, entry: str) -> int:
    size = _number(field, entry, "size")
    if size < 0:
        raise UploadRefused(entry, "its size is negative")
    if size > SIZE_MAX:
        raise UploadRefused(entry, "its size is absurd")
    return size


def _decimal(text: bytes, entry: str) -> int:
    """The size in an extended header."""
    if not text.isdigit() or len(text) > 20:
        raise UploadRefused(entry, "the size in its extended header is no number")
    size = int(text)
    if size > SIZE_MAX:
        raise UploadRefused(entry, "its size is absurd")
    return size


def _moment(text: bytes, entry: str) -> int:
    """Seconds with a fraction, to nanoseconds: cut towards the past, as the kernel does."""
    sign = -1 if text.startswith(b"-") else 1
    whole, _, fraction = text.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or not (fraction + b"0").isdigit():
        raise UploadRefused(entry, "the time in its extended header is no number")
    value = sign * (int(whole) * _SECOND + int(fraction[:9].ljust(9, b"0")))
    if sign < 0 and fraction[9:].strip(b"0"):
        value -= 1
    return value


def _long(source: Source, size: int, label: str) -> bytes:
    """The content of a GNU header that holds a name too long for its field."""
    if size > PATH_MAX + 1:
        raise UploadRefused(label, f"its name has more than {PATH_MAX} bytes")
    return _text(_body(source, size, label), label)


def _body(source: Source, size: int, label: str) -> bytes:
    length = size + -size % BLOCK
    data = source.take(length)
    if len(data) < length:
        raise UploadRefused(label, "the archive ends in the middle of an extended header")
    return data[:size]


def _extended(source: Source, size: int, label: str) -> dict[bytes, bytes]:
    """The records of a pax header: `length key=value\\n`, the length in decimal and of it all."""
    if size > EXTENDED_MAX - BLOCK:
        raise UploadRefused(label, f"its extended header has more than {EXTENDED_MAX} bytes")
    data = _body(source, size, label)
    records: dict[bytes, bytes] = {}
    start = 0
    while start < size:
        space = data.find(b" ", start, start + 8)
        length = data[start:space] if space > start else b""
        end = start + int(length) if length.isdigit() else size + 1
        if not space < end <= size or data[end - 1] != 0x0A:
            raise UploadRefused(label, "its extended header is malformed")
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or not key:
            raise UploadRefused(label, "its extended header is malformed")
        if key in records:
            raise UploadRefused(label, f"its extended header says '{shown(key)}' twice")
        records[key] = value
        start = end
    return records


def _check_global(records: dict[bytes, bytes], label: str) -> None:
    """One that speaks for all files is refused; `git archive` writes a comment into one."""
    for key in records:
        if key != b"comment":
            raise UploadRefused(label, f"a global header ('{shown(key)}') is not taken")


def _check_end(source: Source) -> None:
    """After the first block of the end mark: zeros to the end of the stream, and not for ever."""
    left = PADDING_MAX
    while True:
        block = source.take(BLOCK)
        if block != _ZEROS[: len(block)]:
            raise UploadRefused("end", "there is data behind the end of the archive")
        left -= len(block)
        if left < 0:
            raise UploadRefused("end", f"more than {PADDING_MAX} bytes follow the end mark")
        if len(block) < BLOCK:
            return


def write_header(entry: Entry) -> bytes:
    """The blocks in front of an entry's content."""
    records = b""
    name, target, size = entry.name, entry.target, entry.size
    seconds, nanoseconds = divmod(entry.mtime_ns, _SECOND)
    if len(name) > 100:
        records += _record(b"path", name)
        name = name[:100]
    if len(target) > 100:
        records += _record(b"linkpath", target)
        target = target[:100]
    if size >= 1 << 33:
        records += _record(b"size", b"%d" % size)
        size = 0
    if nanoseconds or not 0 <= seconds < 1 << 33:
        records += _record(b"mtime", _moment_text(entry.mtime_ns))
        seconds = max(0, min(seconds, (1 << 33) - 1))
    header = _block(name, entry.kind, entry.mode, size, seconds, target)
    if not records:
        return header
    front = _block(b"././@PaxHeader", b"x", 0, len(records), 0, b"")
    return b"".join((front, records, bytes(-len(records) % BLOCK), header))


def end_mark() -> bytes:
    """What ends a stream."""
    return 2 * _ZEROS


def _moment_text(mtime_ns: int) -> bytes:
    whole, fraction = divmod(abs(mtime_ns), _SECOND)
    return b"%s%d.%09d" % (b"-" if mtime_ns < 0 else b"", whole, fraction)


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    # The length counts its own digits, which may make it longer by one.
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(name: bytes, kind: bytes, mode: int, size: int, mtime: int, target: bytes) -> bytes:
    block = _HEADER.pack(
        name,
        b"%07o\0" % mode,
        b"%011o\0" % size,
        b"%011o\0" % mtime,
        b"",
        kind,
        target,
        _POSIX,
        b"",
    )
    # owner and group 0, in octal; version 00
    block = b"".join((block[:108], b"0000000\0" * 2, block[124:263], b"00", block[265:]))
    return b"".join((block[:148], b"%06o\0 " % _checksum(block), block[156:]))
