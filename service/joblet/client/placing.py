"""Puts what came out of a job in its place: the names at the destination are not to be trusted.

As with `cp -r`, an existing directory receives what is copied, else the last part of the
destination is the new name. What comes is unpacked into a private directory beside its place and
moved from there, name by name: so nothing is half-written under its name, and what is missing at
the end of a broken stream replaces nothing. Directories are merged, files and links replaced; no
link at the destination is followed but the destination itself. A file where a directory would be,
or the other way round, is refused before anything has moved.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from joblet.archive import beneath
from joblet.archive.names import shown
from joblet.errors import HostFailure, JobletError

_TO_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OWNER_ALL = stat.S_IRWXU
_NEW_DIRECTORY = 0o777


class BadDestination(JobletError):
    """Nothing can be put there, and nothing was."""


class Place:
    """Where something goes: a directory that is there, and the name to give to it, if any."""

    def __init__(self, destination: str) -> None:
        path = os.fsencode(destination)
        front, _, last = path.rstrip(b"/").rpartition(b"/")
        self._name = b""
        self._directory = path
        self._for_directory = path.endswith(b"/")
        if not os.path.isdir(path):
            self._name = last
            # Of a bare name it is the working directory, of "/name" the root.
            self._directory = front or (b"/" if path.startswith(b"/") else b".")
        try:
            self._parent = os.open(self._directory, _TO_LIST)
        except OSError as err:
            raise BadDestination(f"{shown(self._directory)}: {err.strerror}") from err

    def close(self) -> None:
        """Forget it."""
        os.close(self._parent)

    @contextmanager
    def receiving(self) -> Iterator[int]:
        """An empty directory of our own, open, to unpack into. Raises BadDestination.

        What has not been put in its place is gone afterwards.
        """
        own = f".joblet-{secrets.token_hex(8)}".encode("ascii")
        try:
            os.mkdir(own, _OWNER_ALL, dir_fd=self._parent)
        except OSError as err:
            where = shown(self._directory)
            raise BadDestination(f"cannot write to {where}: {err.strerror}") from err
        try:
            opened = os.open(own, _TO_LIST | os.O_NOFOLLOW, dir_fd=self._parent)
            try:
                yield opened
            finally:
                os.close(opened)
        finally:
            _remove(self._parent, own)

    def put(self, own: int, root: bytes, *, content: bool) -> None:
        """Move the one entry `root` of the received, or only what that directory holds.

        An empty root is the received itself. Raises BadDestination, HostFailure.
        """
        try:
            if content:
                self._put_content(own, root)
                return
            facts = _received(own, root)
            if self._for_directory and self._name and not stat.S_ISDIR(facts.st_mode):
                raise BadDestination(f"there is no directory {self._full(self._name)}")
            self._move(own, [(root, self._name or root)])
        except OSError as err:
            raise HostFailure(f"put it to {self._full(self._name)}", err.errno or 0) from err

    def _put_content(self, own: int, root: bytes) -> None:
        if self._name:
            try:
                os.mkdir(self._name, _NEW_DIRECTORY, dir_fd=self._parent)
            except FileExistsError as err:
                raise BadDestination(f"{self._full(self._name)} is no directory") from err
        names = sorted(_children(own, root))
        self._move(own, [(_join(root, name), _join(self._name, name)) for name in names])

    def _move(self, own: int, pairs: list[tuple[bytes, bytes]]) -> None:
        moves = []
        while pairs:
            source, target = pairs.pop()
            above, last = _split(source)
            facts = _received(own, source)
            there = _facts(self._parent, target)
            both = there is not None and stat.S_ISDIR(there.st_mode)
            if there is not None and both != stat.S_ISDIR(facts.st_mode):
                what = "a directory" if both else "no directory"
                raise BadDestination(f"{self._full(target)} is {what}")
            if not both:
                moves.append((source, target, facts.st_mode))
                continue
            with _handle(own, above) as directory:
                # Its names cannot be taken out otherwise.
                os.chmod(last, _OWNER_ALL, dir_fd=directory)
            pairs += [(_join(source, n), _join(target, n)) for n in _children(own, source)]
        for source, target, mode in moves:
            self._rename(own, source, target, mode)

    def _rename(self, own: int, source: bytes, target: bytes, mode: int) -> None:
        from_above, from_last = _split(source)
        to_above, to_last = _split(target)
        # The `..` of a directory changes, too: it must be writable meanwhile.
        locked = stat.S_ISDIR(mode) and not mode & stat.S_IWUSR
        with _handle(own, from_above) as giver, _handle(self._parent, to_above) as taker:
            if locked:
                os.chmod(from_last, mode | _OWNER_ALL, dir_fd=giver)
            os.rename(from_last, to_last, src_dir_fd=giver, dst_dir_fd=taker)
            if locked:
                moved = os.open(to_last, _TO_LIST | os.O_NOFOLLOW, dir_fd=taker)
                try:
                    os.fchmod(moved, stat.S_IMODE(mode))
                finally:
                    os.close(moved)

    def _full(self, name: bytes) -> str:
        return shown(os.path.join(self._directory, name)) if name else shown(self._directory)


@contextmanager
def _handle(top: int, path: bytes) -> Iterator[int]:
    handle = beneath.open_handle(top, path or b".")
    try:
        yield handle
    finally:
        os.close(handle)


def _facts(top: int, path: bytes) -> os.stat_result | None:
    above, last = _split(path)
    with _handle(top, above) as directory:
        try:
            return os.lstat(last, dir_fd=directory)
        except FileNotFoundError:
            return None


def _received(own: int, path: bytes) -> os.stat_result:
    facts = _facts(own, path)
    if facts is None:
        raise BadDestination(f"'{shown(path)}' did not come")
    return facts


def _children(top: int, path: bytes) -> list[bytes]:
    directory = beneath.open_directory(top, path or b".")
    try:
        return [os.fsencode(name) for name in os.listdir(directory)]
    finally:
        os.close(directory)


def _remove(parent: int, name: bytes) -> None:
    """What we have made ourselves, whatever modes came with it."""
    for _, directories, _, directory in os.fwalk(name, dir_fd=parent):
        for below in directories:
            if stat.S_ISDIR(os.lstat(below, dir_fd=directory).st_mode):
                os.chmod(below, _OWNER_ALL, dir_fd=directory)
    shutil.rmtree(name, dir_fd=parent)


def _split(path: bytes) -> tuple[bytes, bytes]:
    above, _, last = path.rpartition(b"/")
    return above, last


def _join(above: bytes, last: bytes) -> bytes:
    return above + b"/" + last if above else last
