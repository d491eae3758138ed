"""libc through ctypes: each function declared once, constants in the kernel's own spelling.

Every wrapper raises OSError(errno, message, path) and returns something useful or nothing.
Functions that glibc lacks are called by number; the numbers are those of the generic table, which
x86-64 and arm64 share for everything added since Linux 5.1.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_int, _ulong, _char_p, _void_p = ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_void_p

_mount = _libc.mount
_mount.argtypes = (_char_p, _char_p, _char_p, _ulong, _char_p)
_umount2 = _libc.umount2
_umount2.argtypes = (_char_p, _int)
_unshare = _libc.unshare
_unshare.argtypes = (_int,)
_setns = _libc.setns
_setns.argtypes = (_int, _int)
_prctl = _libc.prctl
_prctl.argtypes = (_int, _ulong, _ulong, _ulong, _ulong)
_prctl_text = _libc["prctl"]
_prctl_text.argtypes = (_int, _char_p)
_sethostname = _libc.sethostname
_sethostname.argtypes = (_char_p, ctypes.c_size_t)
_personality = _libc.personality
_personality.argtypes = (_ulong,)
_signalfd = _libc.signalfd
_signalfd.argtypes = (_int, _void_p, _int)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long

_fallocate = _libc.fallocate
_fallocate.argtypes = (_int, _int, ctypes.c_int64, ctypes.c_int64)
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2

SYS_open_tree = 428
SYS_move_mount = 429
SYS_fsopen = 430
SYS_fsconfig = 431
SYS_fsmount = 432
SYS_clone3 = 435
SYS_close_range = 436
SYS_openat2 = 437
SYS_pidfd_getfd = 438
SYS_mount_setattr = 442
SYS_quotactl_fd = 443
_MACHINE_NUMBERS = {
    # pivot_root, capset, ioprio_set, sched_setaffinity, rt_sigaction, rt_sigprocmask, keyctl
    "x86_64": (155, 126, 251, 203, 13, 14, 250),
    "aarch64": (41, 91, 30, 122, 134, 135, 219),
}
(
    SYS_pivot_root,
    SYS_capset,
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_keyctl,
) = _MACHINE_NUMBERS[os.uname().machine]

CLONE_NEWCGROUP = 0x02000000
CLONE_NEWPID = 0x20000000
CLONE_NEWUSER = 0x10000000
CLONE_PIDFD = 0x00001000
CLONE_INTO_CGROUP = 0x200000000

MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6

AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x00000004
MOVE_MOUNT_T_EMPTY_PATH = 0x00000040

RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECCOMP = 22
PR_SET_NAME = 15
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_SECCOMP_MODE_FILTER = 2
_BPF_INSTRUCTION_SIZE = 8

CLOSE_RANGE_CLOEXEC = 4
P_PIDFD = 3


def _fail(path: str | bytes = "") -> OSError:
    code = ctypes.get_errno()
    name = os.fsdecode(path)
    return OSError(code, os.strerror(code), name) if name else OSError(code, os.strerror(code))


def _call(number: int, *args: object, path: str | bytes = "") -> int:
    result: int = _syscall(ctypes.c_long(number), *args)
    if result < 0:
        raise _fail(path)
    return result


def mount(
    source: bytes, target: bytes, fstype: bytes, flags: int, options: bytes | None = None
) -> None:
    """mount(2)."""
    if _mount(source, target, fstype, flags, options) != 0:
        raise _fail(target)


def make_private() -> None:
    """Cut every mount of this namespace off from propagation, both ways."""
    if _mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        raise _fail("/")


def move_to_root() -> None:
    """Move the mount that is the working directory onto the root of this namespace."""
    if _mount(b".", b"/", None, MS_MOVE, None) != 0:
        raise _fail("/")


def umount(target: bytes, flags: int) -> None:
    """umount2(2)."""
    if _umount2(target, flags) != 0:
        raise _fail(target)


def pivot_root(new_root: bytes, put_old: bytes) -> None:
    """pivot_root(2)."""
    _call(SYS_pivot_root, new_root, put_old, path=new_root)


def unshare(flags: int) -> None:
    """unshare(2)."""
    if _unshare(flags) != 0:
        raise _fail()


def setns(namespace: int, kind: int) -> None:
    """setns(2): enter a namespace by its descriptor."""
    if _setns(namespace, kind) != 0:
        raise _fail()


def sethostname(name: bytes) -> None:
    """sethostname(2)."""
    if _sethostname(name, len(name)) != 0:
        raise _fail()


def prctl(option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0) -> int:
    """prctl(2) for options that take numbers."""
    result: int = _prctl(option, arg2, arg3, arg4, arg5)
    if result < 0:
        raise _fail()
    return result


class _FilterProgram(ctypes.Structure):
    """struct sock_fprog of <linux/filter.h>: how many instructions, and where they are."""

    _fields_ = (("len", ctypes.c_ushort), ("filter", _char_p))


def filter_system_calls(program: bytes) -> None:
    """seccomp(2) in filter mode: for good, for this process and all that come of it."""
    header = _FilterProgram(len(program) // _BPF_INSTRUCTION_SIZE, program)
    prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def set_process_name(name: bytes) -> None:
    """What ps and top show; at most 15 bytes."""
    if _prctl_text(PR_SET_NAME, name) < 0:
        raise _fail()


def personality(value: int) -> None:
    """personality(2)."""
    if _personality(value) < 0:
        raise _fail()


def open_tree(dirfd: int, path: bytes, flags: int) -> int:
    """open_tree(2): with OPEN_TREE_CLONE a detached copy of a mount."""
    return _call(
        SYS_open_tree, _int(dirfd), path, ctypes.c_uint(flags | OPEN_TREE_CLOEXEC), path=path
    )


def detached_tmpfs() -> int:
    """The directory of a tmpfs that is mounted nowhere, and goes with its last descriptor."""
    context = _call(SYS_fsopen, b"tmpfs", ctypes.c_uint(_FSOPEN_CLOEXEC))
    try:
        _call(SYS_fsconfig, _int(context), ctypes.c_uint(_FSCONFIG_CMD_CREATE), None, None, _int(0))
        return _call(SYS_fsmount, _int(context), ctypes.c_uint(_FSMOUNT_CLOEXEC), ctypes.c_uint(0))
    finally:
        os.close(context)


def move_mount(from_fd: int, to_fd: int, path: bytes) -> None:
    """move_mount(2) from a detached mount to an open target; `path` is for messages only."""
    flags = ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
    _call(SYS_move_mount, _int(from_fd), b"", _int(to_fd), b"", flags, path=path)


def mount_setattr(
    fd: int, attributes: int, *, recursive: bool, path: bytes, propagation: int = 0
) -> None:
    """mount_setattr(2): set attributes on an open mount; `path` is for messages only."""
    attr = struct.pack("<QQQQ", attributes, 0, propagation, 0)
    flags = ctypes.c_uint(AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0))
    _call(SYS_mount_setattr, _int(fd), b"", flags, attr, ctypes.c_size_t(len(attr)), path=path)


def openat2(dirfd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2)."""
    how = struct.pack("<QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return _call(SYS_openat2, _int(dirfd), path, how, ctypes.c_size_t(len(how)), path=path)


def close_range(first: int, last: int, flags: int = 0) -> None:
    """close_range(2)."""
    _call(SYS_close_range, ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags))


