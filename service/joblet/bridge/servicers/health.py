"""grpc.health.v1.Health: whether calls can be served, for those with a role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from joblet.bridge.calls import Caller, Refused
from joblet.rpc import methods
from joblet.rpc.pb import health_pb2 as pb

_SERVICES = {"", *(method.service for method in (*methods.JOBLET, *methods.HEALTH))}
_WATCH_S = 1.0


class HealthServicer:
    """Serving means: jobletd's bus can be reached."""

    def __init__(self, serving: Callable[[], bool]) -> None:
        self._serving = serving

    async def check(
        self, request: pb.HealthCheckRequest, _caller: Caller
    ) -> pb.HealthCheckResponse:
        """Check."""
        if request.service not in _SERVICES:
            raise Refused("NOT_FOUND", "there is no such service")
        return pb.HealthCheckResponse(status=self._status())

    async def watch(
        self, request: pb.HealthCheckRequest, _caller: Caller
    ) -> AsyncGenerator[pb.HealthCheckResponse, None]:
        """Watch: the status now and at each change."""
        if request.service not in _SERVICES:
            yield pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN)
            await asyncio.Event().wait()
        told = None
        while True:
            status = self._status()
            if status != told:
                yield pb.HealthCheckResponse(status=status)
                told = status
            await asyncio.sleep(_WATCH_S)

    def _status(self) -> pb.HealthCheckResponse.ServingStatus:
        answer = pb.HealthCheckResponse
        return answer.SERVING if self._serving() else answer.NOT_SERVING
