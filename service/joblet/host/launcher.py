"""Starts, stops and sees off the processes and scopes of jobs: the JobHost port of core.

Puts together what the other adapters can do; which job, when and why is decided in core.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Mapping, Sequence

from joblet import failpoints
from joblet.host import cgroup, jobplan, machine, planwords, processes
from joblet.host.jobplan import PlanMaker, ScopeProperty
from joblet.host.runs import RunDirectory
from joblet.host.spawner import Spawner
from joblet.host.systemd import Systemd
from joblet.model.ids import scope_name, shard_slice
from joblet.model.job import Job
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

log = logging.getLogger(__name__)

# How long a supervisor may take to notice that its job has ended.
_LAST_WORDS_S = 5.0
_LOOK_AGAIN_S = 0.01


class Launcher:
    """Jobs on this host."""

    def __init__(
        self,
        *,
        systemd: Systemd,
        spawner: Spawner,
        runs: RunDirectory,
        plans: PlanMaker,
        io_devices: Sequence[str],
        weighs_io: bool,
    ) -> None:
        self._systemd = systemd
        self._spawner = spawner
        self._runs = runs
        self._plans = plans
        self._io_devices = tuple(io_devices)
        self._weighs_io = weighs_io
        self._boot_id = machine.boot_id()

    def boot_id(self) -> str:
        """The id of this boot."""
        return self._boot_id

    async def launch(
        self,
        job: Job,
        files: tuple[int, int, int],
        cleared: Awaitable[None],
        secrets: Mapping[str, str],
    ) -> Launched | None:
        """Start a job and wait until its program runs; see JobHost."""
        try:
            run_dir = self._runs.create(job.id)
            try:
                failpoints.hit("launch.before-spawn")
                plan = jobplan.encode(self._plans.steps(job, secrets))
                birth = await self._spawner.spawn(job.id, plan, files, run_dir)
            finally:
                os.close(run_dir)
        finally:
            for fd in files:
                os.close(fd)
        try:
            failpoints.hit("launch.before-scope")
            await self._systemd.start_scope(
                scope_name(job.id),
                jobplan.scope_properties(job, io_devices=self._io_devices),
                pid=birth.anchor_pid,
                pidfd=birth.anchor_fd,
            )
            # Shielded: a row that is cancelled goes on to its end, and our own end with it.
            await asyncio.shield(cleared)
            failpoints.hit("launch.before-gate")
            birth.open_gate()
        except Exception:
            birth.close()
            # The supervisor finds the gate closed, says so in an exit record and pokes us. Before
            # that the job's directory and log are still in its hands.
            await self._spawner.started(job.id)
            raise
        finally:
            birth.close()
        failpoints.between("launch.after-gate")
        return await self._spawner.started(job.id)

    def outline(self, job: Job, secrets: Mapping[str, str]) -> Outline:
        """What `launch` would do for this job; does none of it."""
        properties = jobplan.scope_properties(job, io_devices=self._io_devices)
        return Outline(
            unit=scope_name(job.id),
            properties=tuple(UnitProperty(p.name, p.signature, p.value) for p in properties),
            steps=planwords.describe(self._plans.steps(job, secrets)),
        )

    async def usage(self, jobs: Sequence[Job]) -> tuple[HostUsage, list[Usage]]:
        """What the host and each of these running jobs use right now; see JobHost."""
        # Five files of each of a thousand jobs: too long for the event loop.
        return await asyncio.to_thread(cgroup.read, jobs)

    def exited(self, job_id: str) -> None:
        """A supervisor poked us."""
        self._spawner.ended(job_id)

    def ended(self, job_id: str) -> Ended | None:
        """The exit record of a job, or None while it has none."""
        return self._runs.ended(job_id)

    def run(self, job_id: str) -> RunFact | None:
        """What this boot knows of one job."""
        return self._runs.fact(job_id)

    def runs(self) -> list[RunFact]:
        """Every job that this boot knows of."""
        return [f for f in map(self._runs.fact, self._runs.ids()) if f is not None]

    async def scopes(self) -> list[ScopeFact]:
        """Every loaded scope of ours."""
        return await self._systemd.scopes()

    async def stop(self, job: Job) -> None:
        """Ask a running job to end; see JobHost."""
        record = self._runs.run_record(job.id)
        if record is None:
            return
        cgroup = processes.cgroup_of(record.anchor.pid)
        unit = scope_name(job.id)
        if cgroup is not None and cgroup.endswith("/" + unit):
            pids = processes.members(machine.CGROUP_ROOT + cgroup)
            if not any(processes.catches_sigterm(pid) for pid in pids):
                # Nobody would hear a SIGTERM: its PID 1 has no handler, so the kernel drops it.
                # The end of that PID 1 ends them all; the anchor stays for the accounts.
                processes.kill(record.first)
                return
        if not await self._systemd.request_stop(unit):
            # no scope of that name: what is left are processes of a job that lost it
            processes.kill(record.first)

    async def weigh(self, shard: int, *, cpu_weight: int, io_weight: int) -> None:
        """Say what the slice of a shard weighs among the others."""
        properties = [ScopeProperty("CPUWeight", "t", cpu_weight)]
        if self._weighs_io:
            properties.append(ScopeProperty("IOWeight", "t", io_weight))
        await self._systemd.set_properties(shard_slice(shard), properties)

    async def limit(self, job: Job) -> bool:
        """Give a running job's scope the limits of its spec; see JobHost."""
        properties = jobplan.limit_properties(job, io_devices=self._io_devices)
        return await self._systemd.set_properties(scope_name(job.id), properties)

    async def clear(self, job: Job, *, suspicious: bool) -> None:
        """Remove what the boot keeps of an ended job; see JobHost."""
        if suspicious:
            await self._systemd.remove(scope_name(job.id), grace_usec=job.spec.grace_usec)
        self._runs.remove(job.id)

    async def sweep(self, job_id: str) -> None:
        """End and remove what is left of a job that nobody knows; see JobHost."""
        record = self._runs.run_record(job_id)
        if record is not None:
            processes.kill(record.first)
        await self._systemd.remove(scope_name(job_id), grace_usec=0)
        await self._last_words(job_id)
        self._runs.remove(job_id)

    async def _last_words(self, job_id: str) -> None:
        """Let a supervisor write into the job's directory what became of it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LAST_WORDS_S
        while loop.time() < deadline:
            fact = self._runs.fact(job_id)
            if fact is None or not fact.supervisor_alive or fact.ended is not None:
                return
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def shutting_down(self) -> bool:
        """True when the host is going down."""
        return await self._systemd.shutting_down()
