"""Rates of the host between two looks, and when there are two."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from joblet.core.hoststatus import HostMonitor, compared
from joblet.core.ports import HostProbe
from joblet.errors import HostFailure
from joblet.model.host import (
    CpuStatus,
    CpuTimes,
    DiskIo,
    HostInfo,
    HostStatus,
    IoStatus,
    Look,
    NetworkStatus,
    ProcessInfo,
    ProcessStatus,
    ServerInfo,
)

SECOND = 1_000_000


def times(**spent: int) -> CpuTimes:
    names = CpuTimes.__slots__
    return CpuTimes(**{n: spent.get(n.removesuffix("_usec"), 0) * SECOND for n in names})


def process(pid: int, cpu: int = 0, memory: int = 0, started: int = 0) -> ProcessInfo:
    return ProcessInfo(
        pid=pid,
        ppid=1,
        name=f"p{pid}",
        status="S",
        started_usec=started,
        cpu_usec=cpu,
        memory_bytes=memory,
        memory_percent=0.0,
    )


def look(clock_s: float, *, processes: tuple[ProcessInfo, ...] | None = None, **more: Any) -> Look:
    cpu = more.pop("cpu", times())
    counts = None
    if processes is not None:
        counts = ProcessStatus(
            total=len(processes), running=0, sleeping=0, stopped=0, zombie=0, threads=0
        )
    status = HostStatus(
        time_usec=0,
        clock_usec=round(clock_s * SECOND),
        host=HostInfo(
            hostname="box",
            os="Debian",
            platform="debian",
            platform_family="debian",
            platform_version="13",
            kernel_version="6",
            architecture="x86_64",
            boot_usec=0,
            uptime_s=1,
            node_id="",
            cpus=2,
            memory_bytes=1,
        ),
        server=ServerInfo(version="1", python_version="3", platform="linux"),
        cpu=CpuStatus(cores=2, load=(0.1, 0.2, 0.3), times=cpu),
        processes=counts,
        **more,
    )
    return Look(status, (cpu, cpu), processes)


class FakeProbe(HostProbe):
    """A look takes `step_s`, and sees one process."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.looks: list[bool] = []
        self.clock_s = 0.0
        self.fails = False

    def look(self, *, processes: bool) -> Look:
        self.looks.append(processes)
        self.clock_s += self.step_s
        if self.fails:
            raise HostFailure("look at the host", 5)
        return look(self.clock_s, processes=(process(1),) if processes else None)

    def describe(self, pids: Collection[int]) -> dict[int, tuple[str, str]]:
        return {pid: (f"command of {pid}", "root") for pid in pids}


def test_percents_of_cpu_are_shares_of_all_the_time_between_the_looks() -> None:
    before = look(0, cpu=times(user=10, idle=100))
    now = look(
        10, cpu=times(user=12, nice=2, system=3, irq=1, softirq=1, idle=106, iowait=4, steal=1)
    )
    status = compared(before, now)
    assert status.interval_usec == 10 * SECOND
    cpu = status.cpu
    assert cpu is not None
    assert cpu.user_percent == 20.0
    assert cpu.system_percent == 25.0
    assert cpu.idle_percent == 30.0
    assert cpu.iowait_percent == 20.0
    assert cpu.steal_percent == 5.0
    assert cpu.usage_percent == 50.0
    assert cpu.per_core_percent == (50.0, 50.0)


def test_rates_of_interfaces_and_disks() -> None:
    def net(name: str, count: int) -> NetworkStatus:
        return NetworkStatus(
            interface=name,
            received_bytes=count,
            sent_bytes=2 * count,
            received_packets=0,
            sent_packets=0,
            receive_errors=0,
            send_errors=0,
            receive_drops=0,
            send_drops=0,
        )

    def disk(count: int) -> DiskIo:
        return DiskIo(
            device="sda",
            stacked=False,
            reads=0,
            writes=0,
            read_bytes=count,
            write_bytes=0,
            read_time_ms=0,
            write_time_ms=0,
            busy_ms=count,
        )

    def io(count: int) -> IoStatus:
        return IoStatus(reads=0, writes=0, read_bytes=count, write_bytes=0, disks=(disk(count),))

    status = compared(
        look(0, networks=(net("eth0", 100),), io=io(0)),
        look(2, networks=(net("eth0", 300), net("eth1", 9)), io=io(1000)),
    )
    assert status.networks is not None
    first, new = status.networks
    assert (first.received_bytes_per_s, first.sent_bytes_per_s) == (100.0, 200.0)
    # It was not there before, so nobody knows how fast it is.
    assert new.received_bytes_per_s is None
    assert status.io is not None
    assert status.io.read_bytes_per_s == 500.0
    assert status.io.disks[0].busy_percent == 50.0


