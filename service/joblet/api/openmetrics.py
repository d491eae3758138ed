"""Counters of this host and of Joblet as OpenMetrics, over HTTP on a Unix socket.

Who may connect is a matter of the socket's mode. Nothing is labelled with a job, its owner or its
name: what a collector keeps for ever must not grow with the jobs of a host.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

from joblet.core.events import EventFeed
from joblet.core.hoststatus import HostMonitor
from joblet.core.jobs import JobManager
from joblet.errors import JobletError
from joblet.model.events import Event, JobFinished
from joblet.model.host import HostStatus

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_HEAD_MAX = 8192
# A collector says what it wants at once, or never.
_PATIENCE_S = 5.0
_AT_ONCE_MAX = 8

Sample = tuple[dict[str, str], float]


class Endpoint:
    """What is served; `serving` serves it."""

    def __init__(self, jobs: JobManager, monitor: HostMonitor, *, version: str) -> None:
        self._jobs = jobs
        self._monitor = monitor
        self._version = version
        self._finished: Counter[tuple[str, str]] = Counter()
        self._places = asyncio.Semaphore(_AT_ONCE_MAX)

    @asynccontextmanager
    async def serving(self, listener: socket.socket, feed: EventFeed) -> AsyncIterator[None]:
        """Answer on this socket, which is taken over, while the context lasts."""
        stop_hearing = feed.subscribe(self._handle)
        try:
            server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_HEAD_MAX)
            try:
                yield
            finally:
                server.close()
        finally:
            stop_hearing()

    async def text(self) -> str:
        """All metrics. Raises HostFailure."""
        return written(self._monitor_families(await self._monitor.counters()), self._job_families())

    def _handle(self, event: Event) -> None:
        if isinstance(event, JobFinished):
            job = event.job
            self._finished[job.state.value, job.reason.value if job.reason else ""] += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._places, asyncio.timeout(_PATIENCE_S):
                writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as e:
            log.debug("a reader of metrics was not answered: %s", e)
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            return _response("404 Not Found", "text/plain", "there is /metrics\n")
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", "text/plain", "use GET\n")
        try:
            body = await self.text()
        except JobletError as err:
            log.warning("no metrics: %s", err)
            return _response("503 Service Unavailable", "text/plain", f"{err}\n")
        return _response("200 OK", CONTENT_TYPE, body, with_body=method == b"GET")

    def _job_families(self) -> Iterator[tuple[str, str, str, list[Sample]]]:
        finished: list[Sample] = [
            ({"state": state, "reason": reason}, count)
            for (state, reason), count in sorted(self._finished.items())
        ]
        running, waiting = {"state": "running"}, {"state": "waiting"}
        yield "joblet", "info", "The daemon.", [({"version": self._version}, 1)]
        yield (
            "joblet_jobs",
            "gauge",
            "Jobs that have not ended.",
            [(running, self._jobs.running), (waiting, self._jobs.waiting)],
        )
        yield (
            "joblet_running_jobs_limit",
            "gauge",
            "Jobs that may run at once.",
            [({}, self._jobs.max_running)],
        )
        yield (
            "joblet_jobs_finished",
            "counter",
            "Jobs that have ended since the daemon was started.",
            finished,
        )

    def _monitor_families(self, status: HostStatus) -> Iterator[tuple[str, str, str, list[Sample]]]:
        yield (
            "host_boot_time_seconds",
            "gauge",
            "Start of the host.",
            [({}, status.host.boot_usec / 1e6)],
        )
        if status.cpu is not None:
            times = status.cpu.times
            modes = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
            yield (
                "host_cpu_seconds",
                "counter",
                "Time of all CPUs by mode.",
                [({"mode": mode}, getattr(times, f"{mode}_usec") / 1e6) for mode in modes],
            )
            yield "host_cpus", "gauge", "CPUs that are online.", [({}, status.cpu.cores)]
            for minutes, load in zip((1, 5, 15), status.cpu.load, strict=True):
                yield f"host_load{minutes}", "gauge", f"Load over {minutes} min.", [({}, load)]
        if status.memory is not None:
            for kind in ("total", "used", "free", "available", "cached", "buffered"):
                value = getattr(status.memory, f"{kind}_bytes")
                yield f"host_memory_{kind}_bytes", "gauge", f"Memory, {kind}.", [({}, value)]
            for kind in ("total", "used"):
                value = getattr(status.memory, f"swap_{kind}_bytes")
                yield f"host_swap_{kind}_bytes", "gauge", f"Swap, {kind}.", [({}, value)]
        for kind in ("total_bytes", "used_bytes", "free_bytes", "inodes_total", "inodes_used"):
            yield (
                f"host_filesystem_{kind}",
                "gauge",
                f"File systems, {kind.replace('_', ' ')}.",
                [
                    ({"device": disk.device, "mount_point": disk.mount_point}, value)
                    for disk in status.disks or ()
                    if (value := getattr(disk, kind)) is not None
                ],
            )
        for kind in ("received_bytes", "sent_bytes", "received_packets", "sent_packets"):
            yield (
                f"host_network_{kind}",
                "counter",
                f"Interfaces, {kind.replace('_', ' ')}.",
                [
                    ({"interface": one.interface}, getattr(one, kind))
                    for one in status.networks or ()
                ],
            )
        disks = () if status.io is None else status.io.disks
        for kind in ("read_bytes", "write_bytes", "reads", "writes"):
            yield (
                f"host_disk_{kind}",
                "counter",
                f"Block devices, {kind.replace('_', ' ')}.",
                [({"device": disk.device}, getattr(disk, kind)) for disk in disks],
            )


def written(*families: Iterable[tuple[str, str, str, list[Sample]]]) -> str:
    """Families (name, type, help, samples) as text; one without samples is left out."""
    lines = []
    for group in families:
        for name, kind, text, samples in group:
            if not samples:
                continue
            suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
            lines += [f"# TYPE {name} {kind}", f"# HELP {name} {text}"]
            lines += [f"{name}{suffix}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join([*lines, "# EOF", ""])


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _response(status: str, content_type: str, body: str, *, with_body: bool = True) -> bytes:
    data = body.encode("utf-8", "backslashreplace")
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (data if with_body else b"")
