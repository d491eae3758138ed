"""A crowd of jobs that come and go while jobletd is killed in their midst, on any machine.

The pool of id ranges is as small as the number of jobs that may run: a range that was lost would
be missed at once, and one that was given twice has two jobs that lived at the same time. Which
range a job had is the kernel's word, read by the job itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from tests.container.jobs import BORN_DEAD, DAEMON, Jobs, ctl, main_pid, outcome
from tests.grounds.machine import BootedMachine

JOBS = 1000
POOL = 32
# They live through all of it, so everybody else has to do with the other half.
HOLDERS = POOL // 2
FIRST, RANGE = 1 << 30, 65_536
# A deadline against hanging, for the whole crowd.
_SUBMIT_SECONDS = 1200.0
# Exit statuses of the crowd; those above mean signals and trouble.
CODES = 100
# How jobs come to wait for each other: more callers at once than may run beside the holders.
CALLERS = 32
DROP_IN = "/etc/joblet/joblet.toml.d/50-test.conf"
SETTINGS = f"[jobs]\nmax_running = {POOL}\n\n[ids]\ncount = {POOL}\n"
# What the journal has of the kill, and of jobs that were about to get their scope in that moment:
# without a daemon there is nobody to start them, and the next one takes them up again.
KILLED = (
    r"jobletd\.service: (Main process exited, code=killed|Failed with result|Scheduled restart)",
    *BORN_DEAD,
)
# The first line of what it says is its range; the shell alone, because each program costs.
_SAY = "read -r inside outside count </proc/self/uid_map; echo $outside"
_COME_AND_GO = f"{_SAY}; exit $1"
_HOLD = f"trap 'exit $1' TERM; {_SAY}; mkfifo never; read -r line <>never"
# An answer that died with the daemon leaves open whether there is a job: the caller asks again,
# and who counts finds two of that name. It ends when all but those that hold have ended.
# The kill comes from within, right after the half of them: from outside it would come late on a
# slow machine, when everybody had been accepted.
_SUBMIT = """\
import asyncio, json, os, signal, sys, time
from joblet.client.api import JobQuery
from joblet.client.local import NO_REPLY, LocalClient
from joblet.errors import RemoteError, Unreachable
from joblet.model.job import JobSpec
from joblet.model.states import JobState

# The bus waits so long for the next daemon, and has given the call to nobody.
TIMED_OUT = "org.freedesktop.DBus.Error.TimedOut"
given = json.loads(sys.argv[1])
accepted = []
LIVE = (JobState.PENDING, JobState.INITIALIZING, JobState.RUNNING)

