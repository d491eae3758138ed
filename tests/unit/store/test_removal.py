"""A tree that a hostile job left is gone afterwards, and nothing else is."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from joblet.store.removal import remove_tree

_LIBC = ctypes.CDLL(None, use_errno=True)


def build_chain(parent: Path, depth: int, name: str = "d") -> None:
    """Directories in each other, deeper than any path may be long; a file in each."""
    directory = os.open(parent, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=directory)
        deeper = os.open(name, os.O_RDONLY, dir_fd=directory)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=directory))
        os.close(directory)
        directory = deeper
    os.close(directory)


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """At most this many more may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The limit is on the number of a descriptor; the open ones may have left some free below.
    taken = {int(name) for name in os.listdir("/proc/self/fd")}
    free = (number for number in range(soft) if number not in taken)
    *_, last = islice(free, count)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def drop_override() -> None:
    """Let this thread, and only it, be bound by the modes of files (capabilities(7))."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    assert _LIBC.capget(header, data) == 0
    data[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, effective set
    assert _LIBC.capset(header, data) == 0


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    remove_tree(str(tmp_path), "nothing")


def test_a_file_or_link_in_its_place_is_removed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("kept")
    remove_tree(str(tmp_path), "file")
    remove_tree(str(tmp_path), "link")
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_links_are_removed_and_not_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(0o755)
    (outside / "file").write_text("kept")
    for place in (tree, tree / "a", tree / "a" / "b"):
        place.mkdir(exist_ok=True)
        (place / "absolute").symlink_to(outside)
        (place / "relative").symlink_to("../" * 9 + "etc")
        (place / "loop").symlink_to("loop")
        (place / "hard").hardlink_to(outside / "file")
    remove_tree(str(tmp_path), "tree")
    assert os.listdir(tmp_path) == ["outside"]
    assert (outside / "file").read_text() == "kept"
    assert (outside / "file").stat().st_nlink == 1
    assert outside.stat().st_mode & 0o777 == 0o755


def test_odd_names_and_kinds_of_files_are_removed(tree: Path, tmp_path: Path) -> None:
    for place in (tree, tree / "a", tree / "a" / "b"):
        place.mkdir(exist_ok=True)
        for name in (b"\xff\xfe", b"new\nline", b" ", b"-rf", b"...", b"\x01" * 255, b"*"):
            os.close(os.open(os.fsencode(place) + b"/" + name, os.O_CREAT | os.O_WRONLY))
            os.makedirs(os.fsencode(place) + b"/dir" + name[:200] + b"/x/y")
        os.mkfifo(place / "fifo")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place / "s"))
    remove_tree(str(tmp_path), "tree")
    assert os.listdir(tmp_path) == []


def test_a_tree_deeper_than_any_path_takes_few_descriptors(tree: Path, tmp_path: Path) -> None:
    build_chain(tree, 1100, "deep")
    build_chain(tree, 20, "e" * 255)
    with few_descriptors(5):
        remove_tree(str(tmp_path), "tree")
    assert os.listdir(tmp_path) == []


def test_a_wide_tree_of_full_directories_is_removed(tree: Path, tmp_path: Path) -> None:
    for n in range(60):
        for m in range(5):
            (tree / f"{n}" / f"{m}").mkdir(parents=True)
            (tree / f"{n}" / f"{m}" / "file").touch()
    remove_tree(str(tmp_path), "tree")
    assert os.listdir(tmp_path) == []


def test_directories_without_any_right_are_removed_with_and_without_the_capability(
    tmp_path: Path,
) -> None:
    def lock(tree: Path) -> None:
        for place in (tree, tree / "a", tree / "a" / "b", tree / "a" / "b" / "c"):
            place.mkdir()
            (place / "file").touch(0o000)
        for place in (tree / "a" / "b" / "c", tree / "a" / "b", tree / "a", tree):
            place.chmod(0o000)

    failed: list[BaseException] = []

    def bound_by_modes() -> None:
        try:
            drop_override()
            with pytest.raises(PermissionError):
                os.listdir(tmp_path / "two")
            remove_tree(str(tmp_path), "two")
        except BaseException as err:
            failed.append(err)
            raise

    lock(tmp_path / "one")
    lock(tmp_path / "two")
    remove_tree(str(tmp_path), "one")
    thread = threading.Thread(target=bound_by_modes)
    thread.start()
    thread.join()
    assert failed == []
    assert os.listdir(tmp_path) == []


def test_two_may_remove_the_same_tree_at_once(tree: Path, tmp_path: Path) -> None:
    for n in range(12):
        (tree / f"{n}").mkdir()
        build_chain(tree / f"{n}", 20)
    failed: list[BaseException] = []
    together = threading.Barrier(2)

    def run() -> None:
        try:
            together.wait()
            remove_tree(str(tmp_path), "tree")
        except BaseException as err:
            failed.append(err)
            raise

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert os.listdir(tmp_path) == []


def test_a_removal_that_was_cut_short_goes_on_where_it_was(tree: Path, tmp_path: Path) -> None:
    build_chain(tree, 50)
    (tree / "z").mkdir()
    build_chain(tree / "z", 50)
    with few_descriptors(3), pytest.raises(OSError, match="Too many open files"):
        remove_tree(str(tmp_path), "tree")
    assert tree.exists()
    remove_tree(str(tmp_path), "tree")
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        remove_tree(str(tmp_path / "no parent"), "tree")
