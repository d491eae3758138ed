"""For every tier: no skip where skips are not allowed, no process from a unit test, figures."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.grounds.watch import FAILED

# Set where everything can be had (make test): nothing may be left out unseen.
STRICT = os.environ.get("JOBLET_TESTS_STRICT") == "1"
UNIT = Path(__file__).parent / "unit"
_FIGURES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Announce the markers of the tiers; let what the tests start hear a Ctrl-C."""
    # A shell starts what is to run in the background with SIGINT ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line(
        "markers",
        "journal_allows(*patterns): a test that provokes journal entries matching these",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In strict mode a skipped test has failed; grounds learn what failed."""
    report = yield
    if call.when == "call" and report.failed:
        item.stash[FAILED] = True
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, and skips are failures here: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In strict mode a skipped module has failed."""
    report = yield
    if STRICT and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid}: skipped, and skips are failures here"
    return report


@pytest.fixture(autouse=True)
def _no_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that needs a process is in the wrong tier, or marked `spawns`."""
    if not request.path.is_relative_to(UNIT) or request.node.get_closest_marker("spawns"):
        return

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test may not start a process (mark it `spawns` if it must)")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system"):
        monkeypatch.setattr(os, name, refuse)


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
        terminalreporter.section("figures of the grounds")
        terminalreporter.write("".join(f"{line}\n" for line in lines))
