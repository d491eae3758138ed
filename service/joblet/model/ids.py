"""Job ids and names: their rules, and how they appear in unit names and object paths."""

from __future__ import annotations

import re

from joblet.errors import InvalidSpec

ROOT_PATH = "/org/joblet1"
JOB_PATH_PREFIX = ROOT_PATH + "/job/"
SCOPE_PREFIX = "joblet-"
SCOPE_SUFFIX = ".scope"
# Fewer characters select too much by accident; four hex digits are what people still read out.
PREFIX_MIN = 4

# What a job's user namespace maps; a range of its own for each live job.
RANGE_SIZE = 65_536

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def new_job_id() -> str:
    """A fresh version-4 UUID, lower case, 36 characters."""
    # 2 ms of every program that only reads ids
    import uuid

    return str(uuid.uuid4())


def is_job_id(text: str) -> bool:
    """True for a whole job id in its one canonical spelling."""
    return _UUID.fullmatch(text) is not None


def check_job_reference(text: str) -> str:
    """A whole id or a prefix of at least four characters, in lower case.

    Raises InvalidSpec for anything else, so that no hostile text reaches a path or a query.
    """
    lowered = text.lower()
    if _PREFIX.fullmatch(lowered) is None:
        raise InvalidSpec(
            "job", f"expected a job id or at least {PREFIX_MIN} of its first characters (0-9, a-f)"
        )
    return lowered


def check_name(text: str) -> str:
    """A job name: 1 to 63 letters, digits, `_`, `.` or `-`, beginning with a letter or digit.

    Raises InvalidSpec.
    """
    if _NAME.fullmatch(text) is None:
        raise InvalidSpec(
            "name", "use 1 to 63 letters, digits, '_', '.' or '-', the first a letter or digit"
        )
    return text


def path_in_work(path: str) -> str:
    """A path of a job's /work, as it counts from there; an absolute one is meant below it too."""
    if f"{path}/".startswith("/work/"):
        path = path.removeprefix("/work")
    return path.lstrip("/")


def scope_name(job_id: str) -> str:
    """The transient scope of a job."""
    return f"{SCOPE_PREFIX}{job_id}{SCOPE_SUFFIX}"


def job_id_of_scope(unit: str) -> str | None:
    """The job id in a scope name, or None if the unit is not one of our scopes."""
    if not (unit.startswith(SCOPE_PREFIX) and unit.endswith(SCOPE_SUFFIX)):
        return None
    candidate = unit[len(SCOPE_PREFIX) : -len(SCOPE_SUFFIX)]
    return candidate if is_job_id(candidate) else None


def shard_slice(shard: int) -> str:
    """The slice that holds the scopes of one shard."""
    return f"joblet-jobs-{shard:02d}.slice"


def object_path(job_id: str) -> str:
    """The D-Bus object path of a live job; `-` is not legal in a path element."""
    return JOB_PATH_PREFIX + job_id.replace("-", "_")


def job_id_of_path(path: str) -> str | None:
    """The job id in an object path, or None."""
    if not path.startswith(JOB_PATH_PREFIX):
        return None
    candidate = path[len(JOB_PATH_PREFIX) :].replace("_", "-")
    return candidate if is_job_id(candidate) else None
