"""Who may do what: Manager on a private bus, polkit as a mock that denies, delays, hangs, dies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from joblet.api.authorize import Action, Authority
from joblet.api.jobs import JobObjects
from joblet.api.manager import INTERFACE, ManagerHandler
from joblet.bus.connection import BUS_INTERFACE, BUS_NAME, BUS_PATH, Connection, MatchRule, Typed
from joblet.bus.export import Exporter
from joblet.errors import RemoteError
from joblet.model.ids import ROOT_PATH, object_path
from joblet.model.job import JobState, Reason, Remote
from tests.fakes.jobservice import FakeJobManager

POLKIT = "org.freedesktop.PolicyKit1"
AUTHORITY = "/org/freedesktop/PolicyKit1/Authority"
MOCK = "org.freedesktop.DBus.Mock"
DEADLINE_S = 60.0
# Only who runs as root can call as another; others are outsiders themselves.
OUTSIDER = 65534 if os.geteuid() == 0 else os.geteuid()

Open = Callable[[], Awaitable[Connection]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


class Polkit:
    """The stock polkit of dbusmock on the private bus."""

    def __init__(self, process: asyncio.subprocess.Process, connection: Connection) -> None:
        self.process = process
        self._connection = connection

    async def tell(self, member: str, signature: str, *body: Any) -> Any:
        reply, _ = await self._connection.call(
            POLKIT, AUTHORITY, MOCK, member, signature, body, deadline_s=DEADLINE_S
        )
        return reply

    async def questions(self) -> list[Any]:
        [calls] = await self.tell("GetMethodCalls", "s", "CheckAuthorization")
        return [args for _, args in calls]


@pytest.fixture
async def polkit(bus: Any, connect: Open) -> AsyncIterator[Polkit]:
    connection = await connect()
    there = asyncio.Event()
    rule = MatchRule(BUS_NAME, BUS_INTERFACE, "NameOwnerChanged", BUS_PATH, POLKIT)
    async with connection.subscribe(rule, lambda _: there.set()):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "dbusmock",
            "--system",
            "--template",
            "polkitd",
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address},
            stdout=subprocess.DEVNULL,
        )
        async with asyncio.timeout(DEADLINE_S):
            await there.wait()
    yield Polkit(process, connection)
    if process.returncode is None:
        process.kill()
    await process.wait()


class Manager:
    """The manager as one caller sees it."""

    def __init__(self, caller: Connection, service: str) -> None:
        self.caller = caller
        self._service = service

    async def __call__(
        self, member: str, signature: str = "", *body: Any, interactive: bool = False
    ) -> Any:
        reply, _ = await self.caller.call(
            self._service,
            ROOT_PATH,
            INTERFACE,
            member,
            signature,
            body,
            deadline_s=DEADLINE_S,
            interactive=interactive,
        )
        return reply


@pytest.fixture
def jobs() -> FakeJobManager:
    return FakeJobManager()


@pytest.fixture
async def service(connect: Open, jobs: FakeJobManager) -> AsyncIterator[Connection]:
    connection = await connect()
    authority = Authority(connection, deadline_s=1.0, interactive_deadline_s=1.0)
    async with Exporter.on(connection) as exporter:
        manager = ManagerHandler(jobs, authority, exporter, version="1")
        with JobObjects(exporter, manager).shown(jobs, jobs.feed):
            yield connection


@pytest.fixture
async def outsider(bus: Any, service: Connection) -> AsyncIterator[Manager]:
    as_root = os.geteuid() == 0
    if as_root:
        os.setresuid(OUTSIDER, OUTSIDER, 0)
    try:
        caller = await Connection.open(bus.address)
    finally:
        if as_root:
            os.setresuid(0, 0, 0)
    yield Manager(caller, service.unique_name)
    await caller.close()


@pytest.fixture
async def root(connect: Open, service: Connection) -> Manager:
    if os.geteuid() != 0:
        pytest.skip("needs root to call as root")
    return Manager(await connect(), service.unique_name)


@pytest.fixture
async def trusted(connect: Open, jobs: FakeJobManager) -> AsyncIterator[Connection]:
    """A service that takes the outsider for the bridge."""
    connection = await connect()
    authority = Authority(connection, deadline_s=1.0, bridge_uid=OUTSIDER)
    async with Exporter.on(connection) as exporter:
        manager = ManagerHandler(jobs, authority, exporter, version="1")
        with JobObjects(exporter, manager).shown(jobs, jobs.feed):
            yield connection


SPEC = {"command": Typed("s", "true")}
REMOTE_SPEC = SPEC | {
    "remote_subject": Typed("s", "CN=ada,OU=developer"),
    "remote_role": Typed("s", "developer"),
}


async def _refused(call: Awaitable[Any]) -> str:
    with pytest.raises(RemoteError) as caught:
        await call
    assert caught.value.dbus_name == "org.joblet1.Error.NotAllowed"
    return str(caught.value)


async def test_polkit_is_asked_about_the_caller_by_its_bus_name(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager
) -> None:
    await polkit.tell("SetAllowed", "as", [Action.RUN_JOB])
    [job_id, path] = await outsider("RunJob", "a{sv}", SPEC)
    assert jobs.jobs[job_id].owner_uid == OUTSIDER
    assert path == f"/org/joblet1/job/{job_id.replace('-', '_')}"
    [question] = await polkit.questions()
    subject = ["system-bus-name", {"name": outsider.caller.unique_name}]
    assert question == [subject, "org.joblet1.run-job", {}, 0, ""]


async def test_the_answers_to_two_callers_are_not_mixed_up(
    polkit: Polkit, outsider: Manager, root: Manager, jobs: FakeJobManager
) -> None:
    answers = await asyncio.gather(
        *(caller("RunJob", "a{sv}", SPEC) for _ in range(10) for caller in (outsider, root)),
        return_exceptions=True,
    )
    assert all(isinstance(answer, RemoteError) for answer in answers[0::2])
    assert all(isinstance(answer, list) for answer in answers[1::2])
    assert {job.owner_uid for job in jobs.jobs.values()} == {0}
    assert len(await polkit.questions()) == 10


async def test_root_needs_no_polkit(root: Manager, jobs: FakeJobManager) -> None:
    job = jobs.put(owner_uid=1000)
    assert await root("StopJob", "sa{sv}", job.id, {}) == [job.id]
    [status] = await root("GetJob", "s", job.id)
    assert status["args"] == ["secret"]


async def test_a_no_of_polkit_says_who_may(polkit: Polkit, outsider: Manager) -> None:
    text = await _refused(outsider("RunJob", "a{sv}", SPEC))
    assert (
        text == "not allowed to run jobs; members of group 'joblet' may, from their next login on"
    )


async def test_a_late_answer_is_waited_for(polkit: Polkit, outsider: Manager) -> None:
    await polkit.tell("AllowUnknown", "b", True)
    await polkit.tell("SetDelay", "d", 0.2)
    assert await outsider("RunJob", "a{sv}", SPEC)


@pytest.mark.parametrize("interactive", [False, True])
async def test_silence_of_polkit_is_a_no(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager, interactive: bool
) -> None:
    await polkit.tell("AllowUnknown", "b", True)
    await polkit.tell("SimulateHang", "b", True)
    text = await _refused(outsider("RunJob", "a{sv}", SPEC, interactive=interactive))
    assert "polkit, which decides it, gave no answer" in text
    assert not jobs.jobs


async def test_a_polkit_that_dies_over_the_question_is_a_no(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager
) -> None:
    await polkit.tell("AllowUnknown", "b", True)
    await polkit.tell("SimulateHang", "b", True)
    call = asyncio.create_task(outsider("RunJob", "a{sv}", SPEC))
    async with asyncio.timeout(DEADLINE_S):
        while not (await polkit.tell("HaveHangingCalls", ""))[0]:
            assert not call.done()
    polkit.process.kill()
    assert "gave no answer" in await _refused(call)
    assert not jobs.jobs


async def test_without_polkit_only_root_may(outsider: Manager, jobs: FakeJobManager) -> None:
    text = await _refused(outsider("RunJob", "a{sv}", SPEC))
    assert "polkit, which decides it, is not running; only root may now" in text
    assert not jobs.jobs


async def test_a_caller_who_vanished_gets_no_rights(
    connect: Open, service: Connection, outsider: Manager
) -> None:
    from joblet.bus.export import Call
    from joblet.errors import NotAllowed

    gone = await connect()
    name = gone.unique_name
    await gone.close()
    call = Call(name, ROOT_PATH, INTERFACE, "RunJob", False)
    with pytest.raises(NotAllowed, match="the bus does not say who"):
        await Authority(service).require(Action.RUN_JOB, call)


async def test_interaction_is_allowed_only_when_the_caller_allows_it(
    polkit: Polkit, outsider: Manager
) -> None:
    await polkit.tell("AllowUnknown", "b", True)
    await outsider("RunJob", "a{sv}", SPEC, interactive=True)
    await outsider("RunJob", "a{sv}", SPEC)
    first, second = await polkit.questions()
    assert (first[3], second[3]) == (1, 0)
    assert first[4] != ""
    assert second[4] == ""


async def test_ones_own_job_needs_manage_own_and_anothers_manage_all(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager
) -> None:
    own, foreign = jobs.put(owner_uid=OUTSIDER), jobs.put(owner_uid=OUTSIDER + 1)
    await polkit.tell("SetAllowed", "as", [Action.MANAGE_OWN])
    for member, body in (
        ("StopJob", ("sa{sv}", foreign.id, {})),
        ("UpdateJob", ("sa{sv}", foreign.id, {"max_cpu": Typed("u", 5)})),
        ("CancelJob", ("s", foreign.id)),
        ("DeleteJob", ("s", foreign.id)),
        ("DeleteAllJobs", ("a{sv}", {"all": Typed("b", True)})),
    ):
        assert "only their owner, root and administrators may" in await _refused(
            outsider(member, *body)
        )
    assert await outsider("UpdateJob", "sa{sv}", own.id, {"max_cpu": Typed("u", 5)}) == [own.id]
    assert (jobs.jobs[own.id].spec.max_cpu, jobs.jobs[foreign.id].spec.max_cpu) == (5, None)
    assert await outsider("CancelJob", "s", own.id) == [own.id]
    assert await outsider("DeleteAllJobs", "a{sv}", {}) == [1, 0]
    await polkit.tell("SetAllowed", "as", [Action.MANAGE_ALL])
    assert await outsider("StopJob", "sa{sv}", foreign.id, {}) == [foreign.id]
    assert await outsider("DeleteAllJobs", "a{sv}", {"all": Typed("b", True)}) == [1, 0]


async def test_names_and_states_are_public_and_specs_and_logs_are_not(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager
) -> None:
    foreign = jobs.put(owner_uid=OUTSIDER + 1)
    own = jobs.put(owner_uid=OUTSIDER)
    [status] = await outsider("GetJob", "s", foreign.id, interactive=True)
    assert status["state"] == "PENDING"
    assert not {"command", "args", "environment", "max_memory"} & set(status)
    assert (await outsider("GetJob", "s", own.id))[0]["args"] == ["secret"]
    [page, _] = await outsider("ListJobs", "a{sv}", {})
    assert ["args" in status for status in page] == [True, False]
    [encoded, _] = await outsider("ListJobsEncoded", "a{sv}", {})
    assert encoded.count(b'"secret"') == 2
    for member, body in (
        ("OpenLog", ("sa{sv}", foreign.id, {})),
        ("ReadLog", ("stt", foreign.id, 0, 100)),
    ):
        assert "read the log" in await _refused(outsider(member, *body, interactive=True))
    assert await outsider("ReadLog", "stt", own.id, 0, 100) == [b"hello\n", 6, False]
    assert {question[3] for question in await polkit.questions()} == {0}, "a read prompts nobody"
    await polkit.tell("SetAllowed", "as", [Action.MANAGE_ALL])
    assert await outsider("ReadLog", "stt", foreign.id, 1, 2) == [b"el", 3, False]


async def test_a_wait_is_forgotten_with_its_caller(
    connect: Open, service: Connection, jobs: FakeJobManager, until: Until
) -> None:
    job = jobs.put(owner_uid=1)
    leaver = await connect()
    calls = [
        asyncio.create_task(Manager(leaver, service.unique_name)("WaitJob", "st", job.id, 0))
        for _ in range(20)
    ]
    await until(lambda: jobs.waiters == 20)
    await leaver.close()
    await until(lambda: jobs.waiters == 0)
    await asyncio.wait(calls)
    assert all(call.exception() is not None for call in calls)


async def test_a_wait_ends_with_the_job_and_with_its_time(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager, until: Until
) -> None:
    job = jobs.put(owner_uid=OUTSIDER)
    [status] = await outsider("WaitJob", "st", job.id, 1000)
    assert status["state"] == "PENDING"
    call = asyncio.create_task(outsider("WaitJob", "st", job.id, 0))
    await until(lambda: jobs.waiters)
    jobs.start(job.id)
    jobs.end(job.id, JobState.FAILED, Reason.EXIT, 3)
    [status] = await call
    assert (status["state"], status["reason"], status["exit_code"]) == ("FAILED", "exit", 3)


async def test_explaining_needs_the_right_to_run_and_tells_no_secret(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager
) -> None:
    spec = SPEC | {"secrets": Typed("a{ss}", {"TOKEN": "hunter2"})}
    assert "run jobs" in await _refused(outsider("ExplainJob", "a{sv}", spec))
    await polkit.tell("SetAllowed", "as", [Action.RUN_JOB])
    [told] = await outsider("ExplainJob", "a{sv}", spec)
    assert told["properties"]["AllowedCPUs"] == b"\x03"
    assert told["steps"] == ["set TOKEN=***"]
    assert told["spec"]["secrets"] == {"TOKEN": "***"}
    assert "hunter2" not in repr(told)
    assert not jobs.jobs


async def test_usage_of_a_job_is_for_those_who_see_it(
    polkit: Polkit, outsider: Manager, jobs: FakeJobManager
) -> None:
    own = jobs.put(owner_uid=OUTSIDER)
    foreign = jobs.put(owner_uid=OUTSIDER + 1)
    for job in (own, foreign):
        jobs.start(job.id)

    async def seen() -> list[str]:
        [told] = await outsider("ListUsage", "a{sv}", {}, interactive=True)
        assert json.loads(told)["host"]["cpus"] == 4
        return [job["id"] for job in json.loads(told)["jobs"]]

    assert await seen() == [own.id]
    assert {question[3] for question in await polkit.questions()} == {0}, "a read prompts nobody"
    await polkit.tell("SetAllowed", "as", [Action.MANAGE_ALL])
    assert await seen() == [own.id, foreign.id]


async def test_the_bridge_is_trusted_without_a_question(
    outsider: Manager, trusted: Connection, jobs: FakeJobManager
) -> None:
    """There is no polkit on this bus: a question would be a no."""
    bridge = Manager(outsider.caller, trusted.unique_name)
    [job_id, _] = await bridge("RunJob", "a{sv}", REMOTE_SPEC)
    other = jobs.put(owner_uid=1000)
    assert jobs.jobs[job_id].owner_uid == OUTSIDER
    assert jobs.jobs[job_id].remote == Remote("CN=ada,OU=developer", "developer")
    [status] = await bridge("GetJob", "s", other.id)
    assert status["args"] == ["secret"]
    [encoded] = await bridge("GetJobsEncoded", "as", [job_id, "ffffffff", other.id])
    mine, missing, others = json.loads(encoded)
    assert mine["remote_subject"] == "CN=ada,OU=developer"
    assert missing["error"] == "org.joblet1.Error.NoSuchJob"
    assert others["environment"] == {"KEY": "secret"}
    [told] = await bridge("ExplainJob", "a{sv}", SPEC)
    assert told["state"] == "PENDING"
    [stream] = await bridge("GetFiles", "ssa{sv}", other.id, "out", {})
    os.close(stream)
    limits = {"max_tasks": Typed("t", 7)}
    assert await bridge("UpdateJob", "sa{sv}", other.id, limits) == [other.id]
    for one in (job_id, other.id):
        jobs.start(one)
    [usage] = await bridge("ListUsage", "a{sv}", {})
    assert {one["id"] for one in json.loads(usage)["jobs"]} == {job_id, other.id}
    assert await bridge("StopJob", "sa{sv}", other.id, {}) == [other.id]
    assert await bridge("DeleteAllJobs", "a{sv}", {"all": Typed("b", True)}) == [1, 1]


async def test_the_bridge_must_say_for_whom_it_asks(
    outsider: Manager, trusted: Connection, jobs: FakeJobManager
) -> None:
    bridge = Manager(outsider.caller, trusted.unique_name)
    with pytest.raises(RemoteError, match=r"^remote_subject: the bridge must say"):
        await bridge("RunJob", "a{sv}", SPEC)
    assert not jobs.jobs


async def test_nobody_else_may_name_a_remote_owner(
    polkit: Polkit, outsider: Manager, root: Manager, trusted: Connection, jobs: FakeJobManager
) -> None:
    await polkit.tell("AllowUnknown", "b", True)
    text = await _refused(outsider("RunJob", "a{sv}", REMOTE_SPEC))
    assert text == "not allowed to name a remote owner; only the bridge may"
    await _refused(root("RunJob", "a{sv}", REMOTE_SPEC))
    await _refused(Manager(root.caller, trusted.unique_name)("RunJob", "a{sv}", REMOTE_SPEC))
    assert not jobs.jobs


async def test_the_trust_ends_at_the_list_of_methods(
    outsider: Manager, trusted: Connection, jobs: FakeJobManager
) -> None:
    """The object of a job has a Stop too; the bridge has no business there."""
    job = jobs.put(owner_uid=1000)
    with pytest.raises(RemoteError, match="not allowed to read or change the jobs of others"):
        await outsider.caller.call(
            trusted.unique_name,
            object_path(job.id),
            "org.joblet1.Job",
            "Stop",
            "a{sv}",
            [{}],
            deadline_s=DEADLINE_S,
        )
    assert not jobs.jobs[job.id].state.terminal
