"""Removes a directory tree that a hostile job filled, by root, without following anything.

Every name is resolved from an open directory and no link is followed, so nothing outside of the
tree is touched. A directory below the second level is moved up to the top before it is emptied:
a tree of any depth takes five descriptors and no recursion. A mount point can be neither removed
nor moved: what is mounted in the tree is never entered, it makes the removal fail (EBUSY).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from itertools import count

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def remove_tree(parent: str, name: str) -> None:
    """Remove parent/name, whatever it is. One that is not there is no error.

    Needs no space, so it works on a full disk; goes on after a crash in its middle; may run twice
    at once. Raises OSError.
    """
    parent_fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while not (_unlink(parent_fd, name) or _remove_empty(parent_fd, name)):
            top = _enter(parent_fd, name)
            try:
                _empty(top)
            finally:
                os.close(top)
    finally:
        os.close(parent_fd)


def _empty(top: int) -> None:
    """Remove all that is in an open directory."""
    # The job chose the other names; it cannot have guessed these.
    prefix = secrets.token_hex(8)
    fresh = (f"{prefix}-{number}" for number in count())
    entries = True
    while entries:
        # What is moved up during a pass may or may not be seen by it: until nothing is left.
        entries = False
        with os.scandir(top) as found:
            for entry in found:
                entries = True
                if not (_unlink(top, entry.name) or _remove_empty(top, entry.name)):
                    _flatten(top, entry.name, fresh)


def _flatten(top: int, name: str, fresh: Iterator[str]) -> None:
    """Remove a directory in top, with its own full directories moved up beside it."""
    try:
        directory = _enter(top, name)
    except FileNotFoundError:
        return
    try:
        with os.scandir(directory) as found:
            for entry in found:
                if not (_unlink(directory, entry.name) or _remove_empty(directory, entry.name)):
                    _move(directory, entry.name, top, next(fresh))
    finally:
        os.close(directory)
    _remove_empty(top, name)


def _unlink(directory: int, name: str) -> bool:
    """True when it is gone; False for a directory."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    return True


def _remove_empty(directory: int, name: str) -> bool:
    """True when it is gone; False for a directory with something in it."""
    try:
        os.rmdir(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except OSError as err:
        if err.errno != errno.ENOTEMPTY:
            raise
        return False
    return True


def _move(source: int, name: str, target: int, new_name: str) -> None:
    try:
        try:
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
        except PermissionError:
            # Its `..` changes, which takes the right to write in it.
            _unlock(source, name)
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except FileNotFoundError:
        # Another caller was faster.
        return


def _enter(directory: int, name: str) -> int:
    """Open a directory so that its entries can be removed."""
    try:
        found = os.open(name, _DIRECTORY, dir_fd=directory)
    except PermissionError:
        _unlock(directory, name)
        found = os.open(name, _DIRECTORY, dir_fd=directory)
    if os.fstat(found).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(found, stat.S_IRWXU)
    return found


def _unlock(directory: int, name: str) -> None:
    """Give the owner all rights: a service that dropped CAP_DAC_OVERRIDE is bound by modes too."""
    # chmod(2) by name would follow a link that took the place of the directory.
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)
    finally:
        os.close(handle)
