"""One life of the daemon's core over the fakes: a JobManager that can be killed and followed.

A `World` is everything that outlives a daemon. `Daemon.kill` is SIGKILL: whatever it was about to
do does not happen any more, and what it had not written durably is lost.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from joblet.config import Config, IdsConfig, JobsConfig
from joblet.core.admission import HostFacts
from joblet.core.events import EventFeed
from joblet.core.jobs import JobManager
from joblet.core.recovery import Recovery
from joblet.model.events import Event, JobChanged, JobFinished, JobNew, JobRemoved
from joblet.model.job import TRANSITIONS, Job, JobSpec, JobState
from tests.fakes.attachments import FakeSecretStore, FakeWorkFiles
from tests.fakes.clock import FakeClock
from tests.fakes.files import FakeJobFiles, Shelf
from tests.fakes.host import FakeJobHost, Host
from tests.fakes.store import Disk, FakeJobStore, one_turn

FACTS = HostFacts(
    cpus=frozenset(range(4)),
    controllers=frozenset({"cpu", "cpuset", "io", "memory", "pids"}),
    memory_bytes=8 << 30,
    tasks=32_768,
    io_device="/dev/block/8:0",
    weighs_io=True,
    work_quota=True,
)
TRUE = JobSpec(command="true")
# In the time of a turned loop; the real one is far shorter.
PATIENCE_S = 7200.0


class World:
    """Disk, logs, host and time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.disk = Disk()
        self.shelf = Shelf()
        self.host = Host(self.clock, self.shelf)
        self.vault: dict[str, Mapping[str, str]] = {}


class Witness:
    """Sees every event of one daemon, and fails on one that may not be."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.states: dict[str, JobState] = {}
        self.finished: dict[str, Job] = {}
        self.complaints: list[str] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)
        job, before = event.job, self.states.get(event.job.id)
        match event:
            case JobNew():
                fine = before is None and job.state in (JobState.PENDING, JobState.SCHEDULED)
            case JobChanged():
                # None: a job of an earlier daemon
                fine = before is None or job.state in TRANSITIONS[before]
                fine = fine and not job.state.terminal
            case JobFinished():
                fine = job.state.terminal and job.id not in self.finished
                self.finished[job.id] = job
            case JobRemoved():
                fine = job.state.terminal
        if not fine:
            self.complaints.append(f"{type(event).__name__} of {before} to {job.state}")
        self.states[job.id] = job.state

    def names(self, job_id: str) -> list[str]:
        """The job's events in order, as `JobChanged RUNNING`."""
        own = (event for event in self.events if event.job.id == job_id)
        return [f"{type(event).__name__} {event.job.state}" for event in own]


class Gate:
    """A pace: everything goes on turn by turn, until it is closed."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.passage = asyncio.Event()
        self.passage.set()

    def close(self) -> None:
        """Whatever comes now waits until `passage` is set."""
        self.passage.clear()

    async def __call__(self) -> None:
        await one_turn()
        if not self.passage.is_set():
            self.reached.set()
            await self.passage.wait()


class Daemon:
    """One incarnation."""

    def __init__(
        self,
        world: World,
        *,
        max_running: int = 1000,
        max_waiting: int = 100_000,
        shard_size: int = 64,
        id_ranges: int = 8192,
        pace: Callable[[], Awaitable[None]] = one_turn,
    ) -> None:
        self.world = world
        self.store = FakeJobStore(world.disk, pace)
        self.files = FakeJobFiles(world.shelf)
        self.host = FakeJobHost(world.host, pace)
        self.mover = FakeWorkFiles(world.shelf)
        self.secrets = FakeSecretStore(world.vault)
        self.seen = Witness()
        feed = EventFeed()
        feed.subscribe(self.seen.handle)
        limits = JobsConfig(
            max_running=max_running, max_waiting=max_waiting, scope_shard_size=shard_size
        )
        self.manager = JobManager(
            config=Config(jobs=limits, ids=IdsConfig(count=id_ranges)),
            facts=lambda: FACTS,
            store=self.store,
            files=self.files,
            host=self.host,
            mover=self.mover,
            secrets=self.secrets,
            clock=world.clock,
            events=feed,
        )
        self.recovery = Recovery(
            manager=self.manager,
            store=self.store,
            files=self.files,
            host=self.host,
            secrets=self.secrets,
        )

    async def start(self) -> Daemon:
        """As daemon/wiring.py does it: load, reconcile, listen, let jobs begin."""
        await self.manager.load()
        await self.recovery.run()
        self.world.host.listen(self.manager.exited)
        self.manager.start()
        return self

    def kill(self) -> None:
        """SIGKILL; `bury` then ends what is left of its tasks."""
        for part in (self.store, self.files, self.host, self.secrets):
            part.dead = True
        self.world.host.listener = None

    async def bury(self) -> None:
        """Nothing of a killed daemon runs any more."""
        self.kill()
        await self.manager.close()

    async def run(self, spec: JobSpec = TRUE, **keys: Any) -> Job:
        """Submit, and wait until the program runs."""
        job = await self.submit(spec, **keys)
        await self.until(job.id, JobState.RUNNING)
        return job

    async def submit(self, spec: JobSpec = TRUE, *, owner_uid: int = 0) -> Job:
        """Submit."""
        return await self.manager.submit(spec, owner_uid=owner_uid)

    async def ended(self, job_id: str) -> Job:
        """The job once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.manager.wait(job_id, 0)

    async def until(self, job_id: str, *states: JobState) -> None:
        """Wait for a job to be seen in one of these states."""
        await self.hold(lambda: self.seen.states.get(job_id) in states)

    async def hold(self, condition: Callable[[], object]) -> None:
        """Wait for a condition."""
        pause_s = 0.001
        async with asyncio.timeout(PATIENCE_S):
            # There is no event to wait for, and in a turned loop no time goes by.
            while not condition():
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 1.0)

    async def quiet(self) -> None:
        """Wait until nothing of an ended job is left to do."""
        host = self.world.host
        await self.hold(lambda: not host.runs and not host.scopes and not self.manager.running)


def open_descriptors() -> int:
    """How many this process holds."""
    return len(os.listdir("/proc/self/fd"))
