"""Steps that build the job's root: each a function of the set-up's state and its operands.

What the job sees of the host is copied first, as trees that are attached nowhere. Everything else
happens in the job's own mount namespace, below a tmpfs that only we write. Targets are opened
inside that root with openat2(RESOLVE_IN_ROOT|RESOLVE_NO_SYMLINKS); mounts go onto the
opened descriptor, never onto a path that could be swapped.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from joblet.init import syscalls as sys
from joblet.init.plan import NODEV, NOEXEC, NOSUID, RDONLY
from joblet.init.state import Setup

_MOUNT_FLAGS = NOSUID | NODEV


def _open_target(setup: Setup, path: bytes, flags: int = os.O_PATH) -> int:
    return sys.openat2(setup.root_fd, path, flags, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS)


def _make(setup: Setup, path: bytes, make: Callable[[bytes, int], None]) -> None:
    """Call make with the last name of a path and the directory it goes into, opened in the root.

    mkdir and its like know no RESOLVE_IN_ROOT: alone they would climb out of the new root, or
    follow a link in it to the host.
    """
    directory, nested, name = path.rpartition(b"/")
    parent = setup.root_fd
    if nested:
        try:
            parent = _open_target(setup, directory or b".", os.O_PATH | os.O_DIRECTORY)
        except OSError as err:
            err.filename = os.fsdecode(path)
            raise
    try:
        make(name, parent)
    except OSError as err:
        err.filename = os.fsdecode(path)
        raise
    finally:
        if nested:
            os.close(parent)


def _make_directory(setup: Setup, path: bytes, mode: int) -> None:
    _make(setup, path, lambda name, parent: os.mkdir(name, mode, dir_fd=parent))


def _attach(setup: Setup, tree: int, path: bytes) -> None:
    target = _open_target(setup, path)
    sys.move_mount(tree, target, path)
    os.close(target)


def _mount_on(
    setup: Setup, path: bytes, source: bytes, fstype: bytes, flags: int, options: bytes | None
) -> None:
    # mount(2) wants a path: "." after fchdir is the opened directory itself.
    target = _open_target(setup, path, os.O_PATH | os.O_DIRECTORY)
    os.fchdir(target)
    os.close(target)
    try:
        sys.mount(source, b".", fstype, flags, options)
    except OSError as err:
        err.filename = os.fsdecode(path)
        raise


def root(setup: Setup, mount_point: bytes, options: bytes) -> None:
    """A tmpfs that becomes the job's root; from here on paths are relative to it."""
    sys.mount(b"joblet-root", mount_point, b"tmpfs", _MOUNT_FLAGS, options)
    setup.root_fd = os.open(mount_point, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def directory(setup: Setup, path: bytes, mode: int) -> None:
    """A directory of ours."""

    _make_directory(setup, path, mode)


def symlink(setup: Setup, target: bytes, path: bytes) -> None:
    """A symbolic link of ours."""
    _make(setup, path, lambda name, parent: os.symlink(target, name, dir_fd=parent))


def file(setup: Setup, path: bytes, mode: int, content: bytes) -> None:
    """A small file of ours."""

    def make(name: bytes, parent: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, mode, dir_fd=parent)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)

    _make(setup, path, make)


def copy_bind(setup: Setup, source: bytes, _path: bytes, attributes: int) -> None:
    """Before the host is left: what `bind` attaches, cut off from what the host mounts later."""
    tree = sys.open_tree(-100, source, sys.OPEN_TREE_CLONE | sys.AT_RECURSIVE)
    setup.trees.append(tree)
    sys.mount_setattr(tree, attributes, recursive=True, path=source, propagation=sys.MS_PRIVATE)


def bind(setup: Setup, _source: bytes, path: bytes, _attributes: int) -> None:
    """Something of the host, with everything mounted below it, under the attributes."""
    tree = setup.trees.pop(0)
    if stat.S_ISDIR(os.fstat(tree).st_mode):
        _make_directory(setup, path, 0o755)
    else:
        file(setup, path, 0o644, b"")
    _attach(setup, tree, path)
    os.close(tree)


def quota(setup: Setup, project: int, kib: int, inodes: int) -> None:
    """Bound what the work directory may hold."""
    sys.set_project(setup.work_fd, project)
    sys.set_project_quota(setup.work_fd, project, kib, inodes)


