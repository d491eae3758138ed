"""Manager and Job handlers over a fake job service: pages, lookups, signals and objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from joblet.api import jobs as jobs_module
from joblet.api import manager as manager_module
from joblet.api.authorize import Action
from joblet.api.jobs import JobObjects
from joblet.api.manager import ManagerHandler
from joblet.bus.export import Call
from joblet.bus.values import Typed
from joblet.errors import InvalidSpec, NotAllowed, NotFound, WrongState
from joblet.model.ids import ROOT_PATH, object_path
from joblet.model.job import Job, JobSpec, JobState, Reason
from tests.fakes.jobservice import FakeJobManager

CALLER_UID = 1000
CALL = Call(":1.5", ROOT_PATH, "org.joblet1.Manager", "Test", False)


class FakeAuthority:
    """Allows the actions it holds; everything is asked by CALLER_UID."""

    def __init__(self) -> None:
        self.allowed: set[Action] = set(Action)
        self.asked: list[Action] = []

    async def uid(self, _call: Call) -> int:
        return CALLER_UID

    async def require(self, action: Action, call: Call) -> int:
        self.asked.append(action)
        if action not in self.allowed:
            raise NotAllowed(action)
        return await self.uid(call)

    async def is_bridge(self, _call: Call) -> bool:
        return False

    async def require_change(self, job: Job, call: Call) -> None:
        own = job.owner_uid == CALLER_UID
        await self.require(Action.MANAGE_OWN if own else Action.MANAGE_ALL, call)

    async def sees_all(self, _call: Call) -> bool:
        self.asked.append(Action.MANAGE_ALL)
        return Action.MANAGE_ALL in self.allowed

    async def sees(self, job: Job, call: Call) -> bool:
        return job.owner_uid == CALLER_UID or await self.sees_all(call)

    async def require_sight(self, job: Job, call: Call, what: str) -> None:
        if not await self.sees(job, call):
            raise NotAllowed(f"{what} it")


class FakeExporter:
    """Remembers what is exported and announced."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.sent: list[Any] = []

    def add(self, path: str, handler: object, _interface: object) -> None:
        self.objects[path] = handler

    def remove(self, path: str) -> None:
        self.objects.pop(path, None)

    def emit(self, _path: str, _interface: object, member: str, args: object) -> None:
        self.sent.append((member, args))

    def changed(self, path: str, _interface: object, names: list[str]) -> None:
        self.sent.append((path, names))

    @contextmanager
    def ends_with_caller(self) -> Iterator[None]:
        yield


@pytest.fixture
def jobs() -> FakeJobManager:
    return FakeJobManager()


@pytest.fixture
def authority() -> FakeAuthority:
    return FakeAuthority()


@pytest.fixture
def exporter() -> FakeExporter:
    return FakeExporter()


@pytest.fixture
def manager(
    jobs: FakeJobManager, authority: FakeAuthority, exporter: FakeExporter
) -> ManagerHandler:
    return ManagerHandler(jobs, authority, exporter, version="1")  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _in_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "current_call", lambda: CALL)


