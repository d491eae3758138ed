"""What a test must leave behind: a quiet journal and nothing else.

Looks at the machine before and after a test and says in sentences what is wrong. What a test
provokes on purpose it declares with the marker journal_allows; leftovers have no excuse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.grounds.machine import BootedMachine

_OURS = re.compile(r"joblet")
_WARNING = 4
# A supervisor that waits for its next job: 0, 1, 2, the poke socket, its line to joblet-init, the
# empty namespace, and a pidfd and a socket for each of the two processes that it has at hand.
IDLE_DESCRIPTORS = 10
# Also at a low priority, also from a stranger's process, these are never fine.
_NEVER = re.compile(
    r"Traceback \(most recent call last\)|segfault|Task exception was never retrieved"
    r"|was never awaited|core dumped|Address already in use"
)
# What the container ground's own settings make the daemon say at each start.
_SETTINGS = re.compile(r"limits\.unenforced = accept")
# Mounts that systemd makes and drops for its own services while a test runs.
_COMES_AND_GOES = re.compile(r"^/run/(credentials|systemd|user)/|^/proc/sys/fs/binfmt_misc$")
# One command, because on an emulated processor each costs a tenth of a second. A process or its
# cgroup may end between the listing and the look at it, and before the first job there is none.
_LOOK = f"""\
systemctl list-units --all --plain --no-legend 'joblet-*.scope' | sed 's/^/scope: /'
systemctl list-units --all --plain --no-legend 'joblet-upload-*' 'joblet-files-*' \\
    'joblet-secrets-*' | sed 's/^/service: /'
find /sys/fs/cgroup/joblet.slice/joblet-supervisors.service -name cgroup.procs \\
    -exec cat {{}} + 2>/dev/null |
while read -r pid; do
    count=$(ls /proc/$pid/fd 2>/dev/null | wc -l)
    [ "$count" -le {IDLE_DESCRIPTORS} ] ||
        echo "supervisor: $pid $(cat /proc/$pid/comm 2>/dev/null) with $count descriptors"
done
ls /run/joblet/jobs | sed 's/^/run file: /'
[ ! -e /run/netns ] || ls /run/netns | sed 's/^/network namespace: /'
"""


class Before:
    """The machine as it was when a test began."""

    def __init__(self, machine: BootedMachine) -> None:
        self.boot_id = machine.boot_id
        self.cursor = machine.journal_cursor()
        self.mounts = mount_points(machine)


def mount_points(machine: BootedMachine) -> list[str]:
    """Where PID 1 of the machine has mounts, but for those that come and go by themselves."""
    points = (line.split()[4] for line in machine.mounts())
    return sorted(point for point in points if not _COMES_AND_GOES.match(point))


def entries_since(machine: BootedMachine, before: Before) -> list[dict[str, Any]]:
    """The journal of the test; of the whole boot, if the test booted the machine anew."""
    same_boot = machine.boot_id == before.boot_id
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


def leftovers(machine: BootedMachine, before: Before) -> list[str]:
    """What the test's jobs left: units, supervisors, run files, mounts, network namespaces."""
    looked = machine.run(["sh", "-c", _LOOK])
    found = [*str(looked.stdout).splitlines(), *str(looked.stderr).splitlines()]
    if machine.boot_id == before.boot_id:
        added = list(mount_points(machine))
        for point in before.mounts:
            if point in added:
                added.remove(point)
        found += [f"mount: {point}" for point in added]
    return found


def clear(machine: BootedMachine) -> None:
    """End what a failed test left, so that the next one is judged by itself."""
    machine.run(["systemctl", "kill", "--signal=KILL", "joblet-*.scope"], check=False)
    machine.run(["systemctl", "reset-failed"], check=False)


def _message(entry: dict[str, Any]) -> str:
    message = entry.get("MESSAGE", "")
    # journalctl gives a message with control characters as a list of byte values
    return bytes(message).decode(errors="replace") if isinstance(message, list) else str(message)
