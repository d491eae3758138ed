"""What a package must do on a host, as steps that any booted Debian can be put through.

A host is whatever has `run`: a container here, a virtual machine elsewhere. Steps assert what they
promise and know nothing of how the host came to be. The packages are in a folder of the host, one
folder for each version.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tests.grounds.machine import wait_for

NAMES = ("joblet", "jobletctl", "python3-joblet")
# It says when it is up, and how it was ended: with a status that nothing else gives.
PATIENT = 'trap "echo bye; exit 7" TERM; echo up; while :; do sleep 600 & wait $!; done'
# Written by what runs meanwhile, and none of ours.
_ELSEWHERE = (
    r"/proc|/sys|/dev|/run/(systemd|log|udev|user|dbus|polkit-1|credentials)|/tmp"
    r"|/var/(tmp|cache|backups|log/(journal|apt|dpkg.log|wtmp|lastlog))"
    r"|/var/lib/(apt|dpkg|systemd|polkit-1|private|man-db)"
    r"|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|/etc/\.pwd\.lock"
)


class Host(Protocol):
    """A booted Debian and a way to run a command in it, as root or as a user."""

    def run(
        self, command: Sequence[str], *, user: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[Any]:
        """Run it to its end; with check a failing command fails the test."""


@dataclass(frozen=True)
class Job:
    """A job that runs: its id, its processes with their start times, its unit's life."""

    id: str
    processes: tuple[str, ...]
    invocation: str


def install(host: Host, folder: str) -> None:
    """From the files of a folder, with what they depend on there already."""
    script = f"DEBIAN_FRONTEND=noninteractive apt-get install --yes {folder}/*.deb"
    host.run(["sh", "-c", script])


def change_version(host: Host, folder: str) -> None:
    """To the packages of a folder, newer or older."""
    script = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --allow-downgrades"
    host.run(["sh", "-c", f"{script} {folder}/*.deb"])


def remove(host: Host, *, purge: bool = False) -> None:
    """Take all packages off."""
    verb = "purge" if purge else "remove"
    host.run(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", verb, "--yes", *NAMES])


def everything(host: Host) -> set[str]:
    """Files, users, groups, units and processes that could be ours."""
    script = f"""
        find / -xdev -regextype posix-extended -regex '({_ELSEWHERE})(/.*)?' -prune -o -print
        find /run /var/lib/systemd /var/tmp -name '*joblet*'
        getent passwd | cut -d: -f1 | sed 's/^/user /'
        getent group | cut -d: -f1 | sed 's/^/group /'
        grep --with-filename joblet /etc/subuid /etc/subgid || true
        systemctl list-units --all --plain --no-legend '*joblet*'
        systemctl list-unit-files --plain --no-legend '*joblet*'
        pgrep --list-full --full 'joblet-init|jobletd' | grep -v pgrep || true
        busctl list --acquired --no-legend | grep joblet || true
        busctl list --activatable --no-legend | grep joblet || true
    """
    return set(host.run(["sh", "-c", script]).stdout.splitlines())


def is_usable(host: Host, user: str | None = None) -> None:
    """A job runs, right now, and its output comes back."""
    done = host.run(["jobletctl", "job", "run", "--follow", "--", "echo", "hello"], user=user)
    assert done.stdout == "hello\n"


def is_enabled(host: Host) -> None:
    """The daemon starts with the host, by a call and by news of a job."""
    units = ["jobletd.service", "jobletd.socket", "joblet-init.socket"]
    assert host.run(["systemctl", "is-enabled", *units]).stdout.split() == ["enabled"] * 3
    listed = host.run(["busctl", "list", "--activatable", "--no-legend"]).stdout
    assert "org.joblet1" in listed


def version_of_the_daemon(host: Host) -> str:
    """Its own word."""
    shown = host.run(
        ["busctl", "get-property", "org.joblet1", "/org/joblet1", "org.joblet1.Manager", "Version"]
    )
    return str(shown.stdout).split('"')[1]


def start_jobs(host: Host, count: int) -> list[Job]:
    """So many jobs that run until they are asked to end."""
    submit = ["jobletctl", "job", "run", "--", "sh", "-c", PATIENT]
    ids = [str(host.run(submit).stdout).strip() for _ in range(count)]
    for job_id in ids:
        wait_for(lambda job_id=job_id: log(host, job_id) == "up\n", f"{job_id} to be up")  # type: ignore[misc]
    return [look(host, job_id) for job_id in ids]


def look(host: Host, job_id: str) -> Job:
    """A running job as the kernel and systemd know it."""
    unit = f"joblet-{job_id}.scope"
    shown = host.run(
        ["systemctl", "show", unit, "--value", "--property=ControlGroup,InvocationID"]
    ).stdout.split()
    (cgroup,) = (word for word in shown if word.startswith("/"))
    (invocation,) = (word for word in shown if not word.startswith("/"))
    # field 22 of proc_pid_stat(5), counted from behind the command's name; `sleep` may be a new one
    script = f"""
        for pid in $(cat /sys/fs/cgroup{cgroup}/cgroup.procs); do
            [ "$(cat /proc/$pid/comm)" = sleep ] ||
                echo $pid $(sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20)
        done"""
    processes = host.run(["sh", "-c", script]).stdout.splitlines()
    return Job(job_id, tuple(processes), invocation)


def supervisors(host: Host) -> tuple[str, str]:
    """The life of the unit that supervisors live in, and when it became active."""
    shown = host.run(
        [
            "systemctl",
            "show",
            "joblet-supervisors.service",
            "--property=InvocationID,ActiveEnterTimestampMonotonic",
            "--value",
        ]
    ).stdout.split()
    return shown[0], shown[1]


def end(host: Host, job: Job) -> None:
    """The job still hears, its last words are kept, and so is how it ended."""
    host.run(["jobletctl", "job", "stop", job.id])
    known = status(host, job.id)
    assert (known["state"], known["reason"], known["exit_code"]) == ("STOPPED", "stopped", 7)
    assert log(host, job.id) == "up\nbye\n"


def status(host: Host, job_id: str) -> dict[str, Any]:
    """What is known of a job."""
    shown = host.run(["jobletctl", "--json", "job", "status", job_id]).stdout
    return dict(json.loads(shown))


def log(host: Host, job_id: str) -> str:
    """Its output so far."""
    return str(host.run(["jobletctl", "job", "log", "--no-follow", job_id]).stdout)
