"""How jobs end, and that the record says so: exit codes, signals, stops, timeouts, `--init`."""

from __future__ import annotations

import pytest

from tests.container.caller import Call, Variant, ask, run_job
from tests.container.jobs import (
    DAEMON,
    LONG_GRACE,
    SECOND,
    Jobs,
    Refused,
    ctl,
    outcome,
    processes_of,
    scope_of,
)
from tests.container.machine import Machine

HEARS_TERM = 'trap "echo heard; exit 7" TERM; echo ready; while :; do sleep 1000 & wait; done'
DEAF = 'trap "echo deaf" TERM; echo ready; while :; do sleep 1000 & wait; done'
# Long enough for a second command, or a program that hears and goes on.
GRACE = 2 * SECOND
# What systemd says when a grace is over.
KILLED_BY_SYSTEMD = pytest.mark.journal_allows(
    r"\.scope: (Stopping timed out|Killing process|Failed with result 'timeout')"
)


@pytest.fixture
def jobs(machine: Machine) -> Jobs:
    return Jobs(machine)


def test_every_exit_code_arrives(machine: Machine) -> None:
    codes = range(256)
    shell = {"command": Variant("s", "sh")}
    specs = [{**shell, "args": Variant("as", ["-c", f"exit {code}"])} for code in codes]
    started = [answer.body[0] for answer in ask(machine, [run_job(spec) for spec in specs])]
    waits = [Call("WaitJob", "st", [job, 0]) for job in started]
    ends = [outcome(answer.body[0]) for answer in ask(machine, waits)]
    assert ends == [("COMPLETED" if code == 0 else "FAILED", "exit", code) for code in codes]


def test_times_are_those_of_the_program(jobs: Jobs) -> None:
    status = jobs.done("true")
    times = ["submitted_usec", "due_usec", "started_usec", "finished_usec"]
    assert [status[name] for name in times] == sorted(status[name] for name in times)
    assert status["queue_usec"] == status["started_usec"] - status["due_usec"]


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        ("no-such-command", 127, "exec 'no-such-command': No such file or directory (ENOENT)"),
        ("/no/such/file", 127, "exec '/no/such/file': No such file or directory (ENOENT)"),
        ("/etc/passwd/x", 127, "exec '/etc/passwd/x': Not a directory (ENOTDIR)"),
        ("/etc/passwd", 126, "exec '/etc/passwd': Permission denied (EACCES)"),
        ("/usr", 126, "exec '/usr': Permission denied (EACCES)"),
    ],
)
@pytest.mark.parametrize("init", [False, True])
def test_command_that_cannot_be_executed(
    jobs: Jobs, command: str, code: int, why: str, init: bool
) -> None:
    status = jobs.done(command, init=init)
    assert (*outcome(status), status["detail"]) == ("FAILED", "setup", code, why)
    assert jobs.log(status["id"]) == ""
    assert jobs.sealed(status["id"])


def test_plain_sleep_is_stopped_without_waiting_for_its_grace(jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000", stop_grace_usec=LONG_GRACE)
    jobs.wait_running(job)
    jobs.stop(job)
    status = jobs.wait(job)
    assert outcome(status) == ("STOPPED", "stopped", 143)
    assert status["finished_usec"] >= status["started_usec"]


def test_job_that_hears_a_stop_ends_with_its_own_code(jobs: Jobs) -> None:
    job = jobs.shell(HEARS_TERM, stop_grace_usec=LONG_GRACE)
    jobs.wait_output(job, "ready")
    jobs.stop(job)
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 7)
    assert jobs.log(job) == "ready\nheard\n"


def test_stop_reaches_every_process_of_the_job(jobs: Jobs) -> None:
    child = """sh -c 'trap "echo child; exit 0" TERM; echo ready; sleep 1000 & wait'"""
    job = jobs.shell(f"{child} & wait; echo parent goes on; exit 3", stop_grace_usec=LONG_GRACE)
    jobs.wait_output(job, "ready")
    jobs.stop(job)
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 3)
    assert jobs.log(job) == "ready\nchild\nparent goes on\n"


@KILLED_BY_SYSTEMD
def test_job_that_does_not_obey_is_killed_after_its_grace(jobs: Jobs) -> None:
    job = jobs.shell(DEAF, stop_grace_usec=GRACE)
    jobs.wait_output(job, "ready")
    jobs.stop(job)
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 137)
    assert jobs.log(job).startswith("ready\ndeaf\n")


@KILLED_BY_SYSTEMD
def test_stop_may_be_asked_for_twice(jobs: Jobs) -> None:
    job = jobs.shell(DEAF, stop_grace_usec=GRACE)
    jobs.wait_output(job, "ready")
    jobs.stop(job)
    jobs.stop(job)
    assert outcome(jobs.wait(job))[0] == "STOPPED"


def test_stop_of_an_ended_job_says_so(jobs: Jobs) -> None:
    job = jobs.done("true")["id"]
    with pytest.raises(Refused, match="COMPLETED; it has ended already"):
        jobs.stop(job)


