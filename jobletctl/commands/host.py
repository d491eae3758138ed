"""`nodes` and `version`: which hosts and which versions this client has to do with."""

from __future__ import annotations

from typing import NamedTuple

import click

from joblet.client.api import JobletClient
from joblet.client.looks import HostUsage
from joblet.errors import JobletError
from jobletctl import client_version, explain
from jobletctl.cli import App, json_option, pass_app
from jobletctl.connect import Connector, with_client, with_each
from jobletctl.jobview import NOTHING, size

TITLES = ("NAME", "ADDRESS", "VERSION", "CPUS", "MEMORY", "FREE", "LOAD", "RUNNING", "WAITING")
_OF_USAGE = (
    "version",
    "cpus",
    "memory_bytes",
    "memory_available_bytes",
    "load",
    "running_jobs",
    "waiting_jobs",
    "max_running_jobs",
)
# How this host is reached.
LOCAL = "local"


class Row(NamedTuple):
    """One host; `usage` is None when it could not be asked."""

    name: str
    address: str
    node_id: str
    default: bool
    usage: HostUsage | None


@click.command()
@json_option
@pass_app
def nodes(app: App) -> int:
    """Show the hosts that jobs can be run on: this one, and those of the file of nodes.

    A host that cannot be asked is told on standard error and does not make the exit status 1.
    """
    rows = [] if app.remote else [_this_host(app)]
    rows += _file_of_nodes(app, default=app.remote)
    if app.output.as_json:
        app.output.document([_record(row) for row in rows])
        return 0
    several = len(rows) > 1
    table = [_cells(row, marked=several and row.default) for row in rows]
    app.output.table(TITLES, table, elastic=("NAME",))
    return 0


def _this_host(app: App) -> Row:
    host = with_client(app.connector, _usage)
    return Row(host.hostname, LOCAL, "", True, host)


async def _usage(client: JobletClient) -> HostUsage:
    report = await client.usage()
    return report.host


def _file_of_nodes(app: App, *, default: bool) -> list[Row]:
    # yaml costs more than this host's answer
    from joblet.client.nodes import NodesFileError
    from jobletctl import nodesfile

    try:
        path = nodesfile.find(app.nodes_path)
    except NodesFileError:
        if app.remote:
            raise
        return []  # this host is all there is
    file = nodesfile.load(path)
    names = file.names if app.node is None else (file.node(app.node).name,)
    connectors: list[Connector] = [app.connector_to(name, path) for name in names]
    rows = []
    for name, answer in zip(names, with_each(connectors, _usage), strict=True):
        usage = None
        if isinstance(answer, JobletError):
            said = explain.sentence(answer, app.call)
            app.output.note(said if f"'{name}'" in said else f"node '{name}': {said}")
        else:
            usage = answer
        chosen = default and name == file.default
        rows.append(Row(name, file.address(name), file.node_id(name), chosen, usage))
    return rows


def _record(row: Row) -> dict[str, object]:
    record: dict[str, object] = {"name": row.name, "address": row.address}
    if row.node_id:
        record["nodeId"] = row.node_id
    record |= {"status": "active" if row.usage else "unreachable", "default": row.default}
    if row.usage is not None:
        record |= {key: getattr(row.usage, key) for key in _OF_USAGE}
    return record


def _cells(row: Row, *, marked: bool) -> tuple[str, ...]:
    name = f"{row.name} (default)" if marked else row.name
    host = row.usage
    if host is None:
        return (name, row.address, *(NOTHING for _ in TITLES[2:]))
    return (
        name,
        row.address,
        host.version,
        str(host.cpus),
        size(host.memory_bytes),
        size(host.memory_available_bytes),
        f"{host.load:.2f}",
        f"{host.running_jobs} of {host.max_running_jobs}",
        str(host.waiting_jobs),
    )


@click.command()
@json_option
@pass_app
def version(app: App) -> int:
    """Show the versions of this client and of the daemon.

    The option --version shows that of the client alone and asks no daemon.
    """
    ours = client_version.installed()
    if not app.output.as_json:
        app.output.line(f"{app.program} {ours}")

    async def ask(client: JobletClient) -> str:
        return await client.version()

    theirs = with_client(app.connector, ask)
    if app.output.as_json:
        app.output.document({app.program: {"version": ours}, "jobletd": {"version": theirs}})
        return 0
    app.output.line(f"jobletd {theirs}")
    if theirs != ours:
        app.output.note(
            "the versions differ: upgrade the older one; after an upgrade "
            "'systemctl restart jobletd' takes the new one, and running jobs do not notice"
        )
    return 0
