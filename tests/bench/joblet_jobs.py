"""Joblet as its clients meet it: RunJob and WaitJob over one warm connection to the system bus.

Owns the event loop of the bench; what is asked of it runs to its end before it returns.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from joblet.bus.connection import Connection, Typed
from tests.bench.contenders import CPU_PERCENT, MEMORY_BYTES, TASKS
from tests.bench.samples import Batch

T = TypeVar("T")

NAME = "joblet"
_MANAGER = ("org.joblet1", "/org/joblet1", "org.joblet1.Manager")
# Against hanging; an endless wait would hide which call it was.
_CALL_SECONDS = 120
_POLL_SECONDS = 0.02
# So many at a time are started or stopped where nobody measures that.
_LANES = 8


@dataclass(frozen=True, slots=True)
class Request:
    """What a job of a batch asks for beside its command; `archive` is a tar stream to upload."""

    options: Mapping[str, Typed] = field(default_factory=dict)
    archive: bytes = b""


# What the peers get as well.
LIMITED = Request(
    {
        "max_cpu": Typed("u", CPU_PERCENT),
        "max_memory": Typed("t", MEMORY_BYTES),
        "max_tasks": Typed("t", TASKS),
    }
)


class Joblet:
    """A connected client; use it as a context manager."""

    def __init__(self) -> None:
        self.phases: dict[str, list[float]] = {}  # of serial jobs, in seconds
        self._runner = asyncio.Runner()

    def __enter__(self) -> Joblet:
        self._bus = self._runner.run(Connection.system())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._bus.close())
        self._runner.close()

    def batch(self, count: int, concurrency: int, request: Request = LIMITED) -> Batch:
        """So many jobs `true`. Raises RuntimeError when one fails."""
        return self._runner.run(self._batch(count, concurrency, request))

    def output(self, command: Sequence[str], size: int) -> float:
        """The seconds of one job with output, whose log must hold all of it; leaves no job."""
        begin = time.perf_counter()
        job, status = self._runner.run(self._job(command))
        seconds = time.perf_counter() - begin
        if status["log_bytes"] != size or status.get("log_dropped_bytes"):
            raise RuntimeError(f"the log of {' '.join(command)} is not whole: {status}")
        self._runner.run(self._call("DeleteJob", "s", [job]))
        return seconds

    def start(self, command: Sequence[str], count: int) -> list[str]:
        """The ids of so many jobs that are running now."""
        jobs: list[str] = []
        left = iter(range(count))

        async def lane() -> None:
            for _ in left:
                jobs.append(await self._running(command))

        async def started() -> None:
            await _together([lane() for _ in range(_LANES)])

        self._runner.run(started())
        return jobs

    def stop(self, jobs: Sequence[str]) -> None:
        """End these jobs."""
        left = iter(jobs)

        async def lane() -> None:
            for job in left:
                await self._call("StopJob", "sa{sv}", [job, {}])
                await self._call("WaitJob", "st", [job, 0])

        async def all_stopped() -> None:
            await _together([lane() for _ in range(_LANES)])

        self._runner.run(all_stopped())

    async def _batch(self, count: int, concurrency: int, request: Request) -> Batch:
        seconds: list[float] = []
        left = iter(range(count))

        async def lane() -> None:
            for _ in left:
                begin = time.perf_counter()
                wall = time.time()
                job = await self._run(["true"], request)
                accepted = time.perf_counter() - begin
                status = await self._end(job)
                seconds.append(time.perf_counter() - begin)
                if concurrency == 1:
                    self._note(status, wall, accepted, seconds[-1])

        begin = time.perf_counter()
        await _together([lane() for _ in range(concurrency)])
        return Batch(seconds, time.perf_counter() - begin)

    async def _job(self, command: Sequence[str]) -> tuple[str, dict[str, Any]]:
        job = await self._run(command)
        return job, await self._end(job)

    async def _end(self, job: str) -> dict[str, Any]:
        status: dict[str, Any]
        (status,) = await self._call("WaitJob", "st", [job, 0])
        if status["exit_code"] != 0:
            raise RuntimeError(f"a job failed: {status}")
        return status

    def _note(self, status: dict[str, Any], wall: float, accepted: float, whole: float) -> None:
        started = status["started_usec"] / 1e6 - wall
        ended = status["finished_usec"] / 1e6 - wall
        for phase, seconds in (
            ("RunJob called to answered", accepted),
            ("answered to process started", started - accepted),
            ("started to ended", ended - started),
            ("ended to WaitJob answered", whole - ended),
        ):
            self.phases.setdefault(phase, []).append(seconds)

    async def _run(self, command: Sequence[str], request: Request = LIMITED) -> str:
        spec = {
            "command": Typed("s", command[0]),
            "args": Typed("as", list(command[1:])),
            **request.options,
        }
        if not request.archive:
            job, _ = await self._call("RunJob", "a{sv}", [spec])
            return str(job)
        # One of its own for each job: the daemon reads from where the last reader stopped.
        archive = os.memfd_create("joblet-bench", os.MFD_CLOEXEC)
        try:
            os.pwrite(archive, request.archive, 0)
            job, _ = await self._call(
                "RunJob", "a{sv}", [{**spec, "upload_tar": Typed("h", archive)}]
            )
        finally:
            os.close(archive)
        return str(job)

    async def _running(self, command: Sequence[str]) -> str:
        job = await self._run(command)
        deadline = time.monotonic() + _CALL_SECONDS
        while True:
            (status,) = await self._call("GetJob", "s", [job])
            if status["state"] == "RUNNING":
                return job
            if time.monotonic() > deadline or "exit_code" in status:
                raise RuntimeError(f"the job {' '.join(command)} is not running: {status}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _call(self, member: str, signature: str, body: list[Any]) -> list[Any]:
        values, _ = await self._bus.call(
            *_MANAGER, member, signature, body, deadline_s=_CALL_SECONDS
        )
        return values


async def _together(tasks: Sequence[Awaitable[T]]) -> list[T]:
    return await asyncio.gather(*tasks)
