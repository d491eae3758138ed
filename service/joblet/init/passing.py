"""Descriptors that come with a message over a Unix socket (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import socket
import struct

_NUMBER = struct.Struct("i")


def receive(
    sock: socket.socket, size: int, count: int, flags: int = 0
) -> tuple[bytes, list[int], int]:
    """One message of up to `size` bytes: data, up to `count` descriptors, flags of recvmsg(2).

    The descriptors are close-on-exec from the first moment. socket.recv_fds() would be this if it
    handed its flags on, which it does not do up to CPython 3.13. Raises OSError.
    """
    space = socket.CMSG_LEN(count * _NUMBER.size)
    data, control, received, _ = sock.recvmsg(size, space, flags | socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, rights in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = rights[: len(rights) - len(rights) % _NUMBER.size]
            fds += [fd for (fd,) in _NUMBER.iter_unpack(whole)]
    return data, fds, received
