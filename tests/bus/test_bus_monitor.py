"""org.joblet1.Monitor on a private bus: LocalClient, outsiders, a daemon that is started again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from joblet.api.authorize import Authority
from joblet.api.jobs import JobObjects
from joblet.api.manager import ManagerHandler
from joblet.api.monitor import INTERFACE, MonitorHandler
from joblet.bus import interfaces
from joblet.bus.connection import Connection
from joblet.bus.export import Exporter
from joblet.client import monitorcalls
from joblet.client.local import DESTINATION, LocalClient
from joblet.client.monitoring import MetricsRequest
from joblet.core.hoststatus import HostMonitor
from joblet.core.metrics import JobMetrics
from joblet.errors import RemoteError
from joblet.host.hostlook import HostEye
from joblet.model.ids import ROOT_PATH
from joblet.model.job import Job, JobState, Reason
from joblet.model.metrics import Sample
from tests.fakes.clock import FakeClock
from tests.fakes.jobservice import SUBMITTED_USEC, FakeJobManager
from tests.fakes.metrics import FakeMetricsFiles, FakeMetricsHost

OUTSIDER = 65534 if os.geteuid() == 0 else os.geteuid()
Open = Callable[[], Awaitable[Connection]]
Until = Callable[[Callable[[], object]], Awaitable[None]]
Within = Callable[[Awaitable[Any]], Awaitable[Any]]


class Daemon:
    """The edge of jobletd on a connection of its own; can be ended and started again."""

    def __init__(self, connect: Open) -> None:
        self._connect = connect
        self.jobs = FakeJobManager()
        self.files = FakeMetricsFiles()
        self.metrics: JobMetrics | None = None
        self._running = AsyncExitStack()

    async def start(self) -> None:
        connection = await self._connect()
        self._running.push_async_callback(connection.close)
        exporter = await self._running.enter_async_context(Exporter.on(connection))
        authority = Authority(connection, deadline_s=1.0, interactive_deadline_s=1.0)
        manager = ManagerHandler(self.jobs, authority, exporter, version="1")
        self._running.enter_context(JobObjects(exporter, manager).shown(self.jobs, self.jobs.feed))
        self.metrics = JobMetrics(
            0,
            host=FakeMetricsHost(FakeClock()),
            files=self.files,
            find=self._live,
        )
        self._running.callback(self.metrics.watch(self.jobs.feed, []))
        monitor = HostMonitor(HostEye(version="7"))
        handler = MonitorHandler(self.jobs, self.metrics, monitor, authority, exporter)
        exporter.add(ROOT_PATH, handler, interfaces.load(INTERFACE))
        await connection.request_name(DESTINATION)

    async def stop(self) -> None:
        await self._running.aclose()

    def running(self, owner_uid: int) -> str:
        return self.jobs.start(self.jobs.put(owner_uid=owner_uid).id).id

    def take(self, job_id: str) -> None:
        """A sample."""
        number = len(self.files.read(job_id)) + 1
        sample = Sample(time_usec=SUBMITTED_USEC + 5 + number % 4, tasks=number)
        assert self.files.append(job_id, sample) == number
        assert self.metrics is not None
        self.metrics._tell(job_id)

    def end(self, job_id: str) -> None:
        self.jobs.end(job_id, JobState.COMPLETED, Reason.EXIT, 0)

    def _live(self, job_id: str) -> Job | None:
        job = self.jobs.jobs.get(job_id)
        return None if job is None or job.state.terminal else job


@pytest.fixture
async def daemon(connect: Open) -> AsyncIterator[Daemon]:
    made = Daemon(connect)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def client(bus: Any, daemon: Daemon) -> AsyncIterator[LocalClient]:
    async with LocalClient.connect(bus.address) as connected:
        yield connected


@pytest.fixture
async def outsider(bus: Any, daemon: Daemon) -> AsyncIterator[LocalClient]:
    as_root = os.geteuid() == 0
    if as_root:
        os.setresuid(OUTSIDER, OUTSIDER, 0)
    try:
        connection = await Connection.open(bus.address)
    finally:
        if as_root:
            os.setresuid(0, 0, 0)
    yield LocalClient(connection)
    await connection.close()


async def numbers(client: LocalClient, job: str, **request: Any) -> list[int]:
    async with aclosing(client.metrics(job, MetricsRequest(**request))) as found:
        return [sample.number async for sample in found]


async def test_what_there_is_comes_and_the_call_ends(daemon: Daemon, client: LocalClient) -> None:
    job = daemon.running(os.geteuid())
    assert await numbers(client, job) == []
    for _ in range(3):
        daemon.take(job)
    assert await numbers(client, job[:8]) == [1, 2, 3]
    daemon.end(job)
    assert await numbers(client, job) == [1, 2, 3, 4]


async def test_a_follower_has_every_sample_once_also_over_a_restart(
    daemon: Daemon, client: LocalClient, until: Until, within: Within
) -> None:
    job = daemon.running(os.geteuid())
    daemon.take(job)
    seen: list[Sample] = []

    async def follow() -> None:
        async with aclosing(client.metrics(job, MetricsRequest(follow=True))) as found:
            async for sample in found:
                seen.append(sample)

    following = asyncio.ensure_future(follow())
    await until(lambda: len(seen) == 1)
    daemon.take(job)
    await until(lambda: len(seen) == 2)
    await daemon.stop()
    daemon.files.append(job, Sample(time_usec=SUBMITTED_USEC + 8, tasks=3))
    await daemon.start()
    await until(lambda: len(seen) == 3)
    daemon.end(job)
    await within(following)
    assert [sample.number for sample in seen] == [1, 2, 3, 4]
    assert [sample.final for sample in seen] == [False, False, False, True]


async def test_a_follower_that_goes_away_is_forgotten(
    daemon: Daemon, connect: Open, until: Until
) -> None:
    job = daemon.running(os.geteuid())
    assert daemon.metrics is not None
    waiting = daemon.metrics._waiting
    caller = LocalClient(await connect())
    following = asyncio.ensure_future(numbers(caller, job, follow=True))
    await until(lambda: waiting)
    following.cancel()
    await asyncio.wait([following])
    await caller._connection.close()
    await until(lambda: not waiting)


async def test_the_metrics_of_others_are_not_told(daemon: Daemon, outsider: LocalClient) -> None:
    foreign, own = daemon.running(OUTSIDER + 1), daemon.running(OUTSIDER)
    for job in (foreign, own):
        daemon.take(job)
    with pytest.raises(RemoteError, match="read the metrics of another user's job"):
        await numbers(outsider, foreign)
    assert await numbers(outsider, own) == [1]


async def test_the_host_is_open_to_all_without_the_commands_of_its_processes(
    daemon: Daemon, outsider: LocalClient
) -> None:
    status = await outsider.host_status((), window_usec=200_000)
    assert status.host.hostname == os.uname().nodename
    assert status.server.version == "7"
    assert status.cpu is not None
    assert status.cpu.usage_percent is not None
    assert status.processes is not None
    assert status.processes.top_by_memory
    assert {one.command for one in status.processes.top_by_memory} == {None}


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone need not ask polkit")
async def test_root_is_told_the_commands_too(daemon: Daemon, client: LocalClient) -> None:
    status = await client.host_status(("process", "memory"), window_usec=200_000)
    assert status.cpu is None
    assert status.processes is not None
    assert any(one.command for one in status.processes.top_by_memory)


async def test_many_followers_of_one_connection_all_get_everything(
    daemon: Daemon,
    client: LocalClient,
    until: Until,
    within: Within,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitorcalls, "_ASK_AGAIN_S", 0.05)
    job = daemon.running(os.geteuid())
    assert daemon.metrics is not None
    daemon.take(job)
    followers = [asyncio.ensure_future(numbers(client, job, follow=True)) for _ in range(200)]
    waiting = daemon.metrics._waiting
    await until(lambda: len(waiting.get(job, ())) >= monitorcalls._WAITING_MAX)
    daemon.take(job)
    daemon.end(job)
    for found in await within(asyncio.gather(*followers)):
        assert found == [1, 2, 3]
    assert client._waiting == 0


async def test_followers_that_go_away_leave_the_bus_to_others(
    daemon: Daemon, client: LocalClient
) -> None:
    """Who asked may be gone; the bus counts the question until it is answered."""
    assert daemon.metrics is not None
    job = daemon.running(0)
    for _ in range(4):
        followers = [
            asyncio.ensure_future(anext(client.metrics(job, MetricsRequest(follow=True))))
            for _ in range(monitorcalls._WAITING_MAX)
        ]
        # They are on their way before this is answered.
        assert (await client.status(job)).id == job
        for follower in followers:
            follower.cancel()
        await asyncio.wait(followers)
    assert client._waiting == monitorcalls._WAITING_MAX
    assert (await client.status(job)).id == job
