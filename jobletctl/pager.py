"""Gives text to the pager of the user, as systemctl and git do.

$PAGER is a command for the shell; where it is not set, less or more; where it is empty or `cat`,
none. less ends by itself below one screen and keeps colours, unless $LESS says otherwise.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

# -F end below one screen, -R colours, -S cut long lines, -X leave the text there, -M say where
_LESS = "FRSXM"
_LOCAL = ("less", "more")


def show(text: str) -> bool:
    """True when a pager has shown the text, or as much of it as its user wanted."""
    command = _command()
    if command is None:
        return False
    environment = {"LESS": _LESS, "LESSCHARSET": "utf-8", "LESSSECURE": "1", **os.environ}
    # Ctrl-C belongs to the pager, which goes on.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own choice
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            env=environment,
            preexec_fn=_listening,
        )
        try:
            process.communicate(text.encode("utf-8", "backslashreplace"))
        except BrokenPipeError:
            # left before the end of the text
            process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    # What sh says when there is no such command: then nothing was shown.
    return process.returncode not in (126, 127)


def _command() -> str | None:
    chosen = os.environ.get("PAGER")
    if chosen is None:
        return next((name for name in _LOCAL if shutil.which(name)), None)
    return None if chosen.strip() in ("", "cat") else chosen


def _listening() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
