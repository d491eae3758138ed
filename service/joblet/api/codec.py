"""Job specs and statuses between a{sv} and the model.

Everything that can be said of a spec without knowing the host is said here, naming the field; what
depends on the host is core's. A status has a public half and one for those who may see the spec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from joblet.api import options
from joblet.api.options import Key, descriptor, flag, number, text, texts
from joblet.bus.values import Typed
from joblet.errors import InvalidSpec, JobletError
from joblet.model.ids import check_name, object_path, path_in_work, scope_name
from joblet.model.job import Job, JobSpec, JobState, Remote
from joblet.model.limits import RANGES, USER_MAX, BadLimit, parse_cpus, print_cpus
from joblet.model.run import HostUsage, Outline, Upload, Usage

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
SCHEDULE_MAX_USEC = 3653 * _DAY

COMMAND_MAX_BYTES = 4096
# MAX_ARG_STRLEN of the kernel, its NUL included: what execve(2) takes as one string.
STRING_MAX_BYTES = 131_072
ARGS_MAX = 65_536
# Far below the quarter of the stack limit (8 MiB by default) that execve(2) grants in all.
EXEC_MAX_BYTES = 1 << 20
_POINTER_BYTES = 8

# limits.h, without the NUL that ends a path
PATH_MAX_BYTES = 4095

PAGE_DEFAULT = 100
PAGE_MAX = 1000

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = "JOBLET_"
# Instead of the value of a secret variable, wherever one might be shown.
MASK = "***"
_CURSOR = re.compile(r"[1-9][0-9]{0,17}")


def split_remote(
    given: Mapping[str, Typed],
) -> tuple[dict[str, Typed], Remote | None]:
    """The spec without the keys of the remote identity, and that identity. Raises InvalidSpec."""
    rest = {name: typed for name, typed in given.items() if name not in _REMOTE}
    keys = {name: typed for name, typed in given.items() if name in _REMOTE}
    if not keys:
        return rest, None
    values = options.read(keys, _REMOTE)
    for name in _REMOTE:
        if name not in values:
            raise InvalidSpec(name, "is required with the other half of the remote identity")
    return rest, Remote(str(values["remote_subject"]), str(values["remote_role"]))


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What Manager.RunJob is given: the spec, and what travels with it and is kept elsewhere."""

    spec: JobSpec
    upload: Upload | None
    secrets: Mapping[str, str]


def decode_run(given: Mapping[str, Typed], *, now_usec: int) -> RunRequest:
    """The argument of Manager.RunJob; descriptors stay the message's. Raises InvalidSpec."""
    values = options.read(given, _SPEC, _LATER)
    upload = Upload(
        tar=values.pop("upload_tar", None),  # type: ignore[arg-type]
        directory=values.pop("upload_directory", None),  # type: ignore[arg-type]
    )
    secrets: dict[str, str] = values.pop("secrets", {})  # type: ignore[assignment]
    values["secret_names"] = tuple(sorted(secrets))
    values["uploaded"] = upload != Upload()
    if "command" not in values:
        raise InvalidSpec("command", "is required")
    start_at = values.get("start_at_usec")
    if isinstance(start_at, int) and start_at > now_usec + SCHEDULE_MAX_USEC:
        raise InvalidSpec("start_at_usec", "is more than 10 years ahead")
    spec = JobSpec(**values)  # type: ignore[arg-type]
    twice = sorted(set(spec.environment) & set(secrets))
    if twice:
        raise InvalidSpec("secrets", f"{twice[0]} is in the environment too; give it once")
    _check_exec_size(spec, secrets)
    return RunRequest(spec, upload if spec.uploaded else None, secrets)


