"""A mount namespace with nothing in it: what the one of every job is a copy of.

A job's first process enters it, makes a copy of its own and puts the job's root on top: no mount of
the host was ever there. The other way, pivot_root(2) in a copy of the host's, has the kernel copy
every mount of the host to let it go again, and look at every thread of the host for one whose root
it has to change (chroot_fs_refs() in fs/fs_struct.c): a millisecond with three thousand of them,
under locks that all other mounts wait for.

What lies below the job's root is an empty, read-only directory of nobody, so that there is nothing
to get back to for who could take the root away.
"""

from __future__ import annotations

import os

from joblet.init import syscalls as sys
from joblet.init.plan import CLONE_NEWNS, MOUNT_POINT, NODEV, NOEXEC, NOSUID, RDONLY

_OPTIONS = b"size=4k,nr_inodes=8,mode=555"


def make() -> int:
    """A descriptor of the namespace, which lives as long as anybody holds one. Raises OSError.

    The caller is alone in its process; it comes back to where it was, its working directory is /.
    """
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        sys.unshare(CLONE_NEWNS)
        try:
            blank = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _empty()
            except BaseException:
                os.close(blank)
                raise
        finally:
            sys.setns(home, CLONE_NEWNS)
    finally:
        os.close(home)
    return blank


def _empty() -> None:
    mount_point = os.fsencode(MOUNT_POINT)
    sys.make_private()
    sys.mount(b"joblet-blank", mount_point, b"tmpfs", NOSUID | NODEV | NOEXEC, _OPTIONS)
    root = os.open(mount_point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchdir(root)
        # where a plan mounts the root of its job
        os.makedirs(mount_point.lstrip(b"/"), 0o555)
        sys.mount_setattr(root, RDONLY, recursive=False, path=mount_point)
    finally:
        os.close(root)
    # New root and old root stacked on one directory: no place for the old one is needed, and
    # umount "." takes the upper one, which is the old root (pivot_root(2), NOTES).
    sys.pivot_root(b".", b".")
    sys.umount(b".", sys.MNT_DETACH)
