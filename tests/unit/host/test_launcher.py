"""What is swept of a job that nobody knows, and when."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import cast

import pytest

from joblet.host.jobplan import PlanMaker
from joblet.host.launcher import Launcher
from joblet.host.runs import RunDirectory
from joblet.host.spawner import Spawner
from joblet.host.systemd import Systemd
from joblet.init import procfs
from joblet.records.exit import ExitRecord
from joblet.records.run import Process, RunRecord

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
GONE = Process(pid=1, start_ticks=1 << 62)


class NoScopes:
    """A manager that has nothing to remove."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def remove(self, unit: str, *, grace_usec: int) -> None:
        self.asked.set()


@pytest.fixture
async def scopes() -> NoScopes:
    return NoScopes()


@pytest.fixture
async def launcher(tmp_path: Path, scopes: NoScopes) -> Launcher:
    return Launcher(
        systemd=cast(Systemd, scopes),
        spawner=cast(Spawner, None),
        runs=RunDirectory(str(tmp_path)),
        plans=cast(PlanMaker, None),
        io_devices=(),
        weighs_io=False,
    )


def recorded(tmp_path: Path, supervisor: Process) -> Path:
    directory = tmp_path / JOB
    directory.mkdir()
    record = RunRecord()
    record.supervisor = supervisor
    record.first = record.anchor = GONE
    (directory / "run").write_bytes(record.encode())
    return directory


async def test_a_supervisor_has_its_last_words_before_the_directory_goes(
    launcher: Launcher, scopes: NoScopes, tmp_path: Path
) -> None:
    directory = recorded(tmp_path, procfs.identify(os.getpid()))
    sweeping = asyncio.create_task(launcher.sweep(JOB))
    await scopes.asked.wait()
    # by now it waits for the record
    assert directory.exists()
    (directory / "exit").write_bytes(ExitRecord().encode())
    await sweeping
    assert not directory.exists()


async def test_a_supervisor_that_is_gone_is_not_waited_for(
    launcher: Launcher, tmp_path: Path
) -> None:
    directory = recorded(tmp_path, GONE)
    await launcher.sweep(JOB)
    assert not directory.exists()
