"""What joblet1.Jobs has on metrics: samples of jobs and the state of the host, as on the bus."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from joblet.bridge.calls import Caller
from joblet.bridge.ownership import EVERYBODY
from joblet.client.api import JobletClient
from joblet.client.monitoring import MetricsRequest
from joblet.errors import InvalidSpec
from joblet.model import host
from joblet.model.telling import samples_json, status_json
from joblet.rpc.pb import joblet1_pb2 as pb

_WINDOW_DEFAULT_USEC = 1_000_000


class NativeLooks:
    """The half of the native service that this is about; its servicer is one of these too."""

    _client: JobletClient

    async def metrics(
        self, request: pb.MetricsRequest, _caller: Caller
    ) -> AsyncGenerator[pb.Told, None]:
        """Metrics."""
        wanted = MetricsRequest(
            follow=request.follow,
            after=request.after,
            since_usec=request.since_usec if request.HasField("since_usec") else None,
            until_usec=request.until_usec if request.HasField("until_usec") else None,
        )
        async with aclosing(self._client.metrics(request.job, wanted)) as found:
            async for sample in found:
                yield pb.Told(json=samples_json([sample]))

    async def host_status(self, request: pb.HostStatusRequest, caller: Caller) -> pb.Told:
        """HostStatus."""
        for group in request.groups:
            if group not in host.GROUPS:
                raise InvalidSpec("groups", f"groups are {', '.join(host.GROUPS)}")
        status = await self._client.host_status(
            tuple(request.groups), window_usec=request.window_usec or _WINDOW_DEFAULT_USEC
        )
        # What programs were given is told to those who may see all jobs.
        return pb.Told(json=status_json(status, commands=caller.owner == EVERYBODY))
