"""`job inspect`: everything that is known of jobs, as JSON."""

from __future__ import annotations

from dataclasses import asdict

import click

from joblet.client.api import JobletClient
from joblet.model.states import JobState
from jobletctl import classic, paramtypes
from jobletctl.cli import App, json_option, pager_option, pass_app
from jobletctl.jobcalls import each

# Of a usage; what a status says too is there already.
_USED = ("clock_usec", "cpu_usec", "memory_bytes", "tasks", "io_read_bytes", "io_write_bytes")


@click.command()
@click.argument("references", nargs=-1, required=True, type=paramtypes.JOB, metavar="ID...")
@pager_option
@json_option
@pass_app
def inspect(app: App, *, references: tuple[str, ...], no_pager: bool) -> int:
    """Print everything that is known of jobs, as a JSON array.

    Keys are those of 'job status --json'; a running job also has `usage`, what it uses right now.
    """
    found: dict[str, dict[str, object]] = {}

    async def one(client: JobletClient, reference: str) -> int:
        job = await client.status(reference)
        known = classic.status(app, job)
        if job.state is JobState.RUNNING:
            known |= await _usage(client, job.id)
        found[reference] = known
        return 0

    status = max(each(app, references, one))
    with app.output.paged(wanted=not no_pager):
        app.output.document([found[reference] for reference in references if reference in found])
    return status


async def _usage(client: JobletClient, job_id: str) -> dict[str, object]:
    """The key `usage`, for a job that still runs and that this caller may see."""
    report = await client.usage()
    for used in report.jobs:
        if used.id == job_id:
            keys = {"clock_usec": report.clock_usec, **asdict(used)}
            return {"usage": {key: keys[key] for key in _USED if keys[key] is not None}}
    return {}
