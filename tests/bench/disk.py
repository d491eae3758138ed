"""A file system of the bench's own: what was deleted on the host before must not be measured.

ext4 goes around inodes that were freed within the last minutes, one by one, where it has no
journal; after a thousand deletions each new file costs a millisecond there. So the machine of the
bench lies on a fresh ext4 as mke2fs makes it, with a journal like any installed Debian's, past the
page cache of the file below it. Every contender pays the same for it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.grounds.cache import NoGround

# Sparse; docker's image store and a hundred thousand logs fit.
_SIZE = 24 << 30


@contextmanager
def disk(directory: Path) -> Iterator[Path]:
    """A mounted, empty ext4 below a directory; gone with the context. Raises NoGround."""
    image, mounted = directory / "disk.img", directory / "disk"
    directory.mkdir(parents=True, exist_ok=True)
    mounted.mkdir(exist_ok=True)
    if mounted.is_mount():
        # of a bench that was killed
        _run(["umount", "--recursive", "--detach-loop", str(mounted)])
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(_SIZE)
    try:
        _run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)])
        # `losetup --detach` of a device in use takes effect when it is unmounted
        loop = _run(["losetup", "--find", "--show", "--direct-io=on", str(image)])
        try:
            _run(["mount", loop, str(mounted)])
        finally:
            _run(["losetup", "--detach", loop])
        try:
            yield mounted
        finally:
            _run(["umount", "--recursive", str(mounted)])
    finally:
        image.unlink()


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoGround(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()