async def test_a_job_is_accepted_for_its_caller(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    job_id, path = await manager.run_job({"command": Typed("s", "true")})
    assert jobs.jobs[job_id].owner_uid == CALLER_UID
    assert path == object_path(job_id)


async def test_rights_are_judged_before_the_spec(
    manager: ManagerHandler, authority: FakeAuthority
) -> None:
    authority.allowed.clear()
    with pytest.raises(NotAllowed):
        await manager.run_job({"nonsense": Typed("s", "")})


async def test_a_bad_spec_creates_nothing(manager: ManagerHandler, jobs: FakeJobManager) -> None:
    with pytest.raises(InvalidSpec, match="^command: "):
        await manager.run_job({"command": Typed("s", "")})
    assert not jobs.jobs


async def test_verbs_take_a_prefix_and_answer_the_whole_id(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    job = jobs.put(owner_uid=CALLER_UID)
    assert await manager.cancel_job(job.id[:8]) == job.id
    with pytest.raises(WrongState):
        await manager.cancel_job(job.id[:8])
    assert await manager.delete_job(job.id[:8]) == job.id
    with pytest.raises(NotFound):
        await manager.get_job(job.id)


async def test_nothing_happens_to_a_job_without_the_right(
    manager: ManagerHandler, jobs: FakeJobManager, authority: FakeAuthority
) -> None:
    authority.allowed = {Action.MANAGE_OWN}
    job = jobs.put(owner_uid=CALLER_UID + 1)
    for attempt in (
        manager.stop_job(job.id, {}),
        manager.update_job(job.id, {"max_cpu": Typed("u", 5)}),
        manager.cancel_job(job.id),
        manager.delete_job(job.id),
        manager.delete_all_jobs({"all": Typed("b", True)}),
        manager.open_log(job.id, {}),
        manager.read_log(job.id, 0, 1),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    assert jobs.jobs[job.id] == job


async def test_an_update_hands_on_what_was_named(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    job = jobs.put(owner_uid=CALLER_UID)
    limits = {"cpu_cores": Typed("s", "0-1"), "max_memory": Typed("t", 0)}
    assert await manager.update_job(job.id[:8], limits) == job.id
    spec = jobs.jobs[job.id].spec
    assert (spec.cpu_cores, spec.max_memory, spec.max_cpu) == ((0, 1), 0, None)


async def test_pages_follow_one_another_without_gap(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    ids = [jobs.put(owner_uid=CALLER_UID).id for _ in range(7)][::-1]
    seen: list[str] = []
    options = {"limit": Typed("u", 3)}
    cursor = None
    while cursor != "":
        if cursor:
            options["cursor"] = Typed("s", cursor)
        page, cursor = await manager.list_jobs(options)
        assert 0 < len(page) <= 3
        seen += [status["id"].value for status in page]
    assert seen == ids


async def test_a_page_of_big_specs_ends_early(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    big = JobSpec(command="x", args=("y" * 100_000,) * 10)
    for _ in range(8):
        jobs.put(owner_uid=CALLER_UID, spec=big)
    page, following = await manager.list_jobs({})
    assert len(page) == 4
    rest, following = await manager.list_jobs({"cursor": Typed("s", following)})
    assert len(rest) == 4
    assert following == ""


async def test_a_listing_of_ones_own_jobs_asks_nobody(
    manager: ManagerHandler, jobs: FakeJobManager, authority: FakeAuthority
) -> None:
    own = jobs.put(owner_uid=CALLER_UID)
    jobs.put(owner_uid=CALLER_UID + 1)
    page, _ = await manager.list_jobs({"mine": Typed("b", True)})
    assert [status["id"].value for status in page] == [own.id]
    assert authority.asked == []


async def test_reading_far_beyond_any_log_is_refused(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    job = jobs.put(owner_uid=CALLER_UID)
    with pytest.raises(InvalidSpec, match="^offset: "):
        await manager.read_log(job.id, 2**64 - 1, 1)
    assert await manager.read_log(job.id, 1, 2**64 - 1) == (b"ello\n", 6, False)


async def test_the_life_of_a_job_is_told_in_order(
    manager: ManagerHandler, jobs: FakeJobManager, exporter: FakeExporter
) -> None:
    objects = JobObjects(exporter, manager)  # type: ignore[arg-type]
    with objects.shown(jobs, jobs.feed):
        job = jobs.put(owner_uid=CALLER_UID)
        path = object_path(job.id)
        jobs.start(job.id)
        jobs.end(job.id, JobState.FAILED, Reason.EXIT, 3)
        assert exporter.sent == [
            ("JobNew", (job.id, path)),
            (path, ["State", "Reason", "ExitCode", "StartedUsec", "FinishedUsec"]),
            ("JobFinished", (job.id, path, "FAILED", "exit", 3)),
        ]
        handler = exporter.objects[path]
        assert (handler.state, handler.reason, handler.exit_code) == ("FAILED", "exit", 3)
        await jobs.delete(job.id)
        assert path not in exporter.objects
    assert exporter.objects == {}


async def test_a_change_of_a_job_that_goes_on_is_told_soon(
    manager: ManagerHandler, jobs: FakeJobManager, exporter: FakeExporter
) -> None:
    objects = JobObjects(exporter, manager)  # type: ignore[arg-type]
    with objects.shown(jobs, jobs.feed):
        job = jobs.put(owner_uid=CALLER_UID)
        path = object_path(job.id)
        jobs.start(job.id)
        assert exporter.objects[path].state == "RUNNING"
        async with asyncio.timeout(10):
            while (path, ["State", "StartedUsec"]) not in exporter.sent:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_jobs_that_live_at_the_start_are_shown_without_a_signal(
    manager: ManagerHandler, jobs: FakeJobManager, exporter: FakeExporter
) -> None:
    live, ended = jobs.put(owner_uid=1), jobs.put(owner_uid=1)
    await jobs.cancel(ended.id)
    objects = JobObjects(exporter, manager)  # type: ignore[arg-type]
    with objects.shown(jobs, jobs.feed):
        assert set(exporter.objects) == {ROOT_PATH, object_path(live.id)}
        handler = exporter.objects[object_path(live.id)]
        assert (handler.reason, handler.exit_code, handler.started_usec) == ("", -1, 0)
        assert exporter.sent == []


async def test_an_object_stays_a_while_after_the_end(
    manager: ManagerHandler,
    jobs: FakeJobManager,
    exporter: FakeExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs_module, "LINGER_S", 0)
    objects = JobObjects(exporter, manager)  # type: ignore[arg-type]
    with objects.shown(jobs, jobs.feed):
        job = jobs.put(owner_uid=1)
        await jobs.cancel(job.id)
        assert object_path(job.id) in exporter.objects
        hidden = asyncio.Event()
        monkeypatch.setattr(exporter, "remove", lambda _path: hidden.set())
        async with asyncio.timeout(10):
            await hidden.wait()


async def test_the_verbs_of_a_job_are_those_of_the_manager(
    manager: ManagerHandler, jobs: FakeJobManager, exporter: FakeExporter
) -> None:
    objects = JobObjects(exporter, manager)  # type: ignore[arg-type]
    with objects.shown(jobs, jobs.feed):
        first, second = jobs.put(owner_uid=1), jobs.put(owner_uid=1)
        jobs.start(first.id)
        await exporter.objects[object_path(first.id)].stop({})
        await exporter.objects[object_path(second.id)].cancel()
        status = await exporter.objects[object_path(first.id)].wait(0)
        assert status["state"].value == "STOPPED"
        assert jobs.jobs[second.id].state is JobState.CANCELED


async def test_an_explained_job_is_not_submitted_and_tells_no_secret(
    manager: ManagerHandler, jobs: FakeJobManager, authority: FakeAuthority
) -> None:
    spec = {
        "command": Typed("s", "true"),
        "max_tasks": Typed("t", 5),
        "secrets": Typed("a{ss}", {"TOKEN": "hunter2"}),
    }
    told = await manager.explain_job(spec)
    assert authority.asked == [Action.RUN_JOB]
    assert (jobs.jobs, jobs.submitted) == ({}, [])
    assert "hunter2" not in repr(told)
    assert told["steps"] == Typed("as", ["set TOKEN=***"])
    assert told["unit"] == Typed("s", "joblet-0.scope")
    assert told["properties"] == Typed(
        "a{sv}",
        {
            "TasksMax": Typed("t", 5),
            "IOReadBandwidthMax": Typed("a(st)", [("/dev/block/8:1", 5)]),
            "AllowedCPUs": Typed("ay", b"\x03"),
        },
    )
    shown: Any = told["spec"].value
    assert shown["secrets"] == Typed("a{ss}", {"TOKEN": "***"})
    assert shown["max_tasks"] == Typed("t", 5)


async def test_who_may_not_run_jobs_gets_none_explained(
    manager: ManagerHandler, authority: FakeAuthority
) -> None:
    authority.allowed = set()
    with pytest.raises(NotAllowed):
        await manager.explain_job({"command": Typed("s", "true")})


async def test_usage_has_the_running_jobs_that_the_caller_may_see(
    manager: ManagerHandler, jobs: FakeJobManager, authority: FakeAuthority
) -> None:
    own, foreign = jobs.put(owner_uid=CALLER_UID), jobs.put(owner_uid=CALLER_UID + 1)
    jobs.put(owner_uid=CALLER_UID)  # this one waits
    for job in (own, foreign):
        jobs.start(job.id)

    async def seen() -> list[str]:
        told = json.loads(await manager.list_usage({}))
        assert told["host"]["hostname"] == "host"
        assert told["host"]["running_jobs"] == 2
        assert told["host"]["version"] == "1"
        assert told["clock_usec"] > 0
        return [job["id"] for job in told["jobs"]]

    assert await seen() == [own.id, foreign.id]
    authority.allowed = set()
    assert await seen() == [own.id]


async def test_usage_leaves_out_what_is_not_counted(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    job = jobs.start(jobs.put(owner_uid=CALLER_UID).id)
    [told] = json.loads(await manager.list_usage({}))["jobs"]
    assert told == {
        "id": job.id,
        "name": "",
        "owner_uid": CALLER_UID,
        "started_usec": job.started_usec,
        "command": "true",
        "args": ["secret"],
        "cpu_usec": 1000,
        "tasks": 1,
    }


async def test_usage_has_of_a_long_command_line_its_beginning(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    spec = JobSpec(command="sh", args=("-c", "\1" * 131_000, *["x"] * 1000))
    for _ in range(50):
        jobs.start(jobs.put(owner_uid=CALLER_UID, spec=spec).id)
    told = await manager.list_usage({})
    # The bus closes the connection of whoever sends more than 32 MiB.
    assert len(told) < 1 << 20
    job = json.loads(told)["jobs"][0]
    assert (job["command"], job["args"][0], len(job["args"])) == ("sh", "-c", 2)
    assert job["args"][1].startswith("\1" * 1000)
    assert job["args"][1].endswith("\1…")


async def test_a_page_counts_the_names_of_secrets(
    manager: ManagerHandler, jobs: FakeJobManager
) -> None:
    names = tuple(f"S{number:04d}" + "x" * 1000 for number in range(1000))
    for _ in range(40):
        jobs.put(owner_uid=CALLER_UID, spec=JobSpec(command="true", secret_names=names))
    page, following = await manager.list_jobs_encoded({})
    assert 1 << 20 < len(page) < 6 << 20
    assert following
    ids = [job["id"] for job in json.loads(page)]
    assert len(await manager.get_jobs_encoded(ids * 10)) < 8 << 20
