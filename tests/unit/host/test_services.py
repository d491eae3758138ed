"""Transient services: waited for, seen off when nobody waits any more, and never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from joblet.bus.connection import Typed
from joblet.errors import HostFailure
from joblet.host.systemd import ServiceOutcome, Systemd
from tests.fakes.manager import FakeManager, Script

UNIT = "joblet-files-x.service"
PROPERTIES = {"Type": Typed("s", "oneshot")}
LONG_S = 3600.0


@pytest.fixture
def manager() -> FakeManager:
    return FakeManager()


@pytest.fixture
async def systemd(manager: FakeManager) -> AsyncIterator[Systemd]:
    systemd = Systemd(manager)  # type: ignore[arg-type]
    async with systemd.listening():
        yield systemd
    # Whatever happened, the manager forgets the unit as soon as it is over.
    assert manager.kept == {}
    assert manager.running == {}


async def run(systemd: Systemd, deadline_s: float = LONG_S) -> ServiceOutcome:
    return await systemd.run_service(UNIT, PROPERTIES, deadline_s=deadline_s)


async def test_its_outcome_has_what_it_said(manager: FakeManager, systemd: Systemd) -> None:
    manager.scripts = [Script(says="all of it")]
    assert await run(systemd) == ServiceOutcome(True, "success", 0, "all of it")
    assert [member for member, _ in manager.calls] == ["StartTransientUnit", "GetUnit", "UnrefUnit"]
    assert manager.started[UNIT] == {
        "Type": "oneshot",
        "CollectMode": "inactive-or-failed",
        "AddRef": True,
    }


async def test_a_failure_is_an_outcome(manager: FakeManager, systemd: Systemd) -> None:
    manager.scripts = [Script("failed", "exit-code", 3)]
    assert await run(systemd) == ServiceOutcome(False, "exit-code", 3, "")


async def test_what_the_manager_refuses_was_not_started(
    manager: FakeManager, systemd: Systemd
) -> None:
    manager.scripts = [Script(refused="org.freedesktop.systemd1.UnitExists")]
    with pytest.raises(HostFailure):
        await run(systemd)
    assert [member for member, _ in manager.calls] == ["StartTransientUnit"]


async def test_cancelled_it_returns_when_the_service_is_gone(
    manager: FakeManager, systemd: Systemd
) -> None:
    manager.scripts = [Script(result="")]
    task = asyncio.create_task(run(systemd))
    while not manager.running:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert manager.running == {}
    assert [member for member, _ in manager.calls][-2:] == ["StopUnit", "UnrefUnit"]


async def test_cancelled_before_the_manager_answers_it_is_stopped_all_the_same(
    manager: FakeManager, systemd: Systemd
) -> None:
    manager.scripts = [Script(result="")]
    manager.hold_start = asyncio.Event()
    task = asyncio.create_task(run(systemd))
    while not manager.running:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert manager.running == {}


async def test_at_the_deadline_it_is_stopped(manager: FakeManager, systemd: Systemd) -> None:
    manager.scripts = [Script(result="")]
    with pytest.raises(HostFailure, match="timed out"):
        await run(systemd, deadline_s=0.01)
    assert manager.running == {}


async def test_what_an_earlier_daemon_left_is_stopped_by_pattern(
    manager: FakeManager, systemd: Systemd
) -> None:
    for unit in ("joblet-upload-1.service", "joblet-upload-2.service", "joblet-files-1.service"):
        manager.kept[unit] = Script(result="")
        manager.running[unit] = f"/job/of/{unit}"
    await systemd.stop_all("joblet-upload-*.service")
    assert manager.running.keys() == {"joblet-files-1.service"}
    manager.running.clear()
    manager.kept.clear()
