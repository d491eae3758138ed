"""`events`: what happens to jobs, as it happens."""

from __future__ import annotations

from contextlib import aclosing

import click

from joblet.client.api import (
    JobletClient,
)
from joblet.client.looks import (
    FINISHED,
    NEW,
    JobEvent,
)
from jobletctl import jobview, paramtypes
from jobletctl.cli import App, json_option, pass_app
from jobletctl.connect import with_client
from jobletctl.output import Output


@click.command()
@click.option("-n", "--count", type=paramtypes.number(1), help="End after so many events.")
@json_option
@pass_app
def events(app: App, *, count: int | None) -> int:
    """Print what happens to the jobs of this host, from now on until Ctrl-C.

    A job is told when it is accepted, when its state changes, and when it has ended. With --json
    each event is a line: event (new, state or finished), id, time_usec and, where there is one,
    state, reason and exit_code.
    """

    async def follow(client: JobletClient) -> None:
        heard = 0
        async with aclosing(client.events()) as happening:
            async for event in happening:
                _say(app.output, event)
                heard += 1
                if heard == count:
                    return

    try:
        with_client(app.connector, follow)
    except KeyboardInterrupt:
        # the only way to end it, and so a good one
        return 0
    return 0


def _say(output: Output, event: JobEvent) -> None:
    if output.as_json:
        keys = ("event", "id", "time_usec", "state", "reason", "exit_code")
        told = {key: getattr(event, key) for key in keys}
        output.record({key: value for key, value in told.items() if value is not None})
        return
    moment = f"{jobview.moment(event.time_usec)}  {event.id}  "
    if event.event == NEW:
        output.line(f"{moment}accepted")
    elif event.event == FINISHED:
        output.state(moment, event.state or "", f" {event.exit_code} ({event.reason})")
    else:
        output.state(moment, event.state or "")
