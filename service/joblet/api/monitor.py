"""org.joblet1.Monitor at /org/joblet1: what jobs used over their lives, and the host right now."""

from __future__ import annotations

from collections.abc import Mapping

from joblet.api import options
from joblet.api.authorize import Authority
from joblet.api.options import Key, number, texts
from joblet.bus.export import Exporter, current_call
from joblet.bus.values import Typed
from joblet.core import hoststatus
from joblet.core.hoststatus import HostMonitor
from joblet.core.jobs import JobManager
from joblet.core.metrics import JobMetrics
from joblet.errors import InvalidSpec
from joblet.model import host
from joblet.model.telling import samples_json, status_json

INTERFACE = "org.joblet1.Monitor"
SAMPLES_MAX = 1000
_WAIT_MAX_USEC = 300 * 1_000_000
_NUMBER_MAX = (1 << 63) - 1

Options = Mapping[str, Typed]


class MonitorHandler:
    """The handler; made once by wiring."""

    def __init__(
        self,
        jobs: JobManager,
        metrics: JobMetrics,
        monitor: HostMonitor,
        authority: Authority,
        exporter: Exporter,
    ) -> None:
        self._jobs = jobs
        self._metrics = metrics
        self._monitor = monitor
        self._authority = authority
        self._exporter = exporter

    async def get_job_metrics(self, job: str, given: Options) -> tuple[bytes, int, bool]:
        """GetJobMetrics."""
        wanted = options.read(given, _METRICS)
        found = await self._jobs.resolve(job)
        await self._authority.require_sight(found, current_call(), "read the metrics of")
        after = int(str(wanted.get("after", 0)))
        with self._exporter.ends_with_caller():
            samples, ended = await self._metrics.history(
                found, after=after, wait_usec=int(str(wanted.get("wait_usec", 0)))
            )
        since = int(str(wanted.get("since_usec", 0)))
        until = int(str(wanted.get("until_usec", _NUMBER_MAX)))
        limit = int(str(wanted.get("limit", SAMPLES_MAX)))
        chosen = [one for one in samples if since <= one.time_usec <= until]
        page = chosen[:limit]
        if len(page) < len(chosen):
            return samples_json(page), page[-1].number, False
        return samples_json(page), samples[-1].number if samples else after, ended

    async def get_status(self, given: Options) -> bytes:
        """GetStatus."""
        wanted = options.read(given, _STATUS)
        groups = wanted.get("groups", host.GROUPS)
        status = await self._monitor.status(
            groups,  # type: ignore[arg-type]
            window_usec=int(str(wanted.get("window_usec", hoststatus.WINDOW_DEFAULT_USEC))),
        )
        sees_all = status.processes is not None and await self._authority.sees_all(current_call())
        return status_json(status, commands=sees_all)


def _groups(name: str, value: object) -> tuple[str, ...]:
    words = texts(name, value)
    for word in words:
        if word not in host.GROUPS:
            raise InvalidSpec(name, f"groups are {', '.join(host.GROUPS)}")
    return words or host.GROUPS


_METRICS = {
    "after": Key("t", number(0, _NUMBER_MAX)),
    "since_usec": Key("t", number(0, _NUMBER_MAX)),
    "until_usec": Key("t", number(0, _NUMBER_MAX)),
    "limit": Key("u", number(1, SAMPLES_MAX)),
    "wait_usec": Key("t", number(0, _WAIT_MAX_USEC)),
}
_STATUS = {
    "groups": Key("as", _groups),
    "window_usec": Key("t", number(hoststatus.WINDOW_MIN_USEC, hoststatus.WINDOW_MAX_USEC)),
}
