"""Files that are replaced as a whole: who reads them meets the old content or the new one.

So does a crash, a full disk and a second run at the same time. Holds for each file by itself; what
belongs together is therefore one file, or is written in an order that leaves no wrong state.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator

from joblet import failpoints
from joblet.errors import HostFailure, JobletError, NotAllowed

_SUFFIX = ".new"


@contextlib.contextmanager
def explained(verb: str, path: str) -> Iterator[None]:
    """What goes wrong with a file, as one sentence: `write`, `read` or the like."""
    try:
        yield
    except PermissionError as err:
        raise NotAllowed(f"{verb} {path}", "run it as root" if os.geteuid() else "") from err
    except OSError as err:
        raise HostFailure(f"{verb} {path}", err.errno or errno.EIO) from err


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Be the only one of us who changes this directory; waits for another.

    The lock is on the directory itself: nothing has to be created, and nothing is left behind.
    """
    with explained("open", directory):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with explained("lock", directory):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def read(path: str, *, limit: int) -> bytes:
    """A regular file of at most so many bytes. Raises OSError, and JobletError for other kinds.

    Does not follow a symbolic link in the last place and does not wait for a writer of a pipe:
    root may be asked to read in a directory of somebody else.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise JobletError(f"{path} is no regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise JobletError(f"{path} is too long: more than {limit} bytes")
    return data


def replace(path: str, data: bytes, *, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Put a file there, or a new one in the place of the old. Raises JobletError; then the old
    one is untouched."""
    with explained("write", path):
        _replace(path, data, mode, owner)


def _replace(path: str, data: bytes, mode: int, owner: tuple[int, int] | None) -> None:
    directory, name = os.path.split(os.path.abspath(path))
    temporary = f"{directory}/.{name}.{secrets.token_hex(8)}{_SUFFIX}"
    # Nobody else may read a key at any moment, whatever the umask is.
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            failpoints.hit("durablefile.created")
            file.write(data)
            file.flush()
            if owner is not None:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)
            os.fsync(fd)
        failpoints.hit("durablefile.written")
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    failpoints.hit("durablefile.renamed")
    sync_directory(directory)


def make_directory(path: str, mode: int) -> None:
    """A directory that survives a power cut; one that is there keeps its mode. Raises OSError."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return
    sync_directory(os.path.dirname(path))


def sync_directory(directory: str) -> None:
    """Make the names in a directory survive a power cut. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(directory: str) -> None:
    """Remove what a killed run left half written; only while holding the lock. Raises OSError."""
    for name in os.listdir(directory):
        if name.startswith(".") and name.endswith(_SUFFIX):
            os.unlink(f"{directory}/{name}")