def test_the_busiest_and_the_largest_processes() -> None:
    many = tuple(process(pid, memory=pid) for pid in range(1, 31))
    then = (*many, process(40, cpu=5 * SECOND), process(41, cpu=9 * SECOND, started=1))
    now = (*many, process(40, cpu=6 * SECOND), process(41, cpu=10 * SECOND, started=2))
    found = compared(look(0, processes=then), look(2, processes=now)).processes
    assert found is not None
    assert len(found.top_by_cpu) == len(found.top_by_memory) == 10
    assert (found.top_by_cpu[0].pid, found.top_by_cpu[0].cpu_percent) == (40, 50.0)
    # Another process with the number of one that has ended: nothing is known of its pace.
    assert all(one.pid != 41 or one.cpu_percent is None for one in found.top_by_cpu)
    assert [one.pid for one in found.top_by_memory] == list(range(30, 20, -1))


def test_two_looks_at_the_same_moment_have_no_rates() -> None:
    same = look(3)
    assert compared(same, same).interval_usec is None


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> FakeProbe:
    made = FakeProbe()
    slept = asyncio.sleep

    async def sleep(delay_s: float) -> None:
        made.clock_s += delay_s
        await slept(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


async def test_the_first_who_asks_waits_for_the_window_the_next_does_not(
    probe: FakeProbe,
) -> None:
    monitor = HostMonitor(probe)
    first = await monitor.status(window_usec=SECOND)
    assert (first.interval_usec, len(probe.looks)) == (SECOND, 2)
    await asyncio.sleep(2)
    second = await monitor.status(window_usec=SECOND)
    assert (second.interval_usec, len(probe.looks)) == (2 * SECOND, 3)


async def test_a_look_of_long_ago_is_not_compared_with(probe: FakeProbe) -> None:
    monitor = HostMonitor(probe)
    await monitor.status(window_usec=SECOND)
    await asyncio.sleep(3600)
    again = await monitor.status(window_usec=SECOND)
    assert again.interval_usec == SECOND


async def test_counters_alone_wait_for_nothing_and_ask_no_process(probe: FakeProbe) -> None:
    monitor = HostMonitor(probe)
    status = await monitor.counters()
    assert probe.looks == [False]
    assert status.processes is None
    # Rates of processes need a look that had them.
    assert (await monitor.status(window_usec=SECOND)).processes is not None


async def test_what_was_not_asked_for_is_not_told(probe: FakeProbe) -> None:
    status = await HostMonitor(probe).status(["memory"])
    assert (status.cpu, status.processes) == (None, None)
    assert status.host.hostname == "box"
    assert probe.looks == [False, False]


async def test_processes_are_described(probe: FakeProbe) -> None:
    status = await HostMonitor(probe).status()
    assert status.processes is not None
    assert status.processes.top_by_cpu[0].command == "command of 1"
    assert status.processes.top_by_memory[0].user == "root"


async def test_who_comes_during_a_look_shares_it(probe: FakeProbe) -> None:
    monitor = HostMonitor(probe)
    await asyncio.gather(*(monitor.counters() for _ in range(20)))
    assert len(probe.looks) == 1


async def test_who_comes_right_after_a_look_is_told_the_same(probe: FakeProbe) -> None:
    monitor = HostMonitor(probe)
    first = await monitor.counters()
    assert await monitor.counters() is first
    await asyncio.sleep(0.06)
    assert await monitor.counters() is not first


async def test_looks_that_are_kept_are_bounded(probe: FakeProbe) -> None:
    monitor = HostMonitor(probe)
    for _ in range(500):
        await asyncio.sleep(0.25)
        await monitor.counters()
    assert len(probe.looks) == 500
    assert len(monitor._kept) < 30


async def test_a_look_that_fails_is_said_and_the_next_is_tried(probe: FakeProbe) -> None:
    monitor = HostMonitor(probe)
    probe.fails = True
    with pytest.raises(HostFailure):
        await monitor.counters()
    probe.fails = False
    assert (await monitor.counters()).host == replace(look(0).status.host)
