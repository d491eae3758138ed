"""`help` and `config-help`: what there is to know without a daemon."""

from __future__ import annotations

import click

from jobletctl import suggest
from jobletctl.cli import App, json_option, pager_option, pass_app, root

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

Variables that jobletctl looks at
  NO_COLOR, TERM                NO_COLOR set, or TERM=dumb: no colour
  PAGER, LESS                   shows what is longer than the terminal; empty: nothing does
  COLUMNS                       width of tables on a terminal
  DBUS_SYSTEM_BUS_ADDRESS       another bus than that of this host
"""


@click.command()
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@pager_option
@pass_app
@click.pass_context
def help(ctx: click.Context, app: App, *, words: tuple[str, ...], no_pager: bool) -> int:
    """Show the help of a command, such as 'jobletctl help job run'."""
    command: click.Command = root
    inner = ctx.find_root()
    for word in words:
        found = command.get_command(inner, word) if isinstance(command, click.Group) else None
        if found is None:
            known = command.list_commands(inner) if isinstance(command, click.Group) else ()
            path = " ".join(["jobletctl help", *inner.command_path.split()[1:]])
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
    if app.output.as_json:
        app.output.document({"text": CONFIG_HELP})
        return 0
    with app.output.paged(wanted=not no_pager):
        for line in CONFIG_HELP.splitlines():
            app.output.line(line)
    return 0
