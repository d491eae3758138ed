"""What a job may ask of the kernel: its system call filter (the only user of libseccomp).

A list of what programs need, in the spirit of systemd's @system-service; what is not on it is not
there (ENOSYS), so that a C library falls back as it does on an older kernel. What a program may
know and try is refused like what it has no right to (EPERM).

Outside stays what reaches parts of the kernel that a sandbox has no use for, and where its faults
are found: namespaces of its own, mounts, keyrings, BPF, io_uring, performance counters, page faults
handled by user space, uncommon protocols, the 32-bit entry.

Sources: syscalls(2), systemd.exec(5) SystemCallFilter=, seccomp_syscall_resolve_name(3).
"""

from __future__ import annotations

import ctypes
import errno
import os

from joblet.errors import HostFailure
from joblet.host import bpf
from joblet.host.bpf import ALLOW, KILL_PROCESS, Fate, When, one_of, only_bits, refused

# AUDIT_ARCH_ of <linux/audit.h>, which is also libseccomp's name for it
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# In groups by what they are about, each in order. What the machine does not have is left out.
_PROCESSES = """
    arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area
    getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid getpriority getrandom
    getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kcmp
    membarrier pidfd_getfd pidfd_open prctl prlimit64 process_madvise process_mrelease
    process_vm_readv process_vm_writev ptrace restart_syscall rseq sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
    sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler
    sched_yield set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups
    setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sysinfo times
    uname uprobe uretprobe vfork wait4 waitid
"""
_SIGNALS = """
    alarm getitimer kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer
    sigaltstack signalfd signalfd4 tgkill tkill
"""
_MEMORY = """
    brk get_mempolicy madvise map_shadow_stack mbind memfd_create memfd_secret mincore mlock mlock2
    mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free
    pkey_mprotect remap_file_pages set_mempolicy set_mempolicy_home_node
"""
_TIME = """
    adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time
    timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create
    timerfd_gettime timerfd_settime
"""
_FILES = """
    access cachestat chdir chmod chown close close_range copy_file_range creat dup dup2 dup3
    faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl
    fdatasync fgetxattr file_getattr file_setattr flistxattr flock fremovexattr fsetxattr fstat
    fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat
    listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat
    name_to_handle_at newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev
    pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat
    renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync
    sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write
    writev
"""
_WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait
    epoll_wait_old eventfd eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake io_cancel
    io_destroy io_getevents io_pgetevents io_setup io_submit poll ppoll pselect6 select
"""
_MESSAGES = """
    accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify
    mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recvfrom
    recvmmsg recvmsg semctl semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl
    shmdt shmget shutdown
"""
# A job may shut itself in further.
_SANDBOXES = """
    landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp
"""
# For the administrator of a host alone, or for nobody in a sandbox.
_CLOSED = """
    acct add_key bpf chroot clock_settime delete_module fanotify_init fanotify_mark finit_module
    fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register io_uring_setup
    ioperm iopl kexec_file_load kexec_load keyctl lookup_dcookie migrate_pages modify_ldt mount
    mount_setattr move_mount move_pages open_by_handle_at open_tree open_tree_attr perf_event_open
    pivot_root quotactl quotactl_fd reboot request_key setdomainname sethostname setns settimeofday
    swapoff swapon syslog umount2 userfaultfd vhangup
