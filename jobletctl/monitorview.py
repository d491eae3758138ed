"""The state of a host in words: sections of a status, and the short picture of top. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass

from joblet.model.host import (
    CpuStatus,
    DiskStatus,
    HostStatus,
    IoStatus,
    MemoryStatus,
    NetworkStatus,
    ProcessInfo,
    ProcessStatus,
)
from jobletctl.jobview import NOTHING, elapsed, moment, size

Section = tuple[str, list[tuple[str, str]]]
PROCESS_TITLES = ("PID", "NAME", "USER", "CPU%", "MEM%", "MEMORY", "COMMAND")
PROCESS_NUMBERS = ("PID", "CPU%", "MEM%", "MEMORY")
NETWORK_TITLES = ("INTERFACE", "RX/s", "TX/s", "RX", "TX", "PACKETS", "ERRORS")
NETWORK_NUMBERS = NETWORK_TITLES[1:]
# So many cores are told one by one.
_CORES_SHOWN = 8


def percent(value: float | None) -> str:
    """A share, or that it is not known."""
    return NOTHING if value is None else f"{value:.1f}%"


def _size(count: float | None) -> str:
    return NOTHING if count is None else size(round(count))


def _pace(count: float | None) -> str:
    return NOTHING if count is None else f"{size(round(count))}/s"


def sections(status: HostStatus) -> Iterator[Section]:
    """The sections of `monitor status`, those that there is something to say in."""
    yield "Host", _host(status)
    yield "Joblet", _server(status)
    if status.cpu is not None:
        yield "CPU", _cpu(status.cpu)
    if status.memory is not None:
        yield "Memory", _memory(status.memory)
    if status.disks:
        yield "Disks", [(disk.mount_point, _disk(disk)) for disk in status.disks]
    if status.networks:
        yield "Network interfaces", list(_networks(status.networks))
    if status.io is not None:
        yield "Disk IO", _io(status.io)
    if status.processes is not None:
        yield "Processes", _processes(status.processes)
    cloud = status.cloud
    if cloud is not None:
        told = (
            ("Provider", cloud.provider),
            ("Region", cloud.region),
            ("Zone", cloud.zone),
            ("Instance", cloud.instance_id),
            ("Type", cloud.instance_type),
            ("Hypervisor", cloud.hypervisor),
        )
        yield "Cloud", [(label, text) for label, text in told if text]


def _host(status: HostStatus) -> list[tuple[str, str]]:
    host = status.host
    told = [
        ("Hostname", host.hostname),
        ("OS", host.os),
        ("Kernel", host.kernel_version),
        ("Architecture", host.architecture),
        ("Uptime", elapsed(host.uptime_s * 1_000_000)),
        ("Booted", moment(host.boot_usec)),
        ("Node id", host.node_id),
        ("Addresses", ", ".join(host.addresses)),
        ("MACs", ", ".join(host.mac_addresses)),
    ]
    return [(label, text) for label, text in told if text]


def _server(status: HostStatus) -> list[tuple[str, str]]:
    server = status.server
    return [
        ("Version", server.version),
        ("Python", server.python_version),
        ("Platform", server.platform),
    ]


def _cpu(cpu: CpuStatus) -> list[tuple[str, str]]:
    told = [
        ("Cores", str(cpu.cores)),
        ("Usage", percent(cpu.usage_percent)),
        ("Load", " ".join(f"{load:.2f}" for load in cpu.load)),
        ("User", percent(cpu.user_percent)),
        ("System", percent(cpu.system_percent)),
        ("Idle", percent(cpu.idle_percent)),
        ("IO wait", percent(cpu.iowait_percent)),
        ("Stolen", percent(cpu.steal_percent)),
    ]
    if cpu.per_core_percent and len(cpu.per_core_percent) <= _CORES_SHOWN:
        told.append(("Per core", " ".join(percent(one) for one in cpu.per_core_percent)))
    return told


def _memory(memory: MemoryStatus) -> list[tuple[str, str]]:
    told = [
        ("Total", size(memory.total_bytes)),
        ("Used", f"{size(memory.used_bytes)} ({percent(memory.usage_percent)})"),
        ("Available", size(memory.available_bytes)),
        ("Free", size(memory.free_bytes)),
        ("Cached", size(memory.cached_bytes)),
        ("Buffered", size(memory.buffered_bytes)),
    ]
    if memory.swap_total_bytes:
        swap = f"{size(memory.swap_used_bytes)} of {size(memory.swap_total_bytes)} used"
        told.append(("Swap", swap))
    return told


def _disk(disk: DiskStatus) -> str:
    what = f"{disk.filesystem} on {disk.device}"
    if disk.total_bytes is None:
        return f"{what}; jobletd cannot look into it"
    parts = [
        f"{_size(disk.used_bytes)} of {_size(disk.total_bytes)} used "
        f"({percent(disk.usage_percent)})",
        f"{_size(disk.free_bytes)} free",
    ]
    if disk.inodes_total is not None:
        parts.append(f"{percent(disk.inodes_usage_percent)} of {disk.inodes_total} inodes")
    return f"{', '.join(parts)}; {what}"


def _networks(networks: Sequence[NetworkStatus]) -> Iterator[tuple[str, str]]:
    for one in networks:
        addresses = ", ".join([*one.addresses, *filter(None, [one.mac_address])])
        yield one.interface, addresses or "no address"
        for label, pace, count, packets, errors, drops in (
            (
                "received",
                one.received_bytes_per_s,
                one.received_bytes,
                one.received_packets,
                one.receive_errors,
                one.receive_drops,
            ),
            (
                "sent",
                one.sent_bytes_per_s,
                one.sent_bytes,
                one.sent_packets,
                one.send_errors,
                one.send_drops,
            ),
        ):
            text = f"{_pace(pace)}, {size(count)} in all, {packets} packets"
            yield "", f"{label} {text}, {errors} errors, {drops} dropped"


def _io(io: IoStatus) -> list[tuple[str, str]]:
    told = [
        ("Read", f"{_pace(io.read_bytes_per_s)}, {size(io.read_bytes)} in all, {io.reads} reads"),
        (
            "Written",
            f"{_pace(io.write_bytes_per_s)}, {size(io.write_bytes)} in all, {io.writes} writes",
        ),
    ]
    for disk in io.disks:
        text = f"{_pace(disk.read_bytes_per_s)} read, {_pace(disk.write_bytes_per_s)} written"
        told.append((disk.device, f"{text}, {percent(disk.busy_percent)} busy"))
    return told


def _processes(processes: ProcessStatus) -> list[tuple[str, str]]:
    names = ("total", "running", "sleeping", "stopped", "zombie", "threads")
    return [(name.capitalize(), str(getattr(processes, name))) for name in names]


def summary(status: HostStatus, *, compact: bool = False) -> Iterator[str]:
    """The lines of top and watch above their tables."""
    host = status.host
    yield f"{host.hostname}: up {elapsed(host.uptime_s * 1_000_000)}; {moment(status.time_usec)}"
    if status.cpu is not None:
        yield from _cpu_lines(status.cpu)
    if status.memory is not None:
        memory = status.memory
        used = f"{size(memory.used_bytes)} of {size(memory.total_bytes)} used"
        swap = f", swap {size(memory.swap_used_bytes)}" if memory.swap_used_bytes else ""
        yield (
            f"Memory: {used} ({percent(memory.usage_percent)}), "
            f"{size(memory.available_bytes)} available{swap}"
        )
    if status.disks:
        disks = [f"{disk.mount_point} {percent(disk.usage_percent)}" for disk in status.disks]
        yield f"Disks: {', '.join(disks)}"
    if status.io is not None:
        yield f"IO: {_pace(status.io.read_bytes_per_s)} read, {_written(status.io)}"
    if status.networks is not None and compact:
        received = sum(one.received_bytes_per_s or 0 for one in status.networks)
        sent = sum(one.sent_bytes_per_s or 0 for one in status.networks)
        yield f"Network: {_pace(received)} received, {_pace(sent)} sent"
    if status.processes is not None:
        found = status.processes
        yield (
            f"Processes: {found.total}, {found.running} running, {found.sleeping} sleeping, "
            f"{found.threads} threads"
        )


def _cpu_lines(cpu: CpuStatus) -> Iterator[str]:
    load = " ".join(f"{load:.2f}" for load in cpu.load)
    user, system = percent(cpu.user_percent), percent(cpu.system_percent)
    shares = f"user {user}, system {system}, IO wait {percent(cpu.iowait_percent)}"
    yield f"CPU: {percent(cpu.usage_percent)} of {cpu.cores} cores; {shares}; load {load}"
    if cpu.per_core_percent and 1 < len(cpu.per_core_percent) <= _CORES_SHOWN:
        yield f"Cores: {' '.join(percent(one) for one in cpu.per_core_percent)}"


def _written(io: IoStatus) -> str:
    return f"{_pace(io.write_bytes_per_s)} written"


def process_rows(processes: Sequence[ProcessInfo]) -> list[tuple[str, ...]]:
    """One row per process, below PROCESS_TITLES."""
    return [
        (
            str(one.pid),
            one.name,
            one.user or NOTHING,
            NOTHING if one.cpu_percent is None else f"{one.cpu_percent:.1f}",
            f"{one.memory_percent:.1f}",
            size(one.memory_bytes),
            one.command or f"[{one.name}]",
        )
        for one in processes
    ]


def network_rows(networks: Sequence[NetworkStatus]) -> list[tuple[str, ...]]:
    """One row for each interface that has moved anything, below NETWORK_TITLES."""
    return [
        (
            one.interface,
            _size(one.received_bytes_per_s),
            _size(one.sent_bytes_per_s),
            size(one.received_bytes),
            size(one.sent_bytes),
            str(one.received_packets + one.sent_packets),
            str(one.receive_errors + one.send_errors),
        )
        for one in networks
        if one.received_bytes or one.sent_bytes
    ]


def record(value: object) -> object:
    """A status as JSON has it: the keys of Monitor.GetStatus, without what is not known."""
    if isinstance(value, tuple):
        return [record(item) for item in value]
    if not is_dataclass(value):
        return value
    told = {part.name: getattr(value, part.name) for part in fields(value)}
    return {name: record(item) for name, item in told.items() if item is not None}
