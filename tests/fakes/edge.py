"""The edge of jobletd on a bus, with jobs in memory behind it: what clients are tested against."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from joblet.api.authorize import Authority
from joblet.api.jobs import JobObjects
from joblet.api.manager import ManagerHandler
from joblet.bus.connection import Connection
from joblet.bus.export import Exporter
from joblet.client.local import DESTINATION
from tests.fakes.jobservice import FakeJobManager
from tests.fakes.logwriter import LogWriter

Open = Callable[[], Awaitable[Connection]]


class LoggingJobs(FakeJobManager):
    """Jobs in memory with one real log on disk, shared by all of them."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._paths = (directory / "log", directory / "log.idx")
        flags = os.O_RDWR | os.O_CREAT
        self._fds = [os.open(path, flags, 0o644) for path in self._paths]
        self.writer = LogWriter(*self._fds)

    def open_log(self, job_id: str) -> tuple[int, int]:
        log_fd, index_fd = (os.open(path, os.O_RDONLY) for path in self._paths)
        return log_fd, index_fd

    def release(self) -> None:
        for fd in self._fds:
            os.close(fd)


class Edge:
    """The edge of jobletd on a connection of its own; can be ended and started again."""

    def __init__(self, connect: Open, jobs: LoggingJobs, *, bridge_uid: int | None = None) -> None:
        self._connect = connect
        self._bridge_uid = bridge_uid
        self.jobs = jobs
        self._running = AsyncExitStack()

    async def start(self) -> None:
        connection = await self._connect()
        self._running.push_async_callback(connection.close)
        exporter = await self._running.enter_async_context(Exporter.on(connection))
        authority = Authority(
            connection, deadline_s=1.0, interactive_deadline_s=1.0, bridge_uid=self._bridge_uid
        )
        manager = ManagerHandler(self.jobs, authority, exporter, version="1")
        self._running.enter_context(JobObjects(exporter, manager).shown(self.jobs, self.jobs.feed))
        await connection.request_name(DESTINATION)

    async def stop(self) -> None:
        await self._running.aclose()
