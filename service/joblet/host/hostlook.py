"""One look at the host: CPUs, memory, file systems, interfaces, block devices, processes.

The only importer of psutil. Counters as the kernel has them; rates are made in core. What the
daemon's sandbox hides, or what vanishes during the look, is left out and never zero. File systems
over a network are not looked at, since one that hangs would hang the look.
"""

from __future__ import annotations

import errno
import os
import platform
import pwd
import socket
import sys
import time
from collections import Counter
from collections.abc import Collection

import psutil

from joblet.errors import HostFailure
from joblet.host import hostfacts
from joblet.model.host import (
    CpuStatus,
    CpuTimes,
    DiskIo,
    DiskStatus,
    HostInfo,
    HostStatus,
    IoStatus,
    Look,
    MemoryStatus,
    NetworkStatus,
    ProcessInfo,
    ProcessStatus,
    ServerInfo,
)

# Of this host's own inner workings, or of no interest: loopback, ends of pairs, bridges of others.
_INTERFACES_LEFT_OUT = ("lo", "veth", "viso", "joblet", "br-", "virbr", "tap", "tun", "docker")
# Images that are full by their nature.
_READ_ONLY_IMAGES = frozenset({"squashfs", "iso9660", "erofs", "udf"})
_DISKS_LEFT_OUT = ("loop", "ram", "sr", "fd", "zram", "nbd")
_SLEEPING = frozenset({"sleeping", "disk-sleep", "idle", "parked", "waking", "wake-kill"})
_STOPPED = frozenset({"stopped", "tracing-stop"})
_LETTERS = {
    "running": "R",
    "sleeping": "S",
    "disk-sleep": "D",
    "stopped": "T",
    "tracing-stop": "t",
    "zombie": "Z",
    "dead": "X",
    "idle": "I",
    "parked": "P",
    "waking": "W",
    "wake-kill": "K",
}
_COMMAND_MAX = 256


class HostEye:
    """Looks; fulfils core.ports.HostProbe. Blocks, and may be used in any thread."""

    def __init__(self, *, version: str, node_id: str = "") -> None:
        self._server = ServerInfo(
            version=version,
            python_version=platform.python_version(),
            platform=f"{sys.platform}/{platform.machine()}",
        )
        self._node_id = node_id or hostfacts.node_id()
        self._release = hostfacts.os_release()
        self._cloud = hostfacts.cloud()

    def look(self, *, processes: bool) -> Look:
        """All of it; processes only if asked for, since they are most of the work.

        Raises HostFailure.
        """
        try:
            return self._seen(processes)
        except (OSError, psutil.Error) as err:
            number = err.errno if isinstance(err, OSError) else errno.EIO
            raise HostFailure("look at the host", number or errno.EIO, str(err)) from err

    def describe(self, pids: Collection[int]) -> dict[int, tuple[str, str]]:
        """Command line and user of these processes; without those that have ended."""
        found = {}
        for pid in pids:
            try:
                process = psutil.Process(pid)
                command = " ".join(process.cmdline())[:_COMMAND_MAX]
                found[pid] = command, _user(process.uids().real)
            except psutil.Error:
                continue
        return found

    def _seen(self, with_processes: bool) -> Look:
        clock_usec = time.monotonic_ns() // 1000
        addresses = _addresses()
        networks = _networks(addresses)
        memory = _memory()
        cores = tuple(map(_times, psutil.cpu_times(percpu=True)))
        counts, processes = _processes(memory.total_bytes) if with_processes else (None, None)
        status = HostStatus(
            time_usec=time.time_ns() // 1000,
            clock_usec=clock_usec,
            host=self._host(networks, len(cores), memory.total_bytes),
            cpu=CpuStatus(cores=len(cores), load=os.getloadavg(), times=_times(psutil.cpu_times())),
            memory=memory,
            disks=_disks(),
            networks=networks,
            io=_io(),
            processes=counts,
            cloud=self._cloud,
            server=self._server,
        )
        return Look(status, cores, processes)

    def _host(self, networks: tuple[NetworkStatus, ...], cpus: int, memory_bytes: int) -> HostInfo:
        kernel = os.uname()
        release = self._release
        # Not now minus uptime: that would tremble.
        boot_s = psutil.boot_time()
        return HostInfo(
            hostname=kernel.nodename,
            os=release.get("PRETTY_NAME", kernel.sysname),
            platform=release.get("ID", ""),
            platform_family=release.get("ID_LIKE", release.get("ID", "")),
            platform_version=release.get("VERSION_ID", ""),
            kernel_version=kernel.release,
            architecture=kernel.machine,
            boot_usec=round(boot_s * 1e6),
            uptime_s=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
            node_id=self._node_id,
            cpus=cpus,
            memory_bytes=memory_bytes,
            addresses=tuple(
                address for one in networks for address in one.addresses if ":" not in address
            ),
            mac_addresses=tuple(one.mac_address for one in networks if one.mac_address),
        )


