"""A shell in a machine that keeps its variables from one line to the next, as a person has it.

For what is to be seen as a person sees it: the demo, and the transcripts of the documentation. A
test that only wants a command's result has `machine.run`.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.grounds.machine import BootedMachine

# Printed by the shell behind each line; nothing that we run says RS (ascii(7)).
_MARK = b"\x1e"
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}


class Said(NamedTuple):
    """What a line printed, both streams as they came, and its exit status."""

    text: str
    status: int


Typist = Callable[[str], Said]


class Shell:
    """A bash in the home of its user; `show` gets what it prints, as it comes."""

    def __init__(
        self,
        machine: BootedMachine,
        *,
        user: str | None = None,
        show: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._seconds = machine.command_seconds
        self._show = show
        self._process = machine.popen(
            ["bash"],
            user=user,
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.type("exec 2>&1; cd")

    def type(self, line: str) -> Said:
        """Run a line to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # In braces: the line is read whole before any of it runs, and none of it reads the next.
        self._process.stdin.write(f"{{ {line}\n}} </dev/null; printf '\\036%d\\n' $?\n".encode())
        self._process.stdin.flush()
        out = self._process.stdout.fileno()
        text, end = b"", b""
        deadline = time.monotonic() + self._seconds
        while not end.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([out], [], [], left)[0]:
                raise AssertionError(f"no end of {line!r} after {self._seconds:.0f} s: {text!r}")
            data = os.read(out, 1 << 16)
            if not data:
                raise AssertionError(f"the shell ended during {line!r}")
            if not end:
                data, mark, after = data.partition(_MARK)
                self._show(data.decode(errors="replace"))
                text += data
                end = mark + after
            else:
                end += data
        return Said(text.decode(errors="replace"), int(end[1:]))

    def close(self) -> None:
        """End it, and what it still runs."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def shell(
    machine: BootedMachine,
    *,
    user: str | None = None,
    show: Callable[[str], object] = lambda _: None,
) -> Iterator[Typist]:
    """What types into a new shell."""
    opened = Shell(machine, user=user, show=show)
    try:
        yield opened.type
    finally:
        opened.close()
