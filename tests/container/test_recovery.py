"""Deaths and restarts of our own processes while jobs run, start, wait and end: nobody notices."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from joblet.init.anchor import HOME_CGROUP
from joblet.records import run as run_record
from tests.container.jobs import (
    BORN_DEAD,
    DAEMON,
    HELPER,
    SECOND,
    Jobs,
    ctl,
    kill,
    main_pid,
    outcome,
    processes_of,
)
from tests.container.machine import Machine

MANY = 20
# Both streams, numbered, until the test says go; then its exit code is its own.
TALK = """\
i=0
while ! [ -e go ]; do i=$((i+1)); echo out $i; echo err $i >&2; sleep 0.2; done
echo end $i; exit $1
"""
KILLED = (
    # SIGABRT is a signal or a core dump, as the host has it.
    r"\.service: Main process exited, code=(killed|dumped)",
    r"\.service: Failed with result '(signal|core-dump)'",
    r"jobletd.service: Scheduled restart job",
)
REPLACED = r"joblet-init: job [-0-9a-f]+: its supervisor (ended with -9|is gone)"
# PIDFD_INFO_EXIT: the wait status of a process that somebody else reaped.
KNOWS_FOREIGN_ENDS = tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15)


@pytest.fixture
def jobs(machine: Machine) -> Jobs:
    return Jobs(machine)


class Talkers:
    """Running jobs that write and can be told to end."""

    def __init__(self, jobs: Jobs, count: int, **spec: int) -> None:
        self.jobs = jobs
        self.ids = [
            jobs.run("sh", "-c", TALK, "sh", str(number), **spec) for number in range(count)
        ]
        jobs.wait_running(*self.ids)
        for job in self.ids:
            jobs.wait_output(job, "out 1")

    def go(self) -> None:
        """Let them end."""
        for job in self.ids:
            self.jobs.machine.write_file(f"/var/lib/joblet/work/{job}/go", "")

    def check(self) -> None:
        """Everything they wrote is there, once and in order, and they ended with their code."""
        for number, job in enumerate(self.ids):
            end = outcome(self.jobs.wait(job))
            assert end == ("COMPLETED" if number == 0 else "FAILED", "exit", number)
            lines = self.jobs.log(job).splitlines()
            last = int(lines[-1].removeprefix("end "))
            for stream in ("out", "err"):
                heard = [line for line in lines if line.startswith(stream)]
                assert heard == [f"{stream} {i + 1}" for i in range(last)]
            assert len(lines) == 2 * last + 1
            assert self.jobs.sealed(job)

    def more_output(self) -> None:
        """Wait until each of them has written something since now."""
        sizes = {job: len(self.jobs.log(job)) for job in self.ids}
        self.jobs.machine.wait_for(
            lambda: all(len(self.jobs.log(job)) > size for job, size in sizes.items()),
            "more output of everyone",
        )


def nothing_failed(machine: Machine) -> bool:
    return not machine.run(["systemctl", "--failed", "--no-legend"]).stdout


def answers(machine: Machine) -> bool:
    ping = ["org.joblet1", "/org/joblet1", "org.freedesktop.DBus.Peer", "Ping"]
    return machine.run(["busctl", "--auto-start=no", "call", *ping], check=False).returncode == 0


def kill_daemon(machine: Machine) -> None:
    kill(machine, DAEMON)


def restart_daemon(machine: Machine) -> None:
    machine.run(["systemctl", "restart", DAEMON])


def kill_helper(machine: Machine) -> None:
    kill(machine, HELPER)


def restart_helper(machine: Machine) -> None:
    machine.run(["systemctl", "restart", HELPER])


def kill_both(machine: Machine) -> None:
    pids = [str(main_pid(machine, name)) for name in (DAEMON, HELPER)]
    machine.run(["kill", "-KILL", *pids])
    machine.wait_for(lambda: main_pid(machine, HELPER) not in (0, int(pids[1])), "joblet-init")
    machine.wait_for(lambda: main_pid(machine, DAEMON) not in (0, int(pids[0])), "jobletd")
    machine.wait_for(lambda: answers(machine), "jobletd to answer")


def at_hand(machine: Machine) -> set[str]:
    """Children of supervisors that are in no scope."""
    pids = str(machine.run(["cat", f"{HOME_CGROUP}/cgroup.procs"]).stdout).split()
    look = 'for pid; do cut -d" " -f1,4 /proc/$pid/stat; done 2>/dev/null; true'
    lines = str(machine.run(["sh", "-c", look, "sh", *pids]).stdout).splitlines()
    parents = dict(line.split() for line in lines)
    return {pid for pid, parent in parents.items() if parent in parents}


def gone(machine: Machine, pids: set[str]) -> bool:
    return pids.isdisjoint(at_hand(machine))


def supervisors(machine: Machine, jobs: list[str]) -> list[str]:
    records = [machine.path(f"/run/joblet/jobs/{job}/run").read_bytes() for job in jobs]
    return [str(run_record.decode(record).supervisor.pid) for record in records]


def replaced(machine: Machine, jobs: list[str], before: list[str]) -> bool:
    return not set(supervisors(machine, jobs)) & set(before)


@pytest.mark.journal_allows(*KILLED)
@pytest.mark.parametrize(
    "blow", [kill_daemon, restart_daemon, kill_helper, restart_helper, kill_both]
)
def test_running_jobs_do_not_notice(
    machine: Machine, jobs: Jobs, blow: Callable[[Machine], None]
) -> None:
    talkers = Talkers(jobs, MANY)
    blow(machine)
    talkers.more_output()
    talkers.go()
    talkers.check()
    assert nothing_failed(machine)


@pytest.mark.journal_allows(*KILLED)
@pytest.mark.parametrize("blow", [kill_daemon, kill_helper, restart_helper, kill_both])
def test_new_jobs_start_afterwards(
    machine: Machine, jobs: Jobs, blow: Callable[[Machine], None]
) -> None:
    blow(machine)
    job = jobs.run("echo", "here")
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job) == "here\n"


@pytest.mark.journal_allows(REPLACED)
def test_killed_supervisors_are_replaced(machine: Machine, jobs: Jobs) -> None:
    talkers = Talkers(jobs, 5)
    for _ in range(2):
        before = supervisors(machine, talkers.ids)
        machine.run(["kill", "-KILL", *before])
        machine.wait_for(partial(replaced, machine, talkers.ids, before), "replacements")
        talkers.more_output()
    talkers.go()
    talkers.check()


@pytest.mark.journal_allows(REPLACED)
def test_supervisor_killed_at_work_for_its_second_job(machine: Machine, jobs: Jobs) -> None:
    for _ in range(3):
        jobs.done("true")
    test_killed_supervisors_are_replaced(machine, jobs)


def test_processes_killed_while_they_wait_for_a_job(machine: Machine, jobs: Jobs) -> None:
    """Anchors and next first processes; whoever needs one forks another."""
    for _ in range(5):
        assert outcome(jobs.done("true")) == ("COMPLETED", "exit", 0)
        machine.wait_for(lambda: len(at_hand(machine)) >= 2, "processes that wait for a job")
        killed = at_hand(machine)
        machine.run(["kill", "-KILL", *killed])
        machine.wait_for(partial(gone, machine, killed), "their end")


@pytest.mark.journal_allows(REPLACED, *KILLED)
@pytest.mark.parametrize("blow", [kill_helper, restart_helper])
def test_supervisors_killed_after_a_restart_of_the_helper(
    machine: Machine, jobs: Jobs, blow: Callable[[Machine], None]
) -> None:
    talkers = Talkers(jobs, 5)
    blow(machine)
    before = supervisors(machine, talkers.ids)
    machine.run(["kill", "-KILL", *before])
    machine.wait_for(lambda: replaced(machine, talkers.ids, before), "replacements")
    talkers.more_output()
    talkers.go()
    if KNOWS_FOREIGN_ENDS:
        talkers.check()
        return
    for job in talkers.ids:
        assert outcome(jobs.wait(job)) == ("FAILED", "lost", 125)
        assert "end" in jobs.log(job)


@pytest.mark.journal_allows(REPLACED, *KILLED)
def test_helper_killed_after_its_supervisors(machine: Machine, jobs: Jobs) -> None:
    talkers = Talkers(jobs, 5)
    before = supervisors(machine, talkers.ids)
    machine.run(["kill", "-KILL", *before])
    machine.wait_for(lambda: replaced(machine, talkers.ids, before), "replacements")
    kill_helper(machine)
    talkers.more_output()
    talkers.go()
    if KNOWS_FOREIGN_ENDS:
        talkers.check()
        return
    for job in talkers.ids:
        assert outcome(jobs.wait(job)) == ("FAILED", "lost", 125)


@pytest.mark.journal_allows(
    r"its supervisor (and|died together with) joblet-init", REPLACED, *KILLED
)
def test_only_the_death_of_all_witnesses_loses_a_job(machine: Machine, jobs: Jobs) -> None:
    witnessed = Talkers(jobs, 2)
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    helper = main_pid(machine, HELPER)
    machine.run(["kill", "-KILL", str(helper), *supervisors(machine, [job])])
    machine.wait_for(lambda: main_pid(machine, HELPER) not in (0, helper), "joblet-init")
    kill_daemon(machine)
    assert outcome(jobs.wait(job)) == ("FAILED", "lost", 125)
    assert jobs.sealed(job)
    witnessed.go()
    witnessed.check()


def test_jobs_that_end_while_the_daemon_is_down(machine: Machine, jobs: Jobs) -> None:
    talkers = Talkers(jobs, 5)
    sleeper = jobs.run("sleep", "1000")
    jobs.wait_running(sleeper)
    (pid,) = processes_of(machine, sleeper)
    machine.run(["systemctl", "stop", "jobletd.socket", DAEMON])
    talkers.go()
    machine.run(["kill", "-KILL", str(pid)])
    for job in [*talkers.ids, sleeper]:
        machine.wait_for(machine.path(f"/run/joblet/jobs/{job}/exit").exists, "exit record")
    machine.run(["systemctl", "start", "jobletd.socket", DAEMON])
    talkers.check()
    assert outcome(jobs.wait(sleeper)) == ("FAILED", "signal", 137)


def test_end_of_a_job_brings_the_daemon_back(machine: Machine, jobs: Jobs) -> None:
    talkers = Talkers(jobs, 1)
    machine.run(["systemctl", "stop", DAEMON])
    talkers.go()
    machine.wait_for(lambda: answers(machine), "the daemon")
    talkers.check()


@pytest.mark.journal_allows(*KILLED)
def test_stop_and_wait_go_on_over_a_death_of_the_daemon(machine: Machine, jobs: Jobs) -> None:
    talkers = Talkers(jobs, 1)
    waiting = machine.popen(["jobletctl", "job", "wait", talkers.ids[0]])
    following = machine.popen(["jobletctl", "job", "log", talkers.ids[0]])
    kill_daemon(machine)
    talkers.go()
    out, err = following.communicate(timeout=60)
    # stderr of the job is stderr of the command
    heard = jobs.log(talkers.ids[0]).splitlines(keepends=True)
    assert out.decode() == "".join(line for line in heard if not line.startswith("err"))
    assert err.decode() == "".join(line for line in heard if line.startswith("err"))
    out, _ = waiting.communicate(timeout=60)
    assert (out.decode(), waiting.returncode) == (f"{talkers.ids[0]} COMPLETED 0\n", 0)
    talkers.check()


ASK = """\
import asyncio, sys
from joblet.client.api import JobQuery
from joblet.client.local import LocalClient

