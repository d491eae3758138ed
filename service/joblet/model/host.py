"""The state of a host at one moment: what Monitor.GetStatus tells, and what of it is a rate. Pure.

Counters are the kernel's, since the boot. What is None is not known: the host has none of it, it
cannot be seen, or, of a rate, nothing earlier was there to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CPU, MEMORY, DISK, NETWORK, IO, PROCESS = "cpu", "memory", "disk", "network", "io", "process"
# What of a status can be asked for; host, cloud and server are always there.
GROUPS = (CPU, MEMORY, DISK, NETWORK, IO, PROCESS)
TOP = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class HostInfo:
    """Which machine this is."""

    hostname: str
    os: str
    platform: str
    platform_family: str
    platform_version: str
    kernel_version: str
    architecture: str
    boot_usec: int
    uptime_s: int
    node_id: str
    cpus: int
    memory_bytes: int
    addresses: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """Time of one CPU, or of all together; guest time is in user."""

    user_usec: int
    nice_usec: int
    system_usec: int
    idle_usec: int
    iowait_usec: int
    irq_usec: int
    softirq_usec: int
    steal_usec: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuStatus:
    """All CPUs; percents are of all of them together."""

    cores: int
    load: tuple[float, float, float]  # of 1, 5 and 15 minutes
    times: CpuTimes
    usage_percent: float | None = None
    user_percent: float | None = None  # nice included
    system_percent: float | None = None  # interrupts included
    idle_percent: float | None = None
    iowait_percent: float | None = None
    steal_percent: float | None = None
    per_core_percent: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStatus:
    """Memory and swap; used is neither free nor buffers nor cache."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    available_bytes: int
    cached_bytes: int
    buffered_bytes: int
    usage_percent: float
    swap_total_bytes: int
    swap_used_bytes: int
    swap_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskStatus:
    """One mounted file system, as df(1) tells it; no sizes where the daemon cannot look."""

    device: str
    mount_point: str
    filesystem: str
    total_bytes: int | None = None
    used_bytes: int | None = None
    free_bytes: int | None = None
    usage_percent: float | None = None
    inodes_total: int | None = None
    inodes_used: int | None = None
    inodes_free: int | None = None
    inodes_usage_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStatus:
    """One interface."""

    interface: str
    received_bytes: int
    sent_bytes: int
    received_packets: int
    sent_packets: int
    receive_errors: int
    send_errors: int
    receive_drops: int
    send_drops: int
    addresses: tuple[str, ...] = ()
    mac_address: str | None = None
    received_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskIo:
    """One block device; stacked: it is made of others, which are in the list too."""

    device: str
    stacked: bool
    reads: int
    writes: int
    read_bytes: int
    write_bytes: int
    read_time_ms: int
    write_time_ms: int
    busy_ms: int
    read_bytes_per_s: float | None = None
    write_bytes_per_s: float | None = None
    busy_percent: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IoStatus:
    """All block devices; what passes a stacked one is counted once."""

    reads: int
    writes: int
    read_bytes: int
    write_bytes: int
    read_bytes_per_s: float | None = None
    write_bytes_per_s: float | None = None
    disks: tuple[DiskIo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """One process; 100 % of CPU is one whole CPU."""

    pid: int
    ppid: int
    name: str
    status: str  # the kernel's letter
    started_usec: int
    cpu_usec: int
    memory_bytes: int  # resident
    memory_percent: float
    cpu_percent: float | None = None
    command: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """All processes, by what they do, and the busiest and the largest of them."""

    total: int
    running: int
    sleeping: int
    stopped: int
    zombie: int
    threads: int
    top_by_cpu: tuple[ProcessInfo, ...] = ()
    top_by_memory: tuple[ProcessInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudInfo:
    """Whose machine this one runs on, as far as firmware and cloud-init tell."""

    provider: str
    region: str = ""
    zone: str = ""
    instance_id: str = ""
    instance_type: str = ""
    hypervisor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """The daemon that tells all this."""

    version: str
    python_version: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One look at the host; a group that was not asked for is None."""

    time_usec: int
    clock_usec: int  # only goes forward, whoever sets the time of day
    interval_usec: int | None = None  # what rates and percents of CPU are measured over
    host: HostInfo
    cpu: CpuStatus | None = None
    memory: MemoryStatus | None = None
    disks: tuple[DiskStatus, ...] | None = None
    networks: tuple[NetworkStatus, ...] | None = None
    io: IoStatus | None = None
    processes: ProcessStatus | None = None
    cloud: CloudInfo | None = None
    server: ServerInfo


@dataclass(frozen=True, slots=True)
class Look:
    """A status without rates, and what it takes to make some of it and an earlier one."""

    status: HostStatus
    cores: tuple[CpuTimes, ...]
    processes: tuple[ProcessInfo, ...] | None = field(default=None, hash=False)  # all of them
