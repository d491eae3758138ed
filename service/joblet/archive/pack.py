"""Writes what lies below an open directory as a tar stream. The tree is hostile.

It may change while it is read: every directory and file is opened by one walk that follows no
link and leaves no mount (`beneath`), so that nothing but this tree can get into the archive. The
path that a user names is the exception: its links are followed as `cp` does with an argument, but
never to above the directory, whose `..` and `/` is the directory itself.

Links are packed as links, hard links as files of their own. What is neither file, directory nor
link, what may not be read, what vanishes, what another file system holds, and what no `unpack`
would take (`names`) is left out and told to a callback. A file has exactly the size that its
header says: one that grows is cut, one that shrinks is filled up with zeros and told as well.

Entries come in the order in which the file system lists them, files before subdirectories: a
sorted list of a million names would have to be in memory, and nobody asks for it. One directory
is open at a time, whatever the depth; what is remembered is the names of directories still to be
visited. The owner is not kept, nor are set-id and sticky bits.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from joblet.archive import beneath
from joblet.archive.names import MAX_DEPTH, PATH_MAX, shown
from joblet.archive.streams import Sink
from joblet.archive.tarformat import BLOCK, DIRECTORY, FILE, LINK, Entry, end_mark, write_header
from joblet.archive.unpack import MAX_ENTRIES, Totals
from joblet.errors import (
    Exhausted,
    HostFailure,
    InvalidSpec,
    JobletError,
    NotAllowed,
    NotFound,
    UploadRefused,
)

_PERMISSIONS = 0o777
# The one reason to leave something out that loses nothing: there is nothing in it to copy.
_SPECIAL = "it is a device, a FIFO or a socket"
_REPLACED = "it was replaced meanwhile"
_FORBIDDEN = "it may not be read"
# What a job can do to an entry. Anything else, such as no descriptor left, fails the whole: an
# archive must not lack files because we were short of something.
_PROPERTIES = {
    errno.ENOENT: _REPLACED,
    errno.ENOTDIR: _REPLACED,
    errno.ELOOP: _REPLACED,
    errno.EINVAL: _REPLACED,
    errno.ENXIO: _REPLACED,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EAGAIN: "another process holds a lease on it",
    errno.EXDEV: "another file system is mounted there",
}


def pack(
    directory: int,
    path: bytes,
    stream: int,
    *,
    found: Callable[[], None] | None = None,
    skipped: Callable[[str, str], None] | None = None,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int | None = None,
) -> Totals:
    """Pack the file or directory that `path` names below `directory`, as one whole archive.

    Its entries begin with the last part of the path; with an empty one, `.` or `..` at its end,
    they are what the directory holds. `found` is called once the path is open and before the first
    byte, `skipped` with the name of each entry that is not or not truly in the archive, and why.
    Raises NotFound, NotAllowed, InvalidSpec for the path, Exhausted, HostFailure.
    """
    packer = Packer(stream, skipped=skipped, max_entries=max_entries, max_bytes=max_bytes)
    fd = open_path(directory, path)
    try:
        if found is not None:
            found()
        packer.add(fd, name_of(path))
    finally:
        os.close(fd)
    packer.finish()
    return packer.totals


def whole(name: str, why: str) -> None:
    """A `skipped` for an archive that may lack nothing. Raises UploadRefused.

    Devices, FIFOs and sockets are no loss: a job could do nothing with a copy.
    """
    if why != _SPECIAL:
        raise UploadRefused(name, why)


def name_of(path: bytes) -> bytes:
    """What an archive calls the thing that a user's path names; empty: its content only."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    return parts[-1] if parts and parts[-1] != b".." else b""


