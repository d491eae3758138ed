"""The entry point: runs one command line and turns what went wrong into a sentence and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from joblet.errors import JobletError
from jobletctl import explain
from jobletctl.cli import App, root
from jobletctl.connect import Connector, local
from jobletctl.output import ReaderGone

USAGE = 2
INTERRUPTED = 130
READER_GONE = 141


def main(args: Sequence[str] | None = None, *, connector: Connector = local) -> int:
    """The exit status of a command line."""
    app = App(connector=connector)
    try:
        status = _run(list(sys.argv[1:] if args is None else args), app)
        app.output.flush()
    except ReaderGone:
        return _reader_gone()
    except JobletError as err:
        app.output.note(explain.sentence(err))
        return err.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _run(args: list[str], app: App) -> int:
    try:
        with root.make_context("jobletctl", args, obj=app) as ctx:
            status = root.invoke(ctx)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as err:
        app.output.note(_mistake(err))
        return USAGE
    except BrokenPipeError as err:
        # click prints help by itself
        raise ReaderGone from err


def _mistake(err: click.UsageError) -> str:
    message = err.format_message().strip().rstrip(".")
    if isinstance(err, click.NoSuchOption):
        message = f"no such option {err.option_name}{_option_meant(err)}"
    path = "jobletctl" if err.ctx is None else err.ctx.command_path
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