def _times(times: object) -> CpuTimes:
    def usec(name: str) -> int:
        return round(float(getattr(times, name)) * 1e6)

    return CpuTimes(
        user_usec=usec("user"),
        nice_usec=usec("nice"),
        system_usec=usec("system"),
        idle_usec=usec("idle"),
        iowait_usec=usec("iowait"),
        irq_usec=usec("irq"),
        softirq_usec=usec("softirq"),
        steal_usec=usec("steal"),
    )


def _memory() -> MemoryStatus:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    # psutil's own `used` changed its meaning with its version 6.
    used = max(0, memory.total - memory.free - memory.buffers - memory.cached)
    return MemoryStatus(
        total_bytes=memory.total,
        used_bytes=used,
        free_bytes=memory.free,
        available_bytes=memory.available,
        cached_bytes=memory.cached,
        buffered_bytes=memory.buffers,
        usage_percent=100 * used / memory.total,
        swap_total_bytes=swap.total,
        swap_used_bytes=swap.used,
        swap_free_bytes=swap.free,
    )


def _disks() -> tuple[DiskStatus, ...]:
    """File systems of this host's own disks, each once, by where it was mounted first."""
    found: dict[str, DiskStatus] = {}
    parts = psutil.disk_partitions(all=True)
    # What lies over a mount point hides what was mounted there before: our sandbox over /home.
    seen = {part.mountpoint: part.device for part in parts}
    for part in parts:
        local = part.device.startswith("/dev/") or part.fstype == "zfs" or part.mountpoint == "/"
        if not local or part.fstype in _READ_ONLY_IMAGES:
            continue
        # The sandbox also mounts parts of a file system over themselves.
        if part.device not in found:
            hidden = seen[part.mountpoint] != part.device
            found[part.device] = _disk(part.device, part.mountpoint, part.fstype, hidden=hidden)
    return tuple(found.values())


def _disk(device: str, mount_point: str, filesystem: str, *, hidden: bool) -> DiskStatus:
    bare = DiskStatus(device=device, mount_point=mount_point, filesystem=filesystem)
    if hidden:
        return bare
    try:
        sizes = os.statvfs(mount_point)
    except OSError:
        # below what is hidden, or unmounted just now
        return bare
    unit = sizes.f_frsize
    used, free = sizes.f_blocks - sizes.f_bfree, sizes.f_bavail
    inodes_used = sizes.f_files - sizes.f_ffree
    return DiskStatus(
        device=device,
        mount_point=mount_point,
        filesystem=filesystem,
        total_bytes=sizes.f_blocks * unit,
        used_bytes=used * unit,
        free_bytes=free * unit,
        # What root alone may fill is neither, as in df(1).
        usage_percent=100 * used / (used + free) if used + free else 0.0,
        # A file system that makes inodes as it goes (btrfs) has no number of them.
        inodes_total=sizes.f_files or None,
        inodes_used=inodes_used if sizes.f_files else None,
        inodes_free=sizes.f_ffree if sizes.f_files else None,
        inodes_usage_percent=100 * inodes_used / sizes.f_files if sizes.f_files else None,
    )


