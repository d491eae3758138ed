"""JobHost in memory: a host on which programs start, run, hear a stop, end and are forgotten.

A `Host` goes on while daemons come and go: it holds what /run/joblet, joblet-init and systemd would
know. A `FakeJobHost` is one daemon's hands on it. What the next launches do is said by `Attempt`s;
without one everything works at once.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from joblet import failpoints
from joblet.core.ports import JobHost
from joblet.errors import HostFailure
from joblet.model.job import Job, JobSpec
from joblet.model.run import (
    Ended,
    HostUsage,
    Launched,
    Outline,
    RunFact,
    ScopeFact,
    UnitProperty,
    Usage,
)
from tests.fakes.clock import FakeClock
from tests.fakes.files import Shelf
from tests.fakes.store import Died, one_turn

SIGTERM, SIGKILL = 15, 9
USED = HostUsage("host", 4, 5_000_000, 8 << 30, 6 << 30, 100, 0.5)


def an_end(**changes: Any) -> Ended:
    """The exit record of a program that ended by itself with 0, but for the changes."""
    plain = Ended(
        started_usec=1_000_000,
        finished_usec=2_000_000,
        exit_status=0,
        signal=None,
        term_seen_usec=None,
        oom_kills=0,
        setup_step="",
        setup_errno=0,
        setup_path="",
        setup_detail="",
        gate_closed=False,
        status_lost=False,
        cpu_usec=7,
        memory_peak_bytes=8,
        io_read_bytes=9,
        io_write_bytes=10,
        log_bytes=0,
        log_dropped_bytes=0,
    )
    return replace(plain, **changes)


@dataclass
class Attempt:
    """How a launch goes, when it does not simply work."""

    refused: Exception | None = None  # before anything was forked
    no_scope: Exception | None = None  # after the fork, before the gate; the scope has failed
    dies: dict[str, Any] | None = None  # with no_scope: the process ended like this before it
    hold: asyncio.Event | None = None  # waits for this before the gate
    ends: dict[str, Any] | None = None  # the program ends before its start could be told
    silent: bool = False  # it runs, but only its run record tells of its start
    untold: bool = False  # it runs, and not even that


@dataclass
class Run:
    """One job as the host knows it."""

    supervisor_known: bool = False
    supervisor_alive: bool = False
    started_usec: int | None = None
    ended: Ended | None = None
    gate_open: bool = False
    age_usec: int | None = None
    hears_stop: bool = True


@dataclass
class Host:
    """The machine below the daemons."""

    clock: FakeClock
    shelf: Shelf
    boot: str = "boot-1"
    runs: dict[str, Run] = field(default_factory=dict)
    scopes: dict[str, str] = field(default_factory=dict)  # id: active state
    attempts: deque[Attempt] = field(default_factory=deque)
    going_down: bool = False
    # What was asked of it, in order.
    launches: list[str] = field(default_factory=list)
    secrets: dict[str, Mapping[str, str]] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)
    clears: list[tuple[str, bool]] = field(default_factory=list)
    sweeps: list[str] = field(default_factory=list)
    weights: dict[int, tuple[int, int]] = field(default_factory=dict)  # of slices
    weighings: list[int] = field(default_factory=list)  # when
    limits: dict[str, JobSpec] = field(default_factory=dict)  # of scopes that were changed
    # How often each program was let go, over all daemons and boots.
    executions: dict[str, int] = field(default_factory=dict)
    listener: Callable[[str], None] | None = None
    pokes: list[str] = field(default_factory=list)  # kept while no daemon listens

    def end(self, job_id: str, *, poke: bool = True, **changes: Any) -> None:
        """The program of a job ends, or never began."""
        run = self.runs[job_id]
        now = self.clock.now_usec()
        facts = {"started_usec": run.started_usec, "finished_usec": now, **changes}
        run.ended = an_end(**facts)
        run.supervisor_alive = False
        failed = run.ended.term_seen_usec is not None or run.ended.oom_kills
        if job_id in self.scopes and failed:
            self.scopes[job_id] = "failed"
        else:
            self.scopes.pop(job_id, None)
        if not run.ended.gate_closed and job_id in self.shelf.logs:
            self.shelf.logs[job_id].sealed = True
        if poke:
            self.poke(job_id)

    def running(self) -> list[str]:
        """Jobs whose program runs."""
        return [i for i, run in self.runs.items() if run.gate_open and run.ended is None]

    def poke(self, job_id: str) -> None:
        """The datagram of a supervisor."""
        if self.listener is None:
            self.pokes.append(job_id)
        else:
            asyncio.get_running_loop().call_soon(self.listener, job_id)

    def listen(self, listener: Callable[[str], None]) -> None:
        """A daemon takes what waits in the socket, and all that comes."""
        self.listener = listener
        waiting, self.pokes = self.pokes, []
        for job_id in waiting:
            self.poke(job_id)

    def reboot(self) -> None:
        """Everything in /run, every process and every scope is gone."""
        self.boot += "'"
        self.runs.clear()
        self.scopes.clear()
        self.pokes.clear()
        self.weights.clear()


class FakeJobHost(JobHost):
    """One daemon's hands; `fails` is raised by stop, clear, sweep, scopes and shutting_down."""

    def __init__(self, host: Host, pace: Callable[[], Awaitable[None]] = one_turn) -> None:
        self.host = host
        self.dead = False
        self.fails: HostFailure | OSError | None = None
        self._pace = pace

    async def launch(
        self,
        job: Job,
        files: tuple[int, int, int],
        cleared: Awaitable[None],
        secrets: Mapping[str, str],
    ) -> Launched | None:
        host = self.host
        try:
            self._check()
            host.launches.append(job.id)
            host.secrets[job.id] = secrets
            attempt = host.attempts.popleft() if host.attempts else Attempt()
            run = host.runs[job.id] = Run()
            failpoints.hit("launch.before-spawn")
            await self._pace()
            self._check()
            if attempt.refused is not None:
                raise attempt.refused
        finally:
            for fd in files:
                os.close(fd)
        run.supervisor_known = run.supervisor_alive = True
        try:
            failpoints.hit("launch.before-scope")
            if attempt.hold is not None:
                await attempt.hold.wait()
            await self._pace()
            if attempt.no_scope is not None:
                raise attempt.no_scope
            self._check()
            if job.id in host.scopes:
                raise HostFailure("scope", 0, f"joblet-{job.id}.scope exists already")
            host.scopes[job.id] = "active"
            await asyncio.shield(cleared)
            self._check()
            failpoints.hit("launch.before-gate")
            run.gate_open = True
        finally:
            if not run.gate_open:
                # The kernel closes the gate of a dead daemon as well.
                host.end(job.id, **(attempt.dies or {"gate_closed": True, "exit_status": 125}))
                if isinstance(attempt.no_scope, HostFailure):
                    host.scopes[job.id] = "failed"
        if not (attempt.ends or {}).get("gate_closed"):
            host.executions[job.id] = host.executions.get(job.id, 0) + 1
        if attempt.ends is not None:
            host.end(job.id, **{"started_usec": host.clock.now_usec(), **attempt.ends})
            return None
        if not attempt.untold:
            run.started_usec = host.clock.now_usec()
        failpoints.hit("launch.after-gate")
        await self._pace()
        self._check()
        if attempt.silent or run.started_usec is None or run.ended:
            return None
        return Launched(started_usec=run.started_usec)

    def outline(self, job: Job, secrets: Mapping[str, str]) -> Outline:
        self._check()
        memory = UnitProperty("MemoryMax", "t", job.spec.max_memory)
        return Outline(f"joblet-{job.id}.scope", (memory,), tuple(secrets.values()))

    async def usage(self, jobs: Sequence[Job]) -> tuple[HostUsage, list[Usage]]:
        await self._reach()
        return USED, [Usage(tasks=len(self.host.runs)) for _ in jobs]

    def exited(self, job_id: str) -> None:
        self._check()

    def ended(self, job_id: str) -> Ended | None:
        self._check()
        run = self.host.runs.get(job_id)
        return None if run is None else run.ended

    def run(self, job_id: str) -> RunFact | None:
        self._check()
        run = self.host.runs.get(job_id)
        if run is None:
            return None
        return RunFact(
            job_id=job_id,
            supervisor_known=run.supervisor_known,
            supervisor_alive=run.supervisor_alive,
            started_usec=run.started_usec,
            ended=run.ended,
            age_usec=run.age_usec,
        )

    def runs(self) -> list[RunFact]:
        return [fact for fact in map(self.run, list(self.host.runs)) if fact is not None]

    async def scopes(self) -> list[ScopeFact]:
        await self._reach()
        return [ScopeFact(job_id, state) for job_id, state in self.host.scopes.items()]

    async def stop(self, job: Job) -> None:
        await self._reach()
        self.host.stops.append(job.id)
        run = self.host.runs.get(job.id)
        if run is not None and run.ended is None and run.gate_open and run.hears_stop:
            now = self.host.clock.now_usec()
            self.host.end(job.id, exit_status=None, signal=SIGTERM, term_seen_usec=now)

    async def weigh(self, shard: int, *, cpu_weight: int, io_weight: int) -> None:
        await self._reach()
        self.host.weights[shard] = (cpu_weight, io_weight)
        self.host.weighings.append(self.host.clock.now_usec())

    async def limit(self, job: Job) -> bool:
        await self._reach()
        if job.id not in self.host.scopes:
            return False
        self.host.limits[job.id] = job.spec
        return True

    async def clear(self, job: Job, *, suspicious: bool) -> None:
        await self._reach()
        self.host.clears.append((job.id, suspicious))
        if job.id in self.host.scopes and not suspicious:
            raise AssertionError(f"{job.id}: its scope would stay: {self.host.scopes[job.id]}")
        self.host.scopes.pop(job.id, None)
        self.host.runs.pop(job.id, None)

    async def sweep(self, job_id: str) -> None:
        await self._reach()
        self.host.sweeps.append(job_id)
        self.host.scopes.pop(job_id, None)
        self.host.runs.pop(job_id, None)

    async def shutting_down(self) -> bool:
        await self._reach()
        return self.host.going_down

    def boot_id(self) -> str:
        self._check()
        return self.host.boot

    def _check(self) -> None:
        if self.dead:
            raise Died

    async def _reach(self) -> None:
        self._check()
        await self._pace()
        self._check()
        if self.fails is not None:
            raise self.fails
