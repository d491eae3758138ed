"""jobletctl in this process, against a host in memory."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from jobletctl.__main__ import main
from tests.fakes.client import FakeClient


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
