"""`monitor`: the state of the host, at length, in short, or live."""

from __future__ import annotations

from collections.abc import Sequence

import click

from joblet.client.api import JobletClient
from joblet.model import host
from joblet.model.host import HostStatus
from jobletctl import monitorview, paramtypes
from jobletctl.cli import App, Verbs, json_option, pager_option, pass_app
from jobletctl.connect import with_client
from jobletctl.paramtypes import BadValue, Parsed

_PERIOD_USEC = 5_000_000
_PERIOD_MIN_USEC = 1_000_000
# Rates over this much where nobody has looked before.
_FIRST_USEC = 500_000
_WINDOW_MAX_USEC = 10_000_000


def _period(text: str) -> int:
    # A plain number is what existing scripts give: seconds.
    usec = int(text) * 1_000_000 if text.isdecimal() else paramtypes.parse_duration(text)
    if usec < _PERIOD_MIN_USEC:
        raise BadValue("must be at least 1s")
    return usec


def _groups(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if word not in host.GROUPS:
            raise BadValue(f"there are {', '.join(host.GROUPS)}")
    return words


filter_option = click.option(
    "--filter",
    "filters",
    multiple=True,
    type=Parsed("groups", _groups),
    help="Only these, with commas between them or the option again: cpu, memory, disk, network, "
    "io, process.",
)


@click.group(cls=Verbs, no_args_is_help=False)
@json_option
def monitor() -> None:
    """Show the state of the host: CPU, memory, disks, network, processes."""


@monitor.command()
@pager_option
@json_option
@pass_app
def status(app: App, *, no_pager: bool) -> int:
    """Show everything that is known of the host."""
    found = _ask(app, ())
    if app.output.as_json:
        app.output.document(monitorview.record(found))
        return 0
    with app.output.paged(wanted=not no_pager):
        for number, (title, lines) in enumerate(monitorview.sections(found)):
            if number:
                app.output.line()
            app.output.line(f"{title}:")
            width = max((len(label) for label, _ in lines), default=0)
            for label, text in lines:
                app.output.line(f"  {label:{width}}  {text}")
    return 0


@monitor.command()
@filter_option
@json_option
@pass_app
def top(app: App, *, filters: Sequence[tuple[str, ...]]) -> int:
    """Show the host in short, with its busiest processes, once."""
    found = _ask(app, _chosen(filters))
    if app.output.as_json:
        app.output.document(monitorview.record(found))
    else:
        app.output.ready(_picture(app, found, compact=False))
    return 0


@monitor.command()
@click.option(
    "--interval",
    "period_usec",
    type=Parsed("duration", _period),
    default=None,
    help="Time between two pictures, at least 1s; 5s if not given. A plain number is seconds.",
)
@click.option("-n", "--count", type=paramtypes.number(1), help="End after so many pictures.")
@filter_option
@click.option("--compact", is_flag=True, help="All interfaces in one line.")
@json_option
@pass_app
def watch(
    app: App,
    *,
    period_usec: int | None,
    count: int | None,
    filters: Sequence[tuple[str, ...]],
    compact: bool,
) -> int:
    """Show the host in short, live, until Ctrl-C or q.

    With --json each picture is a line.
    """
    period = _PERIOD_USEC if period_usec is None else period_usec
    with_client(
        app.connector,
        lambda client: _watch(app, client, period, count, _chosen(filters), compact=compact),
    )
    return 0


async def _watch(
    app: App,
    client: JobletClient,
    period_usec: int,
    count: int | None,
    groups: Sequence[str],
    *,
    compact: bool,
) -> None:
    from jobletctl.screen import Screen

    first = True

    async def picture() -> list[str]:
        nonlocal first
        window_usec = _FIRST_USEC if first else min(period_usec, _WINDOW_MAX_USEC)
        first = False
        found = await client.host_status(groups, window_usec=window_usec)
        if app.output.as_json:
            return [app.output.as_record(monitorview.record(found))]  # type: ignore[arg-type]
        return _picture(app, found, compact=compact)

    await Screen(app.output).run(picture, period_s=period_usec / 1e6, count=count)


def _chosen(filters: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for words in filters for word in words))


def _ask(app: App, groups: Sequence[str]) -> HostStatus:
    async def ask(client: JobletClient) -> HostStatus:
        return await client.host_status(groups, window_usec=_FIRST_USEC)

    return with_client(app.connector, ask)


def _picture(app: App, found: HostStatus, *, compact: bool) -> list[str]:
    output = app.output
    lines = [output.fitted(line) for line in monitorview.summary(found, compact=compact)]
    if found.networks and not compact:
        rows = monitorview.network_rows(found.networks)
        table = output.laid_out(monitorview.NETWORK_TITLES, rows, right=monitorview.NETWORK_NUMBERS)
        lines += ["", *table] if rows else []
    if found.processes is not None:
        table = output.laid_out(
            monitorview.PROCESS_TITLES,
            monitorview.process_rows(found.processes.top_by_cpu),
            elastic=("NAME",),
            right=monitorview.PROCESS_NUMBERS,
        )
        lines += ["", *table]
    return lines
