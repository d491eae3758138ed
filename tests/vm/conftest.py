"""Fixtures of the VM ground: one machine per Debian release, and a look at it after every test.

$JOBLET_VM_RELEASES says which releases, `13,12:smoke` if it is not set: all tests on Debian 13,
and those marked `smoke` on Debian 12. One machine lives at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.container.jobs import Jobs
from tests.grounds.cache import NoGround
from tests.grounds.watch import watched
from tests.vm.ground import ground
from tests.vm.image import SUITES
from tests.vm.machine import VirtualMachine

RELEASES = os.environ.get("JOBLET_VM_RELEASES", "13,12:smoke")
# Emulated, with the image and the boot in the first test: only what hangs takes this long.
TEST_SECONDS = 3000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test runs on each release that wants it."""
    if "vm" not in metafunc.fixturenames:
        return
    smoke = metafunc.definition.get_closest_marker("smoke") is not None
    releases = []
    for word in RELEASES.split(","):
        release, _, part = word.strip().partition(":")
        if release not in SUITES or part not in ("", "smoke"):
            raise pytest.UsageError(f"JOBLET_VM_RELEASES: {word!r} is none of {', '.join(SUITES)}")
        if smoke or not part:
            releases.append(release)
    ids = [f"debian{release}" for release in releases]
    metafunc.parametrize("vm", releases, indirect=True, scope="session", ids=ids)


def pytest_itemcollected(item: pytest.Item) -> None:
    """The limit per test is that of a fast machine."""
    item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def vm(request: pytest.FixtureRequest) -> Iterator[VirtualMachine]:
    """The booted machine with Joblet installed; ground.py says what it can do."""
    with ExitStack() as stack:
        try:
            booted = stack.enter_context(ground(request.param))
        except NoGround as missing:
            pytest.skip(str(missing))
        yield booted


@pytest.fixture
def jobs(vm: VirtualMachine) -> Jobs:
    """Jobs of root in it."""
    return Jobs(vm)


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest, vm: VirtualMachine) -> Iterator[None]:
    with watched(vm, request):
        yield
