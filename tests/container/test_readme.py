"""The commands of README.md do what it says, as they stand there."""

from __future__ import annotations

import re

import pytest

from tests.container.ground import CHECKOUT
from tests.container.machine import Machine

BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (CHECKOUT / "README.md").read_text(), re.M | re.S)


def block_with(command: str) -> str:
    """The one block that has this command."""
    (found,) = (block for block in BLOCKS if command in block)
    return str(found)


@pytest.mark.parametrize("user", [None, "member"])
def test_jobs_by_hand(machine: Machine, user: str | None) -> None:
    script = block_with("jobletctl job run")
    said = machine.run(["sh", "-eu"], input=script, user=user).stdout
    assert said.startswith("hello\n")
    assert "1\n2\n3\n" in said
    assert "counter" in said


def test_jobs_by_busctl_alone(machine: Machine) -> None:
    said = machine.run(["sh", "-eu"], input=block_with("busctl call")).stdout
    started, listed = said.splitlines()
    job_id = re.fullmatch(r'so "([0-9a-f-]{36})" "/org/joblet1/job/[0-9a-f_]{36}"', started)
    assert job_id is not None
    assert f'"id" s "{job_id[1]}"' in listed


def test_installation_asks_for_the_packages_of_the_ground(machine: Machine) -> None:
    install = next(line for line in block_with("make install").splitlines() if "apt-get" in line)
    for package in install.split()[2:]:
        machine.run(["dpkg-query", "--show", package])
