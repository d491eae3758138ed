"""Notices that the kernel killed a process of the job for memory, so that all of it can end.

The kernel tells of each such kill by a change of the scope's memory.events, which poll(2) reports.
The supervisor then kills the job's PID 1, and with it everything in its PID namespace, while the
anchor stays and the counters can be read. memory.oom.group would do the first half inside the
kernel, but the scope's files are systemd's, which keeps it in step with OOMPolicy= and answers
"kill" with signals of its own (see scope_properties in host/jobplan.py).
"""

from __future__ import annotations

import os

EVENTS = "memory.events"


class OomWatch:
    """The events file of one scope; closed when the scope is gone."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        self.fd = -1

    def open(self, cgroup: str) -> None:
        """Begin to watch; a host without the memory controller has nothing to watch."""
        try:
            self.fd = os.open(f"{cgroup}/{EVENTS}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return

    def killed(self) -> bool:
        """Whether a process was killed so far; read after every event, which re-arms poll(2)."""
        try:
            text = os.pread(self.fd, 4096, 0)
        except OSError:
            # ENODEV: the cgroup is gone, and poll(2) would report that for ever
            self.close()
            return False
        for line in text.splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1]) > 0
        return False

    def close(self) -> None:
        """Stop watching. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
