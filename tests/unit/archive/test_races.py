"""A job that swaps names while files are moved: nothing outside is written, and nothing read."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from joblet.errors import JobletError, UploadRefused
from joblet.store.removal import remove_tree
from tests.fakes.rawtar import END, directory, file, link
from tests.fakes.streams import pack_bytes, unpack_bytes

ROUNDS = 60
SWAPS = 500


class Swapper:
    """Moves a name away and puts a link in its place, and back, until it is told to stop."""

    def __init__(self, pairs: list[tuple[Path, str]]) -> None:
        self.swaps = 0
        self._pairs = pairs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            for path, target in self._pairs:
                aside = path.with_name(path.name + ".aside")
                # The other side removes and creates meanwhile: any step may find nothing.
                with suppress(OSError):
                    os.rename(path, aside)
                    self.swaps += 1
                with suppress(OSError):
                    os.symlink(target, path)
                with suppress(OSError):
                    if path.is_symlink():
                        path.unlink()
                with suppress(OSError):
                    os.rename(aside, path)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        # Let the two threads take turns in the middle of things.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            sys.setswitchinterval(interval)


def test_nothing_is_written_through_a_directory_swapped_for_a_link(
    dest: Path, outside: Path
) -> None:
    """The fixture looks at the outside; a walk by names would have written there."""
    archive = b"".join(
        [
            directory(b"d"),
            directory(b"d/sub"),
            *(file(b"d/sub/secret%d" % n) + file(b"d/f%d" % n) for n in range(60)),
            *(link(b"d/sub/l%d" % n, b"f") for n in range(20)),
            *(file(b"d/new%d/f" % n) for n in range(20)),
            END,
        ]
    )
    swapper = Swapper(
        [(dest / "d", "../outside"), (dest / "d/sub", "../../outside"), (dest / "d/new1", "..")]
    )
    refused = rounds = 0
    with swapper.at_work():
        while rounds < ROUNDS or swapper.swaps < SWAPS or not refused:
            rounds += 1
            try:
                unpack_bytes(archive, dest)
            except UploadRefused:
                refused += 1
            while left := os.listdir(dest):
                # Names move under this, too.
                with suppress(OSError):
                    remove_tree(str(dest), left[0])


def test_nothing_outside_is_read_through_a_name_swapped_for_a_link(
    source: Path, outside: Path
) -> None:
    (source / "d/sub").mkdir(parents=True)
    for number in range(30):
        (source / f"d/sub/f{number}").write_bytes(b"ours")
    (source / "d/sub/secret").write_bytes(b"ours")
    (source / "secret").write_bytes(b"ours")
    swapper = Swapper(
        [
            (source / "secret", "../outside/secret"),
            (source / "d/sub", "../../outside/sub"),
            (source / "d", "../outside"),
        ]
    )
    rounds = links = 0
    with swapper.at_work():
        while rounds < ROUNDS or swapper.swaps < SWAPS or not links:
            rounds += 1
            archive = pack_bytes(source)
            assert b"untouched" not in archive
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                links += sum(member.issym() for member in tar.getmembers())


@pytest.mark.parametrize("path", [b"secret", b"d/secret", b"d/../secret"])
def test_path_of_a_user_stays_inside_while_names_are_swapped(
    path: bytes, source: Path, outside: Path
) -> None:
    (source / "d").mkdir()
    (source / "d/secret").write_bytes(b"ours")
    (source / "secret").write_bytes(b"ours")
    swapper = Swapper([(source / "secret", "../outside/secret"), (source / "d", "../outside")])
    rounds = packed = 0
    with swapper.at_work():
        while rounds < ROUNDS or swapper.swaps < SWAPS or not packed:
            rounds += 1
            try:
                archive = pack_bytes(source, path)
            except JobletError:
                continue
            packed += 1
            assert b"untouched" not in archive
