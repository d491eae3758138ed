"""Named places where a test can make a process die or fail.

Switched by an environment variable: $JOBLET_FAILPOINTS names a directory. A file there with the
name of a fail-point and the word `crash` or `error` arms it for one hit. Without the variable a
hit costs one comparison. A leaf like records: every process of ours may import it.

There are two kinds. At a `hit` an operation is about to be tried or has been, which may also fail.
`between` two steps nothing can fail, so only death comes there.
"""

from __future__ import annotations

import errno
import os
import signal

_DIRECTORY = os.environ.get("JOBLET_FAILPOINTS", "")


def hit(name: str) -> None:
    """Pass a fail-point. Armed with `crash`: this process is killed; with `error`: OSError EIO."""
    if _DIRECTORY:
        act(name, look(name))


def between(name: str) -> None:
    """Pass a fail-point where only `crash` makes sense."""
    if _DIRECTORY and look(name) == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)


def look(name: str) -> bytes:
    """Disarm a fail-point and say what it was armed with; b"" if it was not.

    For those who leave the file system of the directory before they pass, and then `act`.
    """
    if not _DIRECTORY:
        return b""
    path = f"{_DIRECTORY}/{name}"
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return b""
    action = os.read(fd, 16).strip()
    os.close(fd)
    os.unlink(path)
    return action


def act(name: str, action: bytes) -> None:
    """Pass a fail-point that was looked at before."""
    if action == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if action:
        raise OSError(errno.EIO, f"fail-point {name}", name)
