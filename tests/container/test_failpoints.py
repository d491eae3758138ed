"""Death and errors at every fail-point: a truthful record, nothing lost, doubled or left.

POINTS names every fail-point of the source and what becomes of a job there; a contract test holds
both together. One with a second word can also fail; between two steps there is only death.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.container.jobs import (
    BORN_DEAD,
    DAEMON,
    HELPER,
    SECOND,
    Jobs,
    Refused,
    kill,
    outcome,
    scope_of,
    unit,
)
from tests.container.machine import Machine

ARMED = "/run/joblet/failpoints"
DROP_IN = f"[Service]\nEnvironment=JOBLET_FAILPOINTS={ARMED}\n"
CAP = 1 << 20
PARENTS = ("/var/log/joblet/jobs", "/var/lib/joblet/work")
JOB = "echo ran >>ran; echo out; echo err >&2; exit 3"
# What becomes of the job: no job, and its client knows; it ran once; nothing ran, and it says so.
NOTHING, RAN, NOT_RUN = "nothing", "ran", "not run"
EITHER = "no job or ran"

# name: (scenario, what becomes of the job after a crash[, after an error])
POINTS: dict[str, tuple[str, ...]] = {
    "submit.before-insert": ("run", NOTHING),
    "store.before-insert": ("run", NOTHING, NOTHING),
    "store.before-commit": ("run", NOTHING, NOTHING),
    # Accepted, though its client may not have heard of it.
    "store.after-commit": ("run", RAN, NOTHING),
    "store.after-insert": ("run", RAN, NOTHING),
    "submit.after-insert": ("run", RAN),
    "launch.before-spawn": ("due", RAN, NOT_RUN),
    "launch.before-scope": ("due", RAN, NOT_RUN),
    "launch.before-gate": ("run", RAN, NOT_RUN),
    "launch.after-gate": ("run", RAN),
    "launch.running": ("run", RAN),
    "first.before-setup": ("run", NOT_RUN, NOT_RUN),
    "first.after-gate": ("run", NOT_RUN, NOT_RUN),
    "supervisor.before-spawned": ("run", RAN, NOT_RUN),
    "supervisor.after-spawned": ("run", NOT_RUN, NOT_RUN),
    "supervisor.before-started": ("run", RAN, RAN),
    "supervisor.before-flush": ("run", RAN, RAN),
    "supervisor.before-exit-record": ("run", RAN, RAN),
    "supervisor.after-exit-record": ("run", RAN, RAN),
    "supervisor.before-seal": ("run", RAN, RAN),
    "supervisor.before-poke": ("run", RAN, RAN),
    "supervisor.before-punch": ("flood", RAN, RAN),
    "finish.before-save": ("run", RAN),
    "finish.after-save": ("run", RAN),
    "finish.before-clear": ("clear", RAN, RAN),
    "stop.before-save": ("stop", RAN),
    "stop.before-deliver": ("stop", RAN),
    "update.before-save": ("update", "4096"),
    "update.after-save": ("update", "100"),
    "delete.before-rows": ("delete", RAN),
    "delete.after-rows": ("delete", NOTHING),
    "recovery.listed": ("recover", RAN),
    "recovery.settled-one": ("recover", RAN),
    "recovery.done": ("recover", RAN),
}
CASES = [
    pytest.param(name, action, scenario, expected, id=f"{name} {action}")
    for name, (scenario, *outcomes) in POINTS.items()
    for action, expected in zip(("crash", "error"), outcomes, strict=False)
] + [
    # The row of a job that begins at once is written meanwhile, or was, or is not yet.
    pytest.param("launch.before-spawn", "crash", "run", NOTHING, id="launch.before-spawn at once"),
    pytest.param("launch.before-scope", "crash", "run", EITHER, id="launch.before-scope at once"),
    *[
        pytest.param("supervisor.before-started", action, "lasting", RAN, id=f"lasting {action}")
        for action in ("crash", "error")
    ],
]


@pytest.fixture(scope="module")
def _armed(machine: Machine) -> Iterator[None]:
    cap = "/etc/joblet/joblet.toml.d/90-cap.toml"
    drop_ins = [f"/run/systemd/system/{name}.d/failpoints.conf" for name in (DAEMON, HELPER)]
    machine.write_file(cap, f"[logs]\nmax_bytes = {CAP}\n")
    for drop_in in drop_ins:
        machine.write_file(drop_in, DROP_IN)
    machine.run(["mkdir", ARMED])

    def renew() -> None:
        machine.run(["systemctl", "daemon-reload"])
        machine.run(["systemctl", "restart", HELPER, DAEMON])

    renew()
    yield
    machine.run(["rm", "-r", cap, ARMED, *drop_ins])
    renew()


class Point:
    """One fail-point, armed or passed."""

    def __init__(self, machine: Machine, name: str, action: str) -> None:
        self._machine = machine
        self._file = machine.path(f"{ARMED}/{name}")
        self.crash = action == "crash"
        self._action = action

    def arm(self) -> None:
        self._file.write_text(self._action)

    def wait(self) -> None:
        """Until somebody passed it, and whoever died of it is back."""
        self._machine.wait_for(lambda: not self._file.exists(), f"{self._file.name} to be passed")
        self._machine.run(["systemctl", "start", DAEMON, HELPER])

    def disarm(self) -> None:
        self._file.unlink(missing_ok=True)


def patient(machine: Machine, ask: Callable[[], object]) -> object:
    """The answer of a daemon that may be dying and coming back."""
    found: list[object] = []

    def answered() -> bool:
        try:
            found.append(ask())
        except Refused:
            return False
        return True

    machine.wait_for(answered, "an answer")
    return found[0]


def start(jobs: Jobs, script: str) -> str | None:
    """Submit; None if the client was told that it failed."""
    try:
        return jobs.shell(script)
    except Refused:
        return None


def the_job(machine: Machine, jobs: Jobs) -> str | None:
    """The one job there is, or none."""
    ids = patient(machine, jobs.ids)
    assert isinstance(ids, list)
    assert len(ids) <= 1, ids
    return str(ids[0]) if ids else None


def check_ran(machine: Machine, jobs: Jobs, job: str) -> None:
    status = jobs.status(job)
    assert outcome(status) == ("FAILED", "exit", 3), status
    assert sorted(jobs.log(job).splitlines()) == ["err", "out"]
    assert status["log_bytes"] == len("out\nerr\n")
    assert jobs.sealed(job)
    assert machine.read_file(f"/var/lib/joblet/work/{job}/ran") == "ran\n"
    times = [status[key] for key in ("submitted_usec", "started_usec", "finished_usec")]
    assert times == sorted(times)


def check_not_run(machine: Machine, jobs: Jobs, job: str) -> None:
    status = jobs.status(job)
    assert status["state"] == "FAILED", status
    assert status["reason"] in ("setup", "signal"), status
    assert "started_usec" not in status
    assert jobs.log(job) == ""
    assert jobs.sealed(job)
    assert not machine.path(f"/var/lib/joblet/work/{job}/ran").exists()


def wait_end(machine: Machine, jobs: Jobs, job: str) -> None:
    machine.wait_for(lambda: "reason" in patient(machine, lambda: jobs.status(job)), "its end")  # type: ignore[operator]


def run(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    point.arm()
    told = start(jobs, JOB)
    point.wait()
    check(machine, jobs, told, expected)


def lasting(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    """A supervisor that dies before it has told of the start: the job runs, and can be stopped."""
    point.arm()
    job = jobs.shell("echo ran >>ran; exec sleep 1000")
    point.wait()
    jobs.wait_running(job)
    jobs.stop(job)
    wait_end(machine, jobs, job)
    assert outcome(jobs.status(job)) == ("STOPPED", "stopped", 143)
    assert machine.read_file(f"/var/lib/joblet/work/{job}/ran") == "ran\n"


def due(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    point.arm()
    told = jobs.shell(JOB, start_at_usec=time.time_ns() // 1000 + 3 * SECOND)
    point.wait()
    check(machine, jobs, told, expected)


def check(machine: Machine, jobs: Jobs, told: str | None, expected: str) -> None:
    job = the_job(machine, jobs)
    if expected == EITHER:
        expected = NOTHING if job is None else RAN
    if expected == NOTHING:
        assert told is None
        assert job is None
        return
    assert job is not None
    assert told in (None, job)
    wait_end(machine, jobs, job)
    (check_ran if expected == RAN else check_not_run)(machine, jobs, job)


def clear(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    run(machine, jobs, point, expected)
    if not point.crash:
        # What could not be cleared away is the reconciler's at the next start.
        assert list(machine.path("/run/joblet/jobs").iterdir())
        machine.run(["systemctl", "restart", DAEMON])


def flood(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    point.arm()
    job = jobs.run("seq", "1", "400000")
    point.wait()
    wait_end(machine, jobs, job)
    status = jobs.status(job)
    assert outcome(status) == ("COMPLETED", "exit", 0)
    whole = "".join(f"{number}\n" for number in range(1, 400_001)).encode()
    assert status["log_bytes"] + status["log_dropped_bytes"] == len(whole)
    # Where no hole can be made the log takes nothing more, and counts.
    assert (status["log_dropped_bytes"] > 0) == (not point.crash)
    data, after, _ = jobs.call("ReadLog", "stt", job, 0, 1 << 20)
    assert data
    assert bytes(data) == whole[after - len(data) : after]
    assert jobs.sealed(job)


def stop(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    point.arm()
    with pytest.raises(Refused):
        jobs.stop(job)
    point.wait()
    if "reason" not in patient(machine, lambda: jobs.status(job)) and "save" in point._file.name:  # type: ignore[operator]
        assert patient(machine, lambda: jobs.status(job)["state"]) == "RUNNING"
        jobs.stop(job)
    # One that was recorded is delivered by the next daemon.
    wait_end(machine, jobs, job)
    assert outcome(jobs.status(job)) == ("STOPPED", "stopped", 143)


def update(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    point.arm()
    with pytest.raises(Refused):
        jobs.call("UpdateJob", "sa{sv}", job, 1, "max_tasks", "u", 100)
    point.wait()
    # What is on record is what is in force; the anchor counts too.
    recorded = patient(machine, lambda: jobs.status(job)["max_tasks"])
    assert str(recorded) == expected
    machine.wait_for(
        lambda: unit(machine, scope_of(job), "TasksMax")["TasksMax"] == str(int(expected) + 1),
        "the limit to be in force",
    )
    jobs.stop(job)
    wait_end(machine, jobs, job)


def delete(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    job = jobs.shell(JOB)
    jobs.wait(job)
    point.arm()
    with pytest.raises(Refused):
        jobs.call("DeleteJob", "s", job)
    point.wait()
    if expected == RAN:
        assert the_job(machine, jobs) == job
        check_ran(machine, jobs, job)
        jobs.call("DeleteJob", "s", job)
    assert the_job(machine, jobs) is None
    folders = [machine.path(f"{parent}/{job}") for parent in PARENTS]
    machine.wait_for(lambda: not any(folder.exists() for folder in folders), "its files to go")


def recover(machine: Machine, jobs: Jobs, point: Point, expected: str) -> None:
    waits = "while ! [ -e go ]; do sleep 0.01; done; "
    job = jobs.shell(waits + JOB)
    jobs.wait_running(job)
    point.arm()
    kill(machine, DAEMON)
    point.wait()
    assert patient(machine, lambda: jobs.status(job)["state"]) == "RUNNING"
    machine.path(f"/var/lib/joblet/work/{job}/go").touch()
    wait_end(machine, jobs, job)
    check_ran(machine, jobs, job)


SCENARIOS = {
    each.__name__: each for each in (run, lasting, due, clear, flood, stop, update, delete, recover)
}


@pytest.mark.usefixtures("_armed")
@pytest.mark.journal_allows(
    r"fail-point",
    r"\.service: (Main process exited, code=killed|Failed with result 'signal')",
    r"\.service: Scheduled restart job",
    r"Failed to start jobletd\.service",
    *BORN_DEAD,
    r"its supervisor (ended with (-9|1)|is gone)",
    r"(launch failed|starting again): ",
)
@pytest.mark.parametrize(("name", "action", "scenario", "expected"), CASES)
def test_job_is_not_lost_doubled_or_lied_about(
    machine: Machine, name: str, action: str, scenario: str, expected: str
) -> None:
    jobs = Jobs(machine)
    jobs.call("DeleteAllJobs", "a{sv}", 1, "all", "b", "true")
    point = Point(machine, name, action)
    try:
        SCENARIOS[scenario](machine, jobs, point, expected)
    finally:
        point.disarm()