def _addresses() -> dict[str, tuple[tuple[str, ...], str | None]]:
    """IP addresses and the hardware address of each interface."""
    found = {}
    for name, entries in psutil.net_if_addrs().items():
        families = (socket.AF_INET, socket.AF_INET6)
        addresses = tuple(
            # without the interface behind a link-local one
            entry.address.partition("%")[0]
            for family in families
            for entry in entries
            if entry.family == family
        )
        hardware = [entry.address for entry in entries if entry.family == psutil.AF_LINK]
        found[name] = addresses, hardware[0] if hardware else None
    return found


def _networks(
    addresses: dict[str, tuple[tuple[str, ...], str | None]],
) -> tuple[NetworkStatus, ...]:
    networks = []
    for name, count in psutil.net_io_counters(pernic=True, nowrap=False).items():
        if name.startswith(_INTERFACES_LEFT_OUT):
            continue
        own, hardware = addresses.get(name, ((), None))
        networks.append(
            NetworkStatus(
                interface=name,
                received_bytes=count.bytes_recv,
                sent_bytes=count.bytes_sent,
                received_packets=count.packets_recv,
                sent_packets=count.packets_sent,
                receive_errors=count.errin,
                send_errors=count.errout,
                receive_drops=count.dropin,
                send_drops=count.dropout,
                addresses=own,
                mac_address=hardware,
            )
        )
    return tuple(networks)


def _io() -> IoStatus:
    disks = []
    for name, count in (psutil.disk_io_counters(perdisk=True, nowrap=False) or {}).items():
        place = f"/sys/block/{name.replace('/', '!')}"
        # A partition has no such place; what it moves its disk has moved.
        if name.startswith(_DISKS_LEFT_OUT) or not os.path.isdir(place):
            continue
        disks.append(
            DiskIo(
                device=name,
                stacked=_stacked(place),
                reads=count.read_count,
                writes=count.write_count,
                read_bytes=count.read_bytes,
                write_bytes=count.write_bytes,
                read_time_ms=count.read_time,
                write_time_ms=count.write_time,
                busy_ms=count.busy_time,
            )
        )
    lowest = [disk for disk in disks if not disk.stacked]
    return IoStatus(
        reads=sum(disk.reads for disk in lowest),
        writes=sum(disk.writes for disk in lowest),
        read_bytes=sum(disk.read_bytes for disk in lowest),
        write_bytes=sum(disk.write_bytes for disk in lowest),
        disks=tuple(disks),
    )


def _stacked(place: str) -> bool:
    try:
        return bool(os.listdir(f"{place}/slaves"))
    except FileNotFoundError:
        return False


def _processes(memory_bytes: int) -> tuple[ProcessStatus, tuple[ProcessInfo, ...]]:
    found = []
    states: Counter[str] = Counter()
    threads = 0
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                state = process.status()
                cpu = process.cpu_times()
                resident = process.memory_info().rss
                found.append(
                    ProcessInfo(
                        pid=process.pid,
                        ppid=process.ppid(),
                        name=process.name(),
                        status=_LETTERS.get(state, "?"),
                        started_usec=round(process.create_time() * 1e6),
                        cpu_usec=round((cpu.user + cpu.system) * 1e6),
                        memory_bytes=resident,
                        memory_percent=100 * resident / memory_bytes,
                    )
                )
                threads += process.num_threads()
        except psutil.NoSuchProcess:
            continue
        states["sleeping" if state in _SLEEPING else "stopped" if state in _STOPPED else state] += 1
    counts = ProcessStatus(
        total=len(found),
        running=states["running"],
        sleeping=states["sleeping"],
        stopped=states["stopped"],
        zombie=states["zombie"],
        threads=threads,
    )
    return counts, tuple(found)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
