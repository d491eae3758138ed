"""The options for what a job is given besides its command line: variables, secrets and files.

Everything named is read or opened before there is a connection, so a mistake in it submits
nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import click

from joblet.errors import InvalidSpec, JobletError
from jobletctl import envfile, explain, jobview, paramtypes
from jobletctl.output import Output

if TYPE_CHECKING:
    from joblet.client.api import JobletClient
    from joblet.client.transfer import Given

Decorated = TypeVar("Decorated", bound=Callable[..., object])

# Who waits less than this needs no progress.
_QUIET_S = 1.0
_REFRESH_S = 0.2
_LEFT_OUT_SHOWN = 20

_OPTIONS = (
    click.option(
        "-e",
        "--env",
        "environment",
        type=paramtypes.VARIABLE,
        metavar="NAME[=VALUE]",
        multiple=True,
        help="A variable for the job; without a value the one it has here. Repeatable.",
    ),
    click.option(
        "--env-file",
        "env_files",
        type=click.Path(),
        metavar="FILE",
        multiple=True,
        help="Variables from a file, NAME=VALUE or NAME a line, '#' for a comment; '-' is standard "
        "input. --env goes before. Repeatable.",
    ),
    click.option(
        "--secret-env",
        "secrets",
        type=paramtypes.VARIABLE,
        metavar="NAME[=VALUE]",
        multiple=True,
        help="A variable whose value is shown nowhere. A value on the command line can be seen by "
        "every user of this host: leave it out to take the one it has here. Repeatable.",
    ),
    click.option(
        "--secret-env-file",
        "secret_files",
        type=click.Path(),
        metavar="FILE",
        multiple=True,
        help="Such variables from a file, as for --env-file. Repeatable.",
    ),
    click.option(
        "--upload",
        "files",
        type=click.Path(),
        metavar="FILE",
        multiple=True,
        help="Copy a file into /work before the job starts, under its own name. Repeatable.",
    ),
    click.option(
        "--upload-dir",
        "directories",
        type=click.Path(file_okay=False),
        metavar="DIR",
        multiple=True,
        help="Copy what a directory holds into /work before the job starts. Repeatable.",
    ),
    click.option(
        "--output",
        "outputs",
        type=paramtypes.OUTPUT,
        metavar="PATH[:DEST]",
        multiple=True,
        help="With --wait or --follow: copy a file or directory of /work here, as 'job cp' does, "
        "when the job has ended. Repeatable.",
    ),
)


def options(command: Decorated) -> Decorated:
    """All of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def variables(
    environment: Sequence[tuple[str, str]],
    env_files: Sequence[str],
    secrets: Sequence[tuple[str, str]],
    secret_files: Sequence[str],
) -> tuple[dict[str, str], dict[str, str]]:
    """The environment of the job, and its secrets. Raises click.UsageError."""
    if [*env_files, *secret_files].count(envfile.STDIN) > 1:
        raise click.UsageError("standard input can be read only once")
    plain, hidden = dict[str, str](), dict[str, str]()
    for path in env_files:
        plain |= _from_file("--env-file", path, secret=False)
    for path in secret_files:
        hidden |= _from_file("--secret-env-file", path, secret=True)
    plain |= dict(environment)
    hidden |= dict(secrets)
    for name in sorted(plain.keys() & hidden.keys()):
        raise click.UsageError(
            f"variable {name} is given as a secret and in the environment; choose one"
        )
    return plain, hidden


def _from_file(option: str, path: str, *, secret: bool) -> dict[str, str]:
    try:
        return envfile.read(path, secret=secret)
    except paramtypes.BadValue as err:
        raise click.BadParameter(str(err), param_hint=f"'{option}'") from err


def opened(files: Sequence[str], directories: Sequence[str]) -> list[Given]:
    """What is to be uploaded, open. Raises click.BadParameter."""
    if not files and not directories:
        return []
    # ctypes and more, for those alone who need it
    from joblet.client import transfer

    given: list[Given] = []
    for option, hint, paths, open_one in (
        ("--upload", "; use --upload-dir", files, transfer.given_file),
        ("--upload-dir", "; use --upload", directories, transfer.given_directory),
    ):
        for path in paths:
            try:
                one = open_one(path)
                if one.name and any(one.name == other.name for other in given):
                    raise InvalidSpec(path, "has the same name as another one")
            except InvalidSpec as err:
                more = hint if err.why in ("is a directory", "is no directory") else ""
                raise click.BadParameter(
                    f"'{path}' {err.why}{more}", param_hint=f"'{option}'"
                ) from err
            given.append(one)
    return given


def check_outputs(outputs: Sequence[tuple[str, str]], *, waits: bool) -> None:
    """Whether they can be put where they are to go, as far as is known. Raises click.UsageError."""
    if not outputs:
        return
    if not waits:
        raise click.UsageError("--output needs --wait or --follow")
    from joblet.client.placing import BadDestination, Place

    for _, destination in outputs:
        try:
            Place(destination).close()
        except BadDestination as err:
            raise click.BadParameter(str(err), param_hint="'--output'") from err


async def collect(
    client: JobletClient, output: Output, job_id: str, outputs: Sequence[tuple[str, str]]
) -> bool:
    """Copy what a job that has ended was to leave; False if something of it could not be had."""
    fine = True
    for path, destination in outputs:
        try:
            await fetch(client, output, job_id, path, destination)
        except JobletError as err:
            output.note(f"--output {path}: {explain.sentence(err, output.program)}")
            fine = False
    return fine


async def fetch(
    client: JobletClient, output: Output, job: str, path: str, destination: str
) -> Mapping[str, object]:
    """Copy one path out of a job; what came of it. Raises JobletError."""
    from joblet.client.placing import Place
    from joblet.client.transfer import Download

    download = Download(job, path)
    place = Place(destination)
    try:
        async with progress(output, lambda: f"{path}: {jobview.size(download.taken)} received"):
            await download.save(client, place)
    finally:
        place.close()
    say_left_out(output, download.left_out)
    return {"entries": download.entries, "bytes": download.taken}


def say_left_out(output: Output, left_out: Sequence[tuple[str, str]]) -> None:
    """Name what was not copied."""
    for name, why in left_out[:_LEFT_OUT_SHOWN]:
        output.note(f"left out '{name}': {why}")
    if len(left_out) > _LEFT_OUT_SHOWN:
        output.note(f"left out {len(left_out) - _LEFT_OUT_SHOWN} more")


@asynccontextmanager
async def progress(output: Output, text: Callable[[], str]) -> AsyncIterator[None]:
    """Show how far it has come, where somebody looks and it takes more than a moment."""
    import asyncio

    async def show() -> None:
        await asyncio.sleep(_QUIET_S)
        while True:
            output.progress(text())
            await asyncio.sleep(_REFRESH_S)

    shown = asyncio.create_task(show()) if output.shows_progress else None
    try:
        yield
    finally:
        if shown is not None:
            shown.cancel()
            with suppress(asyncio.CancelledError):
                await shown
            output.progress("")
