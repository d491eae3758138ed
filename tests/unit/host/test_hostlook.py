"""A look at the machine that runs the tests, held against the kernel's own files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from joblet.core.ports import HostProbe
from joblet.errors import HostFailure
from joblet.host import hostlook
from joblet.host.hostlook import HostEye
from joblet.model.host import Look


@pytest.fixture(scope="module")
def eye() -> HostProbe:
    return HostEye(version="1.2", node_id="here")


@pytest.fixture(scope="module")
def seen(eye: HostProbe) -> Look:
    return eye.look(processes=True)


def test_memory_is_that_of_meminfo(seen: Look) -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    told = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    memory = seen.status.memory
    assert memory is not None
    assert memory.total_bytes == told["MemTotal"]
    assert memory.swap_total_bytes == told["SwapTotal"]
    parts = memory.used_bytes + memory.free_bytes + memory.cached_bytes + memory.buffered_bytes
    assert parts == memory.total_bytes
    assert 0 < memory.available_bytes <= memory.total_bytes


def test_cpus_and_load(seen: Look) -> None:
    cpu = seen.status.cpu
    assert cpu is not None
    assert cpu.cores == os.cpu_count() == len(seen.cores) == seen.status.host.cpus
    assert len(cpu.load) == 3
    assert cpu.times.user_usec > 0
    assert cpu.usage_percent is None  # one look makes no rate


def test_the_root_is_a_disk_as_statvfs_has_it(seen: Look) -> None:
    assert seen.status.disks is not None
    [root] = [disk for disk in seen.status.disks if disk.mount_point == "/"]
    sizes = os.statvfs("/")
    assert root.total_bytes == sizes.f_blocks * sizes.f_frsize
    assert root.inodes_total == (sizes.f_files or None)
    assert root.usage_percent is not None
    assert 0 < root.usage_percent <= 100


def test_this_process_is_one_of_them(eye: HostProbe, seen: Look) -> None:
    assert seen.processes is not None
    assert seen.status.processes is not None
    [own] = [one for one in seen.processes if one.pid == os.getpid()]
    assert own.ppid == os.getppid()
    assert own.memory_bytes > 1 << 20
    assert own.started_usec > seen.status.host.boot_usec
    counts = seen.status.processes
    assert counts.total == len(seen.processes)
    assert counts.threads >= counts.total
    assert counts.running + counts.sleeping + counts.stopped + counts.zombie <= counts.total
    command, user = eye.describe([os.getpid(), 2**22 + 1])[os.getpid()]
    assert "python" in command
    assert user == psutil.Process().username()


def test_processes_are_not_looked_at_unless_asked_for(eye: HostProbe) -> None:
    found = eye.look(processes=False)
    assert (found.processes, found.status.processes) == (None, None)


def test_the_host_and_the_server_say_who_they_are(seen: Look) -> None:
    status = seen.status
    assert status.host.hostname == os.uname().nodename
    assert status.host.node_id == "here"
    assert status.host.uptime_s == pytest.approx(
        float(Path("/proc/uptime").read_text().split()[0]), abs=30
    )
    assert status.server.version == "1.2"


def test_interfaces_of_our_own_workings_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    count = SimpleNamespace(
        bytes_sent=1,
        bytes_recv=2,
        packets_sent=3,
        packets_recv=4,
        errin=5,
        errout=6,
        dropin=7,
        dropout=8,
    )
    names = ("lo", "eth0", "veth1", "viso2", "joblet0", "br-1", "wlan0", "tap0")
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: dict.fromkeys(names, count))
    found = hostlook._networks({"eth0": (("192.0.2.1", "2001:db8::1"), "02:00:00:00:00:01")})
    assert [one.interface for one in found] == ["eth0", "wlan0"]
    assert found[0].addresses == ("192.0.2.1", "2001:db8::1")
    assert found[0].mac_address == "02:00:00:00:00:01"
    assert (found[1].addresses, found[1].mac_address) == ((), None)


def part(device: str, mountpoint: str, fstype: str = "ext4") -> Any:
    return SimpleNamespace(device=device, mountpoint=mountpoint, fstype=fstype)


def test_file_systems_of_local_disks_are_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = str(tmp_path)
    parts = [
        part("/dev/vda1", "/"),
        part("tmpfs", "/run", "tmpfs"),
        part("/dev/vda1", there),  # the same once more
        part("/dev/loop3", "/snap/x", "squashfs"),
        part("server:/export", "/net", "nfs4"),
        part("/dev/vdb", "/home"),
        part("tmpfs", "/home", "tmpfs"),  # what hides it
        part("/dev/vdc", f"{there}/gone"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: parts)
    found = {disk.device: disk for disk in hostlook._disks()}
    assert list(found) == ["/dev/vda1", "/dev/vdb", "/dev/vdc"]
    assert found["/dev/vda1"].total_bytes
    assert found["/dev/vdb"].total_bytes is None
    assert found["/dev/vdc"].usage_percent is None


def test_a_host_that_cannot_be_looked_at_is_an_error(
    eye: HostProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(psutil, "cpu_times", refuse)
    with pytest.raises(HostFailure, match="look at the host"):
        eye.look(processes=False)