def copy_work(setup: Setup, source: bytes, path: bytes, attributes: int) -> None:
    """Before the host is left: the work directory, which must be the one that jobletd opened.

    A mount can only be cloned inside its own mount namespace, and the descriptor comes from
    another one; so it is found again by path and compared.
    """
    tree = sys.open_tree(-100, source, sys.OPEN_TREE_CLONE | sys.AT_SYMLINK_NOFOLLOW)
    setup.trees.append(tree)
    if not os.path.samestat(os.fstat(tree), os.fstat(setup.work_fd)):
        raise PermissionError(1, "not the directory that jobletd opened", os.fsdecode(source))
    sys.mount_setattr(tree, attributes, recursive=False, path=path, propagation=sys.MS_PRIVATE)


def work(setup: Setup, _source: bytes, path: bytes, _attributes: int) -> None:
    """The job's work directory."""
    tree = setup.trees.pop(0)
    _make_directory(setup, path, 0o755)
    _attach(setup, tree, path)
    os.close(tree)


def tmpfs(setup: Setup, path: bytes, flags: int, options: bytes) -> None:
    """A bounded tmpfs."""
    _make_directory(setup, path, 0o755)
    _mount_on(setup, path, b"tmpfs", b"tmpfs", flags, options)


def proc(setup: Setup, path: bytes) -> None:
    """A procfs of the job's own PID namespace."""
    _make_directory(setup, path, 0o555)
    _mount_on(setup, path, b"proc", b"proc", _MOUNT_FLAGS | NOEXEC, None)


def device(setup: Setup, path: bytes, major: int, minor: int) -> None:
    """A character device for everyone to read and write."""

    number = os.makedev(major, minor)
    mode = 0o666 | stat.S_IFCHR
    _make(setup, path, lambda name, parent: os.mknod(name, mode, number, dir_fd=parent))


def devpts(setup: Setup, path: bytes, options: bytes) -> None:
    """Pseudo-terminals of the job's own."""
    _make_directory(setup, path, 0o755)
    _mount_on(setup, path, b"devpts", b"devpts", NOSUID | NOEXEC, options)


def readonly(setup: Setup, path: bytes) -> None:
    """A part of the new root bound over itself, read-only. What the kernel lacks needs no lock."""
    try:
        target = _open_target(setup, path)
    except FileNotFoundError:
        return
    flags = sys.OPEN_TREE_CLONE | sys.AT_RECURSIVE | sys.AT_EMPTY_PATH
    tree = sys.open_tree(target, b"", flags)
    sys.mount_setattr(tree, RDONLY | NOSUID | NODEV, recursive=True, path=path)
    sys.move_mount(tree, target, path)
    os.close(tree)
    os.close(target)


def masked(setup: Setup, path: bytes) -> None:
    """A part of the new root made to look empty. What the kernel lacks needs no mask."""
    try:
        target = _open_target(setup, path)
    except FileNotFoundError:
        return
    is_directory = stat.S_ISDIR(os.fstat(target).st_mode)
    os.close(target)
    if is_directory:
        _mount_on(
            setup, path, b"tmpfs", b"tmpfs", _MOUNT_FLAGS | RDONLY, b"size=4k,nr_inodes=1,mode=555"
        )
        return
    # the job's own: the host's is out of reach
    tree = sys.open_tree(setup.root_fd, b"dev/null", sys.OPEN_TREE_CLONE)
    # no NODEV here: then even opening it would fail, and programs expect an empty file
    sys.mount_setattr(tree, NOSUID | NOEXEC, recursive=False, path=path)
    _attach(setup, tree, path)
    os.close(tree)


def sealed(setup: Setup, path: bytes) -> None:
    """A mount of the new root becomes read-only."""
    target = _open_target(setup, path)
    sys.mount_setattr(target, RDONLY, recursive=False, path=path)
    os.close(target)


def pivot(setup: Setup) -> None:
    """The new root becomes the root, on top of the nothing that this namespace began with."""
    os.fchdir(setup.root_fd)
    sys.move_to_root()
    os.chroot(".")
    os.chdir("/")
    if not os.path.samestat(os.stat("/.."), os.fstat(setup.root_fd)):
        raise PermissionError(1, "the root is not the job's", "/")
