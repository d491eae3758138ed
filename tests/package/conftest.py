"""A machine without Joblet, with two versions of its packages at hand; clean before each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.container.ground import SETTINGS, bare, ground
from tests.container.machine import Machine
from tests.grounds import evidence, tidiness
from tests.grounds.cache import NoGround
from tests.package import build, scenario


class Debs(NamedTuple):
    """Folders of packages in the machine."""

    present: str
    next: str


@pytest.fixture(scope="session")
def bare_machine() -> Iterator[Machine]:
    """Booted, with what the packages depend on."""
    missing = [tool for tool in ("dpkg-buildpackage", "dh") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    with ExitStack() as stack:
        try:
            machine = stack.enter_context(ground(bare))
        except NoGround as lacking:
            pytest.skip(str(lacking))
        yield machine


@pytest.fixture(scope="session")
def debs(bare_machine: Machine) -> Debs:
    """Both versions, copied into the machine."""
    folders = Debs("/root/present", "/root/next")
    for folder, change in zip(folders, ("", "+1"), strict=True):
        bare_machine.path(folder).mkdir()
        for package in build.packages(change):
            shutil.copy(package, bare_machine.path(folder))
    return folders


@pytest.fixture
def machine(bare_machine: Machine, debs: Debs, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The machine, and afterwards no trace of a package in it or in its journal."""
    bare_machine.write_file("/etc/joblet/joblet.toml.d/00-ground.toml", SETTINGS)
    before = tidiness.Before(bare_machine)
    yield bare_machine
    folder = evidence.collect(bare_machine, request.node.nodeid)
    allowed = [
        pattern for mark in request.node.iter_markers("journal_allows") for pattern in mark.args
    ]
    complaints = tidiness.complaints(tidiness.entries_since(bare_machine, before), allowed)
    bare_machine.run(["dpkg", "--purge", *scenario.NAMES])  # also what is not there any more
    if complaints:
        pytest.fail("\n".join([f"evidence in {folder}", *complaints]), pytrace=False)
    shutil.rmtree(folder)


@pytest.fixture
def settings(machine: Machine) -> Callable[[str], None]:
    """Replaces the settings; the daemon reads them at once."""

    def write(text: str) -> None:
        machine.write_file("/etc/joblet/joblet.toml", text)
        machine.run(["systemctl", "restart", "jobletd.service"])

    return write
