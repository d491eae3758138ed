"""The entry point: runs one command line and turns what went wrong into a sentence and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from joblet.errors import JobletError
from jobletctl import explain
from jobletctl.cli import JOBLETCTL, RNX, App, rnx_root, root
from jobletctl.connect import Connector
from jobletctl.output import ReaderGone

USAGE = 2
INTERRUPTED = 130
READER_GONE = 141


def main(
    args: Sequence[str] | None = None,
    *,
    program: str = JOBLETCTL,
    connector: Connector | None = None,
) -> int:
    """The exit status of a command line; a connector is taken whatever host is named."""
    app = App(program, lent=connector)
    try:
        status = _run(list(sys.argv[1:] if args is None else args), app)
        app.output.flush()
    except ReaderGone:
        return _reader_gone()
    except JobletError as err:
        app.output.note(explain.sentence(err, app.call))
        return err.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def rnx(args: Sequence[str] | None = None, *, connector: Connector | None = None) -> int:
    """The same for rnx."""
    return main(args, program=RNX, connector=connector)


def _run(args: list[str], app: App) -> int:
    commands = rnx_root if app.is_rnx else root
    try:
        with commands.make_context(app.program, args, obj=app) as ctx:
            status = commands.invoke(ctx)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as err:
        app.output.note(_mistake(err, app))
        return USAGE
    except BrokenPipeError as err:
        # click prints help by itself
        raise ReaderGone from err


def _mistake(err: click.UsageError, app: App) -> str:
    message = err.format_message().strip().rstrip(".")
    if isinstance(err, click.NoSuchOption):
        message = f"no such option {err.option_name}{_option_meant(err)}"
    path = app.program if err.ctx is None else err.ctx.command_path
    return f"{message[:1].lower()}{message[1:]} (see '{path} --help')"


def _option_meant(err: click.NoSuchOption) -> str:
    from jobletctl import suggest

    if err.ctx is None:
        return ""
    known = [
        name
        for param in err.ctx.command.get_params(err.ctx)
        if isinstance(param, click.Option) and not param.hidden
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("--")
    ]
    return suggest.meant(err.option_name, known)


def _reader_gone() -> int:
    # What is left in the buffers would fail once more, loudly, when the interpreter ends.
    devnull = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(devnull, stream.fileno())
        except (AttributeError, OSError, ValueError):
            continue  # no descriptor behind it, so nothing that could fail
    os.close(devnull)
    return READER_GONE


if __name__ == "__main__":
    sys.exit(main())