async def accept(client, number):
    accepted.append(await submit(client, number))
    if len(accepted) == given["count"] // 2:
        os.kill(given["daemon"], signal.SIGKILL)
        print(time.time_ns() // 1000, flush=True)

async def submit(client, number):
    script = given["hold"] if number < given["holders"] else given["come_and_go"]
    args = ("-c", script, "sh", str(number % given["codes"]))
    while True:
        try:
            return await client.run(JobSpec(command="sh", args=args, name=str(number)))
        except Unreachable:
            continue
        except RemoteError as err:
            if err.dbus_name not in (NO_REPLY, TIMED_OUT):
                raise

async def main():
    async with LocalClient.connect() as client:
        for number in range(given["holders"]):
            await accept(client, number)
        holders = tuple(accepted)
        while any(job.state is not JobState.RUNNING for job in await client.statuses(holders)):
            pass
        numbers = iter(range(given["holders"], given["count"]))

        async def caller():
            for number in numbers:
                await accept(client, number)

        await asyncio.gather(*(caller() for _ in range(given["callers"])))
        newest = JobQuery(states=LIVE, limit=len(holders) + 1)
        while len(live := (await client.list_jobs(newest)).jobs) > len(holders):
            await client.wait(live[0].id)
        print(*accepted)

asyncio.run(main())
"""
_REPORT = """\
import asyncio, json
from dataclasses import replace
from joblet.client.api import JobQuery
from joblet.client.local import LocalClient

async def main():
    query = JobQuery(limit=500)
    async with LocalClient.connect() as client:
        while True:
            page = await client.list_jobs(query)
            for job in page.jobs:
                print(json.dumps(job.known()))
            if not page.next:
                return
            query = replace(query, cursor=page.next)

asyncio.run(main())
"""


@dataclass(frozen=True)
class Member:
    """An ended job of the crowd."""

    id: str
    number: int
    outcome: tuple[str, str, int]
    first_id: int
    submitted_usec: int
    started_usec: int
    finished_usec: int

    def lived(self, moment_usec: int) -> bool:
        """Whether its program ran then."""
        return self.started_usec < moment_usec < self.finished_usec

    def waited(self, moment_usec: int) -> bool:
        """Whether it had been accepted then and did not run yet."""
        return self.submitted_usec < moment_usec < self.started_usec


@contextmanager
def small_pool(machine: BootedMachine) -> Iterator[None]:
    """The daemon has as many id ranges as jobs may run, while this lasts."""
    machine.write_file(DROP_IN, SETTINGS)
    machine.run(["systemctl", "restart", DAEMON])
    yield
    machine.run(["rm", DROP_IN])
    machine.run(["systemctl", "restart", DAEMON])


def come_and_go(machine: BootedMachine, count: int) -> tuple[list[Member], int]:
    """So many jobs, and a `kill -9` of the daemon when half of them have been accepted.

    All jobs there are afterwards, and when that was by the clock of the machine.
    """
    given = {
        "count": count,
        "holders": HOLDERS,
        "callers": CALLERS,
        "codes": CODES,
        "daemon": main_pid(machine, DAEMON),
        "come_and_go": _COME_AND_GO,
        "hold": _HOLD,
    }
    script = ["python3", "-c", _SUBMIT, json.dumps(given)]
    said = machine.run(script, timeout=_SUBMIT_SECONDS).stdout
    killed_usec, *heard = said.split()
    ctl(machine, "job", "stop", *heard[:HOLDERS])
    members = report(machine)
    assert len(set(heard)) == count
    assert {member.id for member in members} >= set(heard)
    return members, int(killed_usec)


def report(machine: BootedMachine) -> list[Member]:
    """Every job of the machine, all of which have ended and said what range they had."""
    script = "cd /var/log/joblet/jobs && grep --with-filename --max-count=1 . */log"
    said = (line.split("/log:") for line in machine.run(["sh", "-c", script]).stdout.splitlines())
    first_ids = {job: int(first_id) for job, first_id in said}
    listed = map(json.loads, machine.run(["python3", "-c", _REPORT]).stdout.splitlines())
    return [
        Member(
            id=job["id"],
            number=int(job["name"]),
            outcome=outcome(job),
            first_id=first_ids[job["id"]],
            submitted_usec=job["submitted_usec"],
            started_usec=job["started_usec"],
            finished_usec=job["finished_usec"],
        )
        for job in listed
    ]


def doubled(members: Sequence[Member]) -> list[tuple[Member, Member]]:
    """Pairs that lived at the same time with the same range."""
    by_range: dict[int, list[Member]] = {}
    for member in sorted(members, key=lambda one: one.started_usec):
        by_range.setdefault(member.first_id, []).append(member)
    return [
        (one, other)
        for row in by_range.values()
        for one, other in pairwise(row)
        if other.started_usec < one.finished_usec
    ]


def forget_all(machine: BootedMachine) -> None:
    """Delete every job; nothing of their files is left."""
    ctl(machine, "job", "delete-all", "--all-users")
    left = "ls /var/log/joblet/jobs; ls --ignore=lost+found /var/lib/joblet/work"
    assert machine.run(["sh", "-c", left]).stdout == ""


def ranges_are_kept_through_a_kill(machine: BootedMachine, count: int = JOBS) -> str:
    """The whole of it with so many jobs; a line of figures."""
    own = set(range(FIRST, FIRST + POOL * RANGE, RANGE))
    forget_all(machine)
    members, killed_usec = come_and_go(machine, count)

    lived = [member for member in members if member.lived(killed_usec)]
    waited = [member for member in members if member.waited(killed_usec)]
    assert len(lived) >= HOLDERS
    assert waited
    for member in members:
        code = member.number % CODES
        held = ("STOPPED", "stopped", code)
        ended = ("FAILED" if code else "COMPLETED", "exit", code)
        assert member.outcome == (held if member.number < HOLDERS else ended), member
    # Whose answer died with the daemon may be there a second time, and nobody else.
    assert {member.number for member in members} == set(range(count))
    assert len(members) <= count + CALLERS
    assert doubled(members) == []
    assert {member.first_id for member in members} == own

    # None is lost: as many as there are ranges run at once, each with one of its own.
    forget_all(machine)
    jobs = Jobs(machine)
    whole = [jobs.run("sh", "-c", _HOLD, "sh", "7", name=str(number)) for number in range(POOL)]
    jobs.wait_running(*whole)
    ctl(machine, "job", "stop", *whole)
    last = report(machine)
    assert [member.outcome for member in last] == [("STOPPED", "stopped", 7)] * POOL
    assert max(one.started_usec for one in last) < min(one.finished_usec for one in last)
    assert {member.first_id for member in last} == own
    forget_all(machine)
    assert machine.run(["systemctl", "--failed", "--no-legend"]).stdout == ""
    return (
        f"{len(members)} jobs with {POOL} id ranges: "
        f"{len(lived)} ran and {len(waited)} waited when jobletd was killed"
    )
