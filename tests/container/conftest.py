"""Fixtures of the container ground: one machine per session, and a look at it after every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.container.ground import ground
from tests.container.machine import Machine
from tests.grounds.cache import NoGround
from tests.grounds.watch import watched


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """The booted container with Joblet installed; ground.py says what it can do."""
    with ExitStack() as stack:
        try:
            booted = stack.enter_context(ground())
        except NoGround as missing:
            pytest.skip(str(missing))
        yield booted


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest, machine: Machine) -> Iterator[None]:
    with watched(machine, request):
        yield