def decode_limits(given: Mapping[str, Typed]) -> dict[str, object]:
    """The limits of Manager.UpdateJob, by their names in a spec. Raises InvalidSpec."""
    fixed = dict.fromkeys(_SPEC, "cannot be changed while a job lives; submit a new one")
    changes = options.read(given, _CHANGEABLE, fixed)
    if not changes:
        raise InvalidSpec("limits", f"name at least one of {', '.join(sorted(_CHANGEABLE))}")
    return changes


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The options of Manager.ListJobs; the cursor is the seq that the page begins below."""

    states: frozenset[JobState] = frozenset()
    mine: bool = False
    limit: int = PAGE_DEFAULT
    cursor: int | None = None


def decode_list(given: Mapping[str, Typed]) -> ListRequest:
    """The options of Manager.ListJobs. Raises InvalidSpec."""
    return ListRequest(**options.read(given, _LIST))  # type: ignore[arg-type]


def decode_path(path: str) -> str:
    """A path below /work; an absolute one is meant below it too. Raises InvalidSpec."""
    if len(text("path", path).encode()) > PATH_MAX_BYTES:
        raise InvalidSpec("path", f"no path is longer than {PATH_MAX_BYTES} bytes")
    return path_in_work(path)


def decode_delete_all(given: Mapping[str, Typed]) -> bool:
    """The option `all` of Manager.DeleteAllJobs. Raises InvalidSpec."""
    return bool(options.read(given, {"all": Key("b", flag)}).get("all", False))


def decode_none(given: Mapping[str, Typed]) -> None:
    """Options of a method that has none yet. Raises InvalidSpec."""
    options.read(given, {})


def encode_cursor(job: Job) -> str:
    """The cursor of the page that follows this job."""
    return str(job.seq)


def status(job: Job, *, private: bool) -> dict[str, Typed]:
    """What Manager.GetJob gives."""
    return {
        key.name: Typed(key.signature, value)
        for key in (_ALL if private else _PUBLIC)
        if (value := key.read(job)) is not None
    }


def explanation(job: Job, outline: Outline) -> dict[str, Typed]:
    """What Manager.ExplainJob gives."""
    spec = {
        key.name: Typed(key.signature, value)
        for key in _PRIVATE
        if (value := key.read(job)) is not None
    }
    return {
        "state": Typed("s", job.state.value),
        "due_usec": Typed("t", job.due_usec),
        "spec": Typed("a{sv}", spec),
        "unit": Typed("s", outline.unit),
        "properties": Typed(
            "a{sv}",
            {name: Typed(signature, value) for name, signature, value in outline.properties},
        ),
        "steps": Typed("as", list(outline.steps)),
    }


def encode_usage(
    host: HostUsage,
    jobs: Iterable[tuple[Job, Usage]],
    *,
    clock_usec: int,
    **of_daemon: str | int,
) -> bytes:
    """What Manager.ListUsage gives, one JSON object; without what is not counted here."""
    shown = list(jobs)
    room = min(_SHOWN_MAX, _SHOWN_IN_ALL // max(1, len(shown)))
    rows = [
        {
            "id": job.id,
            "name": job.spec.name,
            "owner_uid": job.owner_uid,
            "started_usec": job.started_usec,
            **_shown_command(job.spec, room),
            "max_cpu": job.spec.max_cpu,
            "max_memory": job.spec.max_memory,
            **asdict(usage),
        }
        for job, usage in shown
    ]
    told = {
        "clock_usec": clock_usec,
        "host": {**asdict(host), **of_daemon},
        "jobs": [{key: value for key, value in row.items() if value is not None} for row in rows],
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


# Characters of command and arguments that ListUsage tells of each job, and of all: it has no
# pages, and the bus closes the connection of whoever sends it more than 32 MiB.
_SHOWN_MAX = 2048
_SHOWN_IN_ALL = 2 << 20


def _shown_command(spec: JobSpec, room: int) -> dict[str, object]:
    """Command and arguments as far as there is room; what is cut ends in an ellipsis."""
    parts: list[str] = []
    for part in (spec.command, *spec.args):
        if len(part) >= room:
            parts.append(part[:room] + "…")
            break
        parts.append(part)
        room -= len(part) + 1
    return {"command": parts[0], "args": parts[1:]}


def encode_list(jobs: Iterable[tuple[Job, bool]]) -> bytes:
    """The same statuses as one JSON array; with each job, whether its private half is wanted."""
    return _json([_row(job, private=private) for job, private in jobs])


def _row(job: Job, *, private: bool) -> dict[str, object]:
    return {
        key.name: value
        for key in (_ALL if private else _PUBLIC)
        if (value := key.read(job)) is not None
    }


def _json(rows: Sequence[Mapping[str, object]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def encode_each(found: Iterable[tuple[Job, bool] | JobletError]) -> bytes:
    """Statuses as one JSON array; an error in it is an object with its D-Bus name and sentence."""
    rows = [
        {"error": one.dbus_name, "message": str(one)}
        if isinstance(one, JobletError)
        else _row(one[0], private=one[1])
        for one in found
    ]
    return _json(rows)


def status_size(job: Job, *, private: bool) -> int:
    """About how many bytes a status takes in a message."""
    if not private:
        return _STATUS_BYTES
    # Of a secret its name is shown, and a mask.
    secrets = sum(len(name) + _SECRET_BYTES for name in job.spec.secret_names)
    return _STATUS_BYTES + _exec_size(job.spec) + secrets


_STATUS_BYTES = 1024
_SECRET_BYTES = 24
# As OpenSSL prints it; a subject of this length is no name of a person.
_SUBJECT_MAX_BYTES = 4096


def _identity(name: str, value: object) -> str:
    given = text(name, value)
    if not 1 <= len(given.encode()) <= _SUBJECT_MAX_BYTES or not given.isprintable():
        raise InvalidSpec(name, f"use 1 to {_SUBJECT_MAX_BYTES} bytes of printable text")
    return given


_REMOTE = {
    "remote_subject": Key("s", _identity),
    "remote_role": Key("s", _identity),
}


def _command(name: str, value: object) -> str:
    command = text(name, value)
    size = len(command.encode())
    if not 1 <= size <= COMMAND_MAX_BYTES:
        raise InvalidSpec(name, f"use 1 to {COMMAND_MAX_BYTES} bytes, not {size}")
    return command


def _args(name: str, value: object) -> tuple[str, ...]:
    args = texts(name, value)
    if len(args) > ARGS_MAX:
        raise InvalidSpec(name, f"use at most {ARGS_MAX} arguments, not {len(args)}")
    for index, arg in enumerate(args):
        if len(arg.encode()) >= STRING_MAX_BYTES:
            _check_string(f"{name}[{index}]", len(arg.encode()))
    return args


def _environment(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidSpec(name, "expected a dictionary of strings")
    for variable, content in value.items():
        if not isinstance(variable, str) or _ENVIRONMENT_NAME.fullmatch(variable) is None:
            raise InvalidSpec(
                name, "names of variables are letters, digits and '_', no digit in front"
            )
        where = f"{name}[{variable[:64]}]"
        if variable.startswith(_RESERVED):
            raise InvalidSpec(where, f"names that begin with {_RESERVED} are reserved")
        _check_string(where, len(variable) + 1 + len(text(where, content).encode()))
    return value


def _check_string(where: str, size: int) -> None:
    if size >= STRING_MAX_BYTES:
        raise InvalidSpec(where, f"use at most {STRING_MAX_BYTES - 1} bytes, not {size}")


def _check_exec_size(spec: JobSpec, secrets: Mapping[str, str]) -> None:
    size = _exec_size(spec) + _environment_size(secrets)
    if size > EXEC_MAX_BYTES:
        raise InvalidSpec(
            "args", f"with the environment they take {size} bytes, at most {EXEC_MAX_BYTES} fit"
        )


def _exec_size(spec: JobSpec) -> int:
    """Bytes that execve(2) needs for all strings and the pointers to them."""
    size = len(spec.command.encode()) + 1 + _POINTER_BYTES
    for arg in spec.args:
        size += len(arg.encode()) + 1 + _POINTER_BYTES
    return size + _environment_size(spec.environment)


def _environment_size(variables: Mapping[str, str]) -> int:
    return sum(
        len(name) + len(content.encode()) + 2 + _POINTER_BYTES
        for name, content in variables.items()
    )


def _name(name: str, value: object) -> str:
    given = text(name, value)
    return check_name(given) if given else ""


def _network(name: str, value: object) -> str:
    if text(name, value) != "none":
        raise InvalidSpec(name, "only 'none' is available yet")
    return "none"


def _states(name: str, value: object) -> frozenset[JobState]:
    words = texts(name, value)
    try:
        return frozenset(JobState(word) for word in words)
    except ValueError as err:
        known = ", ".join(JobState)
        raise InvalidSpec(name, f"states are {known}") from err


def _cursor(name: str, value: object) -> int | None:
    cursor = text(name, value)
    if not cursor:
        return None
    if _CURSOR.fullmatch(cursor) is None:
        raise InvalidSpec(name, "use what `next` of the page before said")
    return int(cursor)


def _limit(name: str) -> Callable[[str, object], int]:
    # Nobody needs to ask for the kernel's own weight, and 0 is none.
    return number(*RANGES[name], zero=name not in ("cpu_weight", "io_weight"))


def _cores(name: str, value: object) -> tuple[int, ...]:
    given = text(name, value)
    try:
        return parse_cpus(given) if given else ()
    except BadLimit as err:
        raise InvalidSpec(name, str(err)) from err


# What can be changed while a job lives; all of it are properties of its scope.
_CHANGEABLE = {
    "max_cpu": Key("u", _limit("max_cpu")),
    "cpu_weight": Key("u", _limit("cpu_weight")),
    "cpu_cores": Key("s", _cores),
    "max_memory": Key("t", _limit("max_memory")),
    "max_io_bps": Key("t", _limit("max_io_bps")),
    "max_iops": Key("t", _limit("max_iops")),
    "io_weight": Key("u", _limit("io_weight")),
    "max_tasks": Key("t", _limit("max_tasks")),
}
_SPEC = {
    "command": Key("s", _command),
    "args": Key("as", _args),
    "name": Key("s", _name),
    "environment": Key("a{ss}", _environment),
    "secrets": Key("a{ss}", _environment),
    "upload_tar": Key("h", descriptor),
    "upload_directory": Key("h", descriptor),
    "timeout_usec": Key("t", _limit("timeout_usec")),
    "stop_grace_usec": Key("t", _limit("stop_grace_usec")),
    "start_at_usec": Key("t", number(0, (1 << 64) - 1)),
    **_CHANGEABLE,
    "max_work": Key("t", _limit("max_work")),
    "max_tmp": Key("t", _limit("max_tmp")),
    "max_shm": Key("t", _limit("max_shm")),
    "user": Key("u", number(0, USER_MAX)),
    "network": Key("s", _network),
    "init": Key("b", flag),
}
_LATER = {
    "runtime": "runtimes are not available yet",
    "gpu": "GPUs are not available yet",
    "volumes": "volumes are not available yet",
    "workflow": "workflows are not available yet",
    "tty": "terminals are not available yet",
}
_LIST = {
    "states": Key("as", _states),
    "mine": Key("b", flag),
    "limit": Key("u", number(1, PAGE_MAX)),
    "cursor": Key("s", _cursor),
}


class _StatusKey(NamedTuple):
    """One key of a status; `read` gives None where the value is not known (yet)."""

    name: str
    signature: str
    read: Callable[[Job], object]


def _sendable(sentence: str) -> str | None:
    """A detail may quote a path of the host: no message carries a NUL or half a character."""
    return sentence.replace("\0", "").encode("utf-8", "backslashreplace").decode() or None


def _once_ended(job: Job, value: int) -> int | None:
    return value if job.state.terminal else None


def _shown_cores(job: Job) -> str | None:
    return None if job.spec.cpu_cores is None else print_cpus(job.spec.cpu_cores)


_PUBLIC = (
    _StatusKey("id", "s", lambda job: job.id),
    _StatusKey("path", "o", lambda job: object_path(job.id)),
    _StatusKey("name", "s", lambda job: job.spec.name),
    _StatusKey("state", "s", lambda job: job.state.value),
    _StatusKey("owner_uid", "u", lambda job: job.owner_uid),
    _StatusKey("remote_subject", "s", lambda job: job.remote.subject if job.remote else None),
    _StatusKey("remote_role", "s", lambda job: job.remote.role if job.remote else None),
    _StatusKey("unit", "s", lambda job: scope_name(job.id)),
    _StatusKey("submitted_usec", "t", lambda job: job.submitted_usec),
    _StatusKey("due_usec", "t", lambda job: job.due_usec),
    _StatusKey("started_usec", "t", lambda job: job.started_usec),
    _StatusKey("finished_usec", "t", lambda job: job.finished_usec),
    _StatusKey("queue_usec", "t", lambda job: job.queue_usec),
    _StatusKey("run_usec", "t", lambda job: job.run_usec),
    _StatusKey("reason", "s", lambda job: job.reason.value if job.reason else None),
    _StatusKey("exit_code", "i", lambda job: job.exit_code),
    _StatusKey("detail", "s", lambda job: _sendable(job.detail)),
    _StatusKey("cpu_usec", "t", lambda job: job.accounting.cpu_usec),
    _StatusKey("memory_peak_bytes", "t", lambda job: job.accounting.memory_peak_bytes),
    _StatusKey("io_read_bytes", "t", lambda job: job.accounting.io_read_bytes),
    _StatusKey("io_write_bytes", "t", lambda job: job.accounting.io_write_bytes),
    _StatusKey("log_bytes", "t", lambda job: _once_ended(job, job.log_bytes)),
    _StatusKey("log_dropped_bytes", "t", lambda job: _once_ended(job, job.log_dropped_bytes)),
)
_PRIVATE = (
    _StatusKey("command", "s", lambda job: job.spec.command),
    _StatusKey("args", "as", lambda job: list(job.spec.args)),
    _StatusKey("environment", "a{ss}", lambda job: dict(job.spec.environment)),
    _StatusKey("secrets", "a{ss}", lambda job: dict.fromkeys(job.spec.secret_names, MASK)),
    _StatusKey("uploaded", "b", lambda job: job.spec.uploaded),
    _StatusKey("timeout_usec", "t", lambda job: job.spec.timeout_usec),
    _StatusKey("stop_grace_usec", "t", lambda job: job.spec.stop_grace_usec),
    _StatusKey("max_cpu", "u", lambda job: job.spec.max_cpu),
    _StatusKey("cpu_weight", "u", lambda job: job.spec.cpu_weight),
    _StatusKey("cpu_cores", "s", _shown_cores),
    _StatusKey("max_memory", "t", lambda job: job.spec.max_memory),
    _StatusKey("max_io_bps", "t", lambda job: job.spec.max_io_bps),
    _StatusKey("max_iops", "t", lambda job: job.spec.max_iops),
    _StatusKey("io_weight", "u", lambda job: job.spec.io_weight),
    _StatusKey("max_tasks", "t", lambda job: job.spec.max_tasks),
    _StatusKey("max_work", "t", lambda job: job.spec.max_work),
    _StatusKey("max_tmp", "t", lambda job: job.spec.max_tmp),
    _StatusKey("max_shm", "t", lambda job: job.spec.max_shm),
    _StatusKey("user", "u", lambda job: job.spec.user),
    _StatusKey("network", "s", lambda job: job.spec.network),
    _StatusKey("init", "b", lambda job: job.spec.init),
)
_ALL = (*_PUBLIC, *_PRIVATE)
