"""The root command: global options, and the nouns, each loaded when it is used.

Owns what all verbs share: `--json` at any depth and the App that carries connector and output.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import click

from jobletctl.connect import Connector, local
from jobletctl.output import Output

Decorated = TypeVar("Decorated", bound=Callable[..., object])

EPILOG = """\b
Exit status:
  0    success; also Ctrl-C in what ends in no other way, such as 'events'
  1    an error; one sentence on standard error says which
  2    a mistake in the command line; nothing was done
  124  a time limit was reached: the job's, or that of 'job wait'
  130  interrupted; a job that was being waited for goes on
  141  the reader of the output went away

'job run --wait', 'job run --follow' and 'job wait' end with the exit status of the job: what its
command returned, 128+N if signal N ended it, 143 if it was canceled, 124 if it ran into its time
limit, 125 if it could not be set up, 126 or 127 if the command could not be run.
"""


@dataclass(slots=True)
class App:
    """What every command needs; made once per invocation."""

    connector: Connector = local
    output: Output = field(default_factory=Output)


pass_app = click.make_pass_decorator(App)


def _want_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    app = ctx.find_object(App)
    if value and app is not None:
        app.output.as_json = True


def _say_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    app = ctx.find_object(App)
    if value and app is not None:
        from jobletctl import client_version

        app.output.line(f"jobletctl {client_version.installed()}")
        ctx.exit()


def json_option(command: Decorated) -> Decorated:
    """`--json`, which means the same wherever on the command line it stands."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_want_json,
        help="Print results as JSON.",
    )(command)


def pager_option(command: Decorated) -> Decorated:
    """`--no-pager`, for what may be longer than a terminal."""
    return click.option(
        "--no-pager",
        is_flag=True,
        help="Print what is longer than the terminal as it is, without $PAGER.",
    )(command)


class Verbs(click.Group):
    """A group that says of a verb which it does not have what may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but for the sentence."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-"):
            from jobletctl import suggest

            meant = suggest.verb(word, self.list_commands(ctx), ctx.command_path)
            raise click.UsageError(f"there is no '{word}' here{meant}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(Verbs):
    """A group whose commands are named by module and imported when one of them is called."""

    modules: Mapping[str, str] = {
        "job": "jobletctl.commands.jobgroup",
        "events": "jobletctl.commands.events",
        "top": "jobletctl.commands.top",
        "nodes": "jobletctl.commands.host",
        "version": "jobletctl.commands.host",
        "config": "jobletctl.commands.config",
        "certs": "jobletctl.commands.certs",
        "help": "jobletctl.commands.help",
        "config-help": "jobletctl.commands.help",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The nouns, in the order of the help."""
        return list(self.modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a word; its module has it under the word's name."""
        module = self.modules.get(cmd_name)
        if module is None:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-v",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_say_version,
    help="Show the version of jobletctl.",
)
@json_option
def root() -> None:
    """Run and watch jobs on this host."""
