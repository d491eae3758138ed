"""What the helper reads from /proc and from a scope's cgroup files."""

from __future__ import annotations

import os

from joblet.records.run import Process

CGROUP_ROOT = "/sys/fs/cgroup"
# admin-guide/devices.txt
LOOP_MAJOR = "7:"


def read_text(path: str, dir_fd: int | None = None) -> str:
    """A small file. Raises OSError, and nothing else: a name in it may be any bytes of a job's."""
    return read_bytes(path, dir_fd).decode(errors="surrogateescape")


def read_bytes(path: str, dir_fd: int | None = None) -> bytes:
    """A small file as it is. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)


def write_text(path: str, text: str) -> None:
    """A file that takes its whole content in one write. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22, proc_pid_stat(5)).

    Raises OSError when there is no such process.
    """
    # the name in field 2 may hold spaces and brackets: fields are counted after its last bracket
    return int(read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])


def identify(pid: int) -> Process:
    """A process by pid and start time. Raises OSError."""
    return Process(pid, start_ticks(pid))


def is_alive(process: Process) -> bool:
    """True while exactly this process exists; a zombie has ended."""
    try:
        fields = read_text(f"/proc/{process.pid}/stat").rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[19]) == process.start_ticks and fields[0] not in "ZX"


def cgroup_directory(pid: int) -> str | None:
    """The cgroup v2 directory of a process, or None if it has ended."""
    try:
        text = read_text(f"/proc/{pid}/cgroup")
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("0::"):
            return CGROUP_ROOT + line[3:]
    return None


class Counters:
    """Totals of a scope; None where the host has no such controller."""

    __slots__ = ("cpu_usec", "io_read_bytes", "io_write_bytes", "memory_peak_bytes", "oom_kills")

    def __init__(self) -> None:
        self.cpu_usec: int | None = None
        self.memory_peak_bytes: int | None = None
        self.io_read_bytes: int | None = None
        self.io_write_bytes: int | None = None
        self.oom_kills = 0


def _keyed(directory: int, name: str, key: str) -> int | None:
    try:
        text = read_text(name, directory)
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith(key + " "):
            return int(line.split()[1])
    return None


def read_counters(cgroup: str) -> Counters:
    """Read what there is; a missing file means no controller, or a cgroup that is gone."""
    counters = Counters()
    try:
        directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return counters
    try:
        counters.cpu_usec = _keyed(directory, "cpu.stat", "usage_usec")
        counters.oom_kills = _keyed(directory, "memory.events", "oom_kill") or 0
        try:
            counters.memory_peak_bytes = int(read_text("memory.peak", directory))
        except OSError:
            counters.memory_peak_bytes = None
        try:
            text = read_text("io.stat", directory)
        except OSError:
            return counters
        counters.io_read_bytes = _sum(text, "rbytes=")
        counters.io_write_bytes = _sum(text, "wbytes=")
    finally:
        os.close(directory)
    return counters


def _sum(text: str, key: str) -> int:
    lines = text.splitlines()
    # What goes through a loop device is counted again at the disk that holds its image.
    disks = [line for line in lines if not line.startswith(LOOP_MAJOR)] or lines
    words = (word for line in disks for word in line.split())
    return sum(int(word[len(key) :]) for word in words if word.startswith(key))
