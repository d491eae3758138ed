"""host/systemd.py and a manager that is late, refuses, hangs, or dies half-way."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from joblet.bus.connection import BUS_INTERFACE, BUS_NAME, BUS_PATH, Connection, MatchRule, Typed
from joblet.errors import HostFailure, RemoteError
from joblet.host.jobplan import ScopeProperty
from joblet.host.systemd import Systemd
from joblet.model.ids import scope_name
from joblet.model.run import ScopeFact
from tests.bus.conftest import Open, PrivateBus

TEMPLATE = Path(__file__).parents[1] / "mocks" / "systemd1.py"
MANAGER = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
MOCK = "org.freedesktop.DBus.Mock"
JOB_ID = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
UNIT = scope_name(JOB_ID)
PROPERTIES = [ScopeProperty("Description", "s", "a job"), ScopeProperty("TasksMax", "t", 5)]
# A manager that hangs is given up after this; nothing here waits for it otherwise.
BRIEF_S = 0.3


class Mock:
    """The manager's other side."""

    def __init__(self, process: asyncio.subprocess.Process, connection: Connection) -> None:
        self.process = process
        self._connection = connection

    async def tell(self, member: str, signature: str = "", *body: Any) -> Any:
        reply, _ = await self._connection.call(
            MANAGER, PATH, MOCK, member, signature, body, deadline_s=60.0
        )
        return reply

    async def behave(self, member: str, how: str) -> None:
        await self.tell("Behave", "ss", member, how)

    async def units(self) -> dict[str, str]:
        [units] = await self.tell("Units")
        return dict(units)

    async def calls(self, member: str) -> list[Any]:
        [calls] = await self.tell("GetMethodCalls", "s", member)
        return [args for _, args in calls]

    async def system_state(self, state: str) -> None:
        body = [f"{MANAGER}.Manager", {"SystemState": Typed("s", state)}]
        await self.tell("UpdateProperties", "sa{sv}", *body)


@pytest.fixture
async def mock(bus: PrivateBus, connect: Open) -> AsyncIterator[Mock]:
    connection = await connect()
    there = asyncio.Event()
    rule = MatchRule(BUS_NAME, BUS_INTERFACE, "NameOwnerChanged", BUS_PATH, MANAGER)
    async with connection.subscribe(rule, lambda _: there.set()):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dbusmock",
            "--system",
            "--template",
            str(TEMPLATE),
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address},
            stdout=subprocess.DEVNULL,
        )
        async with asyncio.timeout(60):
            await there.wait()
    yield Mock(process, connection)
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture
async def systemd(mock: Mock, connect: Open) -> AsyncIterator[Systemd]:
    manager = Systemd(await connect())
    async with manager.listening():
        yield manager


@pytest.fixture
async def hasty(mock: Mock, connect: Open) -> AsyncIterator[Systemd]:
    """One that gives up soon."""
    manager = Systemd(
        await connect(),
        call_deadline_s=BRIEF_S,
        start_deadline_s=BRIEF_S,
        stop_margin_s=BRIEF_S,
    )
    async with manager.listening():
        yield manager


async def start(manager: Systemd, unit: str = UNIT) -> None:
    pidfd = os.pidfd_open(os.getpid())
    try:
        await manager.start_scope(unit, PROPERTIES, pid=os.getpid(), pidfd=pidfd)
    finally:
        os.close(pidfd)


# Start.


async def test_a_scope_is_started_when_the_manager_says_done(mock: Mock, systemd: Systemd) -> None:
    await start(systemd)
    assert await mock.units() == {UNIT: "active"}
    [(unit, mode, properties, aux)] = await mock.calls("StartTransientUnit")
    assert (unit, mode, aux) == (UNIT, "fail", [])
    assert [one[0] for one in properties] == ["Description", "TasksMax", "PIDFDs"]


async def test_a_manager_that_knows_no_pidfds_gets_pids_and_is_asked_once(
    mock: Mock, systemd: Systemd
) -> None:
    await mock.tell("KnowPidfds", "b", False)
    await start(systemd)
    await start(systemd, scope_name("1" + JOB_ID[1:]))
    calls = await mock.calls("StartTransientUnit")
    assert [call[2][-1][0] for call in calls] == ["PIDFDs", "PIDs", "PIDs"]
    assert len(await mock.units()) == 2


async def test_a_name_that_is_taken_is_a_host_failure(mock: Mock, systemd: Systemd) -> None:
    await mock.tell("PutUnit", "ss", UNIT, "active")
    with pytest.raises(HostFailure, match="already loaded"):
        await start(systemd)


@pytest.mark.parametrize("result", ["failed", "canceled", "timeout", "a word of next year"])
async def test_a_start_that_ends_otherwise_is_a_host_failure(
    mock: Mock, systemd: Systemd, result: str
) -> None:
    await mock.behave("StartTransientUnit", result)
    with pytest.raises(HostFailure, match=f"ended with '{result}'"):
        await start(systemd)


