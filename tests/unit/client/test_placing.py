"""Where a copy goes, and what is at the destination already."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from joblet.client.placing import BadDestination, Place
from tests.fakes.daemon import open_descriptors

Make = Callable[[Path], None]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def put(destination: str, make: Make, root: str, *, content: bool = False) -> None:
    """Receive what `make` makes, and put it in its place."""
    before = open_descriptors()
    place = Place(destination)
    try:
        with place.receiving() as own:
            make(Path(f"/proc/self/fd/{own}"))
            place.put(own, os.fsencode(root), content=content)
    finally:
        place.close()
        assert open_descriptors() == before


def file(folder: Path) -> None:
    (folder / "f").write_text("new")


def tree(folder: Path) -> None:
    (folder / "d" / "sub").mkdir(parents=True)
    (folder / "d" / "f").write_text("new")
    (folder / "d" / "sub" / "g").write_text("new")


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else ""
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize(
    ("destination", "where"),
    [
        (".", "f"),
        ("", "f"),
        ("out", "out/f"),
        ("out/", "out/f"),
        ("new", "new"),
        ("out/n", "out/n"),
    ],
)
def test_a_file_goes_into_a_directory_or_takes_the_new_name(
    here: Path, destination: str, where: str
) -> None:
    (here / "out").mkdir()
    if not destination:
        destination = str(here)
    put(destination, file, "f")
    assert content(here) == {"out": "", where: "new"}


@pytest.mark.parametrize(
    ("destination", "where"), [(".", "d"), ("out", "out/d"), ("new", "new"), ("new/", "new")]
)
def test_a_directory_does_the_same(here: Path, destination: str, where: str) -> None:
    (here / "out").mkdir()
    put(destination, tree, "d")
    assert (here / where / "sub" / "g").read_text() == "new"
    assert not list(here.rglob(".joblet-*"))


@pytest.mark.parametrize("root", ["", "d"])
@pytest.mark.parametrize("destination", ["out", "new"])
def test_the_content_of_a_directory_goes_into_the_destination(
    here: Path, destination: str, root: str
) -> None:
    (here / "out").mkdir()
    put(destination, tree, root, content=True)
    inner = here / destination / ("" if root else "d")
    assert (inner / "f").read_text() == "new"
    assert (inner / "sub" / "g").read_text() == "new"


def test_directories_are_merged_and_files_replaced(here: Path) -> None:
    (here / "d" / "sub").mkdir(parents=True)
    (here / "d" / "f").write_text("old")
    (here / "d" / "kept").write_text("old")
    (here / "d" / "sub" / "kept").write_text("old")
    put(".", tree, "d")
    assert content(here / "d") == {
        "f": "new",
        "kept": "old",
        "sub": "",
        "sub/g": "new",
        "sub/kept": "old",
    }


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(
    here: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("old")
    (here / "f").symlink_to(victim)
    put(".", file, "f")
    put("f", file, "f")
    assert (victim.read_text(), (here / "f").read_text()) == ("old", "new")
    assert not (here / "f").is_symlink()


def test_a_link_in_the_place_of_a_directory_is_refused(here: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (here / "d").mkdir()
    (here / "d" / "sub").symlink_to(victim)
    with pytest.raises(BadDestination, match="d/sub is no directory"):
        put(".", tree, "d")
    assert list(victim.iterdir()) == []
    # and nothing else has moved
    assert [path.name for path in (here / "d").iterdir()] == ["sub"]


@pytest.mark.parametrize(
    ("there", "make", "root", "complaint"),
    [
        ("f/", file, "f", "f is a directory"),
        ("d", tree, "d", "d is no directory"),
        ("d/sub", tree, "d", "d/sub is no directory"),
        ("d/f/", tree, "d", "d/f is a directory"),
    ],
)
def test_a_file_and_a_directory_do_not_take_each_other_s_place(
    here: Path, there: str, make: Make, root: str, complaint: str
) -> None:
    path = here / there
    path.parent.mkdir(exist_ok=True)
    if there.endswith("/"):
        path.mkdir()
    else:
        path.write_text("old")
    before = content(here)
    with pytest.raises(BadDestination, match=complaint):
        put(".", make, root)
    assert content(here) == before


@pytest.mark.parametrize("destination", ["missing/x", "f/x", "missing/x/"])
def test_a_place_in_no_directory_is_refused_before_anything_is_asked_for(
    here: Path, destination: str
) -> None:
    (here / "f").write_text("old")
    with pytest.raises(BadDestination):
        Place(destination)


def test_a_file_does_not_become_a_directory_that_is_not_there(here: Path) -> None:
    with pytest.raises(BadDestination, match="there is no directory"):
        put("new/", file, "f")
    assert content(here) == {}


def test_the_content_of_a_directory_does_not_go_into_a_file(here: Path) -> None:
    (here / "f").write_text("old")
    with pytest.raises(BadDestination, match="f is no directory"):
        put("f", tree, "d", content=True)


def test_what_was_not_put_is_gone(here: Path) -> None:
    def broken(folder: Path) -> None:
        tree(folder)
        (folder / "d" / "sub").chmod(0)
        (folder / "d").chmod(0o500)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(".", broken, "d")
    assert list(here.iterdir()) == []


def test_modes_are_those_that_came(here: Path) -> None:
    def locked(folder: Path) -> None:
        tree(folder)
        (folder / "d" / "f").chmod(0o400)
        (folder / "d" / "sub").chmod(0o500)
        (folder / "d").chmod(0o550)

    put("new", locked, "d")
    (here / "d").mkdir()
    put(".", locked, "d")
    for top in (here / "new", here / "d"):
        assert stat.S_IMODE((top / "f").stat().st_mode) == 0o400
        assert stat.S_IMODE((top / "sub").stat().st_mode) == 0o500
    assert stat.S_IMODE((here / "new").stat().st_mode) == 0o550
    # One that was there keeps its own.
    assert stat.S_IMODE((here / "d").stat().st_mode) & 0o700 == 0o700


def test_no_directory_is_too_deep_to_be_merged(here: Path) -> None:
    deep = "/".join(["d"] * 900)

    def make(folder: Path) -> None:
        os.makedirs(folder / deep)
        (folder / deep / "f").write_text("new")

    put(".", make, "d")
    put(".", make, "d")
    assert (here / deep / "f").read_text() == "new"
