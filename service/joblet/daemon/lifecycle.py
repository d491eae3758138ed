"""Events of jobs in the journal, with fields to select by; never a job's output or its spec.

journalctl JOBLET_JOB_ID=<id>
journalctl MESSAGE_ID=<one of the ids below>
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from joblet.model.events import Event, JobFinished, JobNew, JobRemoved
from joblet.model.job import Job

# Made once with `journalctl --new-id128`; they never change.
ACCEPTED = "5a3c1f8e2f0b4e7fb1b6a0d9c54e8d11"
FINISHED = "0f6d5b8c7f3a4f0c9f5e2a7b63d1c922"
REMOVED = "c8d0a4b1e6f24c59a3d7190b2e85f433"

JournalWriter = Callable[[str, str, Mapping[str, str]], None]


class LifecycleLog:
    """A subscriber of core's events."""

    def __init__(self, write: JournalWriter) -> None:
        self._write = write

    def handle(self, event: Event) -> None:
        """One event of core."""
        job = event.job
        match event:
            case JobNew():
                self._write(f"{job.id}: accepted, {job.state}", ACCEPTED, _fields(job))
            case JobFinished():
                text = f"{job.id}: {job.state} ({job.reason}), exit code {job.exit_code}"
                self._write(text, FINISHED, _fields(job))
            case JobRemoved():
                self._write(f"{job.id}: deleted", REMOVED, _fields(job))


def _fields(job: Job) -> dict[str, str]:
    fields = {
        "JOBLET_JOB_ID": job.id,
        "JOBLET_STATE": job.state.value,
        "JOBLET_OWNER_UID": str(job.owner_uid),
    }
    if job.spec.name:
        fields["JOBLET_NAME"] = job.spec.name
    if job.reason is not None:
        fields["JOBLET_REASON"] = job.reason.value
    if job.exit_code is not None:
        fields["JOBLET_EXIT_CODE"] = str(job.exit_code)
    return fields
