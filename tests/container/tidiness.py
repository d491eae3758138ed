"""What a test must leave behind: a quiet journal and nothing else.

Looks at the machine before and after a test and says in sentences what is wrong. What a test
provokes on purpose it declares with the marker journal_allows; leftovers have no excuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.container.machine import Machine

_OURS = re.compile(r"joblet")
_WARNING = 4
# A supervisor that waits for its next job: 0, 1, 2, the poke socket, its line to joblet-init.
IDLE_DESCRIPTORS = 5
# Also at a low priority, also from a stranger's process, these are never fine.
_NEVER = re.compile(
    r"Traceback \(most recent call last\)|segfault|Task exception was never retrieved"
    r"|was never awaited|core dumped|Address already in use"
)
# What the ground's own settings make the daemon say at each start.
_SETTINGS = re.compile(r"limits\.unenforced = accept")
# Mounts that systemd makes and drops for its own services while a test runs.
_COMES_AND_GOES = re.compile(r"^/run/(credentials|systemd|user)/|^/proc/sys/fs/binfmt_misc$")


class Before:
    """The machine as it was when a test began."""

    def __init__(self, machine: Machine) -> None:
        self.leader = machine.leader
        self.cursor = machine.journal_cursor()
        self.mounts = mount_points(machine)


def mount_points(machine: Machine) -> list[str]:
    """Where PID 1 of the container has mounts, but for those that come and go by themselves."""
    points = (line.split()[4] for line in machine.mounts())
    return sorted(point for point in points if not _COMES_AND_GOES.match(point))


def entries_since(machine: Machine, before: Before) -> list[dict[str, Any]]:
    """The journal of the test; of the whole boot, if the test booted the machine anew."""
    same_boot = machine.leader == before.leader
    return machine.journal(after=before.cursor if same_boot else "")


def complaints(entries: Sequence[dict[str, Any]], allowed: Sequence[str]) -> list[str]:
    """Entries that should not be there: warnings and worse of ours, and what is never fine."""
    excused = [_SETTINGS, *(re.compile(pattern) for pattern in allowed)]
    found = []
    for entry in entries:
        text = _message(entry)
        ours = any(_OURS.search(str(entry.get(f, ""))) for f in ("_SYSTEMD_UNIT", "UNIT"))
        ours = ours or _OURS.search(str(entry.get("SYSLOG_IDENTIFIER", ""))) is not None
        loud = ours and int(entry.get("PRIORITY", 6)) <= _WARNING
        if (loud or _NEVER.search(text)) and not any(p.search(text) for p in excused):
            found.append(f"journal: {entry.get('SYSLOG_IDENTIFIER', '?')}: {text}")
    return found


def leftovers(machine: Machine, before: Before) -> list[str]:
    """What the test's jobs left: scopes, supervisors, run files, mounts, network namespaces."""
    found = [f"scope: {line}" for line in _scopes(machine)]
    supervisors = machine.cgroup / "joblet.slice/joblet-supervisors.service"
    found += [
        f"supervisor: {pid} {_comm(pid)} with {count} descriptors"
        for pid in _processes(supervisors)
        if (count := _descriptors(pid)) > IDLE_DESCRIPTORS
    ]
    found += [f"run file: {path.name}" for path in machine.path("/run/joblet/jobs").iterdir()]
    if machine.leader == before.leader:
        added = list(mount_points(machine))
        for point in before.mounts:
            if point in added:
                added.remove(point)
        found += [f"mount: {point}" for point in added]
    named = machine.path("/run/netns")
    if named.exists():
        found += [f"network namespace: {path.name}" for path in named.iterdir()]
    return found


def clear(machine: Machine) -> None:
    """End what a failed test left, so that the next one is judged by itself."""
    machine.run(["systemctl", "kill", "--signal=KILL", "joblet-*.scope"], check=False)
    machine.run(["systemctl", "reset-failed"], check=False)


def _scopes(machine: Machine) -> list[str]:
    listed = machine.run(
        ["systemctl", "list-units", "--all", "--plain", "--no-legend", "joblet-*.scope"]
    )
    return str(listed.stdout).splitlines()


def _processes(cgroup: Path) -> Iterator[str]:
    for procs in cgroup.rglob("cgroup.procs"):
        try:
            yield from procs.read_text().split()
        except FileNotFoundError:
            # its last process ended between the listing and the reading
            continue


def _comm(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return "(ended)"


def _descriptors(pid: str) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _message(entry: dict[str, Any]) -> str:
    message = entry.get("MESSAGE", "")
    # journalctl gives a message with control characters as a list of byte values
    return bytes(message).decode(errors="replace") if isinstance(message, list) else str(message)
