"""The look at a machine after each test: is it tidy, and if anything is wrong, what is kept of it.

The fixture of each ground wraps its tests in `watched`; tests/conftest.py marks what failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.grounds import evidence, tidiness
from tests.grounds.machine import BootedMachine, last_of

# For the slower of the grounds; a test that is tidy waits for nothing.
TIDY_SECONDS = 60.0

FAILED = pytest.StashKey[bool]()


@contextmanager
def watched(machine: BootedMachine, request: pytest.FixtureRequest) -> Iterator[None]:
    """A test of the machine happens inside."""
    before = tidiness.Before(machine)
    yield
    allowed = [
        pattern for mark in request.node.iter_markers("journal_allows") for pattern in mark.args
    ]
    found: list[str] = []
    if not machine.boot_id:
        found.append("the machine is off")
        machine.boot()

    # The last acts of a job may still be under way when the last call of its test has returned.
    left: list[str] = []

    def tidy() -> bool:
        left[:] = tidiness.leftovers(machine, before)
        return not left

    last_of(tidy, seconds=TIDY_SECONDS)
    found += left
    found += tidiness.complaints(tidiness.entries_since(machine, before), allowed)
    if found or request.node.stash.get(FAILED, False):
        folder = evidence.collect(machine, request.node.nodeid)
        tail = (folder / "journal.txt").read_text(errors="replace").splitlines()[-60:]
        request.node.add_report_section("teardown", "evidence", "\n".join([str(folder), *tail]))
        tidiness.clear(machine)
    if found:
        pytest.fail("the test left the machine untidy:\n" + "\n".join(found), pytrace=False)
