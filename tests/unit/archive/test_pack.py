"""pack: what of a tree gets into an archive, and what a user's path names."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest

from joblet.archive.names import MAX_DEPTH
from joblet.archive.pack import Packer, open_path, pack
from joblet.errors import Exhausted, HostFailure, InvalidSpec, NotFound
from joblet.store.removal import remove_tree
from tests.fakes.streams import as_file, fed_by, opened, pack_bytes, unpack_bytes


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    """The archive as the standard library reads it."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        found = tar.getmembers()
        assert len({member.name for member in found}) == len(found)
        return {member.name: member for member in found}


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        return stream.read()


def test_tree_is_packed_below_the_last_part_of_its_path(source: Path) -> None:
    (source / "a/b").mkdir(parents=True)
    (source / "a/b/f").write_bytes(b"hello")
    (source / "beside").write_bytes(b"not asked for")
    (source / "a/l").symlink_to("b/f")
    os.link(source / "a/b/f", source / "a/hard")
    found = members(pack_bytes(source, b"a/"))
    assert {name: member.type for name, member in found.items()} == {
        "a": tarfile.DIRTYPE,
        "a/b": tarfile.DIRTYPE,
        "a/b/f": tarfile.REGTYPE,
        "a/hard": tarfile.REGTYPE,
        "a/l": tarfile.SYMTYPE,
    }
    assert found["a/l"].linkname == "b/f"
    assert found["a/hard"].size == found["a/b/f"].size == 5


def test_owner_and_special_bits_are_not_kept_and_the_time_is(source: Path) -> None:
    (source / "f").write_bytes(b"x")
    (source / "f").chmod(0o6751)
    os.utime(source / "f", ns=(0, 1_700_000_000_123_456_789))
    archive = pack_bytes(source, b"f")
    member = members(archive)["f"]
    assert (member.mode, member.uid, member.gid, member.uname) == (0o751, 0, 0, "")
    assert member.pax_headers["mtime"] == "1700000000.123456789"


WHOLE = {"file", "results", "results/a.txt", "latest", "rooted", "up", "gone", "round"}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (b"", WHOLE),
        (b".", WHOLE),
        (b"results/..", WHOLE),
        (b"results", {"results", "results/a.txt"}),
        (b"./results//", {"results", "results/a.txt"}),
        (b"/results", {"results", "results/a.txt"}),
        (b"../../results", {"results", "results/a.txt"}),
        (b"results/.", {"results", "results/a.txt"}),
        (b"results/a.txt", {"a.txt"}),
        (b"latest", {"latest", "latest/a.txt"}),
        (b"latest/a.txt", {"a.txt"}),
        (b"rooted", {"rooted"}),
        (b"up/results/a.txt", {"a.txt"}),
    ],
)
def test_path_is_what_it_would_be_with_the_directory_as_root(
    path: bytes, names: set[str], source: Path
) -> None:
    (source / "results").mkdir()
    (source / "results/a.txt").write_bytes(b"a")
    (source / "file").write_bytes(b"f")
    (source / "latest").symlink_to("results")
    (source / "rooted").symlink_to("/results/a.txt")
    (source / "up").symlink_to("../../..")
    (source / "gone").symlink_to("nowhere")
    (source / "round").symlink_to("round")
    assert set(members(pack_bytes(source, path))) == names


@pytest.mark.parametrize(
    "path",
    [
        b"missing",
        b"missing/x",
        b"file/x",
        b"file/",
        b"gone",
        b"../outside/secret",
        b"out/secret",
        b"/etc/passwd",
        b"a\0b",
        b"n" * 300,
        b"n/" * 3000,
    ],
)
def test_path_that_is_not_there_is_not_found(path: bytes, source: Path) -> None:
    (source / "file").write_bytes(b"f")
    (source / "gone").symlink_to("nowhere")
    (source / "out").symlink_to("../outside")
    found = []
    with pytest.raises(NotFound, match="there is no path") as err:
        pack_bytes(source, path, found=lambda: found.append(1))
    assert err.value.code == "NoSuchPath"
    assert found == []


def test_path_that_cannot_be_packed_is_refused(source: Path) -> None:
    os.mkfifo(source / "fifo")
    (source / "round").symlink_to("round")
    with pytest.raises(InvalidSpec, match="'fifo' is neither a file nor a directory"):
        pack_bytes(source, b"fifo")
    with pytest.raises(InvalidSpec, match="'round' goes round in links"):
        pack_bytes(source, b"round")


def test_mounts_are_not_entered(outside: Path) -> None:
    skipped: dict[str, str] = {}
    pack_bytes(Path("/dev"), skipped=skipped.__setitem__)
    assert skipped["pts"] == "another file system is mounted there"
    assert skipped["null"] == "it is a device, a FIFO or a socket"
    with opened(Path("/")) as root, pytest.raises(InvalidSpec, match="another file system"):
        open_path(root, b"proc/self/status")


