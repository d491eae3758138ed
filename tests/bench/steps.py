"""What a part of the isolation costs: joblet-init alone, with plans that lack one.

No scope, no store and no bus: a plan goes to the running joblet-init as jobletd would send it, and
the record of the job's end says when its program began. The jobs of all plans take turns one by
one. Their processes stay where joblet-init put them, and so have no limits.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Sequence

from joblet.config import Config
from joblet.core import projects
from joblet.host import disks, jobplan, machine, pokes, seccomp
from joblet.host.jobplan import PlanMaker
from joblet.host.spawner import Spawner
from joblet.init import plan
from joblet.init.plan import Step, step
from joblet.model.ids import RANGE_SIZE, new_job_id
from joblet.model.job import Job, JobSpec, JobState
from joblet.paths import Paths
from joblet.records import exit as exit_record
from joblet.records.exit import ExitRecord
from joblet.store.logs import DiskJobFiles

WHOLE = "whole"
_LACKING = "without "
_ANSWER_SECONDS = 60
_LOG_BYTES = 1 << 20


def measure(count: int) -> dict[str, list[float]]:
    """Seconds from the request to the program, of so many jobs of each plan."""
    return asyncio.run(_measure(count))


def costs(seconds: dict[str, list[float]]) -> dict[str, list[float]]:
    """What each part costs, in seconds: every whole start less the one without, side by side."""
    whole = seconds[WHOLE]
    return {
        name.removeprefix(_LACKING): [a - b for a, b in zip(whole, other, strict=True)]
        for name, other in seconds.items()
        if name != WHOLE
    }


async def _measure(count: int) -> dict[str, list[float]]:
    quota = disks.has_project_quota(Paths().work)
    maker = PlanMaker(
        machine.layout(), Paths().work, work_quota=quota, system_calls=seccomp.job_filter()
    )
    variants = _variants(quota)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory(dir="/run") as scratch:
        bench = _Bench(scratch)
        try:
            order = list(variants)
            for _ in range(count):
                for name in order:
                    seconds[name].append(await bench.start(maker, variants[name]))
                order = [*order[1:], order[0]]
        finally:
            bench.close()
    return seconds


Variant = Callable[[list[Step]], list[Step]]


def _variants(quota: bool) -> dict[str, Variant]:
    """Plans by what they lack."""
    variants: dict[str, Variant] = {
        WHOLE: lambda steps: steps,
        _LACKING + "user namespace": _without_user_namespace,
        _LACKING + "network namespace": _without_network,
        _LACKING + "work directory": _without_work,
        _LACKING + "system call filter": lambda steps: _but(steps, "filter"),
    }
    if quota:
        variants[_LACKING + "quota"] = lambda steps: _but(steps, "quota")
    return variants


def _but(steps: Sequence[Step], *names: str) -> list[Step]:
    return [one for one in steps if one.name.decode() not in names]


def _without_user_namespace(steps: Sequence[Step]) -> list[Step]:
    """The ids are the host's then, as its work directory has them."""
    job = _job()
    assert job.first_id is not None
    owner = job.first_id + job.spec.uid
    kept = _but(steps, "user-namespace", "identity")
    at = [one.name for one in steps].index(b"user-namespace")
    return [*kept[:at], step("identity", owner, owner), *kept[at:]]


def _without_network(steps: Sequence[Step]) -> list[Step]:
    flags = plan.CLONE_NEWNS | plan.CLONE_NEWIPC | plan.CLONE_NEWUTS
    return [step("namespaces", flags), *_but(steps, "namespaces", "loopback")]


def _without_work(steps: Sequence[Step]) -> list[Step]:
    kept = _but(steps, "quota", "work", "chdir")
    before = [one.name for one in kept].index(b"environment")
    return [*kept[:before], step("chdir", "/"), *kept[before:]]


class _Bench:
    """One job after the other, each cleared away before the next."""

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        self._files = DiskJobFiles(Paths())
        self._ended: dict[str, asyncio.Future[None]] = {}
        address = f"{scratch}/poke"
        self._receiver = pokes.PokeReceiver(pokes.bind(address), self._hear)
        self._receiver.start()
        self._spawner = Spawner(Paths().init_socket, address, _LOG_BYTES)

    def close(self) -> None:
        """No more jobs."""
        self._spawner.close()
        self._receiver.close()

    async def start(self, maker: PlanMaker, variant: Variant) -> float:
        """Seconds from the request until the program runs; waits for its end."""
        job = _job()
        assert job.first_id is not None
        ended = self._ended[job.id] = asyncio.get_running_loop().create_future()
        # Without systemd there is no scope.
        encoded = jobplan.encode(variant(_but(maker.steps(job, {}), "scope")))
        directory = f"{self._scratch}/{job.id}"
        os.mkdir(directory, 0o700)
        run_dir = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._files.create(job.id)
        self._files.create_work(job.id, job.first_id + job.spec.uid)
        files = self._files.open_for_writing(job.id)
        try:
            begin_ns = time.time_ns()
            birth = await self._spawner.spawn(job.id, encoded, files, run_dir)
            birth.open_gate()
            birth.close()
            async with asyncio.timeout(_ANSWER_SECONDS):
                await ended
            self._spawner.ended(job.id)
            await self._spawner.started(job.id)
        finally:
            for fd in (*files, run_dir):
                os.close(fd)
            self._files.remove(job.id)
        record = _record(directory)
        if record.started_ns is None:
            raise RuntimeError(f"joblet-init could not start a job: {_why(record)}")
        return (record.started_ns - begin_ns) / 1e9

    def _hear(self, job_id: str) -> None:
        ended = self._ended.pop(job_id, None)
        if ended is not None:
            ended.set_result(None)


def _record(directory: str) -> ExitRecord:
    with open(f"{directory}/exit", "rb") as file:
        return exit_record.decode(file.read())


def _why(record: ExitRecord) -> str:
    detail = record.setup_detail or record.setup_path
    return f"{record.setup_step.decode()}: {os.strerror(record.setup_errno)}: {detail.decode()}"


def _job() -> Job:
    """One that is not jobletd's, with the last ids of the pool and a project id that is its own."""
    ids = Config().ids
    return Job(
        id=new_job_id(),
        seq=0,
        spec=JobSpec(command="true", max_work=1 << 30, max_tmp=256 << 20, max_shm=64 << 20),
        owner_uid=0,
        state=JobState.INITIALIZING,
        submitted_usec=0,
        due_usec=0,
        shard=0,
        first_id=ids.first + (ids.count - 1) * RANGE_SIZE,
        project=projects.FIRST - 1,
    )