async def test_a_refusal_is_a_host_failure_with_its_words(mock: Mock, systemd: Systemd) -> None:
    await mock.behave("StartTransientUnit", "refuse")
    with pytest.raises(HostFailure, match="Refused by the test"):
        await start(systemd)


async def test_a_start_that_never_ends_is_given_up(mock: Mock, hasty: Systemd) -> None:
    await mock.behave("StartTransientUnit", "hang")
    with pytest.raises(HostFailure, match="did not start in time"):
        await start(hasty)


async def test_a_manager_that_dies_before_its_reply_is_a_host_failure(
    mock: Mock, systemd: Systemd
) -> None:
    await mock.behave("StartTransientUnit", "die")
    with pytest.raises(HostFailure):
        await start(systemd)


async def test_a_manager_that_dies_between_reply_and_end_is_given_up(
    mock: Mock, hasty: Systemd
) -> None:
    await mock.behave("StartTransientUnit", "die-later")
    with pytest.raises(HostFailure, match="did not start in time"):
        await start(hasty)
    await mock.process.wait()


async def test_many_scopes_start_at_once_and_each_hears_of_its_own_end(
    mock: Mock, systemd: Systemd
) -> None:
    units = [scope_name(f"{number:08x}{JOB_ID[8:]}") for number in range(50)]
    await asyncio.gather(*(start(systemd, unit) for unit in units))
    assert (await mock.units()).keys() == set(units)


# Stop and remove.


async def test_a_stop_of_a_unit_that_is_there_and_of_one_that_is_not(
    mock: Mock, systemd: Systemd
) -> None:
    await mock.tell("PutUnit", "ss", UNIT, "active")
    assert await systemd.request_stop(UNIT)
    assert not await systemd.request_stop(UNIT)


@pytest.mark.parametrize("how", ["refuse", "die"])
async def test_a_stop_that_fails_is_a_host_failure(mock: Mock, systemd: Systemd, how: str) -> None:
    await mock.tell("PutUnit", "ss", UNIT, "active")
    await mock.behave("StopUnit", how)
    with pytest.raises(HostFailure, match="stop of scope"):
        await systemd.request_stop(UNIT)


async def test_a_scope_is_removed_also_when_it_has_failed(mock: Mock, systemd: Systemd) -> None:
    await mock.tell("PutUnit", "ss", UNIT, "active")
    await mock.behave("StopUnit", "stays-failed")
    await systemd.remove(UNIT, grace_usec=0)
    assert await mock.units() == {}
    # Idempotent.
    await systemd.remove(UNIT, grace_usec=0)


async def test_a_scope_that_does_not_stop_is_left_with_a_warning(
    mock: Mock, hasty: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    await mock.tell("PutUnit", "ss", UNIT, "active")
    await mock.behave("StopUnit", "hang")
    await hasty.remove(UNIT, grace_usec=1)
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        f"{UNIT} does not stop"
    ]


async def test_a_reset_that_fails_is_a_host_failure(mock: Mock, systemd: Systemd) -> None:
    await mock.tell("PutUnit", "ss", UNIT, "active")
    await mock.behave("StopUnit", "stays-failed")
    await mock.behave("ResetFailedUnit", "refuse")
    with pytest.raises(HostFailure, match="reset of scope"):
        await systemd.remove(UNIT, grace_usec=0)


# Look.


async def test_only_our_scopes_are_listed(mock: Mock, systemd: Systemd) -> None:
    for name, state in [
        (UNIT, "failed"),
        ("joblet-supervisors.service", "active"),
        ("joblet-not-a-job.scope", "active"),
        (scope_name("1" + JOB_ID[1:]), "active"),
    ]:
        await mock.tell("PutUnit", "ss", name, state)
    assert await systemd.scopes() == [
        ScopeFact(JOB_ID, "failed"),
        ScopeFact("1" + JOB_ID[1:], "active"),
    ]


@pytest.mark.parametrize(
    ("state", "down"), [("running", False), ("degraded", False), ("stopping", True)]
)
async def test_a_host_that_goes_down_is_told_by_the_managers_state(
    mock: Mock, systemd: Systemd, state: str, down: bool
) -> None:
    await mock.system_state(state)
    assert await systemd.shutting_down() == down


async def test_a_manager_that_is_gone_is_a_host_failure(mock: Mock, systemd: Systemd) -> None:
    mock.process.kill()
    await mock.process.wait()
    for ask in (systemd.scopes, systemd.shutting_down):
        with pytest.raises(HostFailure):
            await ask()


async def test_what_the_mock_does_not_know_is_an_error(mock: Mock) -> None:
    with pytest.raises(RemoteError):
        await mock.tell("NoSuchMember")
