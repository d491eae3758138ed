"""The configuration of this host: what is in force, and whether the files are right.

Reads the files itself, so that it works while jobletd does not; a running jobletd has what the
files said when it started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from joblet.paths import Paths
from jobletctl.cli import App, Verbs, here_option, pass_app

if TYPE_CHECKING:
    from joblet.config import Settings, Shown

TITLES = ("KEY", "VALUE", "FROM")
BUILT_IN = "built in"


@click.group(cls=Verbs, no_args_is_help=False)
@here_option
def config() -> None:
    """Show and check the settings of jobletd."""


_file_option = click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False),
    help="Read this file (and FILE.d) instead of /etc/joblet/joblet.toml.",
)


def _settings(path: str | None) -> Settings:
    from joblet.config import read

    return read(Paths.from_environment().config_file if path is None else path)


@config.command()
@_file_option
@here_option
@pass_app
def show(app: App, *, path: str | None) -> int:
    """Show every setting with its value and the file it comes from."""
    from joblet.config import shown

    settings = _settings(path)
    values = shown(settings.config)
    origins = {name: settings.origins.get(name) for name in values}
    if app.output.as_json:
        app.output.document(
            {name: {"value": value, "file": origins[name]} for name, value in values.items()}
        )
        return 0
    rows = [(name, _as_text(value), origins[name] or BUILT_IN) for name, value in values.items()]
    app.output.table(TITLES, rows)
    return 0


def _as_text(value: Shown) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value != "" else '""'


@config.command()
@_file_option
@here_option
@pass_app
def check(app: App, *, path: str | None) -> int:
    """Read the files as jobletd would; the first mistake is an error that names file and key."""
    settings = _settings(path)
    files = sorted(set(settings.origins.values()))
    if app.output.as_json:
        app.output.document({"settings": len(settings.origins), "files": files})
    else:
        said = ", ".join(files) if files else "no file"
        app.output.line(f"{len(settings.origins)} settings from {said}; no mistakes")
    return 0
