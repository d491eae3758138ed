"""The verbs of a job: run, status, log, cp, stop, update, cancel, delete, delete-all, wait.

`list` and `inspect` are in joblist.py and jobinspect.py.

Each verb checks its words, asks the client, and says the answer through Output; a function that
ends returns the exit status. What takes several ids goes on past one that fails.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from joblet.client.api import STDERR, STDOUT, Attachments, JobletClient, JobStatus, LogRequest
from joblet.model.job import JobSpec
from jobletctl import attachments, classic, jobview, limitoptions, paramtypes
from jobletctl.cli import EPILOG, App, json_option, pager_option, pass_app
from jobletctl.commands.jobgroup import job
from jobletctl.connect import with_client
from jobletctl.dryrun import explain
from jobletctl.jobcalls import each, end_of, show_log

if TYPE_CHECKING:
    from joblet.client.transfer import Upload

INTERRUPTED = 130


def _words(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return paramtypes.check_command(words)
    except paramtypes.BadValue as err:
        raise click.BadParameter(str(err), ctx, param) from err


# Options end at the command word: what follows it belongs to the job, `-h` included.
@job.command(context_settings={"allow_interspersed_args": False}, epilog=EPILOG)
@click.argument("words", nargs=-1, required=True, metavar="COMMAND [ARGS]...", callback=_words)
@click.option(
    "-d",
    "--detach",
    is_flag=True,
    help="Print the id and do not wait; so it is also without any of these options.",
)
@click.option("--wait", is_flag=True, help="Wait for the end; exit with the job's exit status.")
@click.option(
    "-f", "--follow", is_flag=True, help="Show the output as it comes, and wait as --wait does."
)
@click.option(
    "--rm",
    "remove",
    is_flag=True,
    help="Delete the job, its log and its files after its end; with --wait or --follow. Who is "
    "interrupted leaves the job as it is.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Run nothing: show the properties of the scope and what would be done, in words.",
)
@click.option("--name", type=paramtypes.NAME, help="A name for people.")
@attachments.options
@click.option(
    "--schedule",
    type=paramtypes.SCHEDULE,
    help="Start later: after a duration (1h30m, 2d), or at a time, either RFC 3339 with its zone "
    "or 'YYYY-MM-DD HH:MM[:SS]' in local time. A time in the past means now.",
)
@limitoptions.every
@click.option(
    "--network", type=paramtypes.Word(("none",)), default="none", help="The job's network."
)
@click.option("--init", is_flag=True, help="Put a small PID 1 in front that reaps children.")
@json_option
@pass_app
def run(
    app: App,
    /,
    *,
    words: tuple[str, ...],
    detach: bool,
    wait: bool,
    follow: bool,
    remove: bool,
    dry_run: bool,
    name: str | None,
    environment: tuple[tuple[str, str], ...],
    env_files: tuple[str, ...],
    secrets: tuple[tuple[str, str], ...],
    secret_files: tuple[str, ...],
    files: tuple[str, ...],
    directories: tuple[str, ...],
    outputs: tuple[tuple[str, str], ...],
    schedule: int | None,
    network: str,
    init: bool,
    **limits: object,
) -> int:
    """Submit a command as a job and print the job's id.

    Options end at COMMAND or at `--`.
    """
    waits = wait or follow
    if detach and waits:
        raise click.UsageError(
            f"--detach and {'--follow' if follow else '--wait'} contradict each other"
        )
    if remove and not (waits or dry_run):
        raise click.UsageError(
            "--rm needs --wait or --follow, since nobody is there at the end of a detached job; "
            f"'{app.call} job delete' removes one later"
        )
    attachments.check_outputs(outputs, waits=waits or dry_run)
    plain, hidden = attachments.variables(environment, env_files, secrets, secret_files)
    given = attachments.opened(files, directories)
    spec = JobSpec(
        command=words[0],
        args=words[1:],
        name=name or "",
        environment=plain,
        start_at_usec=schedule,
        network=network,
        init=init,
        **limitoptions.given(limits),  # type: ignore[arg-type]
    )
    if dry_run:
        explain(app, spec, Attachments(secrets=hidden))
        return 0
    submitted: list[str] = []
    uploads: list[Upload] = []

    async def accepted(client: JobletClient) -> str:
        if not given:
            return await client.run(spec, Attachments(secrets=hidden))
        # ctypes and more, for those alone who need it
        from joblet.client.transfer import Upload

        upload = Upload(given)
        uploads.append(upload)

        def so_far() -> str:
            entries, sent = upload.sent
            return f"{entries} files and directories, {jobview.size(sent)} sent"

        async with attachments.progress(app.output, so_far):
            job_id = await upload.run(client, spec, hidden)
        attachments.say_left_out(app.output, upload.left_out)
        return job_id

    async def submit(client: JobletClient) -> int:
        job_id = await accepted(client)
        submitted.append(job_id)
        if app.output.as_json:
            if follow or not wait:
                app.output.record(await classic.submitted(app, client, job_id))
        elif not follow:
            await classic.say_submitted(app, client, job_id)
        if follow:
            await show_log(client, app.output, job_id, LogRequest())
        elif not wait:
            return 0
        ended = await end_of(client, job_id)
        if app.output.as_json:
            app.output.record(classic.status(app, ended))
        if said := jobview.ending(ended):
            app.output.note(said)
        collected = await attachments.collect(client, app.output, job_id, outputs)
        if remove and collected:
            await client.delete(job_id)
        # A job that failed says more than that it left nothing.
        return jobview.exit_status(ended) or (0 if collected else 1)

    try:
        return with_client(app.connector, submit)
    except KeyboardInterrupt:
        if submitted:
            app.output.note(
                f"detached; job {submitted[0]} goes on: "
                f"'{app.call} job stop {submitted[0]}' ends it"
            )
        elif uploads and not uploads[0].complete:
            app.output.note("interrupted during the upload; no job was submitted")
        else:
            app.output.note(
                f"interrupted; the job may have been accepted: see '{app.call} job list'"
            )
        return INTERRUPTED


@job.command()
@click.argument("reference", type=paramtypes.JOB, metavar="ID")
@pager_option
@json_option
@pass_app
def status(app: App, *, reference: str, no_pager: bool) -> int:
    """Show what is known of a job."""

    async def ask(client: JobletClient) -> JobStatus:
        return await client.status(reference)

    found = with_client(app.connector, ask)
    output = app.output
    if output.as_json:
        output.document(classic.status(app, found))
        return 0
    with output.paged(wanted=not no_pager):
        for label, text in jobview.head(found, here=not app.remote):
            output.line(f"{label}: {text}")
        if app.is_rnx:
            output.line(f"Node ID: {app.node_id or jobview.NOTHING}")
        output.state("Status: ", found.state)
        for title, lines in jobview.sections(found, _now_usec()):
            output.line()
            output.line(f"{title}:")
            for label, text in lines:
                output.line(f"  {label}: {text}" if label else f"  {text}")
    return 0


@job.command()
@click.argument("reference", type=paramtypes.JOB, metavar="ID")
@click.option(
    "--follow/--no-follow",
    "-f",
    default=True,
    help="Go on until the job has ended (the default), or print what is there.",
)
@click.option("--tail", type=paramtypes.number(0), help="Only the last so many lines.")
@click.option(
    "--since",
    type=paramtypes.SINCE,
    help="Only what came after a time, or in the last 10m; times as for 'job run --schedule'.",
)
@click.option("--stream", type=paramtypes.Word([STDOUT, STDERR]), help="Only one of the streams.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
@json_option
@pass_app
def log(
    app: App,
    *,
    reference: str,
    follow: bool,
    tail: int | None,
    since: int | None,
    stream: str | None,
    timestamps: bool,
) -> int:
    """Print the output of a job: its stdout to stdout, its stderr to stderr."""
    request = LogRequest(follow=follow, tail_lines=tail, since_usec=since, stream=stream)

    async def show(client: JobletClient) -> None:
        await show_log(client, app.output, reference, request, timestamps=timestamps)

    with_client(app.connector, show)
    return 0


@job.command()
@click.argument("source", type=paramtypes.JOB_PATH, metavar="ID:PATH")
@click.argument("destination", type=click.Path(allow_dash=True), metavar="DEST")
@json_option
@pass_app
def cp(app: App, *, source: tuple[str, str], destination: str) -> int:
    """Copy a file or directory out of a job's /work.

    DEST is a directory to copy into, or the new name; `-` writes a tar stream to standard output.
    PATH counts from /work; PATH/. is what the directory holds. Directories are merged with those
    that are there, files replaced.
    """
    reference, path = source
    output = app.output
    if destination == "-":
        if output.as_json:
            raise click.UsageError("--json and '-' both want standard output")
        if output.interactive:
            raise click.UsageError("'-' writes a tar stream, and standard output is a terminal")

    async def copy(client: JobletClient) -> None:
        if destination == "-":
            from joblet.client.transfer import Download

            await Download(reference, path).write(client, lambda data: output.raw(STDOUT, data))
            return
        copied = await attachments.fetch(client, output, reference, path, destination)
        if output.as_json:
            whence = {"job": reference, "path": path, "destination": destination}
            output.document({**whence, **copied})

    with_client(app.connector, copy)
    return 0


@job.command()
@click.argument("references", nargs=-1, required=True, type=paramtypes.JOB, metavar="ID...")
@click.option("--no-wait", is_flag=True, help="Do not wait for the end of the jobs.")
@json_option
@pass_app
def stop(app: App, *, references: tuple[str, ...], no_wait: bool) -> int:
    """End jobs: SIGTERM, then SIGKILL after their grace. What has not started is canceled."""

    async def one(client: JobletClient, reference: str) -> int:
        job_id = await client.stop(reference)
        if no_wait:
            _say_id(app, job_id, "stopped")
        else:
            _say_end(app, await end_of(client, job_id))
        return 0

    return max(each(app, references, one))


@job.command()
@click.argument("references", nargs=-1, required=True, type=paramtypes.JOB, metavar="ID...")
@limitoptions.changeable
@json_option
@pass_app
def update(app: App, /, *, references: tuple[str, ...], **limits: object) -> int:
    """Give jobs that have not ended other limits; what is not named stays as it is."""
    changes = limitoptions.given(limits)
    if not changes:
        raise click.UsageError("name at least one limit to change")

    async def one(client: JobletClient, reference: str) -> int:
        _say_id(app, await client.update(reference, changes), "updated")
        return 0

    return max(each(app, references, one))


@job.command()
@click.argument("references", nargs=-1, required=True, type=paramtypes.JOB, metavar="ID...")
@json_option
@pass_app
def cancel(app: App, *, references: tuple[str, ...]) -> int:
    """Give up jobs that have not started."""

    async def one(client: JobletClient, reference: str) -> int:
        _say_id(app, await client.cancel(reference), "canceled")
        return 0

    return max(each(app, references, one))


@job.command()
@click.argument("references", nargs=-1, required=True, type=paramtypes.JOB, metavar="ID...")
@json_option
@pass_app
def delete(app: App, *, references: tuple[str, ...]) -> int:
    """Remove ended jobs with their logs and work directories."""

    async def one(client: JobletClient, reference: str) -> int:
        _say_id(app, await client.delete(reference), "deleted")
        return 0

    return max(each(app, references, one))


@job.command("delete-all")
@click.option("--all-users", is_flag=True, help="Also the jobs of other users.")
@json_option
@pass_app
def delete_all(app: App, *, all_users: bool) -> int:
    """Remove all ended jobs of the calling user."""

    async def ask(client: JobletClient) -> tuple[int, int]:
        return await client.delete_all(everybody=all_users)

    deleted, skipped = with_client(app.connector, ask)
    if app.output.as_json:
        app.output.document(classic.all_deleted(app, deleted, skipped))
    else:
        app.output.line(f"Deleted count: {deleted}")
        app.output.line(f"Skipped count: {skipped} (not ended)")
    return 0


@job.command(epilog=EPILOG)
@click.argument("references", nargs=-1, required=True, type=paramtypes.JOB, metavar="ID...")
@click.option("--timeout", type=paramtypes.POSITIVE_DURATION, help="Give up after this time.")
@json_option
@pass_app
def wait(app: App, *, references: tuple[str, ...], timeout: int | None) -> int:
    """Wait for the end of jobs; exit with the first exit status that is not 0."""

    async def one(client: JobletClient, reference: str) -> int:
        ended = await client.wait(reference, timeout_usec=timeout or 0)
        if not ended.state.terminal:
            app.output.note(f"job {ended.id} has not ended yet, it is {ended.state}")
            return jobview.TIMED_OUT
        _say_end(app, ended)
        return jobview.exit_status(ended)

    return next((found for found in each(app, references, one) if found), 0)


def _say_id(app: App, job_id: str, done: str) -> None:
    if app.output.as_json:
        app.output.record(classic.changed(app, job_id, done))
    else:
        app.output.line(job_id)


def _say_end(app: App, ended: JobStatus) -> None:
    if app.output.as_json:
        app.output.record(classic.status(app, ended))
    else:
        code = "" if ended.exit_code is None else f" {ended.exit_code}"
        app.output.state(f"{ended.id} ", ended.state, code)


def _now_usec() -> int:
    return time.time_ns() // 1000
