"""The network step: a namespace of its own starts with a loopback that is down."""

from __future__ import annotations

import fcntl
import socket
import struct

from joblet.init.state import Setup

# netdevice(7)
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
_LO_UP = struct.pack("16sH22x", b"lo", IFF_UP)


def loopback(_setup: Setup) -> None:
    """Bring `lo` up; programs that talk to themselves need it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, _LO_UP)
