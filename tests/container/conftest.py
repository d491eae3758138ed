"""Fixtures of the container ground: one machine per session, and a look at it after every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.container.ground import ground
from tests.container.machine import Machine
from tests.grounds.cache import NoGround
from tests.grounds.watch import watched

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """The booted container with Joblet installed; ground.py says what it can do."""
    with ExitStack() as stack:
        try:
            booted = stack.enter_context(ground())
        except NoGround as missing:
            pytest.skip(str(missing))
        yield booted


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the report: what was measured on the way, and judges nothing."""
    return pytestconfig.stash.setdefault(_FIGURES, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the figures."""
    lines = config.stash.get(_FIGURES, [])
    if lines:
        terminalreporter.section("figures of the container ground")
        terminalreporter.write("".join(f"{line}\n" for line in lines))


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest, machine: Machine) -> Iterator[None]:
    with watched(machine, request):
        yield
