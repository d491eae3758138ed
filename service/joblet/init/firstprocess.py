"""The job's first process, from the fork until execve: runs the plan's steps in order.

It is PID 1 of the job's PID namespace. Whatever goes wrong is reported to the supervisor with
step, errno and path, and the process ends; there is no step that may fail.
"""

from __future__ import annotations

import os
import signal
import sys as python_sys
import time
from collections.abc import Callable

from joblet import failpoints
from joblet.init import identity, mounts, network, plan, report, syscalls
from joblet.init.procfs import CGROUP_ROOT
from joblet.init.state import Setup

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# execve(2) refused: no such file; anything else
STATUS_NOT_FOUND, STATUS_NOT_EXECUTABLE, STATUS_SETUP = 127, 126, 125


class GateClosed(Exception):
    """jobletd went away, or gave the job up, before it let the job run."""


def _gate(setup: Setup) -> None:
    if os.read(setup.gate_fd, 1) != b"G":
        raise GateClosed
    # From here on the job's life no longer hangs on its supervisor's.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 0)
    failpoints.act("first.after-gate", setup.after_gate)


def _chdir(_setup: Setup, path: bytes) -> None:
    os.chdir(path)


def _environment(setup: Setup, *pairs: bytes) -> None:
    setup.environment = list(pairs)


def _init(setup: Setup) -> None:
    setup.with_init = True


def _candidates(file: bytes, environment: list[bytes]) -> list[bytes]:
    if b"/" in file:
        return [file]
    path = DEFAULT_PATH
    for pair in environment:
        if pair.startswith(b"PATH="):
            path = pair[5:]
    return [(directory or b".") + b"/" + file for directory in path.split(b":")]


def _take_stdio(setup: Setup) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(setup.stdout_fd, 1)
    os.dup2(setup.stderr_fd, 2)
    # the report alone stays open beyond 2, and execve closes it
    os.dup2(setup.report_fd, 3, inheritable=False)
    setup.report_fd = 3
    syscalls.close_range(4, 0xFFFFFFFF)


def _execute(setup: Setup, file: bytes, *argv: bytes) -> None:
    _take_stdio(setup)
    environment = dict(pair.split(b"=", 1) for pair in setup.environment)
    if setup.with_init:
        _become_init()
    os.write(3, report.executing(time.time_ns()))
    # The search of execvp(3): a name that is found but may not be executed beats one not found.
    error: OSError = FileNotFoundError(2, "No such file or directory", os.fsdecode(file))
    for candidate in _candidates(file, setup.environment):
        try:
            os.execve(candidate, argv, environment)  # noqa: S606
        except OSError as err:
            err.filename = os.fsdecode(candidate)
            if not isinstance(err, FileNotFoundError | NotADirectoryError):
                error = err
                if not isinstance(err, PermissionError):
                    break
            elif b"/" in file:
                error = err
    raise error


def _become_init() -> None:
    """Stay as PID 1: hand signals on, reap everything, end as the command ends.

    Returns in the child only, which becomes the command.
    """
    command = os.fork()
    if command == 0:
        return
    syscalls.set_process_name(b"joblet-init")
    # Nothing of ours but the wait loop is left here: no descriptor beyond the job's own output.
    syscalls.close_range(3, 0xFFFFFFFF)

    def hand_on(number: int, _frame: object) -> None:
        try:
            os.kill(command, number)
        except ProcessLookupError:
            return

    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
    ):
        signal.signal(number, hand_on)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            # PID 1 cannot be killed by its own signal, so a signal is told as shells tell it
            os._exit(code if code >= 0 else 128 - code)


# What steps do of the host while it can be reached: before any of them, in their order.
_BEFOREHAND: dict[bytes, Callable[..., None]] = {
    b"bind": mounts.copy_bind,
    b"work": mounts.copy_work,
}

_EXECUTORS: dict[bytes, Callable[..., None]] = {
    b"namespaces": identity.namespaces,
    b"hostname": identity.hostname,
    b"loopback": network.loopback,
    b"root": mounts.root,
    b"directory": mounts.directory,
    b"symlink": mounts.symlink,
    b"file": mounts.file,
    b"bind": mounts.bind,
    b"quota": mounts.quota,
    b"work": mounts.work,
    b"tmpfs": mounts.tmpfs,
    b"proc": mounts.proc,
    b"device": mounts.device,
    b"devpts": mounts.devpts,
    b"readonly": mounts.readonly,
    b"masked": mounts.masked,
    b"sealed": mounts.sealed,
    b"pivot": mounts.pivot,
    b"gate": _gate,
    b"scope": identity.scope,
    b"cgroup-namespace": identity.cgroup_namespace,
    b"rlimit": identity.rlimit,
    b"reset": identity.reset,
    b"user-namespace": identity.user_namespace,
    b"identity": identity.identity,
    b"chdir": _chdir,
    b"environment": _environment,
    b"filter": identity.system_calls,
    b"init": _init,
    b"exec": _execute,
}


def settle_in(setup: Setup) -> None:
    """What can be done before there is a job. Raises OSError."""
    os.setsid()
    setup.oom_score_fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    setup.status_fd = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    setup.cgroup_fd = os.open(CGROUP_ROOT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # What the plan makes has the modes that it says; `reset` sets the job's own.
    os.umask(0)


def run(setup: Setup, plan_fd: int, *, trace: bool) -> int:
    """Run the plan. Returns only when it failed: the exit status to end with."""
    name = b"plan"
    try:
        steps = plan.decode(_read_all(plan_fd))
        failpoints.hit("first.before-setup")
        # The directory of fail-points is out of reach after the pivot.
        setup.after_gate = failpoints.look("first.after-gate")
        for step in steps:
            name = step.name
            if name in _BEFOREHAND:
                _BEFOREHAND[name](setup, *step.operands)
        for step in steps:
            name = step.name
            if trace:
                python_sys.stderr.write(f"joblet-init: {step!r:.400}\n")
            _EXECUTORS[name](setup, *step.operands)
    except GateClosed:
        _tell(setup, report.gate_closed())
        return STATUS_SETUP
    except BaseException as err:
        # The outermost frame of this process: whatever it was, the supervisor hears of it.
        _tell(setup, report.failed(name, err))
        if name != b"exec" or isinstance(err, BrokenPipeError | ConnectionResetError):
            # At exec, these come from the report: the supervisor is gone, and nothing has begun.
            return STATUS_SETUP
        return STATUS_NOT_FOUND if isinstance(err, FileNotFoundError) else STATUS_NOT_EXECUTABLE
    return STATUS_SETUP


def _tell(setup: Setup, message: bytes) -> None:
    try:
        os.write(setup.report_fd, message)
    except (BrokenPipeError, ConnectionResetError):
        # The supervisor was killed, before we asked for a signal of that. Its successor goes by
        # our exit status.
        return


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0)
    while len(data) < size:
        more = os.pread(fd, size - len(data), len(data))
        if not more:
            raise OSError(5, "the plan ends early")
        data += more
    return data
