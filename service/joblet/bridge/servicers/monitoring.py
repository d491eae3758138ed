"""joblet.MonitoringService: the state of this host, asked for over the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from joblet.bridge.calls import Caller
from joblet.bridge.ownership import host_for
from joblet.client.api import JobletClient
from joblet.model import host
from joblet.rpc import monitoring
from joblet.rpc.pb import joblet_pb2 as pb

_INTERVAL_DEFAULT_S = 5
# A first answer is to come soon; later ones have their interval to be measured over.
_FIRST_USEC = 500_000
_WINDOW_MAX_USEC = 10_000_000
# Without one the daemon would tell all of them.
_NONE = (host.CPU,)


class MonitoringServicer:
    """The service of one bridge; all listeners share it."""

    def __init__(self, client: JobletClient) -> None:
        self._client = client

    async def get_system_status(
        self, _request: pb.EmptyRequest, caller: Caller
    ) -> pb.SystemStatusResponse:
        """GetSystemStatus."""
        status = await self._client.host_status((), window_usec=_FIRST_USEC)
        return monitoring.status(host_for(status, caller.owner))

    async def stream_system_metrics(
        self, request: pb.StreamMetricsRequest, caller: Caller
    ) -> AsyncGenerator[pb.SystemMetricsResponse, None]:
        """StreamSystemMetrics: now and after each interval, until the client has enough."""
        interval_s = max(1, request.interval_seconds or _INTERVAL_DEFAULT_S)
        groups: tuple[str, ...] = ()
        if request.metric_types:
            # An unknown type selects nothing.
            groups = tuple(g for g in host.GROUPS if g in request.metric_types) or _NONE
        loop = asyncio.get_running_loop()
        due_s, window_usec = loop.time(), _FIRST_USEC
        while True:
            status = await self._client.host_status(groups, window_usec=window_usec)
            yield monitoring.metrics(host_for(status, caller.owner))
            window_usec = min(interval_s * 1_000_000, _WINDOW_MAX_USEC)
            # From when the last one was due, not from when it was taken: a slow client gets the
            # next one at once, and never several.
            due_s = max(due_s + interval_s, loop.time())
            await asyncio.sleep(due_s - loop.time())