def test_jobletctl_stop_shows_the_end(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    assert ctl(machine, "job", "stop", job[:8]) == f"{job} STOPPED 143\n"


@pytest.mark.parametrize(
    ("command", "code"), [(("sleep", "1000"), 137), (("sh", "-c", HEARS_TERM), 7)]
)
@KILLED_BY_SYSTEMD
def test_administrator_stops_the_scope(
    machine: Machine, jobs: Jobs, command: tuple[str, ...], code: int
) -> None:
    # A plain sleep as PID 1 cannot hear, and systemd waits for the grace: it is short here.
    job = jobs.run(*command, stop_grace_usec=SECOND)
    jobs.wait_running(job)
    if code == 7:
        jobs.wait_output(job, "ready")
    machine.run(["systemctl", "stop", scope_of(job)])
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", code)


def test_administrator_stops_the_scope_while_the_daemon_is_down(
    machine: Machine, jobs: Jobs
) -> None:
    job = jobs.shell(HEARS_TERM)
    jobs.wait_output(job, "ready")
    machine.run(["systemctl", "stop", "jobletd.socket", DAEMON])
    machine.run(["systemctl", "stop", scope_of(job)])
    machine.run(["systemctl", "start", "jobletd.socket", DAEMON])
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 7)


def test_kill_from_outside_is_a_failure(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    (pid,) = processes_of(machine, job)
    machine.run(["kill", "-KILL", str(pid)])
    assert outcome(jobs.wait(job)) == ("FAILED", "signal", 137)


def test_systemctl_kill_is_a_plain_signal(machine: Machine, jobs: Jobs) -> None:
    job = jobs.shell(HEARS_TERM)
    jobs.wait_output(job, "ready")
    machine.run(["systemctl", "kill", "--signal=TERM", scope_of(job)])
    assert outcome(jobs.wait(job)) == ("FAILED", "exit", 7)


def test_systemctl_kill_of_the_whole_scope_loses_nothing(machine: Machine, jobs: Jobs) -> None:
    job = jobs.shell("echo before; exec sleep 1000")
    jobs.wait_output(job, "before")
    machine.run(["systemctl", "kill", "--signal=KILL", scope_of(job)])
    assert outcome(jobs.wait(job)) == ("FAILED", "signal", 137)
    assert (jobs.log(job), jobs.sealed(job)) == ("before\n", True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo ready; exec sleep 1000", "ready\n"),
        (HEARS_TERM, "ready\nheard\n"),
    ],
)
def test_job_over_its_time(jobs: Jobs, script: str, said: str) -> None:
    job = jobs.shell(script, timeout_usec=2 * SECOND, stop_grace_usec=LONG_GRACE)
    status = jobs.wait(job)
    assert outcome(status) == ("TIMEOUT", "timeout", 124)
    assert jobs.log(job) == said
    assert status["finished_usec"] - status["started_usec"] >= 2 * SECOND


@KILLED_BY_SYSTEMD
def test_job_over_its_time_that_does_not_obey_is_killed(jobs: Jobs) -> None:
    job = jobs.shell(DEAF, timeout_usec=SECOND // 2, stop_grace_usec=SECOND // 2)
    assert outcome(jobs.wait(job)) == ("TIMEOUT", "timeout", 124)


@pytest.mark.journal_allows(r"\.scope: Scope reached runtime time limit")
@KILLED_BY_SYSTEMD
@pytest.mark.parametrize("script", ["exec sleep 1000", HEARS_TERM])
def test_job_over_its_time_while_the_daemon_is_down(
    machine: Machine, jobs: Jobs, script: str
) -> None:
    # Long enough that the daemon is down by then.
    job = jobs.shell(script, timeout_usec=5 * SECOND, stop_grace_usec=SECOND)
    jobs.wait_running(job)
    machine.run(["systemctl", "stop", "jobletd.socket", DAEMON])
    exited = machine.path(f"/run/joblet/jobs/{job}/exit")
    machine.wait_for(exited.exists, "systemd to end the job")
    machine.run(["systemctl", "start", "jobletd.socket", DAEMON])
    assert outcome(jobs.wait(job)) == ("TIMEOUT", "timeout", 124)


def test_job_below_its_time_is_left_alone(jobs: Jobs) -> None:
    assert outcome(jobs.done("sleep", "0.1", timeout_usec=LONG_GRACE)) == ("COMPLETED", "exit", 0)


def test_init_reaps_what_the_command_leaves(jobs: Jobs) -> None:
    # an orphan that ended: with a reaping PID 1 it is gone, and not a zombie
    script = "(sleep 0.01 & echo $! >orphan); p=$(cat orphan); while [ -e /proc/$p ]; do :; done"
    job = jobs.shell(script + "; cat /proc/1/comm; exit 5", init=True)
    assert outcome(jobs.wait(job)) == ("FAILED", "exit", 5)
    assert jobs.log(job) == "joblet-init\n"


def test_init_hands_signals_on(jobs: Jobs) -> None:
    job = jobs.shell(HEARS_TERM, init=True, stop_grace_usec=LONG_GRACE)
    jobs.wait_output(job, "ready")
    jobs.stop(job)
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 7)


def test_init_lets_a_plain_command_be_terminated(jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000", init=True, stop_grace_usec=LONG_GRACE)
    jobs.wait_running(job)
    jobs.stop(job)
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 143)


@pytest.mark.parametrize("init", [False, True])
def test_child_that_dies_of_a_signal_is_told_as_shells_tell_it(jobs: Jobs, init: bool) -> None:
    # PID 1 of a namespace is immune to signals of its own processes, so a child does the dying.
    script = "kill -SEGV $$" if init else "sh -c 'kill -SEGV $$'; exit $?"
    assert outcome(jobs.done("sh", "-c", script, init=init)) == ("FAILED", "exit", 139)
