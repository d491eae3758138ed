"""The verbs of certificates: init, issue client, issue server, list, show, renew, revoke, export.

They work on the files of this host (certstore.py) and ask no daemon: the bridge notices by itself.
What needs `cryptography` or YAML is imported by the verb that runs.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from joblet.errors import InvalidSpec
from joblet.model import addresses
from joblet.model.roles import Role
from joblet.paths import Paths
from jobletctl import paramtypes
from jobletctl.cli import App, Verbs, here_option, pass_app
from jobletctl.paramtypes import BadValue, Parsed

if TYPE_CHECKING:
    from joblet.client.nodes import Node
    from joblet.pki import Certificate
    from jobletctl.certstore import CertStore

# The longest that anything here lives.
_DAYS = paramtypes.number(1, 3650)
_NODES_FILE = "rnx-config.yml"


def _host(text: str) -> str:
    try:
        return addresses.check_host(text)
    except InvalidSpec as err:
        raise BadValue(err.why) from err


def _node(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals:
        raise BadValue("use NAME=HOST:PORT")
    try:
        return paramtypes.parse_name(name), addresses.check_address(address)
    except InvalidSpec as err:
        raise BadValue(err.why) from err


_HOST = Parsed("host", _host)
_NODE = Parsed("name=host:port", _node)


@click.group(cls=Verbs, no_args_is_help=False)
@here_option
def certs() -> None:
    """Make and manage the certificates of remote access."""


@certs.command()
@click.option(
    "--host",
    "hosts",
    type=_HOST,
    multiple=True,
    help="A name or address by which clients reach this host, beside those it has. Repeatable.",
)
@click.option(
    "--days", type=_DAYS, help="Days of the server certificate, at most 3650; 365 if not given."
)
@here_option
@pass_app
def init(app: App, *, hosts: tuple[str, ...], days: int | None) -> int:
    """Make the CA of this host, and the certificate of its bridge.

    A CA that is there is left alone.
    """
    store, now = _store()
    with _usage():
        created = store.init(_host_name(), [*_own_hosts(), *hosts], days=days)
    authority, server = (store.find(name)[0] for name in ("ca", "server"))
    from jobletctl import certview

    if app.output.as_json:
        app.output.document(
            {
                "created": created,
                "directory": store.directory,
                "ca": certview.record(authority, now),
                "server": certview.record(server, now),
            }
        )
        return 0
    if not created:
        app.output.note(f"there is a CA in {store.directory} already; it was left as it is")
    app.output.line(f"CA: {authority.certificate.subject}, until {_day(authority.certificate)}")
    app.output.line(
        f"Server: {' '.join(server.certificate.hosts)}, until {_day(server.certificate)}"
    )
    return 0


@certs.group(cls=Verbs, no_args_is_help=False)
@here_option
def issue() -> None:
    """Issue a certificate: for a client, or for a bridge."""


@issue.command()
@click.argument("name", type=paramtypes.NAME)
@click.option(
    "--role",
    type=paramtypes.Word([role.value for role in Role], case_sensitive=False),
    required=True,
    help="What the client may do; each role may do what the ones before it may.",
)
@click.option("--days", type=_DAYS, help="Days until it expires, at most 3650; 365 if not given.")
@here_option
@pass_app
def client(app: App, *, name: str, role: str, days: int | None) -> int:
    """Issue a certificate for a client; 'certs export' then makes its file."""
    store, now = _store()
    with _usage():
        certificate = store.issue_client(name, Role(role), days=days)
    _say(app, name, certificate, now)
    return 0


@issue.command()
@click.option(
    "--host",
    "hosts",
    type=_HOST,
    multiple=True,
    help="A name or address by which clients reach the bridge, beside those this host has. "
    "Repeatable.",
)
@click.option("--days", type=_DAYS, help="Days until it expires, at most 3650; 365 if not given.")
@click.option(
    "--output",
    "directory",
    type=click.Path(),
    metavar="DIRECTORY",
    help="For another host: put all that its bridge needs into this directory. The key is kept "
    "nowhere else.",
)
@here_option
@pass_app
def server(app: App, *, hosts: tuple[str, ...], days: int | None, directory: str | None) -> int:
    """Issue a new certificate for the bridge of this host, or of another one.

    The bridge of this host takes it at once; calls that run are not disturbed.
    """
    if directory is not None and not hosts:
        raise click.UsageError("--output is for another host: name it with --host")
    store, now = _store()
    with _usage():
        if directory is None:
            certificate = store.issue_server([*_own_hosts(), *hosts], days=days)
            name = "server"
        else:
            from jobletctl.hostnames import LOCAL

            certificate = store.issue_server_elsewhere([*hosts, *LOCAL], directory, days=days)
            name = f"server:{hosts[0]}"
    _say(app, name, certificate, now)
    return 0


@certs.command("list")
@here_option
@pass_app
def list_(app: App) -> int:
    """List all certificates, and warn of those that expire within 30 days."""
    from jobletctl import certview

    store, now = _store()
    listing = store.listing()
    if app.output.as_json:
        app.output.document([certview.record(entry, now) for entry in listing.entries])
    else:
        app.output.table(certview.LIST_TITLES, certview.list_rows(listing.entries, now))
    for sentence in certview.warnings(listing.entries, now):
        app.output.note(sentence)
    for sentence in listing.damaged:
        app.output.note(f"left out: {sentence}")
    return 0


@certs.command()
@click.argument("reference", metavar="NAME|SERIAL")
@here_option
@pass_app
def show(app: App, *, reference: str) -> int:
    """Show a certificate: of a client, 'server', 'ca', or by its serial number."""
    from jobletctl import certview

    store, now = _store()
    found = store.find(reference)
    entry = next((one for one in found if one.current), found[0])
    if app.output.as_json:
        pem = entry.certificate.pem.decode()
        app.output.document({**certview.record(entry, now), "pem": pem})
    else:
        for label, text in certview.description(entry):
            app.output.line(f"{label}: {text}")
    return 0


@certs.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--days", type=_DAYS, help="Days until it expires; 365, for the CA 3650, if not given."
)
@click.option("--keep-key", is_flag=True, help="Certify the same key again; the CA always does.")
@here_option
@pass_app
def renew(app: App, *, name: str, days: int | None, keep_key: bool) -> int:
    """Issue the same for longer: to a client, to 'server', or to 'ca'.

    The old certificate stays valid until it expires, so that there is time to bring the new one
    to where it is used.
    """
    store, now = _store()
    with _usage():
        certificate = store.renew(name, days=days, keep_key=keep_key)
    _say(app, name, certificate, now)
    return 0


@certs.command()
@click.argument("reference", metavar="NAME|SERIAL")
@here_option
@pass_app
def revoke(app: App, *, reference: str) -> int:
    """Refuse a client from now on: all certificates of a name, or one by its serial number.

    The bridge takes notice by itself.
    """
    from joblet.pki import Kind
    from jobletctl import certview

    store, now = _store()
    found = store.revoke(reference)
    if app.output.as_json:
        app.output.document([certview.record(entry, now) for entry in found])
    else:
        for entry in found:
            when = "" if entry.revoked is None else f", revoked {certview.stamp(entry.revoked)}"
            app.output.line(f"{entry.certificate.serial_text} {entry.name}{when}")
    if any(entry.certificate.kind is Kind.SERVER for entry in found):
        app.output.note(
            "clients do not read the revocation list: they trust a server until it expires"
        )
    return 0


@certs.command()
@click.argument("name", type=paramtypes.NAME)
@click.option(
    "--node",
    "nodes",
    type=_NODE,
    multiple=True,
    help=f"A host that the client may reach, and its name in the file. Repeatable; 'default' with "
    f"the name of this host and port {addresses.DEFAULT_PORT} if not given.",
)
@click.option(
    "--output",
    "path",
    type=click.Path(),
    metavar="FILE",
    default=_NODES_FILE,
    help=f"The file; {_NODES_FILE} in this directory if not given. Other nodes in it are kept.",
)
@here_option
@pass_app
def export(app: App, *, name: str, nodes: tuple[tuple[str, str], ...], path: str) -> int:
    """Write the file with which a client connects (rnx-config.yml).

    It holds the client's private key: bring it to its owner unseen, to ~/.rnx/rnx-config.yml.
    """
    names = [node for node, _address in nodes]
    if twice := next((one for one in names if names.count(one) > 1), None):
        raise click.UsageError(f"--node names '{twice}' twice")
    from joblet.client.nodes import DEFAULT_NODE, Node
    from jobletctl.nodesfile import merge

    store, _now = _store()
    if not nodes:
        nodes = ((DEFAULT_NODE, addresses.joined(_host_name(), addresses.DEFAULT_PORT)),)
    with _usage():
        identity, authority = store.client(name)
    added = [
        Node(node, address, identity.chain.decode(), identity.key.decode(), authority.decode())
        for node, address in nodes
    ]
    written = merge(path, added)
    if app.output.as_json:
        app.output.document({"name": name, "output": os.path.abspath(path), "nodes": list(written)})
    else:
        app.output.line(f"{path}: {', '.join(written)}")
    _warn_of_names(app, store, added, written)
    return 0


def _warn_of_names(app: App, store: CertStore, added: list[Node], written: tuple[str, ...]) -> None:
    from joblet.client.nodes import DEFAULT_NODE

    served = store.served_hosts()
    for node in added:
        host = addresses.host_of(node.address)
        if host not in served:
            app.output.note(
                f"no server certificate of this CA is for {host}: clients other than rnx refuse "
                f"it; 'jobletctl certs issue server --host {host}' adds it"
            )
    if DEFAULT_NODE not in written:
        app.output.note(
            f"there is no node '{DEFAULT_NODE}': most clients must be told which to use"
        )


def _store() -> tuple[CertStore, datetime]:
    from jobletctl.certstore import CertStore

    now = datetime.now(UTC)
    return CertStore(Paths.from_environment(), now=now), now


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    """What is wrong with a word of the command line is a mistake in the command line."""
    try:
        yield
    except InvalidSpec as err:
        raise click.UsageError(f"{err.field}: {err.why}", click.get_current_context()) from err


def _own_hosts() -> list[str]:
    from jobletctl.hostnames import of_this_host

    return of_this_host()


def _host_name() -> str:
    return socket.gethostname().lower()


def _say(app: App, name: str, certificate: Certificate, now: datetime) -> None:
    if app.output.as_json:
        from jobletctl import certview

        app.output.document({"name": name, **certview.facts(certificate, now)})
    else:
        app.output.line(f"{name}: until {_day(certificate)}, serial {certificate.serial_text}")


def _day(certificate: Certificate) -> str:
    return f"{certificate.not_after:%Y-%m-%d}"