def punch_hole(fd: int, offset: int, length: int) -> None:
    """fallocate(2): give the blocks of a range back; the range reads as zeros. Empty is fine."""
    if length <= 0:
        return
    if _fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length) != 0:
        raise _fail()


def pidfd_getfd(pidfd: int, target: int) -> int:
    """pidfd_getfd(2): a copy of another process's descriptor, close-on-exec."""
    return _call(SYS_pidfd_getfd, _int(pidfd), _int(target), ctypes.c_uint(0))


# linux/fs.h: struct fsxattr, and the flag by which what is made below inherits the project id
_FSXATTR = struct.Struct("<IIIII8x")
_FS_IOC_FSGETXATTR, _FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820
_FS_XFLAG_PROJINHERIT = 0x200
# quotactl(2): QCMD(Q_SETQUOTA, PRJQUOTA), struct if_dqblk, QIF_BLIMITS | QIF_ILIMITS
_Q_SETQUOTA_PROJECT = ctypes.c_int32((0x800008 << 8) | 2).value
_DQBLK = struct.Struct("<8QI4x")
_QIF_LIMITS = 1 | 4


def set_project(fd: int, project: int) -> None:
    """Give an open, empty directory a project id that all that is made in it inherits.

    A job cannot take it off: in a user namespace the kernel refuses (fs/ioctl.c, fileattr_set).
    """
    flags, extent_size, extents, _old, cow = _FSXATTR.unpack(
        fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, bytes(_FSXATTR.size))
    )
    flags |= _FS_XFLAG_PROJINHERIT
    fcntl.ioctl(fd, _FS_IOC_FSSETXATTR, _FSXATTR.pack(flags, extent_size, extents, project, cow))


def set_project_quota(fd: int, project: int, kib: int, inodes: int) -> None:
    """Hard limits of a project id on the file system of an open file; 0 means none.

    quotactl_fd(2), Linux 5.14.
    """
    limits = _DQBLK.pack(kib, 0, 0, inodes, 0, 0, 0, 0, _QIF_LIMITS)
    _call(SYS_quotactl_fd, ctypes.c_uint(fd), _int(_Q_SETQUOTA_PROJECT), _int(project), limits)


_CLONE_ARGS_SIZE = 88


