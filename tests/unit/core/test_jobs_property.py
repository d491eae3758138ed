"""Whatever happens in whatever order: legal steps only, one end per job, one run, one writer.

A story is a list of things that happen to a daemon and its host, one after the other and some in
the middle of others: clients ask, programs end, pokes come, the disk fills, joblet-init goes away,
the daemon is killed, the host goes down. At the end everything may come to rest, and then every
accepted job has exactly one end on disk.
"""

from __future__ import annotations

import ast
import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import joblet.core
from joblet.errors import HostFailure, JobletError
from joblet.model.job import TRANSITIONS, Job, JobState, Reason
from tests.fakes.clock import TurnedLoop
from tests.fakes.daemon import TRUE, Daemon, World, open_descriptors
from tests.fakes.host import Attempt

SECOND_USEC = 1_000_000
GONE = ConnectionResetError("joblet-init went away")
REFUSED = HostFailure("scope", 0, "the manager says no")

ENDS: list[dict[str, Any]] = [
    {},
    {"exit_status": 3},
    {"exit_status": None, "signal": 9},
    {"exit_status": None, "signal": 9, "oom_kills": 1},
    {"exit_status": None, "status_lost": True},
    {"exit_status": None, "signal": 15, "term_seen_usec": 1},
]
ATTEMPTS = [
    Attempt(refused=GONE),
    Attempt(no_scope=GONE),
    Attempt(refused=REFUSED),
    Attempt(no_scope=REFUSED),
    Attempt(silent=True),
    Attempt(untold=True),
    Attempt(ends={"exit_status": 4}),
    Attempt(ends={"gate_closed": True, "exit_status": 125, "started_usec": None}),
]
whom = st.integers(0, 5)
EVENTS = st.one_of(
    st.tuples(st.just("submit"), st.integers(0, 2)),
    st.tuples(st.just("submit"), st.integers(0, 2)),
    st.tuples(st.sampled_from(["stop", "cancel", "delete", "poke", "deaf", "tell"]), whom),
    st.tuples(st.just("end"), st.tuples(whom, st.integers(0, len(ENDS) - 1), st.booleans())),
    st.tuples(st.just("attempt"), st.integers(0, len(ATTEMPTS) - 1)),
    st.tuples(st.just("time"), st.integers(1, 30)),
    st.tuples(st.just("disk"), st.booleans()),
    st.tuples(st.sampled_from(["kill", "reboot"]), st.just(0)),
)
# Between two events the loop gets a few turns, so that one comes in the middle of another.
STORIES = st.lists(st.tuples(EVENTS, st.integers(0, 5)), min_size=4, max_size=40)


