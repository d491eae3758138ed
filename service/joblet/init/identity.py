"""Steps that make the first process a nobody of its own id range, with default settings."""

from __future__ import annotations

import errno
import os
import resource

from joblet.init import report
from joblet.init import syscalls as sys
from joblet.init.plan import CLONE_NEWNS
from joblet.init.state import Setup

# SECBIT_NOROOT, _NO_SETUID_FIXUP, _NO_CAP_AMBIENT_RAISE and their locks (capabilities(7)): a uid 0,
# if the job ever had one, would mean nothing, and nothing can turn that back.
_SECUREBITS = 0x01 | 0x02 | 0x04 | 0x08 | 0x40 | 0x80


def namespaces(setup: Setup, flags: int) -> None:
    """Namespaces of the job's own; its PID namespace came with the fork.

    The mount namespace is a copy of the empty one, never of the host's.
    """
    if not flags & CLONE_NEWNS:
        raise OSError(errno.EINVAL, "a job has a mount namespace of its own")
    sys.setns(setup.blank_fd, CLONE_NEWNS)
    sys.unshare(flags)


def scope(setup: Setup, cgroup: bytes) -> None:
    """Move into the job's scope, which has all its limits and holds its anchor already.

    systemd could do it, but looks at a process for a fifth of a millisecond before it moves it.
    """
    procs = os.open(cgroup + b"/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=setup.cgroup_fd)
    os.write(procs, b"0")
    os.close(procs)


def cgroup_namespace(_setup: Setup) -> None:
    """The job's scope becomes its cgroup root; only right once it is in its scope."""
    sys.unshare(sys.CLONE_NEWCGROUP)


def hostname(_setup: Setup, name: bytes) -> None:
    """The job's host name."""
    sys.sethostname(name)


def rlimit(_setup: Setup, number: int, soft: int, hard: int) -> None:
    """A resource limit, or what we have ourselves if that is less: raising is not ours to do."""
    _, ceiling = resource.getrlimit(number)
    if ceiling != resource.RLIM_INFINITY:
        hard = ceiling if hard == resource.RLIM_INFINITY else min(hard, ceiling)
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(number, (soft, hard))


def reset(setup: Setup, umask: int) -> None:
    """Everything that a process inherits goes to its default."""
    os.umask(umask)
    # A handler is gone with execve, an ignored signal stays ignored: Python itself ignores SIGPIPE
    # and SIGXFSZ, joblet-init some more.
    status = os.pread(setup.status_fd, 4096, 0)
    _, found, rest = status.partition(b"\nSigIgn:\t")
    if not found:
        raise OSError(errno.EPROTO, "no SigIgn in /proc/self/status")
    sys.default_signals(int(rest[:16], 16))
    sys.set_signal_mask(0)
    os.write(setup.oom_score_fd, b"0")
    os.setpriority(os.PRIO_PROCESS, 0, 0)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    sys.all_cpus()
    sys.ioprio_reset()
    sys.personality(0)
    # Else all jobs shared that of joblet-init, and could read each other's keys.
    sys.new_session_keyring()


def user_namespace(setup: Setup, first: int, count: int) -> None:
    """A user namespace over the job's own range of host ids, entered last of all namespaces.

    So the others, and every mount, belong to the host's: what the job is inside has no capability
    over them. Only a process outside may write the maps (user_namespaces(7)): the supervisor does.
    """
    sys.unshare(sys.CLONE_NEWUSER)
    os.write(setup.report_fd, report.wants_ids(first, count))
    refused = report.answered(os.read(setup.report_fd, 16))
    if refused:
        raise OSError(refused, os.strerror(refused), "/proc/self/uid_map")


def identity(_setup: Setup, uid: int, gid: int) -> None:
    """Unprivileged ids, no capability in any set, none ever to come back."""
    sys.drop_bounding_set()
    sys.prctl(sys.PR_CAP_AMBIENT, sys.PR_CAP_AMBIENT_CLEAR_ALL)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    sys.prctl(sys.PR_SET_SECUREBITS, _SECUREBITS)
    os.setresuid(uid, uid, uid)
    # with SECBIT_NO_SETUID_FIXUP the change of uid alone empties nothing
    sys.drop_capabilities()
    sys.prctl(sys.PR_SET_NO_NEW_PRIVS, 1)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gid, gid, gid) or os.getgroups():
        raise PermissionError(1, "the ids did not take")


def system_calls(_setup: Setup, program: bytes) -> None:
    """The job's filter, the last of its bounds: from here on only what every program needs."""
    sys.filter_system_calls(program)
