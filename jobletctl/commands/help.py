"""`help` and `config-help`: what there is to know without a daemon."""

from __future__ import annotations

import click

from jobletctl import suggest
from jobletctl.cli import App, json_option, pager_option, pass_app

CONFIG_HELP = """\
jobletctl needs no configuration: it talks to the jobletd of this host over the system bus, and
that decides by your user what you may do. Members of the group 'joblet' run jobs; root may do
everything.

Settings of jobletd
  /etc/joblet/joblet.toml, then the files of /etc/joblet/joblet.toml.d by name; the later one
  wins, key by key. They are read when jobletd starts. An example:

    [jobs]
    max_running = 100

    [defaults]
    max_memory = "512M"
    timeout = "1h"

    [ceilings]
    max_memory = "8G"

  jobletctl config check        are the files right?
  jobletctl config show         every setting, and the file it comes from
  systemctl restart jobletd     takes them; running jobs do not notice
  man 5 joblet.toml             every key

Remote access
  jobletctl certs init          makes the CA of this host
  jobletctl certs issue client  makes the certificate of a user, with a role
  jobletctl certs export        writes rnx-config.yml, the file that remote clients read
  -H NODE                       with any command asks a node of that file instead; so does rnx

Variables that jobletctl looks at
  NO_COLOR, TERM                NO_COLOR set, or TERM=dumb: no colour
  PAGER, LESS                   shows what is longer than the terminal; empty: nothing does
  COLUMNS                       width of tables on a terminal
  DBUS_SYSTEM_BUS_ADDRESS       another bus than that of this host
  RNX_CONFIG                    the file of nodes for -H
"""

RNX_CONFIG_HELP = """\
rnx asks hosts that run joblet-bridge, over gRPC with mutual TLS. Where they are and who you are is
in one file, which an administrator of the host writes: 'jobletctl certs export NAME' there. It
holds your key, so it is for you alone (chmod 600).

The first of these that exists is read
  --config FILE                 named, it must exist
  $RNX_CONFIG
  ./rnx-config.yml
  ./config/rnx-config.yml
  ~/.rnx/rnx-config.yml         the usual place
  /etc/joblet/rnx-config.yml
  /opt/joblet/config/rnx-config.yml

What is in it
    version: "3.0"
    nodes:
      default:
        address: "host.example:50051"
        cert: |
          -----BEGIN CERTIFICATE----- ...
        key: |
          -----BEGIN PRIVATE KEY----- ...
        ca: |
          -----BEGIN CERTIFICATE----- ...

  rnx --node NAME ...           asks that node; else the one with 'isDefault: true', or that of the
                                name 'default', or the only one
  rnx nodes                     shows all of them, and whether they answer

Variables that rnx looks at
  RNX_CONFIG                    the file
  NO_COLOR, TERM                NO_COLOR set, or TERM=dumb: no colour
  PAGER, LESS                   shows what is longer than the terminal; empty: nothing does
  COLUMNS                       width of tables on a terminal
  GRPC_VERBOSITY, GRPC_TRACE    what the gRPC library says of connections; nothing if not set
"""


@click.command()
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@pager_option
@pass_app
@click.pass_context
def help(ctx: click.Context, app: App, *, words: tuple[str, ...], no_pager: bool) -> int:
    """Show the help of a command, such as that of 'job run'."""
    inner = ctx.find_root()
    command = inner.command
    for word in words:
        found = command.get_command(inner, word) if isinstance(command, click.Group) else None
        if found is None:
            known = command.list_commands(inner) if isinstance(command, click.Group) else ()
            path = " ".join([f"{app.program} help", *inner.command_path.split()[1:]])
            meant = suggest.verb(word, known, path)
            raise click.UsageError(f"there is no '{word}' in '{inner.command_path}'{meant}", ctx)
        command = found
        inner = click.Context(command, inner, info_name=word, **command.context_settings)
    with app.output.paged(wanted=not no_pager):
        for line in command.get_help(inner).splitlines():
            app.output.line(line)
    return 0


@click.command("config-help")
@pager_option
@json_option
@pass_app
def config_help(app: App, *, no_pager: bool) -> int:
    """Show where settings are, and which variables count."""
    text = RNX_CONFIG_HELP if app.is_rnx else CONFIG_HELP
    if app.output.as_json:
        app.output.document({"text": text})
        return 0
    with app.output.paged(wanted=not no_pager):
        for line in text.splitlines():
            app.output.line(line)
    return 0