async def asker(client, stop, job):
    asked = 0
    while not stop.done():
        assert (await client.status(job)).id == job
        assert job in {one.id for one in (await client.list_jobs(JobQuery())).jobs}
        await client.version()
        asked += 3
    return asked

async def main():
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with LocalClient.connect() as client:
        print(sum(await asyncio.gather(*(asker(client, stop, sys.argv[1]) for _ in range(8)))))

asyncio.run(main())
"""


def test_no_question_is_lost_while_the_daemon_is_restarted(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("true")
    jobs.wait(job)
    with machine.popen(["python3", "-c", ASK, job], stdin=subprocess.PIPE) as askers:
        for _ in range(5):
            machine.run(["systemctl", "restart", DAEMON])
        said, trouble = askers.communicate(b"")
    assert askers.returncode == 0, trouble.decode()
    assert int(said) > 0


@pytest.mark.journal_allows(
    *KILLED,
    *BORN_DEAD,
    r"joblet-init: .*with \d+ jobs under way",
    r"joblet-init: job [-0-9a-f]+: its supervisor is gone",
    "starting again",
)
@pytest.mark.parametrize("blow", [kill_daemon, kill_helper, restart_helper, kill_both])
def test_storm_of_starts_runs_every_job_exactly_once(
    machine: Machine, jobs: Jobs, blow: Callable[[Machine], None]
) -> None:
    submit = "for i in $(seq 15); do jobletctl job run -- echo ran || :; done"
    storms = [machine.popen(["sh", "-c", submit]) for _ in range(2)]
    accepted = len(jobs.ids())
    machine.wait_for(lambda: len(jobs.ids()) > accepted + 1, "the first jobs")
    blow(machine)
    ids = []
    for storm in storms:
        out, _ = storm.communicate(timeout=120)
        ids += out.decode().split()
    assert len(ids) >= 20
    for job in ids:
        assert (outcome(jobs.wait(job)), jobs.log(job)) == (("COMPLETED", "exit", 0), "ran\n"), job
    # also those whose caller never heard of them
    for job in jobs.ids()[: -accepted or None]:
        assert jobs.wait(job)["state"] == "COMPLETED"
        assert jobs.log(job) in ("ran\n", "")
    assert nothing_failed(machine)


@pytest.fixture
def two_places(machine: Machine) -> Iterator[None]:
    settings = machine.read_file("/etc/joblet/joblet.toml")
    machine.write_file("/etc/joblet/joblet.toml", settings + "[jobs]\nmax_running = 2\n")
    machine.run(["systemctl", "restart", DAEMON])
    yield
    machine.write_file("/etc/joblet/joblet.toml", settings)
    machine.run(["systemctl", "restart", DAEMON])


@pytest.mark.journal_allows(*KILLED)
@pytest.mark.usefixtures("two_places")
@pytest.mark.parametrize("blow", [None, kill_daemon, kill_helper])
def test_jobs_beyond_the_limit_wait_in_their_order(
    machine: Machine, jobs: Jobs, blow: Callable[[Machine], None] | None
) -> None:
    first = Talkers(jobs, 2)
    waiting = [jobs.run("echo", str(i)) for i in range(6)]
    given_up = jobs.run("echo", "never")
    ctl(machine, "job", "cancel", given_up)
    if blow is not None:
        blow(machine)
    assert [jobs.status(job)["state"] for job in waiting] == ["PENDING"] * 6
    assert outcome(jobs.wait(given_up)) == ("CANCELED", "canceled", 143)
    first.go()
    first.check()
    ends = [jobs.wait(job) for job in waiting]
    assert [outcome(end) for end in ends] == [("COMPLETED", "exit", 0)] * 6
    # two at a time: who was accepted two places earlier began earlier
    began = [end["started_usec"] for end in ends]
    assert all(began[i] < began[i + 2] for i in range(4))
    assert all(end["queue_usec"] > 0 for end in ends)


@pytest.mark.journal_allows(*KILLED)
def test_scheduled_jobs_survive_the_daemon(machine: Machine, jobs: Jobs) -> None:
    now = time.time_ns() // 1000
    later = jobs.run("echo", "later", start_at_usec=now + 3600 * SECOND)
    soon = jobs.run("echo", "soon", start_at_usec=now + 2 * SECOND)
    kill_daemon(machine)
    assert jobs.status(later)["state"] == "SCHEDULED"
    end = jobs.wait(soon)
    assert outcome(end) == ("COMPLETED", "exit", 0)
    assert end["started_usec"] >= end["due_usec"] == now + 2 * SECOND
    ctl(machine, "job", "cancel", later)
    assert outcome(jobs.wait(later)) == ("CANCELED", "canceled", 143)


def test_overdue_job_runs_when_the_daemon_is_back(machine: Machine, jobs: Jobs) -> None:
    due = time.time_ns() // 1000 + 3 * SECOND
    job = jobs.run("echo", "overdue", start_at_usec=due)
    machine.run(["systemctl", "stop", "jobletd.socket", DAEMON])
    machine.wait_for(lambda: time.time_ns() // 1000 > due, "the time of the job")
    machine.run(["systemctl", "start", "jobletd.socket", DAEMON])
    end = jobs.wait(job)
    assert outcome(end) == ("COMPLETED", "exit", 0)
    assert end["due_usec"] == due


@pytest.mark.usefixtures("two_places")
@pytest.mark.journal_allows("the host went down while it ran", r"jobletd: .*sweeping what is left")
@pytest.mark.parametrize("lost", [True, False])
def test_reboot(machine: Machine, jobs: Jobs, lost: bool) -> None:
    now = time.time_ns() // 1000
    running = Talkers(jobs, 2, stop_grace_usec=SECOND)
    pending = jobs.run("echo", "pending")
    overdue = jobs.run("echo", "overdue", start_at_usec=now + SECOND // 2)
    later = jobs.run("echo", "later", start_at_usec=now + 3600 * SECOND)
    if lost:
        machine.cut_power()
        machine.boot()
    else:
        machine.reboot()
    machine.wait_for(lambda: answers(machine), "the daemon")
    # as PID 1 a shell without a trap cannot hear a SIGTERM
    wanted = ("FAILED", "lost", 125) if lost else ("STOPPED", "shutdown", 137)
    for job in running.ids:
        assert outcome(jobs.wait(job)) == wanted
        assert jobs.log(job).startswith("out 1\n")
        assert jobs.sealed(job)
    for job, said in ((pending, "pending\n"), (overdue, "overdue\n")):
        assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
        assert jobs.log(job) == said
    assert jobs.status(later)["state"] == "SCHEDULED"
    ctl(machine, "job", "cancel", later)
    assert machine.run(["systemctl", "is-system-running"]).stdout.strip() == "running"


@pytest.mark.journal_allows(*KILLED)
def test_hung_daemon_is_told_by_its_death_not_by_its_jobs(machine: Machine, jobs: Jobs) -> None:
    # SIGABRT is what the watchdog sends.
    talkers = Talkers(jobs, 2)
    kill(machine, DAEMON, signal.SIGABRT)
    talkers.go()
    talkers.check()
