"""Named places where a test can make a process die or fail.

Switched by an environment variable: $JOBLET_FAILPOINTS names a directory. A file there with the
name of a fail-point and the word `crash` or `error` arms it for one hit. Without the variable a
hit costs one comparison. A leaf like records: every process of ours may import it.
"""

from __future__ import annotations

import errno
import os
import signal

_DIRECTORY = os.environ.get("JOBLET_FAILPOINTS", "")


def hit(name: str) -> None:
    """Pass a fail-point. Armed with `crash`: this process is killed; with `error`: OSError EIO."""
    if not _DIRECTORY:
        return
    path = f"{_DIRECTORY}/{name}"
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    action = os.read(fd, 16).strip()
    os.close(fd)
    os.unlink(path)
    if action == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(errno.EIO, f"fail-point {name}", path)
