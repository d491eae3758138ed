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
    script = block_with("--name counter")
    said = machine.run(["sh", "-eu"], input=script, user=user).stdout
    assert said.startswith("hello\n")
    assert "1\n2\n3\n" in said
    assert "counter" in said


def test_files_and_secrets(machine: Machine) -> None:
    prepared = """\
cd "$(mktemp -d)"
mkdir src
echo 1,2 >data.csv
echo 'import shutil; shutil.copy("data.csv", "result.json")' >src/main.py
echo A=1 >app.env
echo TOKEN=secret >secrets.env
printf '#!/bin/sh\\necho deployed' >deploy && chmod +x deploy
id=$(jobletctl job run -- sh -c 'mkdir out; echo report >out/report.pdf')
jobletctl job wait "$id" >/dev/null
"""
    script = prepared + block_with("job cp") + "cat result.json report.pdf\n"
    said = machine.run(["sh", "-eu"], input=script, user="member").stdout
    [job, *results] = said.splitlines()
    assert results == ["1,2", "report"]
    machine.run(["jobletctl", "job", "wait", job], user="member")
    assert machine.run(["jobletctl", "job", "log", job], user="member").stdout == "deployed\n"


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
