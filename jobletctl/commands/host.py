"""`nodes` and `version`: which hosts and which versions this client has to do with."""

from __future__ import annotations

import click

from joblet.client.api import (
    JobletClient,
)
from joblet.client.looks import (
    UsageReport,
)
from jobletctl import client_version
from jobletctl.cli import App, json_option, pass_app
from jobletctl.connect import with_client
from jobletctl.jobview import size

TITLES = ("NAME", "ADDRESS", "VERSION", "CPUS", "MEMORY", "FREE", "LOAD", "RUNNING", "WAITING")
# How this host is reached.
LOCAL = "local"


@click.command()
@json_option
@pass_app
def nodes(app: App) -> int:
    """Show the hosts that jobs can be run on: this one."""

    async def ask(client: JobletClient) -> UsageReport:
        return await client.usage()

    host = with_client(app.connector, ask).host
    if app.output.as_json:
        node = {
            "name": host.hostname,
            "address": LOCAL,
            "status": "active",
            "default": True,
            "version": host.version,
            "cpus": host.cpus,
            "memory_bytes": host.memory_bytes,
            "memory_available_bytes": host.memory_available_bytes,
            "load": host.load,
            "running_jobs": host.running_jobs,
            "waiting_jobs": host.waiting_jobs,
            "max_running_jobs": host.max_running_jobs,
        }
        app.output.document([node])
        return 0
    row = (
        host.hostname,
        LOCAL,
        host.version,
        str(host.cpus),
        size(host.memory_bytes),
        size(host.memory_available_bytes),
        f"{host.load:.2f}",
        f"{host.running_jobs} of {host.max_running_jobs}",
        str(host.waiting_jobs),
    )
    app.output.table(TITLES, [row], elastic=("NAME",))
    return 0


@click.command()
@json_option
@pass_app
def version(app: App) -> int:
    """Show the versions of this client and of the daemon.

    'jobletctl --version' shows that of the client alone and asks no daemon.
    """
    ours = client_version.installed()
    if not app.output.as_json:
        app.output.line(f"jobletctl {ours}")

    async def ask(client: JobletClient) -> str:
        return await client.version()

    theirs = with_client(app.connector, ask)
    if app.output.as_json:
        app.output.document({"jobletctl": {"version": ours}, "jobletd": {"version": theirs}})
        return 0
    app.output.line(f"jobletd {theirs}")
    if theirs != ours:
        app.output.note(
            "the versions differ: upgrade the older one; after an upgrade "
            "'systemctl restart jobletd' takes the new one, and running jobs do not notice"
        )
    return 0
