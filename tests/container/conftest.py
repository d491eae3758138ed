"""Fixtures of the container ground: one machine per session, and a look at it after every test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack

import pytest

from tests.container import evidence, tidiness
from tests.container.ground import ground
from tests.container.image import NoGround
from tests.container.machine import Machine, last_of

_FAILED = pytest.StashKey[bool]()
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


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failure for the fixture that looks after the test."""
    report = yield
    if call.when == "call" and report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest, machine: Machine) -> Iterator[None]:
    before = tidiness.Before(machine)
    yield
    allowed = [
        pattern for mark in request.node.iter_markers("journal_allows") for pattern in mark.args
    ]
    # The last acts of a job may still be under way when the last call of its test has returned.
    last_of(lambda: not tidiness.leftovers(machine, before))
    found = tidiness.leftovers(machine, before)
    found += tidiness.complaints(tidiness.entries_since(machine, before), allowed)
    if found or request.node.stash.get(_FAILED, False):
        folder = evidence.collect(machine, request.node.nodeid)
        tail = (folder / "journal.txt").read_text(errors="replace").splitlines()[-60:]
        request.node.add_report_section("teardown", "evidence", "\n".join([str(folder), *tail]))
        tidiness.clear(machine)
    if found:
        pytest.fail("the test left the machine untidy:\n" + "\n".join(found), pytrace=False)
