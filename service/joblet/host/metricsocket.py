"""The Unix socket for readers of OpenMetrics: root and one group may connect."""

from __future__ import annotations

import contextlib
import grp
import os
import socket

from joblet.errors import HostFailure

GROUP = "joblet"
_MODE = 0o660
_BACKLOG = 16


def listen(path: str, group: str = GROUP) -> socket.socket:
    """A listening socket in the place of one that a daemon before this one has left.

    Without the group root alone may connect. Raises HostFailure.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    new = f"{path}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        # Nobody finds it by its name before its mode is right.
        listener.bind(new)
        os.chmod(new, 0o600)
        with contextlib.suppress(KeyError):
            os.chown(new, -1, grp.getgrnam(group).gr_gid)
            os.chmod(new, _MODE)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        os.rename(new, path)
    except OSError as err:
        listener.close()
        raise HostFailure("listen for readers of metrics", err.errno or 0, path) from err
    return listener