def clone3(flags: int, cgroup_fd: int = -1) -> tuple[int, int]:
    """fork through clone3(2): (pid, pidfd) in the parent, (0, -1) in the child.

    Only for single-threaded processes: the interpreter's own after-fork work is left out, and it
    is about threads and locks alone. CLONE_INTO_CGROUP puts the child where it belongs from its
    first instruction; moving it later waits for an RCU grace period of several milliseconds.
    """
    pidfd = ctypes.c_int(-1)
    flags |= CLONE_PIDFD
    if cgroup_fd >= 0:
        flags |= CLONE_INTO_CGROUP
    args = struct.pack(
        "<11Q", flags, ctypes.addressof(pidfd), 0, 0, 17, 0, 0, 0, 0, 0, max(cgroup_fd, 0)
    )
    pid = _call(SYS_clone3, args, ctypes.c_size_t(_CLONE_ARGS_SIZE))
    return (pid, pidfd.value) if pid else (0, -1)


def signalfd(mask: int, flags: int) -> int:
    """signalfd(2) for signals below 64; `mask` has bit n-1 for signal n."""
    # sigset_t of glibc has 1024 bits
    data = struct.pack("<Q120x", mask)
    result: int = _signalfd(-1, data, flags)
    if result < 0:
        raise _fail()
    return result


def drop_bounding_set() -> None:
    """Empty the capability bounding set of this process: one prctl(2) for each that there is."""
    capability = 0
    while _prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    # past the last capability of this kernel
    if capability == 0 or ctypes.get_errno() != errno.EINVAL:
        raise _fail()


def drop_capabilities() -> None:
    """Empty every capability set of this process but the bounding set (capset(2))."""
    header = struct.pack("<Ii", 0x20080522, 0)
    _call(SYS_capset, header, bytes(24))


_SIGSET_SIZE = 8
_SIG_SETMASK = 2


def set_signal_mask(mask: int) -> None:
    """Block exactly these signals (bit n-1 for signal n); a tenth of what signal.pthread_sigmask
    costs, which makes a set of enum members.
    """
    data = struct.pack("<Q", mask & ((1 << 64) - 1))
    _call(SYS_rt_sigprocmask, _int(_SIG_SETMASK), data, None, ctypes.c_size_t(_SIGSET_SIZE))


def default_signals(ignored: int) -> None:
    """These signals (bit n-1 for signal n) to their default; only right before execve.

    By system call, because glibc hides two signals and Python does not ask for a handler that it
    did not set.
    """
    action = bytes(32)  # the kernel's struct sigaction: SIG_DFL, no flags, empty mask
    size = ctypes.c_size_t(_SIGSET_SIZE)
    number = 1
    while ignored:
        if ignored & 1:
            _call(SYS_rt_sigaction, _int(number), action, None, size)
        ignored >>= 1
        number += 1


def all_cpus() -> None:
    """Let this process run on every CPU that its cgroup allows (sched_setaffinity(2))."""
    # more CPUs than any kernel is built for; it cuts the set down
    mask = b"\xff" * 1024
    _call(SYS_sched_setaffinity, _int(0), ctypes.c_size_t(len(mask)), mask)


def ioprio_reset() -> None:
    """IO priority of this process back to what follows from its nice value (ioprio_set(2))."""
    _call(SYS_ioprio_set, _int(1), _int(0), _int(0))


_KEYCTL_JOIN_SESSION_KEYRING = 1


def new_session_keyring() -> None:
    """An empty session keyring for this process alone (session-keyring(7)).

    It comes with fork(2), and neither execve(2), setresuid(2) nor a user namespace changes it; who
    has it may read and write what is in it, whatever his ids.
    """
    try:
        _call(SYS_keyctl, _int(_KEYCTL_JOIN_SESSION_KEYRING), None)
    except OSError as err:
        # a kernel without keys
        if err.errno != errno.ENOSYS:
            raise


def _iowr(kind: int, number: int, size: int) -> int:
    return (3 << 30) | (size << 16) | (kind << 8) | number


# PID 1 reaps at once unless the host stands still.
REAP_MS = 5000


def exit_status_of(pidfd: int) -> int | None:
    """The wait status of an ended process that somebody else reaped, or None.

    PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15; an older kernel answers with an error.
    """
    exit_bit, size = 1 << 3, 64
    reaped = select.poll()
    reaped.register(pidfd, 0)
    for _ in range(3):
        info = bytearray(struct.pack("<Q", exit_bit) + bytes(size - 8))
        try:
            fcntl.ioctl(pidfd, _iowr(0xFF, 11, size), info)
        except ProcessLookupError:
            # Reaped while the kernel looked, first for the end and then for the process: the end is
            # there by now. An older kernel says the same for ever.
            continue
        except OSError:
            return None
        (mask,) = struct.unpack_from("<Q", info)
        if mask & exit_bit:
            (status,) = struct.unpack_from("<i", info, 60)
            return int(status)
        # It has ended, and its new parent has not reaped it yet: POLLHUP comes when it has.
        reaped.poll(REAP_MS)
    return None
