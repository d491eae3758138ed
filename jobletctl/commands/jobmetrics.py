"""`job metrics`: what a job used, from its start until now or its end."""

from __future__ import annotations

import time
from contextlib import aclosing

import click

from joblet.client.api import JobletClient
from joblet.client.monitoring import MetricsRequest
from joblet.errors import JobletError
from joblet.model.metrics import Sample
from jobletctl import metricsview, paramtypes, sparkline
from jobletctl.cli import App, json_option, pager_option, pass_app
from jobletctl.connect import with_client

# Somebody who looks sees the clock go on between two samples.
_PERIOD_S = 5.0


@click.command()
@click.argument("reference", type=paramtypes.JOB, metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended, or Ctrl-C or q.")
@click.option("--history", is_flag=True, help="A row for each sample.")
@click.option(
    "--since",
    type=paramtypes.SINCE,
    help="Only samples since then: a time, or a duration ago (10m).",
)
@pager_option
@json_option
@pass_app
def metrics(
    app: App, *, reference: str, follow: bool, history: bool, since: int | None, no_pager: bool
) -> int:
    """Show what a job used from its start on: CPU, memory, disk, tasks.

    Of an ended job all of its life is there, with its totals as the last sample. What this host
    does not count is left out. 100 % is one whole CPU. With --json each sample is a line.
    """
    if follow and history:
        raise click.UsageError(
            "--follow and --history contradict each other: on a terminal --follow draws; into a "
            "pipe it writes a row for each sample, those of the past first"
        )
    request = MetricsRequest(follow=follow, since_usec=since)

    async def ask(client: JobletClient) -> None:
        # A prefix that another job comes to share must not end a long look.
        job_id = (await client.status(reference)).id
        if follow and app.output.interactive and not app.output.as_json:
            await _draw(app, client, job_id, request)
        elif follow:
            await _stream(app, client, job_id, request)
        else:
            with app.output.paged(wanted=history and not no_pager):
                await _show(app, client, job_id, request, history=history)

    with_client(app.connector, ask)
    return 0


async def _show(
    app: App, client: JobletClient, job_id: str, request: MetricsRequest, *, history: bool
) -> None:
    async with aclosing(client.metrics(job_id, request)) as found:
        samples = [sample async for sample in found]
    if app.output.as_json:
        for sample in samples:
            app.output.record(metricsview.record(sample))
        return
    if not samples:
        raise JobletError(f"there is no sample of job {job_id}; it may not have begun")
    if history:
        rows = list(metricsview.rows(samples, time.time_ns() // 1000))
        titles = metricsview.ROW_TITLES
        app.output.ready(app.output.laid_out(titles, rows, right=metricsview.ROW_NUMBERS))
        return
    app.output.ready(_picture(app, job_id, samples))


async def _stream(app: App, client: JobletClient, job_id: str, request: MetricsRequest) -> None:
    """Rows, or records, as they come."""
    titles, widths = metricsview.ROW_TITLES, [15, 7, 8, 6, 8, 8, 8, 8, 8]

    def line(cells: tuple[str, ...]) -> str:
        return "  ".join(c.rjust(w) for c, w in zip(cells, widths, strict=True))

    if not app.output.as_json:
        app.output.line(line(titles))
    async with aclosing(client.metrics(job_id, request)) as found:
        async for sample in found:
            if app.output.as_json:
                app.output.record(metricsview.record(sample))
            else:
                for row in metricsview.rows([sample], time.time_ns() // 1000):
                    app.output.line(line(row))


async def _draw(app: App, client: JobletClient, job_id: str, request: MetricsRequest) -> None:
    """The table over and over; it stays when the job has ended."""
    import asyncio

    from jobletctl.screen import Screen

    samples: list[Sample] = []
    screen = Screen(app.output)

    async def collect() -> None:
        async with aclosing(client.metrics(job_id, request)) as found:
            async for sample in found:
                samples.append(sample)
                screen.changed()

    async def picture() -> list[str]:
        return _picture(app, job_id, samples)

    collecting = asyncio.ensure_future(collect())
    collecting.add_done_callback(lambda _: screen.end())
    try:
        await screen.run(picture, period_s=_PERIOD_S)
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])
    if not collecting.cancelled():
        collecting.result()
    app.output.ready(_picture(app, job_id, samples))


def _picture(app: App, job_id: str, samples: list[Sample]) -> list[str]:
    head = [metricsview.head(job_id, samples), metricsview.totals(samples)]
    marks = sparkline.BLOCKS if app.output.draws else sparkline.ASCII
    rows = metricsview.drawn(samples, metricsview.room(app.output.size()[0]), marks=marks)
    lines = [app.output.fitted(line) for line in head if line]
    if not rows:
        return lines
    table = app.output.laid_out(metricsview.TITLES, rows, right=metricsview.NUMBERS)
    return [*lines, "", *table]
