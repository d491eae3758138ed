"""The steps of a plan in words, for people who ask what a job would be.

One sentence per kind of step, in the order in which the steps are carried out; jobplan.py decides
which they are. Not part of joblet-init, which never has anything to say.
"""

from __future__ import annotations

import resource
import shlex
from collections.abc import Callable, Sequence

from joblet.init import plan
from joblet.init.plan import Step
from joblet.model.limits import print_size

_FLAGS = (
    (plan.RDONLY, "read-only"),
    (plan.NOSUID, "nosuid"),
    (plan.NODEV, "nodev"),
    (plan.NOEXEC, "noexec"),
)
_NAMESPACES = (
    (plan.CLONE_NEWNS, "mount"),
    (plan.CLONE_NEWNET, "network"),
    (plan.CLONE_NEWIPC, "IPC"),
    (plan.CLONE_NEWUTS, "host name"),
)
_RLIMIT_NAMES = {
    number: name.removeprefix("RLIMIT_")
    for name, number in sorted(vars(resource).items())
    if name.startswith("RLIMIT_")
}


def describe(steps: Sequence[Step]) -> tuple[str, ...]:
    """Each step as one line."""
    return tuple(_WORDS[one.name](*map(_operand, one.operands)) for one in steps)


def _operand(operand: bytes | int) -> str | int:
    # What people chose may be any bytes; what is told travels as text.
    return operand if isinstance(operand, int) else operand.decode("utf-8", "backslashreplace")


def _named(flags: int, names: Sequence[tuple[int, str]]) -> str:
    return ", ".join(name for bit, name in names if flags & bit)


def _namespaces(flags: int) -> str:
    return f"enter new namespaces: PID, {_named(flags, _NAMESPACES)}"


def _file(path: str, mode: int, content: str) -> str:
    lines = content.count("\n")
    what = "an empty file" if not content else f"{lines} line{'s'[: lines != 1]}"
    return f"write /{path} ({what}, mode {mode:o})"


def _quota(project: int, kib: int, inodes: int) -> str:
    if not kib:
        return "count what /work takes, without a limit"
    return f"limit /work to {print_size(kib * 1024)} and {inodes} files"


def _tmpfs(path: str, flags: int, options: str) -> str:
    given = dict(part.partition("=")[::2] for part in options.split(","))
    size = given["size"]
    bound = "without a limit" if size == "0" else f"of at most {_shown_size(size)}"
    return f"mount an empty /{path} in memory {bound} ({_named(flags, _FLAGS)})"


def _shown_size(size: str) -> str:
    # jobplan writes bytes, or what mount(8) would take
    return print_size(int(size)) if size.isdecimal() else size


def _rlimit(number: int, soft: int, hard: int) -> str:
    values = [_rlimit_value(value) for value in (soft, hard)]
    told = values[0] if soft == hard else f"{values[0]}, at most {values[1]}"
    return f"set the resource limit {_RLIMIT_NAMES.get(number, number)} to {told}"


def _rlimit_value(value: int) -> str:
    return "infinity" if value in (resource.RLIM_INFINITY, (1 << 64) - 1) else str(value)


def _environment(*variables: str) -> str:
    return f"set the environment: {' '.join(map(shlex.quote, variables))}"


def _exec(file: str, *argv: str) -> str:
    return f"run {shlex.join([file, *argv[1:]])}"


_WORDS: dict[bytes, Callable[..., str]] = {
    b"namespaces": _namespaces,
    b"hostname": lambda name: f"take the host name {name}",
    b"loopback": lambda: "turn on the loopback interface",
    b"root": lambda path, options: f"mount a new, empty root at {path} ({options})",
    b"directory": lambda path, mode: f"make the directory /{path} (mode {mode:o})",
    b"symlink": lambda target, path: f"make the link /{path} to {target}",
    b"file": _file,
    b"bind": lambda source, path, flags: (
        f"show the host's {source} as /{path} ({_named(flags, _FLAGS)})"
    ),
    b"quota": _quota,
    b"work": lambda source, path, flags: (
        f"show {source} of the host as /{path} ({_named(flags, _FLAGS)})"
    ),
    b"tmpfs": _tmpfs,
    b"proc": lambda path: f"mount a /{path} that knows this job's processes only",
    b"device": lambda path, major, minor: f"make the device /{path} ({major}:{minor})",
    b"devpts": lambda path, _options: f"mount terminals of its own at /{path}",
    b"readonly": lambda path: f"make /{path} read-only, if it is there",
    b"masked": lambda path: f"make /{path} look empty, if it is there",
    b"sealed": lambda path: f"make {'the root' if path == '.' else f'/{path}'} read-only",
    b"pivot": lambda: "enter the new root, with nothing of the host below it",
    b"gate": lambda: "wait until the scope stands with all its limits",
    b"scope": lambda cgroup: f"move into the scope: /{cgroup}",
    b"cgroup-namespace": lambda: "enter a new cgroup namespace",
    b"rlimit": _rlimit,
    b"reset": lambda umask: (
        f"reset signals, priorities, CPU affinity and what else is inherited; umask {umask:03o}"
    ),
    b"user-namespace": lambda first, count: (
        f"enter a new user namespace: ids 0 to {count - 1} inside are {count} ids of the host "
        f"that no other job has"
    ),
    b"identity": lambda uid, gid: (
        f"become uid {uid}, gid {gid}: no capabilities, no new privileges"
    ),
    b"chdir": lambda path: f"change to {path}",
    b"environment": _environment,
    b"filter": lambda _program: (
        "filter system calls: none for namespaces, mounts, keyrings, BPF or io_uring"
    ),
    b"init": lambda: "stay as a small PID 1 that reaps children; the command is its child",
    b"exec": _exec,
}
