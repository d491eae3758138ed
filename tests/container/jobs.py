"""Joblet as a test in a machine uses it: jobs by busctl, the daemons by systemctl.

Speaks the published contract with systemd's own tool, so nothing of ours stands between a test
and the daemon. Knows the documented types of a spec and no more; the machine itself is left to
machine.py.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from tests.grounds.machine import BootedMachine

# The keys of a spec as org.joblet1.Manager.xml documents them, in busctl's own spelling.
SPEC_TYPES = {
    "command": "s",
    "args": "as",
    "name": "s",
    "environment": "a{ss}",
    "timeout_usec": "t",
    "stop_grace_usec": "t",
    "start_at_usec": "t",
    "max_cpu": "u",
    "cpu_weight": "u",
    "cpu_cores": "s",
    "max_memory": "t",
    "max_io_bps": "t",
    "max_iops": "t",
    "io_weight": "u",
    "max_tasks": "t",
    "max_work": "t",
    "max_tmp": "t",
    "max_shm": "t",
    "user": "u",
    "network": "s",
    "init": "b",
}
SECOND = 1_000_000
DAEMON, HELPER = "jobletd.service", "joblet-init.service"
# What systemd says of a scope whose process ended before it was in there, as who kills a daemon, a
# helper or a supervisor in the midst of a start can make happen. Three of its looks at the process
# can be the one that misses it, and each has words of its own; the start is made anew.
BORN_DEAD = (
    r"\.scope: (Failed to add PIDs|No PIDs left to attach|PID \d+ vanished before)",
    r"joblet-[-0-9a-f]+\.scope: Failed with result 'resources'",
    r"Failed to start joblet-[-0-9a-f]+\.scope",
)
# A grace no test waits for: who sees the end of a job that ignores SIGTERM has not waited for it.
LONG_GRACE = 600 * SECOND


class Refused(Exception):
    """The daemon, or the bus, answered a call with an error; the text is what busctl shows."""


class Jobs:
    """Verbs of one user, or of root."""

    def __init__(self, machine: BootedMachine, user: str | int | None = None) -> None:
        self.machine = machine
        self.user = user

    def call(self, member: str, signature: str = "", *words: str | int) -> list[Any]:
        """A method of the manager; the values of its reply. Raises Refused."""
        target = ["org.joblet1", "/org/joblet1", "org.joblet1.Manager", member]
        done = self.machine.run(
            ["busctl", "--json=short", "--timeout=100", "--", "call", *target]
            + ([signature, *map(str, words)] if signature else []),
            user=self.user,
            check=False,
        )
        if done.returncode != 0:
            raise Refused(done.stderr.strip().removeprefix("Call failed: "))
        return list(json.loads(done.stdout)["data"]) if done.stdout else []

    def run(self, *command: str, **spec: Any) -> str:
        """RunJob; the job's id."""
        keys = {"command": command[0], "args": list(command[1:]), **spec}
        words = [str(len(keys))]
        for key, value in keys.items():
            words += [key, SPEC_TYPES[key], *_words(value)]
        return str(self.call("RunJob", "a{sv}", *words)[0])

    def shell(self, script: str, **spec: Any) -> str:
        """RunJob of a shell script; the job's id."""
        return self.run("sh", "-c", script, **spec)

    def done(self, *command: str, **spec: Any) -> dict[str, Any]:
        """Run a job and wait for its end; its status."""
        return self.wait(self.run(*command, **spec))

    def status(self, job: str) -> dict[str, Any]:
        """GetJob."""
        return _plain(self.call("GetJob", "s", job)[0])

    def wait(self, job: str) -> dict[str, Any]:
        """WaitJob, for the end; the job's status."""
        status = _plain(self.call("WaitJob", "st", job, 90 * SECOND)[0])
        assert "reason" in status, f"it has not ended: {status}"
        return status

    def wait_running(self, *jobs: str) -> None:
        """Wait until the programs of these jobs run."""
        left = list(jobs)

        def all_run() -> bool:
            while left and self.status(left[0])["state"] == "RUNNING":
                left.pop(0)
            return not left

        self.machine.wait_for(all_run, f"jobs to run: {left}")

    def wait_output(self, job: str, text: str) -> None:
        """Wait until this is in the job's log."""
        self.machine.wait_for(lambda: text in self.log(job), f"{text!r} in the log of {job}")

    def log(self, job: str) -> str:
        """The whole log so far."""
        data, offset = b"", 0
        while True:
            piece, offset, _sealed = self.call("ReadLog", "stt", job, offset, 1 << 16)
            data += bytes(piece)
            if not piece:
                return data.decode(errors="surrogateescape")

    def sealed(self, job: str) -> bool:
        """Whether the log says that it is complete."""
        return bool(self.call("ReadLog", "stt", job, 0, 1 << 20)[2])

    def stop(self, job: str) -> None:
        """StopJob."""
        self.call("StopJob", "sa{sv}", job, 0)

    def ids(self) -> list[str]:
        """Every job there is, newest first."""
        listed = self.call("ListJobs", "a{sv}", 1, "limit", "u", 1000)[0]
        return [str(_plain(job)["id"]) for job in listed]


def outcome(status: Mapping[str, Any]) -> tuple[str, str, int]:
    """State, reason and exit code."""
    return status["state"], status["reason"], status["exit_code"]


def ctl(machine: BootedMachine, *words: str, user: str | None = None) -> str:
    """What a jobletctl command printed."""
    return str(machine.run(["jobletctl", *words], user=user).stdout)


def unit(machine: BootedMachine, name: str, *properties: str) -> dict[str, str]:
    """Properties of a unit."""
    shown = machine.run(["systemctl", "show", name, f"--property={','.join(properties)}"]).stdout
    return dict(line.split("=", 1) for line in shown.splitlines())


def main_pid(machine: BootedMachine, name: str) -> int:
    """A service's main process; 0 if there is none."""
    return int(unit(machine, name, "MainPID")["MainPID"])


def kill(machine: BootedMachine, name: str, signum: int = signal.SIGKILL) -> None:
    """Signal a service's main process and wait until systemd has another one."""
    before = main_pid(machine, name)
    machine.run(["kill", f"-{signum}", str(before)])
    machine.wait_for(
        lambda: (
            main_pid(machine, name) not in (0, before)
            and unit(machine, name, "ActiveState") == {"ActiveState": "active"}
        ),
        f"the successor of {name}",
    )


def scope_of(job: str) -> str:
    """The job's unit."""
    return f"joblet-{job}.scope"


def processes_of(machine: BootedMachine, job: str) -> dict[int, str]:
    """Pids of the job's scope, as the container sees them, and their names; without the anchor."""
    shown = unit(machine, scope_of(job), "ControlGroup")["ControlGroup"]
    listed = machine.run(["cat", f"/sys/fs/cgroup{shown}/cgroup.procs"], check=False).stdout
    found = {}
    for pid in map(int, listed.split()):
        name = machine.run(["cat", f"/proc/{pid}/comm"], check=False).stdout.strip()
        if name and name != "joblet-anchor":
            found[pid] = name
    return found


def _words(value: object) -> Sequence[str]:
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, list):
        return [str(len(value)), *value]
    if isinstance(value, dict):
        return [str(len(value)), *(word for pair in value.items() for word in pair)]
    return [str(value)]


def _plain(status: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {key: typed["data"] for key, typed in status.items()}