def test_what_is_no_file_is_left_out_and_told(source: Path) -> None:
    os.mkfifo(source / "fifo")
    (source / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        with opened(source) as fd:
            listener.bind(f"/proc/self/fd/{fd}/folder/socket")
        skipped: dict[str, str] = {}
        archive = pack_bytes(source, skipped=skipped.__setitem__)
    assert skipped == dict.fromkeys(["fifo", "folder/socket"], "it is a device, a FIFO or a socket")
    assert set(members(archive)) == {"folder"}


@pytest.mark.parametrize("size_after", [3 << 20, 0, 80 << 20])
def test_file_that_changes_has_the_size_of_its_header(
    size_after: int, source: Path, dest: Path
) -> None:
    size = 64 << 20
    (source / "f").write_bytes(b"")
    os.truncate(source / "f", size)
    (source / "g").write_bytes(b"after it")
    skipped: dict[str, str] = {}

    def feed(fd: int) -> None:
        with opened(source) as directory:
            packer = Packer(fd, skipped=skipped.__setitem__)
            for name in (b"f", b"g"):
                opened_file = open_path(directory, name)
                try:
                    packer.add(opened_file, name)
                finally:
                    os.close(opened_file)
            packer.finish()

    with fed_by(feed, os.pipe()) as stream:
        # The pipe takes a MiB: the packer cannot be at the end when its first bytes arrive.
        first = os.read(stream, 512)
        os.truncate(source / "f", size_after)
        parts = [first]
        while part := os.read(stream, 1 << 20):
            parts.append(part)
    archive = b"".join(parts)
    assert members(archive)["f"].size == size
    assert content(archive, "g") == b"after it"
    unpack_bytes(archive, dest)
    assert (dest / "f").stat().st_size == size
    assert ("f" in skipped) == (size_after < size)


def test_entry_is_not_left_out_because_we_are_short_of_something(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    (source / "d").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        with pytest.raises(HostFailure, match="read 'd': Too many open files"):
            pack_bytes(source, b"d")


def test_small_file_that_shrank_is_filled_up(
    source: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "f").write_bytes(b"x" * 1000)
    real = os.fstat

    def fstat(fd: int) -> os.stat_result:
        facts = real(fd)
        if stat.S_ISREG(facts.st_mode) and facts.st_size == 1000:
            os.truncate(source / "f", 10)
        return facts

    skipped: dict[str, str] = {}
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", fstat)
        archive = pack_bytes(source, skipped=skipped.__setitem__)
    assert content(archive, "f") == b"x" * 10 + bytes(990)
    assert skipped == {"f": "it shrank meanwhile: its last 990 bytes are zeros"}


def test_depth_has_no_limit_but_that_of_unpack(source: Path, dest: Path) -> None:
    """No recursion, one descriptor at a time, and the rest is told."""
    limit = 3000
    fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(limit):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    skipped: list[tuple[str, str]] = []
    try:
        archive = pack_bytes(source, skipped=lambda *told: skipped.append(told))
        assert [why for _, why in skipped] == ["it lies too deep"]
        assert unpack_bytes(archive, dest).entries == MAX_DEPTH
    finally:
        for top in (source, dest):
            remove_tree(str(top), "d")


def test_more_than_allowed_is_not_packed(source: Path) -> None:
    for number in range(3):
        (source / f"d{number}").mkdir()
    with pytest.raises(Exhausted, match="more than 2 entries"):
        pack_bytes(source, max_entries=2)
    (source / "d0/f").write_bytes(bytes(100))
    with pytest.raises(Exhausted, match="'d0/f' there are more than 99 bytes"):
        pack_bytes(source, max_bytes=99)


def test_found_is_called_before_the_first_byte(source: Path) -> None:
    (source / "f").write_bytes(b"x")
    with opened(source) as directory, as_file(b"") as stream:
        sizes = []
        pack(directory, b"f", stream, found=lambda: sizes.append(os.fstat(stream).st_size))
        assert sizes == [0]
        assert os.fstat(stream).st_size > 0


def test_reader_that_went_away_is_a_failure(source: Path) -> None:
    for name, size in (("small", 10), ("big", 4 << 20)):
        (source / name).write_bytes(bytes(size))
        reading, writing = os.pipe()
        os.close(reading)
        try:
            with opened(source) as directory, pytest.raises(HostFailure, match="write the archive"):
                pack(directory, name.encode(), writing)
        finally:
            os.close(writing)


def test_stream_may_be_appended_to_or_never_ready(source: Path, tmp_path: Path, dest: Path) -> None:
    """sendfile refuses a file in append mode; a non-blocking pipe is waited for."""
    (source / "f").write_bytes(os.urandom(3 << 20))
    archive = pack_bytes(source)
    target = dest / "archive"
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        with opened(source) as directory:
            pack(directory, b"", fd)
    finally:
        os.close(fd)
    assert target.read_bytes() == archive

    def feed(writing: int) -> None:
        os.set_blocking(writing, False)
        with opened(source) as directory:
            pack(directory, b"", writing)

    with fed_by(feed, os.pipe()) as stream, open(stream, "rb", closefd=False) as whole:
        assert whole.read() == archive
