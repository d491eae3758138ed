"""Protobuf messages of jobs to the client's vocabulary and back. Pure: no I/O, no clock.

Owns every rule of the wire about form: how a time, a limit, a secret and a state are written.
What a request asks for is not judged here but by jobletd, which names the field; refused here is
only what has no form in a spec. Strings of replies that clients compare stand in this module too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from joblet.client.api import Attachments, JobStatus
from joblet.errors import InvalidSpec
from joblet.model.job import JobSpec, JobState, Remote
from joblet.model.limits import BadLimit, parse_cpus
from joblet.rpc import durations
from joblet.rpc.pb import joblet_pb2 as pb

MASK = "***"
# No state of a job: what a stop answers for one that takes its time.
STOPPING = "STOPPING"

DELETED = "Job deleted successfully"

_MIB = 1 << 20
_INT32_MAX = (1 << 31) - 1
# Names that control a job from inside; a client's variables cannot stand in for them.
_CONTROL_PREFIXES = ("JOB_", "JOBLET_")
# The reference network of every client; jobs have none yet, and their status says so.
_DEFAULT_NETWORKS = ("", "bridge")
_NOT_YET = {
    "runtime": "runtimes are not available yet",
    "volumes": "volumes are not available yet",
    "gpu_count": "GPUs are not available yet",
    "workflow_uuid": "workflows are not available yet",
}
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NAME_MAX = 63
# RFC 3339, section 5.6, in the spellings that clients send.
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def instant(usec: int | None) -> str:
    """A time as text: RFC 3339 in UTC, whole seconds; "" if there is none."""
    if usec is None:
        return ""
    # strftime of datetime does not pad a year below 1000, and costs three times as much.
    at = time.gmtime(usec // 1_000_000)
    return (
        f"{at.tm_year:04d}-{at.tm_mon:02d}-{at.tm_mday:02d}"
        f"T{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}Z"
    )


def parse_instant(field: str, text: str) -> int:
    """Microseconds since the epoch of an RFC 3339 time. Raises InvalidSpec."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise InvalidSpec(field, "expected a time like 2026-01-31T23:59:00Z (RFC 3339)")
    date, clock, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        whole = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as err:
        raise InvalidSpec(field, f"there is no such time ({err})") from err
    usec = whole.days * 86_400_000_000 + whole.seconds * 1_000_000
    return max(0, usec + int((fraction or "0").ljust(9, "0")) // 1000)


def run_request(
    request: pb.RunJobRequest, remote: Remote, *, upload_tar: int | None = None
) -> tuple[JobSpec, Attachments]:
    """What a RunJobRequest asks for. Raises InvalidSpec for what has no form in a spec."""
    for field, present in (
        ("runtime", request.runtime),
        ("volumes", request.volumes),
        ("gpu_count", request.gpu_count or request.gpu_memory_mb),
        ("workflow_uuid", request.workflow_uuid or request.requirements),
    ):
        if present:
            raise InvalidSpec(field, _NOT_YET[field])
    spec = JobSpec(
        command=request.command,
        args=tuple(request.args),
        name=label(request.name),
        environment=_variables(request.environment),
        timeout_usec=_timeout(request.timeout),
        start_at_usec=parse_instant("schedule", request.schedule) if request.schedule else None,
        max_cpu=_limit("max_cpu", request.max_cpu),
        cpu_cores=_cpus(request.cpu_cores),
        max_memory=_limit("max_memory", request.max_memory, unit=_MIB),
        max_io_bps=_limit("max_io_bps", request.max_io_bps),
        network="none" if request.network in _DEFAULT_NETWORKS else request.network,
    )
    attached = Attachments(
        secrets=_variables(request.secret_environment), tar=upload_tar, remote=remote
    )
    return spec, attached


def label(name: str) -> str:
    """The nearest job name to a label: clients may send any text, and none of them relies on it."""
    return _NOT_IN_A_NAME.sub("_", name).lstrip("_.-")[:_NAME_MAX]


def run_response(status: JobStatus, asked: pb.RunJobRequest) -> pb.RunJobResponse:
    """The answer to RunJob: the job as it is, with the echo that older clients print."""
    return pb.RunJobResponse(
        job_uuid=status.id,
        status=status.state.value,
        command=asked.command,
        args=asked.args,
        max_cpu=asked.max_cpu,
        cpu_cores=asked.cpu_cores,
        max_memory=asked.max_memory,
        max_io_bps=asked.max_io_bps,
        start_time=instant(_start(status)),
        end_time=instant(status.finished_usec),
        exit_code=status.exit_code or 0,
        scheduled_time=instant(_scheduled(status)),
    )


def status_response(status: JobStatus, *, node_id: str = "") -> pb.GetJobStatusResponse:
    """The answer to GetJobStatus."""
    return pb.GetJobStatusResponse(
        uuid=status.id,
        name=status.name,
        command=status.command or "",
        args=status.args or (),
        max_cpu=_int32(status.max_cpu),
        cpu_cores=status.cpu_cores or "",
        max_memory=_mib(status.max_memory),
        max_io_bps=_int32(status.max_io_bps),
        status=status.state.value,
        start_time=instant(_start(status)),
        end_time=instant(status.finished_usec),
        exit_code=status.exit_code or 0,
        scheduled_time=instant(_scheduled(status)),
        environment=status.environment or {},
        secret_environment=masked(status.secrets or ()),
        network=status.network or "",
        node_id=node_id,
        timeout=durations.format_usec(status.timeout_usec or 0),
    )


def list_entry(status: JobStatus, *, node_id: str = "", environment: bool = True) -> pb.Job:
    """One job of ListJobs."""
    return pb.Job(
        uuid=status.id,
        name=status.name,
        command=status.command or "",
        args=status.args or (),
        max_cpu=_int32(status.max_cpu),
        cpu_cores=status.cpu_cores or "",
        max_memory=_mib(status.max_memory),
        max_io_bps=_int32(status.max_io_bps),
        status=status.state.value,
        start_time=instant(_start(status)),
        end_time=instant(status.finished_usec),
        exit_code=status.exit_code or 0,
        scheduled_time=instant(_scheduled(status)),
        environment=(status.environment or {}) if environment else {},
        secret_environment=masked(status.secrets or ()) if environment else {},
        node_id=node_id,
        timeout=durations.format_usec(status.timeout_usec or 0),
    )


def list_order(status: JobStatus) -> tuple[int, str, str]:
    """Sorts a list by creation, then name."""
    return status.submitted_usec, status.name, status.id


def stop_response(status: JobStatus) -> pb.StopJobResponse:
    """The answer to StopJob: how the job ended, or that it has not yet."""
    return pb.StopJobResponse(
        uuid=status.id,
        status=status.state.value if status.state.terminal else STOPPING,
        end_time=instant(status.finished_usec),
        exit_code=status.exit_code or 0,
    )


def cancel_response(job_id: str) -> pb.CancelJobResponse:
    """The answer to CancelJob."""
    return pb.CancelJobResponse(uuid=job_id, status=JobState.CANCELED.value)


def delete_response(job_id: str) -> pb.DeleteJobResponse:
    """The answer to DeleteJob."""
    return pb.DeleteJobResponse(uuid=job_id, success=True, message=DELETED)


def delete_all_response(deleted: int, skipped: int) -> pb.DeleteAllJobsResponse:
    """The answer to DeleteAllJobs."""
    return pb.DeleteAllJobsResponse(
        success=True,
        message=f"Successfully deleted {deleted} jobs, skipped {skipped} running/scheduled jobs",
        deleted_count=_int32(deleted),
        skipped_count=_int32(skipped),
    )


def masked(names: Iterable[str]) -> dict[str, str]:
    """Secret variables as every reply shows them."""
    return dict.fromkeys(names, MASK)


def _variables(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in given.items() if not name.startswith(_CONTROL_PREFIXES)}


def _timeout(text: str) -> int | None:
    if not text:
        return None
    try:
        return durations.parse_usec(text)
    except ValueError as err:
        raise InvalidSpec("timeout", str(err)) from err


def _limit(field: str, value: int, *, unit: int = 1) -> int | None:
    """None where the client left the limit to the server, which 0 means on this wire."""
    if value < 0:
        raise InvalidSpec(field, f"use 0 or more, not {value}")
    return value * unit or None


def _cpus(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    try:
        return parse_cpus(text)
    except BadLimit as err:
        raise InvalidSpec("cpu_cores", str(err)) from err


def _start(status: JobStatus) -> int:
    """When it began; until then, and if it never did, when it was accepted."""
    return status.submitted_usec if status.started_usec is None else status.started_usec


def _scheduled(status: JobStatus) -> int | None:
    due = status.due_usec
    return due if due is not None and due > status.submitted_usec else None


def _mib(size: int | None) -> int:
    # Up, so that a limit is never shown as none.
    return _int32(-(-(size or 0) // _MIB))


def _int32(value: int | None) -> int:
    return min(value or 0, _INT32_MAX)
