"""unpack: what good archives become, from every kind of stream, and what is left alone."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from joblet.archive.unpack import unpack
from joblet.errors import Exhausted, HostFailure, UploadRefused
from tests.fakes.rawtar import (
    END,
    GNU,
    binary,
    directory,
    file,
    gnu_long,
    header,
    link,
    padded,
    pax,
)
from tests.fakes.streams import as_file, fed_by, opened, unpack_bytes, write_all


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def facts(top: Path) -> dict[str, tuple[int, int, bytes]]:
    """Each name below a directory, with mode, time and content or target."""
    found = {}
    for path in top.rglob("*"):
        info = path.lstat()
        if path.is_symlink():
            content, mode = os.fsencode(os.readlink(path)), 0
        else:
            content, mode = b"" if path.is_dir() else path.read_bytes(), info.st_mode
        found[str(path.relative_to(top))] = (mode, info.st_mtime_ns, content)
    return found


def make_sample(top: Path, *, nanoseconds: int) -> None:
    """A tree with what people have: modes, long names, links, an empty and a closed directory."""
    long = "long-" * 18
    (top / "bin").mkdir()
    (top / "bin/run").write_bytes(b"#!/bin/sh\n")
    (top / "bin/run").chmod(0o755)
    (top / long / long).mkdir(parents=True)
    (top / long / long / "file").write_bytes(os.urandom(70_000))
    (top / "-dash\nnewline ü").write_bytes(b"")
    (top / "empty").mkdir()
    (top / "private").write_bytes(b"x" * 512)
    (top / "private").chmod(0o600)
    (top / "bin/other").symlink_to("../private")
    (top / "to-long").symlink_to(f"{long}/../{long}"[:91])
    (top / "closed").mkdir()
    (top / "closed/file").write_bytes(b"y" * 513)
    (top / "closed").chmod(0o555)
    moment = 1_234_567_890 * 10**9 + nanoseconds
    for path in sorted(top.rglob("*"), reverse=True):
        os.utime(path, ns=(moment, moment), follow_symlinks=False)


@pytest.mark.spawns
@pytest.mark.parametrize(
    ("command", "nanoseconds"),
    [
        (["tar", "--format=gnu"], 0),
        (["tar", "--format=oldgnu"], 0),
        (["tar", "--format=ustar"], 0),
        (["tar", "--format=pax"], 123_456_789),
        (["bsdtar", "--format=ustar"], 0),
        (["bsdtar", "--format=gnutar"], 0),
        (["bsdtar", "--format=pax"], 123_456_789),
        (["bsdtar", "--format=paxr"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_archive_of_a_real_packer_arrives_whole(
    command: list[str], nanoseconds: int, source: Path, dest: Path
) -> None:
    make_sample(source, nanoseconds=nanoseconds)
    done = subprocess.run([*command, "-cf", "-", "-C", source, "."], capture_output=True)
    assert done.returncode == 0, done.stderr
    before = dest.stat()
    unpack_bytes(done.stdout, dest)
    assert facts(dest) == facts(source)
    assert dest.stat().st_mode == before.st_mode


@pytest.mark.parametrize("kind", ["file", "pipe", "socket", "dribble", "appended file"])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1 << 20, (5 << 20) + 7])
def test_content_arrives_from_every_kind_of_stream(kind: str, size: int, dest: Path) -> None:
    content = os.urandom(size)
    archive = file(b"first", b"1") + file(b"middle", content) + file(b"last", b"3") + END
    ends = os.pipe()
    if kind == "socket":
        for end in ends:
            os.close(end)
        left, right = socket.socketpair()
        ends = left.detach(), right.detach()
    elif kind == "dribble":
        # As somebody else may have left it: every read can come too early.
        os.set_blocking(ends[0], False)

    def feed(fd: int) -> None:
        if kind == "dribble":
            for start in range(0, len(archive), 30_011):
                write_all(fd, archive[start : start + 30_011])
        else:
            write_all(fd, archive)

    with opened(dest) as directory_fd:
        if kind in ("file", "appended file"):
            for end in ends:
                os.close(end)
            with as_file(b"not ours" + archive) as stream:
                os.lseek(stream, len("not ours"), os.SEEK_SET)
                totals = unpack(stream, directory_fd)
        else:
            with fed_by(feed, ends) as stream:
                totals = unpack(stream, directory_fd)
    assert (totals.entries, totals.bytes) == (3, size + 2)
    assert (dest / "first").read_bytes() == b"1"
    assert (dest / "middle").read_bytes() == content
    assert (dest / "last").read_bytes() == b"3"


def test_stream_that_cannot_be_read_is_no_fault_of_an_entry(dest: Path) -> None:
    with opened(dest) as directory_fd, pytest.raises(HostFailure, match="read the archive"):
        unpack(directory_fd, directory_fd)


def test_set_id_and_sticky_bits_are_dropped(dest: Path) -> None:
    unpack_bytes(
        file(b"suid", mode=0o6755)
        + file(b"binary", mode=binary(0o104_644, 8))
        + directory(b"sticky", mode=0o3777)
        + END,
        dest,
    )
    assert mode_of(dest / "suid") == 0o755
    assert mode_of(dest / "binary") == 0o644
    assert mode_of(dest / "sticky") == 0o777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_do_not_depend_on_the_umask(umask: int, dest: Path) -> None:
    before = os.umask(umask)
    try:
        unpack_bytes(
            file(b"d/f", mode=0o666) + directory(b"e", mode=0o777) + file(b"n", mode=0) + END, dest
        )
    finally:
        os.umask(before)
    assert mode_of(dest / "d") == 0o755
    assert mode_of(dest / "d/f") == 0o666
    assert mode_of(dest / "e") == 0o777
    assert mode_of(dest / "n") == 0


def test_directory_closed_by_its_mode_is_filled_first(dest: Path) -> None:
    unpack_bytes(
        directory(b"a", mode=0o500, mtime=11)
        + directory(b"a/b", mode=0o000, mtime=22)
        + file(b"a/b/f")
        + file(b"a/g")
        + link(b"a/b/l", b"f")
        + END,
        dest,
    )
    assert (mode_of(dest / "a"), mode_of(dest / "a/b")) == (0o500, 0o000)
    assert ((dest / "a").stat().st_mtime, (dest / "a/b").stat().st_mtime) == (11, 22)


def test_directory_may_come_after_what_is_in_it(dest: Path) -> None:
    unpack_bytes(file(b"d/e/f") + directory(b"d", mode=0o700, mtime=5) + END, dest)
    assert mode_of(dest / "d") == 0o700
    assert mode_of(dest / "d/e") == 0o755
    assert (dest / "d").stat().st_mtime == 5


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"1.5", 1_500_000_000),
        (b"1", 1_000_000_000),
        (b"1.", 1_000_000_000),
        (b"0.0000000019", 1),
        (b"-0.5", -500_000_000),
        (b"-1.25", -1_250_000_000),
        (b"-0.0000000001", -1),
        (b"2000000000.987654321", 2_000_000_000_987_654_321),
    ],
)
def test_time_of_an_extended_header_is_exact(text: bytes, nanoseconds: int, dest: Path) -> None:
    unpack_bytes(
        pax({b"mtime": text}) + file(b"f") + pax({b"mtime": text}) + link(b"l", b"f") + END, dest
    )
    assert (dest / "f").lstat().st_mtime_ns == nanoseconds
    assert (dest / "l").lstat().st_mtime_ns == nanoseconds


def test_every_time_that_a_kernel_can_have_is_taken(dest: Path) -> None:
    extremes = [-(1 << 63), -1, 0, (1 << 63) - 1]
    unpack_bytes(
        b"".join(
            header(b"%d" % number, mtime=binary(seconds, 12))
            for number, seconds in enumerate(extremes)
        )
        + END,
        dest,
    )
    assert sorted(os.listdir(dest)) == ["0", "1", "2", "3"]


def test_extended_header_wins_and_what_it_says_of_other_things_is_ignored(dest: Path) -> None:
    unpack_bytes(
        pax({b"size": b"3", b"path": b"real", b"uid": b"0", b"SCHILY.xattr.user.x": b"\0\n="})
        + header(b"truncated", size=0)
        + padded(b"abc")
        + gnu_long(b"n" * 150)
        + header(b"n" * 100, magic=GNU)
        + gnu_long(b"t" * 150, b"K")
        + header(b"link", b"2", target=b"t" * 100, magic=GNU)
        + END,
        dest,
    )
    assert (dest / "real").read_bytes() == b"abc"
    assert (dest / ("n" * 150)).exists()
    assert os.readlink(dest / "link") == "t" * 150


def test_comment_of_git_archive_is_ignored(dest: Path) -> None:
    unpack_bytes(pax({b"comment": b"a" * 40}, b"g") + file(b"f") + END, dest)
    assert os.listdir(dest) == ["f"]


def test_fields_of_gnu_where_posix_has_a_prefix_are_no_name(dest: Path) -> None:
    unpack_bytes(header(b"f", magic=GNU, prefix=b"14000000000\0") + END, dest)
    assert os.listdir(dest) == ["f"]


def test_old_way_to_say_directory_is_understood(dest: Path) -> None:
    unpack_bytes(header(b"d/", b"\0") + header(b"f", b"\0") + header(b"c", b"7") + END, dest)
    assert (dest / "d").is_dir()
    assert (dest / "f").is_file()
    assert (dest / "c").is_file()


def test_names_need_not_be_utf8(dest: Path) -> None:
    unpack_bytes(file(b"\xff\xfe") + directory(b"d\xe4") + link(b"l", b"\xff") + END, dest)
    assert sorted(os.listdir(os.fsencode(dest))) == [b"d\xe4", b"l", b"\xff\xfe"]
    assert os.readlink(os.fsencode(dest / "l")) == b"\xff"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (b"l", b"x"),
        (b"l", b"."),
        (b"l", b"./a/b"),
        (b"l", b"..."),
        (b"a/l", b".."),
        (b"a/l", b"../b"),
        (b"a/b/l", b"../.././c"),
        (b"a/b/l", b".//../x/"),
    ],
)
def test_link_that_stays_inside_is_kept_as_it_is(name: bytes, target: bytes, dest: Path) -> None:
    unpack_bytes(link(name, target) + END, dest)
    assert os.readlink(os.fsencode(dest) + b"/" + name) == target


def test_link_to_outside_can_be_left_out_instead(dest: Path) -> None:
    told = []
    totals = unpack_bytes(
        link(b"abs", b"/usr/bin/python3") + link(b"up", b"../x") + link(b"good", b"f") + END,
        dest,
        skip_link=lambda name, why: told.append((name, why)),
    )
    assert told == [("abs", "its target is absolute"), ("up", "its target lies outside")]
    assert os.listdir(dest) == ["good"]
    assert totals.entries == 3


def test_what_is_there_already_is_never_written_to(dest: Path, outside: Path) -> None:
    (dest / "file").write_bytes(b"old")
    (dest / "dangling").symlink_to("../outside/new")
    (dest / "secret").symlink_to("../outside/secret")
    (dest / "folder").mkdir()
    (dest / "way-out").symlink_to("../outside")
    for name in (b"file", b"dangling", b"secret", b"folder", b"folder/x", b"way-out/x", b"file/x"):
        with pytest.raises(UploadRefused) as refused:
            unpack_bytes(file(name) + END, dest)
        assert refused.value.entry == name.decode()
    for name in (b"file", b"secret", b"folder", b"way-out"):
        with pytest.raises(UploadRefused, match="was there before"):
            unpack_bytes(directory(name) + END, dest)
        with pytest.raises(UploadRefused, match="was there before"):
            unpack_bytes(link(name, b"x") + END, dest)
    assert (dest / "file").read_bytes() == b"old"
    assert os.listdir(dest / "folder") == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "mkdir", "symlink", "write"])
def test_full_disk_names_the_entry(
    code: int, call: str, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = {
        "open": file(b"entry"),
        "mkdir": directory(b"entry"),
        "symlink": link(b"entry", b"x"),
        "write": file(b"entry"),
    }[call]
    with opened(dest) as directory_fd, as_file(archive + END) as stream:

        def full(*_: object, **__: object) -> None:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patched:
            patched.setattr(os, call, full)
            with pytest.raises(Exhausted, match=r"^the work directory is full: .*'entry'$"):
                unpack(stream, directory_fd)


def test_what_the_kernel_refuses_otherwise_names_the_entry(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(HostFailure, match="create 'entry': Input/output error"):
        unpack_bytes(file(b"entry") + END, dest)
    with pytest.raises(HostFailure, match="create 'folder'"):
        unpack_bytes(directory(b"folder") + END, dest)
