"""What scripts look for that were written for the first rnx: its keys and lines, for rnx alone.

They come beside what jobletctl says, under names that do not collide; where both have a key
(`max_memory`, in bytes), ours stands. Owns those names and their forms: times as RFC 3339 in UTC,
"" for what is not known.
"""

from __future__ import annotations

import time

from joblet.client.api import JobletClient, JobStatus
from joblet.errors import JobletError
from joblet.model.states import JobState
from jobletctl import explain, jobview
from jobletctl.cli import App

# A warm start takes some 10 ms. Who asked wants to see it run, but not at any price.
_BEGIN_WAITS_USEC = (10_000, 20_000, 40_000, 80_000)
_NOT_BEGUN = (JobState.PENDING, JobState.INITIALIZING)
_MIB = 1 << 20


def listed(app: App, job: JobStatus) -> dict[str, object]:
    """One job of `job list --json`."""
    if not app.is_rnx:
        return job.known()
    return {
        "status": job.state.value,
        "node_id": app.node_id,
        "start_time": instant(_start_usec(job)),
        "end_time": instant(job.finished_usec),
        "scheduled_time": instant(_scheduled_usec(job)),
        "command": "",
        **job.known(),
    }


def status(app: App, job: JobStatus) -> dict[str, object]:
    """A job of every other verb with --json."""
    if not app.is_rnx:
        return job.known()
    record: dict[str, object] = {
        "uuid": job.id,
        "nodeId": app.node_id,
        "command": "",
        "args": [],
        "status": job.state.value,
        "startTime": instant(_start_usec(job)),
        "endTime": instant(job.finished_usec),
        "exitCode": job.exit_code or 0,
        "scheduledTime": instant(_scheduled_usec(job)),
        "environment": {},
        "secretEnvironment": dict(job.secrets or {}),
        "network": "",
        "volumes": [],
        "runtime": "",
        "workDir": "/work",
        "uploads": [],
        "dependencies": [],
        "workflowUuid": "",
    }
    limits = {
        "maxCPU": job.max_cpu,
        "maxMemory": -(-(job.max_memory or 0) // _MIB),
        "maxIOBPS": job.max_io_bps,
        "cpuCores": job.cpu_cores,
    }
    record |= {key: value for key, value in limits.items() if value}
    return record | job.known()


async def submitted(app: App, client: JobletClient, job_id: str) -> dict[str, object]:
    """What `job run --json` says of a job that was accepted."""
    record: dict[str, object] = {"id": job_id}
    if not app.is_rnx:
        return record
    record["job_uuid"] = job_id
    job = await _begun(app, client, job_id)
    if job is not None:
        record |= {
            "command": job.command or "",
            "args": list(job.args or ()),
            "status": job.state.value,
            "start_time": instant(_start_usec(job)),
        }
        if scheduled := instant(_scheduled_usec(job)):
            record["scheduled_time"] = scheduled
    return record


async def say_submitted(app: App, client: JobletClient, job_id: str) -> None:
    """The same in lines; the id comes first, whatever happens then."""
    output = app.output
    if not app.is_rnx:
        output.line(job_id)
        return
    output.line(f"ID: {job_id}")
    job = await _begun(app, client, job_id)
    if job is None:
        return
    output.line(f"Command: {jobview.command_line(job)}")
    output.state("Status: ", job.state)
    if scheduled := _scheduled_usec(job):
        output.line(f"Scheduled Time: {jobview.moment_with_zone(scheduled)}")
    else:
        output.line(f"StartTime: {jobview.moment_with_zone(_start_usec(job))}")


def changed(app: App, job_id: str, done: str) -> dict[str, object]:
    """What a verb with --json says that has done something to a job."""
    record: dict[str, object] = {"id": job_id}
    if app.is_rnx:
        record["uuid"] = job_id
        if done == "canceled":
            record |= {"canceled": True, "job_id": job_id, "status": JobState.CANCELED.value}
        record |= {"success": True, "message": f"Job {done} successfully"}
    return record


def all_deleted(app: App, deleted: int, skipped: int) -> dict[str, object]:
    """What `job delete-all --json` says."""
    record: dict[str, object] = {"deleted": deleted, "skipped": skipped}
    if app.is_rnx:
        record |= {
            "success": True,
            "message": f"Deleted {deleted} jobs, skipped {skipped} that have not ended",
            "deleted_count": deleted,
            "skipped_count": skipped,
        }
    return record


def instant(usec: int | None) -> str:
    """A time in UTC to the second; "" for none."""
    if usec is None:
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(usec // 1_000_000))


async def _begun(app: App, client: JobletClient, job_id: str) -> JobStatus | None:
    """The job a moment later; None if nothing can be learned of it, which takes nothing away."""
    job: JobStatus | None = None
    try:
        for usec in _BEGIN_WAITS_USEC:
            job = await client.wait(job_id, timeout_usec=usec)
            if job.state not in _NOT_BEGUN:
                break
        return job
    except JobletError as err:
        app.output.note(f"job {job_id} was accepted; {explain.sentence(err, app.call)}")
        return None


def _start_usec(job: JobStatus) -> int:
    return job.submitted_usec if job.started_usec is None else job.started_usec


def _scheduled_usec(job: JobStatus) -> int | None:
    due = job.due_usec
    return due if due is not None and due > job.submitted_usec else None
