"""The root commands: global options, and the nouns, each loaded when it is used.

One tree of commands for two programs: `jobletctl` asks this host, or a node that `-H` names, and
`rnx` always a node. Owns what all verbs share: `--json` and the choice of a node at any depth, and
the App that carries connector and output.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import click

from jobletctl.connect import Connector, local, remote
from jobletctl.output import Output

Decorated = TypeVar("Decorated", bound=Callable[..., object])

JOBLETCTL = "jobletctl"
RNX = "rnx"

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

    program: str = JOBLETCTL
    output: Output = field(default_factory=Output)
    # In the place of every other one, when it is given.
    lent: Connector | None = None
    node: str | None = None
    nodes_path: str | None = None
    _node_id: str | None = None

    def __post_init__(self) -> None:
        self.output.program = self.program

    @property
    def is_rnx(self) -> bool:
        """True for the program whose output has what scripts for the first rnx look for."""
        return self.program == RNX

    @property
    def remote(self) -> bool:
        """True when a node of the file of nodes is asked, and not this host."""
        return self.is_rnx or self.node is not None or self.nodes_path is not None

    @property
    def connector(self) -> Connector:
        """How to reach the host that was chosen."""
        if self.lent is not None:
            return self.lent
        return remote(self.node, self.nodes_path) if self.remote else local

    @property
    def node_id(self) -> str:
        """What the node that is asked is called; "" for one that has no other name."""
        if self.lent is not None:
            return self.node or ""
        if self._node_id is None:
            from jobletctl import nodesfile

            # A second time: it is small, and only rnx asks.
            file = nodesfile.load(self.nodes_path)
            name = file.node(self.node).name
            self._node_id = file.node_id(name) or name
        return self._node_id

    def connector_to(self, node: str, path: str) -> Connector:
        """How to reach a certain node of a certain file."""
        return self.lent or remote(node, path)

    @property
    def call(self) -> str:
        """What to begin another command line with that asks the same host."""
        if self.node is None:
            return self.program
        return f"{self.program} {'--node' if self.is_rnx else '-H'} {self.node}"


pass_app = click.make_pass_decorator(App)


def _want_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    app = ctx.find_object(App)
    if value and app is not None:
        app.output.as_json = True


def _say_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    app = ctx.find_object(App)
    if value and app is not None:
        from jobletctl import client_version

        app.output.line(f"{app.program} {client_version.installed()}")
        ctx.exit()


def _choose(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    app = ctx.find_object(App)
    if value is not None and app is not None and param.name is not None:
        # "" is what scripts pass for "no choice"
        setattr(app, param.name, value or None)


def _node_options(command: Decorated, *, hidden: bool) -> Decorated:
    """The choice of a node, which means the same wherever on the command line it stands."""
    command = click.option(
        "--config",
        "nodes_path",
        type=click.Path(),
        metavar="FILE",
        expose_value=False,
        hidden=hidden,
        callback=_choose,
        help="The file of nodes; by default the first of $RNX_CONFIG, rnx-config.yml here, in "
        "config/, in ~/.rnx/, in /etc/joblet/ and in /opt/joblet/config/.",
    )(command)
    return click.option(
        "-H",
        "--node",
        "node",
        metavar="NODE",
        expose_value=False,
        hidden=hidden,
        callback=_choose,
        help="Ask this node of the file of nodes (rnx-config.yml), over the network.",
    )(command)


def json_option(command: Decorated) -> Decorated:
    """What every verb takes: `--json`, and the choice of a node, told in the help of the root."""
    return here_option(_node_options(command, hidden=True))


def here_option(command: Decorated) -> Decorated:
    """`--json` alone, for verbs that only mean this host; the same wherever it stands."""
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


# Longer than any first sentence.
_UNCUT = 1000


class Verbs(click.Group):
    """A group that says of a verb which it does not have what may have been meant."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs with a sentence each: whole, where click would cut it at the line."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, verb.get_short_help_str(_UNCUT))
                    for name, verb in found
                    if verb is not None
                ]
            )

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

    # Of this host, whichever node is named.
    here = ("config", "certs")
    modules: Mapping[str, str] = {
        "job": "jobletctl.commands.jobgroup",
        "events": "jobletctl.commands.events",
        "top": "jobletctl.commands.top",
        "monitor": "jobletctl.commands.monitor",
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


class RemoteGroup(LazyGroup):
    """The same nouns, but for those of a host that runs jobs itself."""

    modules: Mapping[str, str] = {
        noun: module for noun, module in LazyGroup.modules.items() if noun not in LazyGroup.here
    }


_SETTINGS = {"help_option_names": ["-h", "--help"]}


def _root_options(command: Decorated) -> Decorated:
    command = here_option(_node_options(command, hidden=False))
    return click.option(
        "-v",
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_say_version,
        help="Show the version of this program.",
    )(command)


@click.group(cls=LazyGroup, epilog=EPILOG, no_args_is_help=False, context_settings=_SETTINGS)
@_root_options
@click.pass_context
def root(ctx: click.Context) -> None:
    """Run and watch jobs on this host, or on another one.

    To try it: 'jobletctl job run --follow -- echo hello'.
    """
    app = ctx.find_object(App)
    noun = ctx.invoked_subcommand
    if app is not None and app.remote and noun in LazyGroup.here:
        raise click.UsageError(f"'{noun}' is about this host alone: run it on the host you mean")


@click.group(cls=RemoteGroup, epilog=EPILOG, no_args_is_help=False, context_settings=_SETTINGS)
@_root_options
def rnx_root() -> None:
    """Run and watch jobs on the hosts that rnx-config.yml names.

    To try it: 'rnx job run --follow -- echo hello'.
    """
