"""What several verbs do with a job: one call for each of many ids, wait for an end, show a log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from joblet.client.api import JobletClient, JobStatus, LogRequest
from joblet.errors import JobletError, NotFound, RemoteError, Unreachable
from jobletctl import explain
from jobletctl.cli import App
from jobletctl.connect import with_client
from jobletctl.logview import LogView
from jobletctl.output import Output, OutputFailed

# Calls of one command line that wait for their answers at the same time; a bus daemon allows a
# client 128 of them where it is configured tightly.
PARALLEL = 32


def each(
    app: App,
    references: Sequence[str],
    one: Callable[[JobletClient, str], Awaitable[int]],
) -> list[int]:
    """Do one thing for each id; a failure is told at once and counts as 1."""
    distinct = list(dict.fromkeys(references))

    async def all_of_them(client: JobletClient) -> list[int]:
        import asyncio

        room = asyncio.Semaphore(PARALLEL)

        async def guarded(reference: str) -> int:
            async with room:
                try:
                    return await one(client, reference)
                except (Unreachable, OutputFailed):
                    raise  # true of all of them
                except JobletError as err:
                    said = explain.sentence(err, app.call)
                    app.output.note(said if reference in said else f"{reference}: {said}")
                    return 1

        return await asyncio.gather(*map(guarded, distinct))

    return with_client(app.connector, all_of_them)


async def end_of(client: JobletClient, job_id: str) -> JobStatus:
    """The job when it has ended. Raises JobletError, also when it was deleted meanwhile."""
    try:
        return await client.wait(job_id)
    except (NotFound, RemoteError) as err:
        if err.code != "NoSuchJob":
            raise
        raise JobletError(
            f"job {job_id} ended and was deleted before its end could be read"
        ) from err


async def show_log(
    client: JobletClient,
    output: Output,
    reference: str,
    request: LogRequest,
    *,
    timestamps: bool = False,
) -> None:
    """Write a log as far as the request goes; what was read is written, however it ends."""
    view = LogView(output, timestamps=timestamps)
    try:
        async with aclosing(client.log(reference, request)) as pieces:
            async for piece in pieces:
                view.take(piece)
    finally:
        view.close()
