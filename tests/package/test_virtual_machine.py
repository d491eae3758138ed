"""The life of the packages on a whole machine: a kernel of its own, controllers, loop devices.

What the container ground cannot have there: limits that hold and the image of the work directories.
$JOBLET_VM_RELEASES says on which releases, as for tests/vm; where that says `smoke` this is left
out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.grounds.cache import NoGround
from tests.package import build, scenario
from tests.package.conftest import Debs
from tests.vm.conftest import RELEASES, TEST_SECONDS
from tests.vm.ground import ground
from tests.vm.machine import VirtualMachine

JOBS = 20
_WHOLE = [word for word in RELEASES.split(",") if ":" not in word]


def _bare(_machine: VirtualMachine) -> None:
    """As Debian made it."""


def _copy(machine: VirtualMachine, folder: str, packages: list[Path]) -> None:
    machine.run(["mkdir", folder])
    packed = subprocess.run(
        ["tar", "-C", packages[0].parent, "-c", *[package.name for package in packages]],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    machine.run(["tar", "-C", folder, "-x"], input=packed)


@pytest.fixture(params=_WHOLE, ids=lambda release: f"debian{release}")
def vm(request: pytest.FixtureRequest) -> Iterator[VirtualMachine]:
    """Booted, without Joblet."""
    if shutil.which("dh") is None:
        pytest.skip("dh is not installed")
    with ExitStack() as stack:
        try:
            yield stack.enter_context(ground(request.param, _bare))
        except NoGround as missing:
            pytest.skip(str(missing))


@pytest.mark.timeout(TEST_SECONDS)
def test_install_upgrade_downgrade_and_purge(vm: VirtualMachine) -> None:
    """Twenty jobs run through both changes of version and do not notice."""
    debs = Debs("/root/present", "/root/next")
    for folder, change in zip(debs, ("", "+1"), strict=True):
        _copy(vm, folder, build.packages(change))
    before = scenario.everything(vm)
    scenario.install(vm, debs.present)
    scenario.is_enabled(vm)
    scenario.is_usable(vm)
    jobs = scenario.start_jobs(vm, JOBS)
    supervisors = scenario.supervisors(vm)
    versions = [scenario.version_of_the_daemon(vm)]

    for folder in (debs.next, debs.present):
        scenario.change_version(vm, folder)
        versions.append(scenario.version_of_the_daemon(vm))
        assert [scenario.look(vm, job.id) for job in jobs] == jobs
        assert scenario.supervisors(vm) == supervisors

    assert versions == [build.version(), build.version("+1"), build.version()]
    for job in jobs:
        scenario.end(vm, job)
    scenario.is_usable(vm)
    scenario.remove(vm, purge=True)
    assert scenario.everything(vm) - before == set()
    assert vm.run(["systemctl", "is-system-running"]).stdout.strip() == "running"
