"""What is packed arrives, whatever its names; what is damaged is refused, wherever it is."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from joblet.errors import UploadRefused
from tests.fakes.rawtar import END, directory, file, gnu_long, header, link, pax
from tests.fakes.streams import pack_bytes, unpack_bytes

# A directory is a dict, a file its bytes, a link its target as text of bytes in a tuple.
Tree = dict[bytes, "Node"]
Node = tuple[str, bytes, int, int] | tuple[str, Tree, int, int]
Facts = dict[bytes, tuple[str, int, int, bytes]]

NAMES = (
    st.one_of(
        st.binary(min_size=1, max_size=12),
        st.text(min_size=1, max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.sampled_from([b"-rf", b"--", b" ", b"\n", b"a\nb", b"...", b"n" * 255, b"\xff", b"%s"]),
    )
    .map(lambda name: name.replace(b"/", b"|").replace(b"\0", b"0")[:255])
    .filter(lambda name: name not in (b".", b".."))
)
# Up to the years that every file system has.
TIMES = st.integers(0, 4 * 10**18)
CONTENTS = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 5).map(lambda more: b"x" * (510 + more)),
    st.just(100_000).map(lambda times: b"big" * times),
)
TARGETS = st.lists(NAMES, min_size=1, max_size=9).map(b"/".join)
LEAVES = st.one_of(
    st.tuples(st.just("file"), CONTENTS, st.integers(0, 0o777), TIMES),
    st.tuples(st.just("link"), TARGETS, st.just(0), TIMES),
)
NODES = st.recursive(
    LEAVES,
    lambda below: st.tuples(
        st.just("directory"), st.dictionaries(NAMES, below, max_size=4),
        st.integers(0, 0o777), TIMES,
    ),
    max_leaves=12,
)  # fmt: skip
TREES = st.dictionaries(NAMES, NODES, max_size=4)


def build(top: bytes, tree: Tree) -> None:
    for name, (kind, value, mode, moment) in tree.items():
        path = top + b"/" + name
        if isinstance(value, dict):
            os.mkdir(path)
            build(path, value)
            os.chmod(path, mode | 0o700)
        elif kind == "link":
            os.symlink(value, path)
        else:
            with open(path, "wb") as out:
                out.write(value)
            os.chmod(path, mode | 0o400)
        os.utime(path, ns=(moment, moment), follow_symlinks=False)


def facts(top: bytes, above: bytes = b"") -> Facts:
    found: Facts = {}
    for entry in os.scandir(top):
        name = above + b"/" + entry.name if above else entry.name
        info = entry.stat(follow_symlinks=False)
        mode = info.st_mode & 0o7777
        if entry.is_symlink():
            found[name] = ("link", 0, info.st_mtime_ns, os.readlink(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            found[name] = ("directory", mode, info.st_mtime_ns, b"")
            found |= facts(entry.path, name)
        else:
            with open(entry.path, "rb") as content:
                found[name] = ("file", mode, info.st_mtime_ns, content.read())
    return found


@settings(max_examples=60, deadline=None)
@given(tree=TREES, depth=st.sampled_from([0, 1, 40]))
def test_what_is_packed_arrives(tree: Tree, depth: int) -> None:
    for _ in range(depth):
        tree = {b"deeper-and-deeper": ("directory", tree, 0o755, 0)}
    with TemporaryDirectory() as folder:
        source, dest = Path(folder, "source"), Path(folder, "dest")
        source.mkdir()
        dest.mkdir()
        build(os.fsencode(source), tree)
        skipped: list[str] = []
        archive = pack_bytes(source, skipped=lambda name, _: skipped.append(name))
        assert skipped == []
        unpack_bytes(archive, dest)
        arrived = facts(os.fsencode(dest))
        assert arrived == facts(os.fsencode(source))
        # And others understand it.
        with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as tar:
            names = {os.fsencode(member.name) for member in tar.getmembers()}
        assert names == set(arrived)


GOOD = b"".join(
    [
        directory(b"d/"),
        file(b"d/a", b"x" * 600),
        file(b"d/b", b""),
        pax({b"path": b"d/" + b"l" * 120, b"mtime": b"1.5", b"size": b"4"}) + file(b"t", b"1234"),
        gnu_long(b"e/" + b"n" * 120) + file(b"t", b"y"),
        link(b"l", b"d/a"),
        gnu_long(b"d/" + b"k" * 120, b"K") + link(b"e/m", b"t"),
        header(b"b", prefix=b"p"),
        END,
    ]
)
BLOCKS = len(GOOD) // 512

# What fuzzing does to the archive: overwrite, cut out, double, cut off.
PLACES = st.integers(0, len(GOOD) - 1)
# Most of a block is zeros: the fields are where it hurts.
FIELDS = st.builds(
    lambda block, offset: block * 512 + offset,
    st.integers(0, BLOCKS - 1),
    st.one_of(st.integers(0, 265), st.integers(345, 360)),
)
CHANGES = st.one_of(
    st.tuples(
        st.just("write"),
        st.one_of(PLACES, FIELDS),
        st.one_of(
            st.binary(min_size=1, max_size=4),
            st.sampled_from([b"../", b"/", b"\0", b"\x80", b"\xff" * 12, b"00000000000", b"1", b"2",
                             b"5", b"x", b"g", b"L", b"K", b"S", b"6", b"3", b" ", b"=", b"99 "]),
        ),
    ),
    st.tuples(st.just("cut"), st.integers(0, BLOCKS - 1), st.just(b"")),
    st.tuples(st.just("double"), st.integers(0, BLOCKS - 1), st.just(b"")),
    st.tuples(st.just("end"), PLACES, st.just(b"")),
)  # fmt: skip


def changed(archive: bytes, change: tuple[str, int, bytes]) -> bytes:
    verb, place, data = change
    block = place * 512
    if verb == "write":
        return archive[:place] + data + archive[place + len(data) :]
    if verb == "cut":
        return archive[:block] + archive[block + 512 :]
    if verb == "double":
        return archive[: block + 512] + archive[block:]
    return archive[:place]


def with_checksums(archive: bytes) -> bytes:
    """So that a change is not refused for its checksum alone."""
    blocks = []
    for start in range(0, len(archive), 512):
        block = archive[start : start + 512]
        if len(block) == 512 and block[257:262] == b"ustar":
            blank = block[:148] + b" " * 8 + block[156:]
            block = block[:148] + b"%06o\0 " % sum(blank) + block[156:]
        blocks.append(block)
    return b"".join(blocks)


def outcome(archive: bytes, dest: Path) -> str:
    try:
        unpack_bytes(archive, dest)
    except UploadRefused as err:
        return str(err)
    return ""


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(CHANGES, min_size=1, max_size=4), honest=st.booleans())
def test_damaged_archive_is_taken_or_refused_and_nothing_else(
    changes: list[tuple[str, int, bytes]], honest: bool
) -> None:
    archive = GOOD
    for change in changes:
        archive = changed(archive, change)
    if not honest:
        archive = with_checksums(archive)
    with TemporaryDirectory() as folder:
        dest = Path(folder, "dest")
        dest.mkdir()
        Path(folder, "secret").write_bytes(b"untouched")
        said = outcome(archive, dest)
        assert said.isprintable()
        assert sorted(os.listdir(folder)) == ["dest", "secret"]
        assert Path(folder, "secret").read_bytes() == b"untouched"
        for name, (kind, mode, _, target) in facts(os.fsencode(dest)).items():
            assert mode & 0o7000 == 0
            if kind == "link":
                inside = os.path.normpath(os.path.join(os.path.dirname(name), target))
                assert not inside.startswith((b"/", b".."))


def test_the_archive_that_is_damaged_was_good(tmp_path: Path) -> None:
    assert with_checksums(GOOD) == GOOD
    assert unpack_bytes(GOOD, tmp_path).entries == 10
