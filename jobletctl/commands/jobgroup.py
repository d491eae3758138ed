"""The group `job`, whose verbs are loaded when one of them is called.

A list of jobs is what people ask for most, so it does without the other verbs and their options.
"""

from __future__ import annotations

import importlib

import click

from jobletctl.cli import Verbs, json_option

# By verb; all others are in job.py.
_APART = {
    "list": ("jobletctl.commands.joblist", "list_"),
    "metrics": ("jobletctl.commands.jobmetrics", "metrics"),
    "inspect": ("jobletctl.commands.jobinspect", "inspect"),
}
_OTHERS = "jobletctl.commands.job"


class JobVerbs(Verbs):
    """The verbs of job.py, which adds them to this group, and those apart."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        importlib.import_module(_OTHERS)
        return sorted({*super().list_commands(ctx), *_APART})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if cmd_name in _APART:
            module, name = _APART[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        importlib.import_module(_OTHERS)
        return super().get_command(ctx, cmd_name)


@click.group(cls=JobVerbs, no_args_is_help=False)
@json_option
def job() -> None:
    """Run commands as jobs, watch and end them."""
