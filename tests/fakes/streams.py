"""Runs the packer and the unpacker on bytes, through the kinds of descriptors they will meet."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from joblet.archive.pack import pack
from joblet.archive.unpack import MAX_ENTRIES, Totals, unpack


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def as_file(data: bytes) -> Iterator[int]:
    """A regular file with these bytes, at its beginning."""
    fd = os.memfd_create("stream")
    try:
        with open(fd, "wb", closefd=False) as stream:
            stream.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def fed_by(feed: Callable[[int], None], ends: tuple[int, int]) -> Iterator[int]:
    """The reading end of a pipe or socket pair that a thread writes to."""
    reading, writing = ends

    def run() -> None:
        try:
            feed(writing)
        except BrokenPipeError:
            # The reader has seen enough.
            pass
        finally:
            os.close(writing)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def unpack_bytes(
    data: bytes,
    dest: Path,
    *,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int | None = None,
    skip_link: Callable[[str, str], None] | None = None,
) -> Totals:
    with opened(dest) as directory, as_file(data) as stream:
        return unpack(
            stream,
            directory,
            max_entries=max_entries,
            max_bytes=max_bytes,
            skip_link=skip_link,
        )


def pack_bytes(
    source: Path,
    path: bytes = b"",
    *,
    found: Callable[[], None] | None = None,
    skipped: Callable[[str, str], None] | None = None,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int | None = None,
) -> bytes:
    with opened(source) as directory, as_file(b"") as stream:
        pack(
            directory,
            path,
            stream,
            found=found,
            skipped=skipped,
            max_entries=max_entries,
            max_bytes=max_bytes,
        )
        os.lseek(stream, 0, os.SEEK_SET)
        with open(stream, "rb", closefd=False) as whole:
            return whole.read()
