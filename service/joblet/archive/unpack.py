"""Creates the files of a tar stream below an open directory. The stream is hostile.

So may be the directory: a job may run in it and swap names meanwhile. Therefore each parent is
opened by one walk that follows no link and leaves no mount (`beneath`), each file is created
anew (O_EXCL), and nothing that is there already is written to, entered or replaced. The
directory must not contain what the archive brings; apart from that it need not be empty.

What is made: regular files, directories and symbolic links, with permission bits (no set-id, no
sticky) and modification time; everything belongs to whom this process is. A link is made only if
neither it nor a chain of such links can lead outside (`names.why_target_leaves`), and after all
files, so that nothing is ever written through one. Directories are open to their owner while
they are filled and get mode and time at the end, from the deepest up. The mode and time of the
top directory itself are left as they are.

There is no undo: what was written before a refusal is the caller's to remove. Memory does not
grow with files or contents, only with the names of directories and links, up to REMEMBERED_MAX.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from joblet.archive import beneath, tarformat
from joblet.archive.names import PATH_MAX, canonical, shown, why_target_leaves
from joblet.archive.streams import Source
from joblet.archive.tarformat import DIRECTORY, FILE, Entry
from joblet.errors import Exhausted, HostFailure, JobletError, UploadRefused

# Directories that only a longer name mentions count, too.
MAX_ENTRIES = 1_000_000
# For names of directories and links, and what Python needs beside each.
REMEMBERED_MAX = 128 << 20
_REMEMBERED_EACH = 250

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE_FILE, _PRIVATE_DIRECTORY = 0o600, 0o700
_IMPLICIT_MODE = 0o755
_PERMISSION_BITS = 9

# A file above, or what somebody else has done to a directory that we made a moment ago.
_NO_DIRECTORY = (errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EXDEV)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Totals:
    """What went through: entries, and bytes of file content."""

    __slots__ = ("bytes", "entries")

    def __init__(self) -> None:
        self.entries = 0
        self.bytes = 0


def unpack(
    stream: int | Source,
    directory: int,
    *,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int | None = None,
    skip_link: Callable[[str, str], None] | None = None,
    place: str = "work directory",
    within: bytes = b"",
) -> Totals:
    """Unpack the tar stream that `stream` yields below `directory`.

    With skip_link a link that leads outside is left out, and named to it with the reason; without
    it is refused. Of an archive that is all below one entry, `within`, that entry is the inside.
    `place` is what a message calls the directory. Raises UploadRefused naming the entry, Exhausted
    when the file system is full, HostFailure for what else the kernel refuses; what was written
    stays then.
    """
    work = _Unpacking(directory, max_entries, max_bytes, skip_link, place, within)
    try:
        work.run(stream if isinstance(stream, Source) else Source(stream))
    finally:
        work.close()
    return work.totals


class _Unpacking:
    """One run: what has been made so far, and the one directory that stays open between files."""

    def __init__(
        self,
        directory: int,
        max_entries: int,
        max_bytes: int | None,
        skip_link: Callable[[str, str], None] | None,
        place: str,
        within: bytes,
    ) -> None:
        self.totals = Totals()
        self._top = directory
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._skip_link = skip_link
        self._name_of_top = place
        self._within = within + b"/" if within else b""
        # Directories made here. None: only mentioned so far; else time and mode in one number.
        self._directories: dict[bytes, int | None] = {}
        self._links: dict[bytes, tuple[bytes, int]] = {}
        self._remembered = 0
        self._parent = b""
        self._parent_fd = directory

    def close(self) -> None:
        """Close what is open; the caller's descriptors are not."""
        if self._parent_fd != self._top:
            os.close(self._parent_fd)
            self._parent_fd = self._top
            self._parent = b""

    def run(self, source: Source) -> None:
        """Everything, in the order that makes it safe."""
        for entry in tarformat.read(source):
            name = canonical(entry.name, directory=entry.kind == DIRECTORY)
            try:
                if entry.kind == FILE:
                    self._file(source, entry, name)
                elif entry.kind == DIRECTORY:
                    self._directory(entry, name)
                else:
                    self._remember_link(entry, name)
            except OSError as err:
                raise self._explained(err, shown(entry.name)) from err
        for name, (target, mtime_ns) in self._links.items():
            try:
                self._make_link(name, target, mtime_ns)
            except OSError as err:
                raise self._explained(err, shown(name)) from err
        # A name sorts before all names below it.
        for name in sorted(self._directories, reverse=True):
            try:
                self._finish_directory(name)
            except OSError as err:
                raise self._explained(err, shown(name)) from err

    def _file(self, source: Source, entry: Entry, name: bytes) -> None:
        self._count(name)
        self._refuse_second(name)
        self.totals.bytes += entry.size
        if self._max_bytes is not None and self.totals.bytes > self._max_bytes:
            raise UploadRefused(
                shown(name), f"with it the archive holds more than {self._max_bytes} bytes"
            )
        parent, last = self._place(name)
        fd = os.open(last, _NEW_FILE, _PRIVATE_FILE, dir_fd=parent)
        try:
            if entry.size and source.copy(fd, entry.size) < entry.size:
                raise UploadRefused(shown(name), "the archive ends in the middle of it")
            os.fchmod(fd, entry.mode)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _directory(self, entry: Entry, name: bytes) -> None:
        if not name:
            # The top was there before us; counted, so that it cannot be said for ever.
            self._count(entry.name)
            return
        if name not in self._directories:
            self._refuse_second(name)
            parent, last = self._place(name)
            self._make_directory(parent, last, name)
        elif self._directories[name] is not None:
            raise UploadRefused(shown(name), "it is in the archive twice")
        self._directories[name] = entry.mtime_ns << _PERMISSION_BITS | entry.mode

    def _remember_link(self, entry: Entry, name: bytes) -> None:
        if not entry.target or b"\0" in entry.target or len(entry.target) > PATH_MAX:
            raise UploadRefused(shown(name), "its target is empty, too long or holds a NUL byte")
        self._count(name)
        self._refuse_second(name)
        self._refuse_below_link(name.rpartition(b"/")[0])
        if name in self._directories:
            raise UploadRefused(shown(name), "it is in the archive twice")
        why = why_target_leaves(name.removeprefix(self._within), entry.target)
        if not why:
            self._remember(name, len(entry.target))
            self._links[name] = (entry.target, entry.mtime_ns)
        elif self._skip_link is not None:
            self._skip_link(shown(name), why)
        else:
            raise UploadRefused(shown(name), f"{why} ('{shown(entry.target)}')")

    def _make_link(self, name: bytes, target: bytes, mtime_ns: int) -> None:
        parent, last = self._place(name)
        os.symlink(target, last, dir_fd=parent)
        os.utime(last, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _finish_directory(self, name: bytes) -> None:
        packed = self._directories[name]
        fd = beneath.open_directory(self._top, name)
        try:
            if packed is None:
                os.fchmod(fd, _IMPLICIT_MODE)
                return
            mtime_ns = packed >> _PERMISSION_BITS
            os.fchmod(fd, packed & 0o777)
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(fd)

    def _place(self, name: bytes) -> tuple[int, bytes]:
        """The open directory in which `name` is to be made, and its last part."""
        parent, _, last = name.rpartition(b"/")
        if parent != self._parent:
            self.close()
            self._parent_fd = self._open_parent(parent)
            self._parent = parent
        return self._parent_fd, last

    def _open_parent(self, parent: bytes) -> int:
        """Open a directory of the archive, made with all above it where it is missing."""
        if not parent:
            return self._top
        if parent in self._directories:
            return beneath.open_handle(self._top, parent)
        self._refuse_below_link(parent)
        known = parent
        while known and known not in self._directories:
            known = known.rpartition(b"/")[0]
        missing = parent[len(known) :].lstrip(b"/").split(b"/")
        fd = beneath.open_handle(self._top, known or b".")
        try:
            for step in missing:
                known = known + b"/" + step if known else step
                try:
                    self._make_directory(fd, step, known)
                except FileExistsError as err:
                    raise NotADirectoryError(errno.ENOTDIR, err.strerror) from err
                below = beneath.open_handle(fd, step)
                os.close(fd)
                fd = below
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _make_directory(self, parent: int, last: bytes, name: bytes) -> None:
        self._count(name)
        self._remember(name, 0)
        os.mkdir(last, _PRIVATE_DIRECTORY, dir_fd=parent)
        self._directories[name] = None

    def _refuse_second(self, name: bytes) -> None:
        """Links are made last: until then only we know of them, and not the file system."""
        if name in self._links:
            raise UploadRefused(shown(name), "it is in the archive twice")

    def _refuse_below_link(self, parent: bytes) -> None:
        while parent and parent not in self._directories:
            if parent in self._links:
                raise UploadRefused(shown(parent), "it is a link, and other entries lie below it")
            parent = parent.rpartition(b"/")[0]

    def _count(self, name: bytes) -> None:
        self.totals.entries += 1
        if self.totals.entries > self._max_entries:
            raise UploadRefused(
                shown(name), f"with it the archive holds more than {self._max_entries} entries"
            )

    def _remember(self, name: bytes, more: int) -> None:
        self._remembered += len(name) + more + _REMEMBERED_EACH
        if self._remembered > REMEMBERED_MAX:
            raise UploadRefused(
                shown(name), "with it the archive holds too many directories and links"
            )

    def _explained(self, err: OSError, entry: str) -> JobletError:
        code = err.errno or 0
        if code == errno.EEXIST:
            return UploadRefused(entry, "it is in the archive twice, or was there before")
        if code in _NO_DIRECTORY:
            return UploadRefused(entry, "what it lies in is no directory of this archive")
        if code == errno.ENAMETOOLONG:
            return UploadRefused(entry, "its name is too long for the file system")
        if code in _FULL:
            return Exhausted(f"the {self._name_of_top} is full: no room for '{entry}'")
        return HostFailure(f"create '{entry}'", code)
