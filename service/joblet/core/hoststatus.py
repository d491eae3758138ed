"""HostMonitor: the state of the host, looked at when somebody asks.

Rates need two looks. The one before is a look that somebody else asked for, if it is old enough for
the window that the rates are wanted over; else there is a first one now, and the answer comes when
the window is over. Nothing is looked at while nobody asks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import replace

from joblet.core.ports import HostProbe
from joblet.model import host
from joblet.model.host import (
    CpuStatus,
    CpuTimes,
    DiskIo,
    HostStatus,
    IoStatus,
    Look,
    NetworkStatus,
    ProcessInfo,
    ProcessStatus,
)

WINDOW_DEFAULT_USEC = 1_000_000
WINDOW_MIN_USEC = 200_000
WINDOW_MAX_USEC = 10_000_000
# Looks to compare with are at least so far apart, and none is older than the longest window needs.
_KEPT_APART_USEC = 900_000
_KEPT_USEC = 2 * WINDOW_MAX_USEC
# Many who ask at about the same time are told the same; far less than the shortest window.
_FRESH_S = 0.05


class HostMonitor:
    """The looks at one host."""

    def __init__(self, probe: HostProbe) -> None:
        self._probe = probe
        self._kept: deque[Look] = deque()
        # By whether processes are looked at: a look that is under way serves all who come.
        self._under_way: dict[bool, asyncio.Task[Look]] = {}
        self._fresh: dict[bool, tuple[float, Look]] = {}

    async def status(
        self,
        groups: Collection[str] = host.GROUPS,
        *,
        window_usec: int = WINDOW_DEFAULT_USEC,
    ) -> HostStatus:
        """The host now, with rates over about the window. Raises HostFailure."""
        processes = host.PROCESS in groups
        now = await self._seen(processes)
        before = self._before(now, window_usec, processes)
        if before is None:
            before = now
            await asyncio.sleep(window_usec / 1e6)
            now = await self._seen(processes)
        status = compared(before, now)
        if status.processes is not None:
            top = {one.pid for one in status.processes.top_by_cpu}
            top |= {one.pid for one in status.processes.top_by_memory}
            told = await asyncio.to_thread(self._probe.describe, top)
            status = replace(status, processes=_described(status.processes, told))
        return _only(status, groups)

    async def counters(self) -> HostStatus:
        """The host now, without rates and processes. Raises HostFailure."""
        return (await self._seen(processes=False)).status

    async def _seen(self, processes: bool) -> Look:
        loop = asyncio.get_running_loop()
        taken_s, fresh = self._fresh.get(processes, (0.0, None))
        if fresh is not None and loop.time() - taken_s < _FRESH_S:
            return fresh
        task = self._under_way.get(processes)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(self._probe.look, processes=processes))
            self._under_way[processes] = task
            task.add_done_callback(lambda _: self._under_way.pop(processes, None))
        # A caller that gives up does not take the look from the others.
        look = await asyncio.shield(task)
        if self._fresh.get(processes, (0.0, None))[1] is not look:
            self._fresh[processes] = loop.time(), look
            self._keep(look)
        return look

    def _keep(self, look: Look) -> None:
        clock_usec = look.status.clock_usec
        while self._kept and self._kept[0].status.clock_usec < clock_usec - _KEPT_USEC:
            self._kept.popleft()
        same = [one for one in self._kept if (one.processes is None) == (look.processes is None)]
        if not same or clock_usec - same[-1].status.clock_usec >= _KEPT_APART_USEC:
            self._kept.append(look)

    def _before(self, now: Look, window_usec: int, processes: bool) -> Look | None:
        """The latest look that is old enough, and tells of processes if that is wanted."""
        # A stream comes back after just its interval, give or take.
        latest = now.status.clock_usec - round(0.9 * window_usec)
        for look in reversed(self._kept):
            if look.status.clock_usec <= latest and not (processes and look.processes is None):
                return look
        return None


def compared(before: Look, now: Look) -> HostStatus:
    """The later look with its rates since the earlier one. Pure."""
    was, status = before.status, now.status
    span_usec = status.clock_usec - was.clock_usec
    if span_usec <= 0:
        return status
    span_s = span_usec / 1e6
    changes: dict[str, object] = {"interval_usec": span_usec}
    if was.cpu is not None and status.cpu is not None:
        changes["cpu"] = _cpu(was.cpu, status.cpu, before.cores, now.cores)
    if was.networks is not None and status.networks is not None:
        known = {one.interface: one for one in was.networks}
        changes["networks"] = tuple(
            _network(known.get(one.interface), one, span_s) for one in status.networks
        )
    if was.io is not None and status.io is not None:
        changes["io"] = _io(was.io, status.io, span_s)
    if now.processes is not None and status.processes is not None:
        changes["processes"] = _processes(
            status.processes, before.processes or (), now.processes, span_usec
        )
    return replace(status, **changes)  # type: ignore[arg-type]


def _cpu(
    was: CpuStatus, now: CpuStatus, cores_then: Sequence[CpuTimes], cores: Sequence[CpuTimes]
) -> CpuStatus:
    def spent(*names: str) -> int:
        return sum(max(0, getattr(now.times, n) - getattr(was.times, n)) for n in names)

    total = spent(*CpuTimes.__slots__)
    if not total:
        return now

    def percent(*names: str) -> float:
        return 100 * spent(*names) / total

    per_core = None
    if len(cores_then) == len(cores):
        per_core = tuple(map(_busy, cores_then, cores))
    return replace(
        now,
        usage_percent=100 - percent("idle_usec", "iowait_usec"),
        user_percent=percent("user_usec", "nice_usec"),
        system_percent=percent("system_usec", "irq_usec", "softirq_usec"),
        idle_percent=percent("idle_usec"),
        iowait_percent=percent("iowait_usec"),
        steal_percent=percent("steal_usec"),
        per_core_percent=per_core,
    )


def _busy(was: CpuTimes, now: CpuTimes) -> float:
    spent = {n: max(0, getattr(now, n) - getattr(was, n)) for n in CpuTimes.__slots__}
    total = sum(spent.values())
    return 100 * (total - spent["idle_usec"] - spent["iowait_usec"]) / total if total else 0.0


def _network(was: NetworkStatus | None, now: NetworkStatus, span_s: float) -> NetworkStatus:
    if was is None:
        return now
    return replace(
        now,
        received_bytes_per_s=max(0, now.received_bytes - was.received_bytes) / span_s,
        sent_bytes_per_s=max(0, now.sent_bytes - was.sent_bytes) / span_s,
    )


def _io(was: IoStatus, now: IoStatus, span_s: float) -> IoStatus:
    known = {one.device: one for one in was.disks}
    return replace(
        now,
        read_bytes_per_s=max(0, now.read_bytes - was.read_bytes) / span_s,
        write_bytes_per_s=max(0, now.write_bytes - was.write_bytes) / span_s,
        disks=tuple(_disk(known.get(one.device), one, span_s) for one in now.disks),
    )


def _disk(was: DiskIo | None, now: DiskIo, span_s: float) -> DiskIo:
    if was is None:
        return now
    return replace(
        now,
        read_bytes_per_s=max(0, now.read_bytes - was.read_bytes) / span_s,
        write_bytes_per_s=max(0, now.write_bytes - was.write_bytes) / span_s,
        busy_percent=min(100.0, max(0, now.busy_ms - was.busy_ms) / span_s / 10),
    )


def _processes(
    counts: ProcessStatus,
    then: Sequence[ProcessInfo],
    now: Sequence[ProcessInfo],
    span_usec: int,
) -> ProcessStatus:
    # A number is given again; together with its start it is one process.
    known = {(one.pid, one.started_usec): one.cpu_usec for one in then}
    rated = [
        replace(one, cpu_percent=100 * max(0, one.cpu_usec - known[key]) / span_usec)
        if (key := (one.pid, one.started_usec)) in known
        else one
        for one in now
    ]
    return replace(
        counts,
        top_by_cpu=_top(rated, "cpu_percent"),
        top_by_memory=_top(rated, "memory_bytes"),
    )


def _top(processes: Sequence[ProcessInfo], name: str) -> tuple[ProcessInfo, ...]:
    def order(one: ProcessInfo) -> tuple[float, int]:
        return -(getattr(one, name) or 0), one.pid

    return tuple(sorted(processes, key=order)[: host.TOP])


def _described(status: ProcessStatus, told: dict[int, tuple[str, str]]) -> ProcessStatus:
    def whole(one: ProcessInfo) -> ProcessInfo:
        command, user = told.get(one.pid, (None, None))
        return replace(one, command=command, user=user)

    return replace(
        status,
        top_by_cpu=tuple(map(whole, status.top_by_cpu)),
        top_by_memory=tuple(map(whole, status.top_by_memory)),
    )


def _only(status: HostStatus, groups: Collection[str]) -> HostStatus:
    """Without the groups that were not asked for."""
    attributes = {
        host.CPU: "cpu",
        host.MEMORY: "memory",
        host.DISK: "disks",
        host.NETWORK: "networks",
        host.IO: "io",
        host.PROCESS: "processes",
    }
    unwanted = {name: None for group, name in attributes.items() if group not in groups}
    return replace(status, **unwanted) if unwanted else status  # type: ignore[arg-type]