"""
ALLOWED = frozenset(
    " ".join(
        (_PROCESSES, _SIGNALS, _MEMORY, _TIME, _FILES, _WAITING, _MESSAGES, _SANDBOXES)
    ).split()
)
REFUSED = frozenset(_CLOSED.split())

# clone(2): all flags that ask for a namespace; each of the 32 bits has its meaning by now.
_CLONE_NEW = 0x7E020000
# unshare(2): CLONE_FS, CLONE_FILES, CLONE_SYSVSEM. What else there is or will be makes namespaces.
_UNSHARE = 0x00040600
# socket(2): AF_UNIX; AF_INET and AF_INET6 for TCP, UDP, ICMP; of netlink(7) what lists interfaces
# and sockets, and the news of devices that nobody sends there: libraries give up without them.
_AF_UNIX, _AF_INTERNET, _AF_NETLINK = 1, (2, 10), 16
_INTERNET = (0, 1, 6, 17, 58)
_NETLINK = (0, 4, 15)
# packet(7), the old way, of which the kernel makes AF_PACKET; with SOCK_NONBLOCK, SOCK_CLOEXEC too.
_SOCK_PACKET = (10, 10 | 0x800, 10 | 0x80000, 10 | 0x80800)
_NO_FAMILY, _NO_PROTOCOL = refused(errno.EAFNOSUPPORT), refused(errno.EPROTONOSUPPORT)
# ioctl_tty(2): TIOCSTI and TIOCLINUX type into a terminal, TIOCSETD loads its line disciplines.
# <linux/sockios.h>: SIOCGIFVLAN, SIOCSIFVLAN, SIOCBRADDBR, SIOCBRDELBR load modules for who asks.
_COMMANDS = (0x5412, 0x541C, 0x5423, 0x8982, 0x8983, 0x89A0, 0x89A1)
# personality(2): Linux, with an old version or a 32-bit name, or an address space that is not
# random, as debuggers want it; and the question which it is.
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0x40000, 0x40008, 0xFFFFFFFF)
DECIDED: dict[str, Fate] = {
    "clone": When(0, _CLONE_NEW, refused(errno.EPERM), ALLOW, any_bit=True),
    # its flags lie in memory, where no filter sees them; every C library goes back to clone
    "clone3": refused(errno.ENOSYS),
    "unshare": only_bits(0, _UNSHARE, ALLOW, refused(errno.EPERM)),
    "socket": one_of(
        1,
        _SOCK_PACKET,
        _NO_FAMILY,
        When(
            0,
            _AF_NETLINK,
            one_of(2, _NETLINK, ALLOW, _NO_PROTOCOL),
            When(
                0,
                _AF_UNIX,
                ALLOW,
                one_of(0, _AF_INTERNET, one_of(2, _INTERNET, ALLOW, _NO_PROTOCOL), _NO_FAMILY),
            ),
        ),
    ),
    "socketpair": When(0, _AF_UNIX, ALLOW, _NO_FAMILY),
    "ioctl": one_of(1, _COMMANDS, refused(errno.EPERM), ALLOW),
    "personality": one_of(0, _PERSONALITIES, ALLOW, refused(errno.EPERM)),
}
_UNKNOWN_NAME = -1  # __NR_SCMP_ERROR


def job_filter(machine: str | None = None) -> bytes:
    """The program for a machine of this name (uname(2)), by default this one.

    Raises HostFailure where there is no libseccomp, or a machine is unknown.
    """
    machine = machine or os.uname().machine
    if machine not in ARCHITECTURES:
        raise HostFailure(f"make a system call filter for the machine '{machine}'", errno.ENOTSUP)
    fates: dict[str, Fate] = {
        **dict.fromkeys(ALLOWED, ALLOW),
        **dict.fromkeys(REFUSED, refused(errno.EPERM)),
        **DECIDED,
    }
    numbers = Numbers(machine)
    by_number = {number: fate for name, fate in fates.items() if (number := numbers[name]) >= 0}
    return bpf.program(
        ARCHITECTURES[machine], by_number, unknown=refused(errno.ENOSYS), foreign=KILL_PROCESS
    )


class Numbers:
    """What a machine calls a system call, from libseccomp. Raises HostFailure."""

    def __init__(self, machine: str) -> None:
        try:
            resolve = ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name_arch
        except OSError as err:
            raise HostFailure(f"load libseccomp ({err})", errno.ENOENT) from err
        resolve.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
        resolve.restype = ctypes.c_int
        self._resolve = resolve
        self._architecture = ARCHITECTURES[machine]

    def __getitem__(self, name: str) -> int:
        """Below zero where the machine has no such call."""
        return int(self._resolve(self._architecture, name.encode()))

    def known(self, name: str) -> bool:
        """Whether libseccomp has heard of it on any machine."""
        return self[name] != _UNKNOWN_NAME