def open_path(directory: int, path: bytes) -> int:
    """The file or directory that a user's path names, open to read.

    Raises NotFound, NotAllowed, InvalidSpec, HostFailure.
    """
    label = shown(path)
    if b"\0" in path:
        raise NotFound("path", label)
    # An absolute path is one of the directory as well.
    inside = path or b"."
    try:
        # Looked at first: opening a device can have an effect.
        handle = beneath.look_inside(directory, inside)
        try:
            _require_packable(os.fstat(handle), label)
        finally:
            os.close(handle)
        fd = beneath.read_inside(directory, inside)
    except OSError as err:
        raise _path_error(err, label) from err
    try:
        _require_packable(os.fstat(fd), label)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Packer:
    """Writes one archive from any number of trees: `add` each, then `finish`."""

    def __init__(
        self,
        stream: int,
        *,
        skipped: Callable[[str, str], None] | None = None,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int | None = None,
    ) -> None:
        self.totals = Totals()
        self._sink = Sink(stream)
        self._skipped = skipped
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._waiting = 0

    @property
    def sent(self) -> int:
        """Bytes of the archive that have been written until now."""
        return self._sink.written

    def add(self, fd: int, name: bytes) -> None:
        """Pack an open file or directory, with all that is in it, under this name.

        An empty name is for a directory: then its entries stand at the top of the archive.
        """
        facts = os.fstat(fd)
        if stat.S_ISDIR(facts.st_mode):
            self._tree(fd, name, facts)
        else:
            self._file(fd, name, facts)

    def finish(self) -> None:
        """End the archive and write what is buffered."""
        self._sink.put(end_mark())
        self._sink.flush()

    def _tree(self, top: int, name: bytes, facts: os.stat_result) -> None:
        if name:
            self._header(name, DIRECTORY, facts)
        # For each directory on the way down: its path below the top, and what is to be visited.
        way = [(b"", self._list(top, name))]
        while way:
            above, left = way[-1]
            if not left:
                way.pop()
                continue
            path = _join(above, left.pop())
            below = self._visit(top, path, _join(name, path))
            if below:
                way.append((path, below))

    def _visit(self, top: int, path: bytes, name: bytes) -> list[bytes]:
        """Pack one directory but for its subdirectories: those are returned."""
        self._waiting -= 1
        try:
            fd = beneath.open_directory(top, path)
        except OSError as err:
            self._skip(name, _why_unreadable(err, name))
            return []
        try:
            self._header(name, DIRECTORY, os.fstat(fd))
            return self._list(fd, name)
        finally:
            os.close(fd)

    def _list(self, fd: int, above: bytes) -> list[bytes]:
        directories: list[bytes] = []
        try:
            listing = os.scandir(fd)
        except OSError as err:
            self._skip(above, _why_unreadable(err, above))
            return directories
        with listing:
            while True:
                try:
                    found = next(listing, None)
                    if found is None:
                        return directories
                    last = os.fsencode(found.name)
                    name = _join(above, last)
                    is_link = found.is_symlink()
                    is_directory = found.is_dir(follow_symlinks=False)
                    is_file = found.is_file(follow_symlinks=False)
                except OSError as err:
                    self._skip(above, _why_unreadable(err, above))
                    return directories
                if len(name) > PATH_MAX or name.count(b"/") >= MAX_DEPTH:
                    self._skip(name, "it lies too deep")
                elif is_link:
                    self._link(fd, last, name)
                elif is_directory:
                    directories.append(last)
                    self._waiting += 1
                    self._check_count(name)
                elif is_file:
                    self._open_file(fd, last, name)
                else:
                    self._skip(name, _SPECIAL)

    def _link(self, directory: int, last: bytes, name: bytes) -> None:
        try:
            facts = os.lstat(last, dir_fd=directory)
            target = os.readlink(last, dir_fd=directory)
        except OSError as err:
            self._skip(name, _why_unreadable(err, name))
            return
        self._header(name, LINK, facts, target=target)

    def _open_file(self, directory: int, last: bytes, name: bytes) -> None:
        try:
            fd = beneath.open_file(directory, last)
        except OSError as err:
            self._skip(name, _why_unreadable(err, name))
            return
        try:
            facts = os.fstat(fd)
            if stat.S_ISREG(facts.st_mode):
                self._file(fd, name, facts)
            else:
                self._skip(name, _REPLACED)
        finally:
            os.close(fd)

    def _file(self, fd: int, name: bytes, facts: os.stat_result) -> None:
        size = facts.st_size
        self.totals.bytes += size
        if self._max_bytes is not None and self.totals.bytes > self._max_bytes:
            raise Exhausted(f"with '{shown(name)}' there are more than {self._max_bytes} bytes")
        self._header(name, FILE, facts, size=size)
        if not size:
            return
        try:
            missing = size - self._sink.copy(fd, size)
        except OSError as err:
            # The header has promised its bytes: an archive without them would be no archive.
            raise HostFailure(f"read '{shown(name)}'", err.errno or 0) from err
        if missing:
            self._sink.zeros(missing)
            self._skip(name, f"it shrank meanwhile: its last {missing} bytes are zeros")
        self._sink.zeros(-size % BLOCK)

    def _header(
        self,
        name: bytes,
        kind: bytes,
        facts: os.stat_result,
        *,
        size: int = 0,
        target: bytes = b"",
    ) -> None:
        self.totals.entries += 1
        self._check_count(name)
        spelled = name + b"/" if kind == DIRECTORY else name
        mode = facts.st_mode & _PERMISSIONS
        self._sink.put(write_header(Entry(spelled, kind, mode, size, facts.st_mtime_ns, target)))

    def _check_count(self, name: bytes) -> None:
        """Those still to be visited count: they are what is in memory."""
        if self.totals.entries + self._waiting > self._max_entries:
            raise Exhausted(f"with '{shown(name)}' there are more than {self._max_entries} entries")

    def _skip(self, name: bytes, why: str) -> None:
        if self._skipped is not None:
            self._skipped(shown(name or b"."), why)


def _join(above: bytes, last: bytes) -> bytes:
    return above + b"/" + last if above else last


def _require_packable(facts: os.stat_result, label: str) -> None:
    if not stat.S_ISREG(facts.st_mode) and not stat.S_ISDIR(facts.st_mode):
        raise InvalidSpec("path", f"'{label}' is neither a file nor a directory")


def _path_error(err: OSError, label: str) -> JobletError:
    code = err.errno or 0
    if code in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return NotFound("path", label)
    if code in (errno.EACCES, errno.EPERM):
        return NotAllowed(f"read '{label}'")
    if code == errno.ELOOP:
        return InvalidSpec("path", f"'{label}' goes round in links")
    if code == errno.EXDEV:
        return InvalidSpec("path", f"'{label}' lies on another file system")
    return HostFailure(f"open '{label}'", code)


def _why_unreadable(err: OSError, name: bytes) -> str:
    """Why an entry is left out. Raises HostFailure for what is no property of the entry."""
    if err.errno in _PROPERTIES:
        return _PROPERTIES[err.errno]
    raise HostFailure(f"read '{shown(name or b'.')}'", err.errno or 0) from err
