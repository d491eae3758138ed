"""`top`: what running jobs use, live."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from joblet.client.api import (
    JobletClient,
)
from joblet.client.looks import (
    UsageReport,
)
from jobletctl import jobview, paramtypes, topview
from jobletctl.cli import App, json_option, pass_app
from jobletctl.connect import with_client
from jobletctl.paramtypes import BadValue, Parsed

PERIOD_USEC = 2_000_000
_PERIOD_MIN_USEC = 200_000
# The first picture needs two looks at the counters, this long apart.
_FIRST_S = 0.5


def _period(text: str) -> int:
    usec = paramtypes.parse_duration(text)
    if usec < _PERIOD_MIN_USEC:
        raise BadValue("must be at least 200ms")
    return usec


@click.command()
@click.option(
    "--interval",
    "period_usec",
    type=Parsed("duration", _period),
    default=None,
    help="Time between two pictures; 2s if not given.",
)
@click.option("-n", "--count", type=paramtypes.number(1), help="End after so many pictures.")
@click.option(
    "--sort",
    "order",
    type=paramtypes.Word(list(topview.ORDERS)),
    default="cpu",
    help="What to order by; cpu if not given.",
)
@click.option("--wide", is_flag=True, help="Also name, owner, CPU time and limits.")
@json_option
@pass_app
def top(app: App, *, period_usec: int | None, count: int | None, order: str, wide: bool) -> int:
    """Show what running jobs use, until Ctrl-C or q: CPU, memory, tasks, disk.

    100 % is one whole CPU. Jobs of others are shown to root and administrators only. With --json
    each picture is a line: host and jobs.
    """
    period_s = (PERIOD_USEC if period_usec is None else period_usec) / 1e6
    with_client(
        app.connector,
        lambda client: _show(app, client, period_s=period_s, count=count, order=order, wide=wide),
    )
    return 0


async def _show(
    app: App, client: JobletClient, *, period_s: float, count: int | None, order: str, wide: bool
) -> None:
    import asyncio

    from jobletctl.screen import Screen

    before: UsageReport | None = None

    async def look() -> tuple[UsageReport, UsageReport]:
        nonlocal before
        if before is None:
            before = await client.usage()
            await asyncio.sleep(min(_FIRST_S, period_s))
        earlier, before = before, await client.usage()
        return earlier, before

    async def picture() -> list[str]:
        earlier, now = await look()
        lines = sorted(topview.lines(earlier, now), key=topview.ORDERS[order])
        if app.output.as_json:
            return [app.output.as_record(_record(earlier, now, lines))]
        now_usec = time.time_ns() // 1000
        clock = f"{jobview.brief_moment(now_usec, now_usec)}; q or Ctrl-C ends"
        host, jobs = topview.head(earlier, now)
        table = app.output.laid_out(
            topview.titles(wide=wide),
            topview.rows(lines, now_usec, wide=wide, here=not app.remote),
            elastic=topview.ELASTIC if wide else (),
            right=topview.NUMBERS,
        )
        head = [*map(app.output.fitted, (host, f"{jobs}; {clock}"))]
        return [*head, "", *table] if lines else head

    screen = Screen(app.output)
    await screen.run(picture, period_s=period_s, count=count)


def _record(earlier: UsageReport, now: UsageReport, lines: list[topview.Line]) -> dict[str, object]:
    host: dict[str, object] = asdict(now.host)
    busy = topview.host_cpu_percent(earlier, now)
    if busy is not None:
        host["cpu_percent"] = round(busy, 1)
    return {"clock_usec": now.clock_usec, "host": host, "jobs": [one.record() for one in lines]}
