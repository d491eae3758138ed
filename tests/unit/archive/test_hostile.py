"""Archives that must be refused, by the name of the entry and with nothing outside touched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from joblet.errors import UploadRefused
from tests.fakes.rawtar import (
    END,
    GNU,
    V7,
    binary,
    directory,
    file,
    gnu_long,
    header,
    link,
    octal,
    padded,
    pax,
    pax_raw,
    record,
)
from tests.fakes.streams import unpack_bytes


class Hostile(NamedTuple):
    """An archive, the entry that is to be named, and a part of the reason."""

    archive: bytes
    entry: str
    why: str


LONG = b"n" * 256
DEEP = b"/".join([b"d"] * 1024)
GOOD = file(b"good")

HOSTILE = {
    # names that leave
    "dotdot": Hostile(file(b"../x") + END, "../x", "'..'"),
    "dotdot inside": Hostile(file(b"a/../x") + END, "a/../x", "'..'"),
    "dotdot in the middle": Hostile(file(b"a/../../x") + END, "a/../../x", "'..'"),
    "dotdot at the end": Hostile(directory(b"a/..") + END, "a/..", "'..'"),
    "dotdot alone": Hostile(directory(b"..") + END, "..", "'..'"),
    "dotdot to what is there": Hostile(
        file(b"../outside/secret") + END, "../outside/secret", "'..'"
    ),
    "dotdot in the prefix": Hostile(
        header(b"x", prefix=b"../outside") + END, "../outside/x", "'..'"
    ),
    "dotdot in a long name": Hostile(
        gnu_long(b"../outside/x") + header(b"x", magic=GNU) + END, "../outside/x", "'..'"
    ),
    "dotdot in an extended header": Hostile(
        pax({b"path": b"../outside/x"}) + header(b"x") + END, "../outside/x", "'..'"
    ),
    "absolute": Hostile(file(b"/joblet-was-here") + END, "/joblet-was-here", "absolute"),
    "absolute twice": Hostile(file(b"//joblet-was-here") + END, "//joblet-was-here", "absolute"),
    "absolute by prefix": Hostile(
        header(b"joblet-was-here", prefix=b"/") + END, "//joblet-was-here", "absolute"
    ),
    "absolute in an extended header": Hostile(
        pax({b"path": b"/joblet-was-here"}) + header(b"x") + END, "/joblet-was-here", "absolute"
    ),
    "absolute root": Hostile(directory(b"/") + END, "/", "absolute"),
    # names that are none
    "empty": Hostile(file(b"") + END, "#1", "empty"),
    "empty in an extended header": Hostile(pax({b"path": b""}) + header(b"x") + END, "#1", "empty"),
    "empty long name": Hostile(gnu_long(b"") + header(b"x", magic=GNU) + END, "#1", "empty"),
    "a file named dot": Hostile(file(b".") + END, ".", "only a directory"),
    "a file that ends in dot": Hostile(file(b"a/.") + END, "a/.", "only a directory"),
    "a file that ends in a slash": Hostile(file(b"a/") + END, "a/", "only a directory"),
    "a link named dot": Hostile(link(b"./.", b"x") + END, "./.", "only a directory"),
    "NUL in the field": Hostile(file(b"a\0b") + END, "#1", "NUL"),
    "NUL in the prefix": Hostile(header(b"x", prefix=b"a\0b") + END, "#1", "NUL"),
    "NUL in a long name": Hostile(
        gnu_long(b"a\0../x") + header(b"x", magic=GNU) + END, "#1", "NUL"
    ),
    "NUL in an extended header": Hostile(
        pax({b"path": b"a\0b"}) + header(b"x") + END, "a\\x00b", "NUL"
    ),
    "a part too long": Hostile(
        pax({b"path": LONG}) + header(b"x") + END, "n" * 119 + "…", "255 bytes"
    ),
    "a name too long": Hostile(
        pax({b"path": b"/".join([b"n" * 255] * 17)}) + header(b"x") + END,
        "n" * 119 + "…",
        "4095 bytes",
    ),
    "too deep": Hostile(
        pax({b"path": DEEP + b"/f"}) + header(b"x") + END, "d/" * 59 + "d…", "1024"
    ),
    # what is not taken
    "hard link": Hostile(GOOD + header(b"hard", b"1", target=b"good") + END, "hard", "hard links"),
    "hard link to outside": Hostile(
        header(b"hard", b"1", target=b"../outside/secret") + END, "hard", "hard links"
    ),
    "hard link to an absolute name": Hostile(
        header(b"hard", b"1", target=b"/etc/passwd") + END, "hard", "hard links"
    ),
    "hard link by an extended header": Hostile(
        pax({b"path": b"h", b"linkpath": b"/etc/passwd"}) + header(b"x", b"1") + END,
        "h",
        "hard links",
    ),
    "character device": Hostile(header(b"null", b"3") + END, "null", "character device"),
    "block device": Hostile(header(b"sda", b"4") + END, "sda", "block device"),
    "FIFO": Hostile(header(b"fifo", b"6") + END, "fifo", "FIFO"),
    "sparse, GNU": Hostile(header(b"s", b"S", magic=GNU) + END, "s", "sparse"),
    "sparse, pax 0.1": Hostile(
        pax({b"GNU.sparse.size": b"9", b"GNU.sparse.map": b"0,1"}) + file(b"s") + END,
        "s",
        "sparse",
    ),
    "sparse, pax 1.0": Hostile(
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.name": b"s"}) + file(b"t") + END,
        "t",
        "sparse",
    ),
    "continued volume": Hostile(header(b"v", b"M", magic=GNU) + END, "v", "volumes"),
    "volume label": Hostile(header(b"v", b"V", magic=GNU) + END, "v", "volume"),
    "incremental directory": Hostile(header(b"d", b"D", magic=GNU) + END, "d", "type 'D'"),
    "Solaris extended header": Hostile(header(b"X", b"X") + END, "X", "type 'X'"),
    "a type that nobody knows": Hostile(header(b"u", b"\xff") + END, "u", "type '\\xff'"),
    # the same name again
    "a file twice": Hostile(file(b"a", b"1") + file(b"a", b"2") + END, "a", "twice"),
    "a file twice, by dot": Hostile(file(b"a") + file(b"./a") + END, "./a", "twice"),
    "a file twice, by slashes": Hostile(file(b"a/b") + file(b"a//b") + END, "a//b", "twice"),
    "a file twice, by prefix": Hostile(
        file(b"a/b") + header(b"b", prefix=b"a") + END, "a/b", "twice"
    ),
    "a directory twice": Hostile(directory(b"d/") + directory(b"d") + END, "d", "twice"),
    "a directory over a file": Hostile(file(b"a") + directory(b"a") + END, "a", "twice"),
    "a file over a directory": Hostile(directory(b"a/") + file(b"a") + END, "a", "twice"),
    "a file over an implicit directory": Hostile(file(b"a/b") + file(b"a") + END, "a", "twice"),
    "a file below a file": Hostile(file(b"a") + file(b"a/b") + END, "a/b", "no directory"),
    "a directory below a file": Hostile(
        file(b"a") + directory(b"a/b/c") + END, "a/b/c", "no directory"
    ),
    "a link twice": Hostile(link(b"l", b"x") + link(b"l", b"y") + END, "l", "twice"),
    "a link over a file": Hostile(file(b"a") + link(b"a", b"x") + END, "a", "twice"),
    "a link over a directory": Hostile(directory(b"a") + link(b"a", b"x") + END, "a", "twice"),
    "a link below a file": Hostile(file(b"a") + link(b"a/l", b"x") + END, "a/l", "no directory"),
    # links
    "a link to an absolute name": Hostile(link(b"l", b"/etc") + END, "l", "absolute ('/etc')"),
    "a link to above": Hostile(link(b"l", b"..") + END, "l", "outside"),
    "a link to beside": Hostile(link(b"l", b"../outside/secret") + END, "l", "outside"),
    "a link from below to above": Hostile(link(b"a/b/l", b"../../..") + END, "a/b/l", "outside"),
    "a link that goes down and up": Hostile(link(b"l", b"a/../../x") + END, "l", "after a name"),
    "a link over another link": Hostile(
        link(b"a/b/l", b"../..") + link(b"m", b"a/b/l/../x") + END, "m", "after a name"
    ),
    "a link to nothing": Hostile(link(b"l", b"") + END, "l", "empty"),
    "a link to NUL": Hostile(pax({b"linkpath": b"a\0b"}) + link(b"l", b"x") + END, "l", "NUL"),
    "a link to a target too long": Hostile(
        pax({b"linkpath": b"t" * 4096}) + link(b"l", b"x") + END, "l", "too long"
    ),
    "a link by an extended header": Hostile(
        pax({b"linkpath": b"/etc/passwd"}) + link(b"l", b"good") + END, "l", "absolute"
    ),
    "a link by a long target": Hostile(
        gnu_long(b"../" * 40, b"K") + header(b"l", b"2", target=b"x", magic=GNU) + END,
        "l",
        "outside",
    ),
    "a file through a link": Hostile(link(b"l", b"d") + file(b"l/x") + END, "l", "is a link"),
    "a file in place of a link": Hostile(link(b"l", b"d") + file(b"l") + END, "l", "twice"),
    "a directory in place of a link": Hostile(
        link(b"l", b"d") + directory(b"l/") + END, "l", "twice"
    ),
    "a file deep through a link": Hostile(
        link(b"l", b".") + file(b"l/a/b/c") + END, "l", "is a link"
    ),
    "a link through a link": Hostile(link(b"l", b".") + link(b"l/m", b"x") + END, "l", "is a link"),
    # numbers
    "negative size": Hostile(header(b"a", size=binary(-1, 12)) + END, "a", "negative"),
    "negative size in octal": Hostile(header(b"a", size=b"-0000000001\0") + END, "a", "no octal"),
    "negative size in an extended header": Hostile(
        pax({b"size": b"-1"}) + header(b"a") + END, "a", "no number"
    ),
    "absurd size": Hostile(header(b"a", size=binary(1 << 80, 12)) + END, "a", "absurd"),
    "absurd size in an extended header": Hostile(
        pax({b"size": b"9" * 20}) + header(b"a") + END, "a", "absurd"
    ),
    "endless size in an extended header": Hostile(
        pax({b"size": b"1" * 5000}) + header(b"a") + END, "a", "no number"
    ),
    "size with digits that are none": Hostile(
        header(b"a", size=b"00000000_12\0") + END, "a", "no octal"
    ),
    "size in decimal": Hostile(header(b"a", size=b"00000000089\0") + END, "a", "no octal"),
    "size of a directory": Hostile(header(b"d", b"5", size=512) + bytes(512) + END, "d", "content"),
    "size of a link": Hostile(
        header(b"l", b"2", size=512, target=b"x") + bytes(512) + END, "l", "content"
    ),
    "size of a directory in an extended header": Hostile(
        pax({b"size": b"512"}) + header(b"d", b"5") + bytes(512) + END, "d", "content"
    ),
    "absurd time": Hostile(header(b"a", mtime=binary(1 << 80, 12)) + END, "a", "time is absurd"),
    "time that is no number": Hostile(
        pax({b"mtime": b"now"}) + header(b"a") + END, "a", "no number"
    ),
    "time with an exponent": Hostile(
        pax({b"mtime": b"1e9"}) + header(b"a") + END, "a", "no number"
    ),
    "time with a bad fraction": Hostile(
        pax({b"mtime": b"1.-5"}) + header(b"a") + END, "a", "no number"
    ),
    "mode that is no number": Hostile(header(b"a", mode=b"rwxr-xr-") + END, "a", "no octal"),
    # streams that end
    "nothing": Hostile(b"", "#1", "without an end mark"),
    "no end mark": Hostile(GOOD, "#2", "without an end mark"),
    "half a header": Hostile(GOOD + file(b"a")[:300], "#2", "middle of its header"),
    "size beyond the stream": Hostile(header(b"a", size=4096) + bytes(512), "a", "middle of it"),
    "large size beyond the stream": Hostile(
        header(b"a", size=binary(1 << 60, 12)) + bytes(5120), "a", "middle of it"
    ),
    "no padding": Hostile(header(b"a", size=5) + b"12345", "a", "middle of it"),
    "half an extended header": Hostile(
        header(b"x", b"x", size=2048) + bytes(512), "#1", "middle of an extended"
    ),
    "data behind the end": Hostile(GOOD + END + file(b"b") + END, "end", "data behind"),
    "data behind half an end": Hostile(GOOD + bytes(512) + file(b"b"), "end", "data behind"),
    "zeros without end": Hostile(GOOD + bytes(9 << 20), "end", "follow the end mark"),
    # headers that lie
    "no tar": Hostile(b"PK\3\4" + os.urandom(508) + bytes(1024), "#1", "no tar archive"),
    "compressed": Hostile(b"\x1f\x8b" + bytes(2046), "#1", "checksum"),
    "wrong checksum": Hostile(header(b"a", checksum=b"000000\0 ") + END, "#1", "checksum"),
    "signed checksum": Hostile(header(b"a", checksum=b"-00001\0 ") + END, "#1", "checksum"),
    "a size that swallows the next header": Hostile(
        pax({b"size": b"700"}) + header(b"a", size=7) + padded(b"content") + GOOD + END,
        "#2",
        "checksum",
    ),
    "extended header too large": Hostile(
        header(b"x", b"x", size=1 << 30) + END, "#1", "1048576 bytes"
    ),
    "extended header of absurd size": Hostile(
        header(b"x", b"x", size=binary(1 << 80, 12)) + END, "#1", "absurd"
    ),
    "long name too large": Hostile(
        header(b"x", b"L", size=1 << 30, magic=GNU) + END, "#1", "4095 bytes"
    ),
    "long target too large": Hostile(
        header(b"x", b"K", size=1 << 30, magic=GNU) + END, "#1", "4095 bytes"
    ),
    "long name of negative size": Hostile(
        header(b"x", b"L", size=binary(-512, 12), magic=GNU) + END, "#1", "negative"
    ),
    "extended headers in a row": Hostile(
        pax({b"path": b"a"}) * 2 + header(b"x") + END, "#1", "in a row"
    ),
    "ten thousand extended headers": Hostile(
        pax({b"comment": b"a"}) * 10_000 + header(b"x") + END, "#1", "in a row"
    ),
    "long names in a row": Hostile(gnu_long(b"a") * 2 + header(b"x") + END, "#1", "in a row"),
    "long targets in a row": Hostile(
        gnu_long(b"a", b"K") * 2 + link(b"l", b"x") + END, "#1", "in a row"
    ),
    "a long name and an extended one": Hostile(
        gnu_long(b"a") + pax({b"path": b"b"}) + header(b"x") + END, "a", "two different"
    ),
    "a long target and an extended one": Hostile(
        gnu_long(b"a", b"K") + pax({b"linkpath": b"b"}) + link(b"l", b"x") + END,
        "l",
        "two different",
    ),
    "an extended header for nothing": Hostile(pax({b"path": b"a"}) + END, "#1", "no file"),
    "a long name for nothing": Hostile(GOOD + gnu_long(b"a") + END, "#2", "no file"),
    "a name twice in an extended header": Hostile(
        pax_raw(record(b"path", b"a") + record(b"path", b"../b")) + header(b"x") + END,
        "#1",
        "'path' twice",
    ),
    "a record of length 0": Hostile(pax_raw(b"0 a=b\n") + header(b"x") + END, "#1", "malformed"),
    "a record that goes back": Hostile(
        pax_raw(b"-6 a=b\n") + header(b"x") + END, "#1", "malformed"
    ),
    "a record longer than its header": Hostile(
        pax_raw(b"99 a=b\n") + header(b"x") + END, "#1", "malformed"
    ),
    "a record without a length": Hostile(pax_raw(b"a=b\n") + header(b"x") + END, "#1", "malformed"),
    "a record with a length of many digits": Hostile(
        pax_raw(b"0" * 3000 + b"6 a=b\n") + header(b"x") + END, "#1", "malformed"
    ),
    "a record without an equals sign": Hostile(
        pax_raw(b"5 ab\n") + header(b"x") + END, "#1", "malformed"
    ),
    "a record without a key": Hostile(pax_raw(b"5 =b\n") + header(b"x") + END, "#1", "malformed"),
    "a record without a newline": Hostile(
        pax_raw(b"6 a=bc") + header(b"x") + END, "#1", "malformed"
    ),
    "a global name": Hostile(pax({b"path": b"g"}, b"g") + GOOD + END, "#1", "global header"),
    "a global size": Hostile(pax({b"size": b"0"}, b"g") + GOOD + END, "#1", "global header"),
    "global headers in a row": Hostile(
        pax({b"comment": b"c"}, b"g") * 2 + GOOD + END, "#1", "in a row"
    ),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archive_is_refused_by_the_name_of_its_entry(hostile: Hostile, dest: Path) -> None:
    with pytest.raises(UploadRefused, match="^archive entry '.*': [^\n]+$") as refused:
        unpack_bytes(hostile.archive, dest)
    assert refused.value.entry == hostile.entry
    assert hostile.why in refused.value.why
    assert not os.path.lexists("/joblet-was-here")
    # Links come last, and no archive got as far as that.
    assert not [path for path in dest.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize(
    ("archive", "entry"),
    [
        (file(b"a") + file(b"b") + file(b"c") + END, "c"),
        (directory(b"./") * 3 + END, "./"),
        (file(b"x/y/z/f") + END, "x/y"),
        (link(b"a", b"x") + link(b"b", b"x") + link(b"c", b"x") + END, "c"),
    ],
    ids=["files", "the top again and again", "directories that are only mentioned", "links"],
)
def test_more_entries_than_allowed_are_refused(archive: bytes, entry: str, dest: Path) -> None:
    with pytest.raises(UploadRefused, match="more than 2 entries") as refused:
        unpack_bytes(archive, dest, max_entries=2)
    assert refused.value.entry == entry


def test_content_beyond_the_budget_is_refused_before_it_is_written(dest: Path) -> None:
    archive = file(b"a", bytes(600)) + file(b"b", bytes(600)) + END
    with pytest.raises(UploadRefused, match="more than 1000 bytes") as refused:
        unpack_bytes(archive, dest, max_bytes=1000)
    assert refused.value.entry == "b"
    assert os.listdir(dest) == ["a"]


def test_names_of_directories_and_links_may_not_fill_the_memory(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("joblet.archive.unpack.REMEMBERED_MAX", 5000)
    archive = b"".join(link(b"l%d" % number, b"t" * 90) for number in range(1000)) + END
    with pytest.raises(UploadRefused, match="too many directories and links"):
        unpack_bytes(archive, dest)


def test_octal_and_binary_of_the_same_number_are_read_alike(dest: Path) -> None:
    archive = b"".join(
        [
            header(b"octal", size=octal(3, 12)) + padded(b"abc"),
            header(b"binary", size=binary(3, 12)) + padded(b"abc"),
            header(b"spaces", size=b"         3 \0") + padded(b"abc"),
            header(b"v7", size=3, magic=V7) + padded(b"abc"),
            END,
        ]
    )
    unpack_bytes(archive, dest)
    assert {path.name: path.read_bytes() for path in dest.iterdir()} == dict.fromkeys(
        ["octal", "binary", "spaces", "v7"], b"abc"
    )
