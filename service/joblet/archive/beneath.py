"""Opens names below an open directory, whatever hostile hands do to the tree meanwhile.

The whole walk is one openat2(2), so the kernel checks each step as it is made: no link is
followed, no mount is crossed, nothing above the directory is reached. The one exception is the
path that a user names (`open_inside`), whose links count as they would for a process that has the
directory as its root.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
# One number for all architectures, as for everything added since Linux 5.1.
_SYS_OPENAT2 = ctypes.c_long(437)
_HOW_SIZE = ctypes.c_size_t(24)

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_STRICT = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
_AS_ROOT = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT
# The kernel gives up a walk over `..` when anything on the machine is renamed during it.
_ATTEMPTS = 64


def _how(flags: int, resolve: int) -> bytes:
    return struct.pack("<QQQ", flags | os.O_CLOEXEC, 0, resolve)


# A parent in which names are made: O_PATH needs no right to read it.
_HANDLE = _how(os.O_PATH | os.O_DIRECTORY, _STRICT)
_DIRECTORY = _how(os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK, _STRICT)
# O_NONBLOCK: a FIFO that took the place of a file must not hold us up.
_FILE = _how(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, _STRICT)
_LOOK = _how(os.O_PATH, _AS_ROOT)
_READ = _how(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, _AS_ROOT)


def _openat2(directory: int, path: bytes, how: bytes) -> int:
    for _ in range(_ATTEMPTS):
        found: int = _syscall(_SYS_OPENAT2, directory, path, how, _HOW_SIZE)
        if found >= 0:
            return found
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), os.fsdecode(path))


def open_handle(directory: int, path: bytes) -> int:
    """A directory to make names in, not to read."""
    return _openat2(directory, path, _HANDLE)


def open_directory(directory: int, path: bytes) -> int:
    """A directory to list, or to change itself."""
    return _openat2(directory, path, _DIRECTORY)


def open_file(directory: int, path: bytes) -> int:
    """A file to read. It may turn out to be something else: fstat it."""
    return _openat2(directory, path, _FILE)


def look_inside(directory: int, path: bytes) -> int:
    """Whatever a user's path names, opened without any effect on it; links stay inside."""
    return _openat2(directory, path, _LOOK)


def read_inside(directory: int, path: bytes) -> int:
    """What a user's path names, to read; links stay inside. fstat it."""
    return _openat2(directory, path, _READ)
