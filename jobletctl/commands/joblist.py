"""`job list`: which jobs, in which order, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import NamedTuple

import click

from joblet.client.api import JobletClient, JobQuery, JobStatus
from joblet.model.states import JobState
from jobletctl import classic, joborder, jobview, paramtypes
from jobletctl.cli import App, json_option, pager_option, pass_app
from jobletctl.connect import with_client
from jobletctl.joborder import Condition, Order

PAGE_MAX = 1000
LIST_LIMIT = 100
# The changes are told; this is for durations, and for what is told to nobody.
WATCH_PERIOD_S = 2.0
# Columns of a terminal that has room for dates and commands.
_ROOMY = 100
# And for all columns of --wide.
_WIDE = 132
# Who waits longer wants to know what for.
_PATIENCE_S = 1.0


class Wanted(NamedTuple):
    """Which jobs; a limit of None is all of them."""

    states: frozenset[JobState]
    mine: bool
    conditions: Sequence[Condition]
    order: Order | None
    limit: int | None

    async def ask(self, client: JobletClient, app: App) -> tuple[list[JobStatus], bool]:
        """These jobs, and whether there are more."""
        # The last of all jobs may be the first in another order.
        limit = self.limit if self.order is None else None
        begun_s = time.monotonic()
        jobs: list[JobStatus] = []
        seen, cursor = 0, ""
        while limit is None or len(jobs) < limit:
            room = (
                PAGE_MAX if limit is None or self.conditions else min(PAGE_MAX, limit - len(jobs))
            )
            query = JobQuery(states=sorted(self.states), mine=self.mine, limit=room, cursor=cursor)
            page = await client.list_jobs(query)
            seen += len(page.jobs)
            jobs.extend(job for job in page.jobs if joborder.matches(job, self.conditions))
            cursor = page.next
            if not cursor:
                break
            if app.output.shows_progress and time.monotonic() - begun_s > _PATIENCE_S:
                app.output.progress(f"{seen} jobs read so far")
        app.output.progress("")
        if self.order is not None:
            jobs = self.order.sorted(jobs, _now_usec())
        more = bool(cursor)
        if self.limit is not None and len(jobs) > self.limit:
            jobs, more = jobs[: self.limit], True
        return jobs, more


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="All jobs, however many there are.")
@click.option(
    "--state",
    "states",
    type=paramtypes.Word([state.value for state in JobState]),
    metavar="STATE",
    multiple=True,
    help="Only jobs in this state, such as running or failed. Repeatable.",
)
@click.option("--mine", is_flag=True, help="Only jobs of the calling user.")
@click.option(
    "--filter",
    "conditions",
    type=joborder.CONDITION,
    multiple=True,
    help="Only jobs of which this is true; the keys are name (* stands for anything), state, "
    "reason, owner (a user or a uid) and exit-code. Repeatable: of one key any, of several all.",
)
@click.option(
    "--sort",
    "order",
    type=joborder.ORDER,
    help=f"Order by {', '.join(joborder.KEYS)}; with - in front the other way round. All jobs are "
    "read, and the first of them shown.",
)
@click.option("--wide", is_flag=True, help="Also time in the queue, what was used, and the reason.")
@click.option(
    "--limit", type=paramtypes.number(1), help=f"At most so many jobs; {LIST_LIMIT} if not given."
)
@click.option(
    "-w",
    "--watch",
    is_flag=True,
    help="Show the list again when something changes, until Ctrl-C or q.",
)
@pager_option
@json_option
@pass_app
def list_(
    app: App,
    *,
    everything: bool,
    states: tuple[str, ...],
    mine: bool,
    conditions: tuple[Condition, ...],
    order: Order | None,
    wide: bool,
    limit: int | None,
    watch: bool,
    no_pager: bool,
) -> int:
    """List jobs, the newest first."""
    if everything and limit is not None:
        raise click.UsageError("--all and --limit contradict each other")
    if watch and app.output.as_json:
        raise click.UsageError(f"--watch is for people; '{app.call} events --json' tells changes")
    if app.remote and any(one.by_name for one in conditions):
        raise click.UsageError("users of another host have no names here: use --filter owner=UID")
    conditions, named = joborder.states_of(conditions)
    wanted = Wanted(
        frozenset(map(JobState, states)) | named,
        mine,
        conditions,
        order,
        None if everything else limit or LIST_LIMIT,
    )
    if watch:
        with_client(app.connector, lambda client: _watch(app, client, wanted, wide=wide))
        return 0
    jobs, more = with_client(app.connector, lambda client: wanted.ask(client, app))
    if app.output.as_json:
        app.output.document([classic.listed(app, one) for one in jobs])
        return 0
    with app.output.paged(wanted=not no_pager):
        app.output.ready(_table(app, jobs, wide=wide) if jobs else ())
    if not jobs:
        app.output.note("no jobs found")
    if wide and 0 < app.output.size()[0] < _WIDE:
        app.output.note("a wider terminal has more columns, and so has a pipe: '| less -S' scrolls")
    if more and app.output.interactive:
        app.output.note("there are more jobs; --all shows them")
    return 0


def _table(app: App, jobs: Sequence[JobStatus], *, wide: bool) -> list[str]:
    narrow = 0 < app.output.size()[0] < _ROOMY
    rows = jobview.list_rows(jobs, _now_usec(), wide=wide, narrow=narrow, here=not app.remote)
    titles = jobview.list_titles(wide=wide, narrow=narrow)
    return app.output.laid_out(titles, rows, elastic=jobview.LIST_ELASTIC)


async def _watch(app: App, client: JobletClient, wanted: Wanted, *, wide: bool) -> None:
    import asyncio

    from jobletctl.screen import Screen

    screen = Screen(app.output)

    async def listen() -> None:
        async with aclosing(client.events()) as events:
            async for _ in events:
                screen.changed()

    async def picture() -> list[str]:
        jobs, more = await wanted.ask(client, app)
        counted = f"{len(jobs)}{' newest' if more and wanted.order is None else ''} jobs"
        now_usec = _now_usec()
        clock = jobview.brief_moment(now_usec, now_usec)
        head = [
            app.output.fitted(f"{counted if jobs else 'no jobs'}; {clock}; q or Ctrl-C ends"),
            "",
        ]
        table = _table(app, jobs, wide=wide) if jobs else []
        rows = app.output.size()[1]
        room = rows - len(head)
        if rows and len(table) > room > 1:
            hidden = len(table) - (room - 1)
            table = [*table[: room - 1], f"... {hidden} more; a higher terminal shows them"]
        return [*head, *table]

    listening = asyncio.ensure_future(listen())
    # Nothing but an error ends it: a list that is not told of changes would look alive.
    listening.add_done_callback(lambda _: screen.end())
    try:
        await screen.run(picture, period_s=WATCH_PERIOD_S)
        if listening.done():
            await listening
    finally:
        listening.cancel()
        await asyncio.wait([listening])


def _now_usec() -> int:
    return time.time_ns() // 1000