class Story:
    """One world with its daemons, and what was seen of it from outside."""

    def __init__(self) -> None:
        self.world = World()
        self.ids: list[str] = []  # accepted: their clients were told
        self.deleted: set[str] = set()
        self.ends: dict[str, Job] = {}
        self.asked: list[asyncio.Task[None]] = []
        self.daemon = Daemon(self.world, max_running=2, shard_size=1)

    async def play(self, events: list[tuple[tuple[str, Any], int]]) -> None:
        await self.begin()
        for (name, what), turns in events:
            await getattr(self, name)(what)
            for _ in range(turns):
                await asyncio.sleep(0)
        await self.rest()

    async def begin(self) -> None:
        self.daemon = Daemon(self.world, max_running=2, shard_size=1)
        await self.daemon.start()

    # What happens.

    async def submit(self, kind: int) -> None:
        now = self.world.clock.now_usec()
        spec = [
            TRUE,
            replace(TRUE, start_at_usec=now + 10 * SECOND_USEC),
            replace(TRUE, timeout_usec=5 * SECOND_USEC),
        ][kind]
        daemon = self.daemon

        async def ask() -> None:
            job = await daemon.submit(spec)
            self.ids.append(job.id)

        self.ask(ask)

    async def stop(self, number: int) -> None:
        self.ask_of(number, "stop")

    async def cancel(self, number: int) -> None:
        self.ask_of(number, "cancel")

    async def delete(self, number: int) -> None:
        job_id = self.ask_of(number, "delete")
        if job_id is not None:
            self.deleted.add(job_id)

    def ask_of(self, number: int, verb: str) -> str | None:
        if not self.ids:
            return None
        job_id = self.ids[number % len(self.ids)]

        async def ask() -> None:
            await getattr(self.daemon.manager, verb)(job_id)

        self.ask(ask)
        return job_id

    def ask(self, request: Callable[[], Awaitable[None]]) -> None:
        async def answered() -> None:
            try:
                await request()
            except JobletError:
                return

        self.asked.append(asyncio.ensure_future(answered()))

    async def poke(self, number: int) -> None:
        if self.ids:
            self.world.host.poke(self.ids[number % len(self.ids)])

    async def end(self, what: tuple[int, int, bool]) -> None:
        number, how, poke = what
        running = self.world.host.running()
        if running:
            job_id = running[number % len(running)]
            changes = dict(ENDS[how])
            if "term_seen_usec" in changes:
                changes["term_seen_usec"] = self.world.clock.now_usec()
            self.world.host.end(job_id, poke=poke, **changes)

    async def deaf(self, number: int) -> None:
        running = self.world.host.running()
        if running:
            self.world.host.runs[running[number % len(running)]].hears_stop = False

    async def tell(self, number: int) -> None:
        running = self.world.host.running()
        if running:
            run = self.world.host.runs[running[number % len(running)]]
            run.started_usec = run.started_usec or self.world.clock.now_usec()

    async def attempt(self, number: int) -> None:
        self.world.host.attempts.append(replace(ATTEMPTS[number]))

    async def time(self, seconds: int) -> None:
        await asyncio.sleep(seconds)

    async def disk(self, full: bool) -> None:
        self.world.disk.full = full

    async def kill(self, _: int) -> None:
        await self.over()
        await self.begin()

    async def reboot(self, _: int) -> None:
        await self.over()
        self.world.host.reboot()
        await self.begin()

    async def over(self) -> None:
        """The daemon dies, and with it what was asked of it."""
        await self.daemon.bury()
        for task in self.asked:
            task.cancel()
        await asyncio.gather(*self.asked, return_exceptions=True)
        self.asked.clear()
        self.take_stock()

    def take_stock(self) -> None:
        assert self.daemon.seen.complaints == []
        for job_id, job in self.daemon.seen.finished.items():
            assert job_id not in self.ends, f"{job} ended before: {self.ends[job_id]}"
            self.ends[job_id] = job

    # What must be true when all has come to rest.

    async def rest(self) -> None:
        world = self.world
        world.disk.full = False
        world.host.attempts.clear()
        # A poke may be lost; what it would have told lies in /run, for the next daemon.
        await self.over()
        await self.begin()
        for _ in range(1000):
            await asyncio.sleep(1)
            for job_id in world.host.running():
                world.host.end(job_id)
            if not self.daemon.manager.live():
                break
        assert self.daemon.manager.live() == []
        await self.daemon.quiet()
        await asyncio.gather(*self.asked)
        self.asked.clear()
        manager = self.daemon.manager
        assert (manager.running, manager.waiting) == (0, 0)
        await self.daemon.bury()
        self.take_stock()
        self.check_rows()

    def check_rows(self) -> None:
        world = self.world
        for job_id in self.ids:
            row = world.disk.rows.get(job_id)
            if row is None:
                assert job_id in self.deleted, f"{job_id} was accepted and is lost"
                continue
            assert row.state.terminal
            assert row.reason is not None
            assert row.finished_usec is not None
            assert self.ends.get(job_id, row) == row
            assert (row.state is JobState.CANCELED) == (row.reason is Reason.CANCELED)
            runs = world.host.executions.get(job_id, 0)
            assert runs <= 1, f"{job_id} ran {runs} times"
            if row.state in (JobState.COMPLETED, JobState.TIMEOUT):
                assert runs == 1
            if row.state is JobState.CANCELED:
                assert runs == 0
            if job_id in world.shelf.logs:
                assert world.shelf.logs[job_id].sealed or runs == 0
        for store in world.disk.views:
            assert store.complaints == []


@given(STORIES)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
def test_no_story_takes_an_illegal_step_or_ends_a_job_twice(
    events: list[tuple[tuple[str, Any], int]],
) -> None:
    before = open_descriptors()
    logging.disable(logging.CRITICAL)
    try:
        with asyncio.Runner(loop_factory=TurnedLoop) as runner:
            runner.run(Story().play(events))
    finally:
        logging.disable(logging.NOTSET)
    assert open_descriptors() == before


def test_the_manager_is_the_only_writer_of_job_state() -> None:
    """It and its parts: what shares livejobs.py, where a row is written whose job lives."""
    [folder] = joblet.core.__path__
    movers, writers = set(), set()
    for file in Path(folder).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner, called = ast.unparse(node.func.value), node.func.attr
            if called == "moved" or (
                owner.endswith("_live") and called in ("put", "record", "change")
            ):
                movers.add(file.name)
            if owner.endswith("_store") and called in ("save", "respecify"):
                writers.add(file.name)
    assert movers == {"jobs.py", "queue.py", "launches.py", "endings.py"}
    # jobs.py: limits of one that lives, and the files of one that has ended
    assert writers == {"livejobs.py", "jobs.py"}


def test_every_state_can_be_reached_and_left_or_is_an_end() -> None:
    reached = {JobState.PENDING, JobState.SCHEDULED}
    for _ in JobState:
        reached |= {after for state in reached for after in TRANSITIONS[state]}
    assert reached == set(JobState)
