"""jobletctl in this process, against a host in memory."""

from __future__ import annotations

import json
import os
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from jobletctl import jobview
from jobletctl.__main__ import main
from jobletctl.commands import joblist
from tests.fakes.client import FakeClient
from tests.fakes.terminal import Terminal


@dataclass(frozen=True)
class Done:
    """What a command line came to."""

    status: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.raw.splitlines()]


Ctl = Callable[..., Done]
On = Callable[..., int]
COLUMNS, ROWS = 80, 24
# Longer than any test.
FOR_EVER_S = 3600.0


@pytest.fixture
def host() -> FakeClient:
    return FakeClient()


@pytest.fixture
def ctl(host: FakeClient, capsysbinary: pytest.CaptureFixture[bytes]) -> Ctl:
    """Run a command line; the host is the fake of the same test."""

    def run(*args: str) -> Done:
        status = main(args, connector=host.connect)
        seen = capsysbinary.readouterr()
        return Done(status, seen.out, seen.err.decode())

    return run


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose clocks change."""
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    if before is None:
        monkeypatch.delenv("TZ")
    else:
        monkeypatch.setenv("TZ", before)
    time.tzset()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return Terminal(COLUMNS, ROWS)


@pytest.fixture
def on(ctl: Ctl, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> On:
    """Run a command line on the terminal, to its end."""
    keyboard = termios.tcgetattr(terminal.theirs)

    def run(*args: str) -> int:
        with (
            open(os.dup(terminal.theirs), "w", encoding="utf-8") as stdout,
            open(os.dup(terminal.theirs), encoding="utf-8") as stdin,
            monkeypatch.context() as patch,
        ):
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stdin", stdin)
            status = ctl(*args).status
        assert termios.tcgetattr(terminal.theirs) == keyboard
        terminal.close()
        screen = terminal.screen
        assert (screen.alternate, screen.cursor_shown, screen.wraps) == (False, True, True)
        return status

    return run


@pytest.fixture
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time makes no picture: only what happens does."""
    monkeypatch.setattr(joblist, "WATCH_PERIOD_S", FOR_EVER_S)
    monkeypatch.setattr(jobview, "brief_moment", lambda _usec, _now: "12:00:00")
