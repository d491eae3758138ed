"""Composition root of the bridge: certificates, servicers and servers, around one client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from joblet.bridge import server
from joblet.bridge.calls import refuse_half_messages
from joblet.bridge.credentials import Credentials
from joblet.bridge.lookups import Lookups
from joblet.bridge.ownership import Ownership
from joblet.bridge.servicers.health import HealthServicer
from joblet.bridge.servicers.jobs import JobServicer
from joblet.bridge.servicers.monitoring import MonitoringServicer
from joblet.bridge.servicers.native import NativeServicer
from joblet.bridge.servicers.reflection import ReflectionServicer
from joblet.bridge.waits import Waits
from joblet.client.api import JobletClient
from joblet.config import BridgeConfig, ConfigError
from joblet.errors import JobletError
from joblet.paths import Paths
from joblet.rpc import methods
from joblet.rpc.tls import require_tls_1_3

# Within this time a certificate that was revoked is refused on connections that are there.
_LOOK_S = 1.0


@asynccontextmanager
async def bridge(
    settings: BridgeConfig, paths: Paths, client: JobletClient, *, alive: Callable[[], bool]
) -> AsyncIterator[tuple[int, ...]]:
    """Serving while the context lasts; the ports of all listeners. Raises ConfigError."""
    require_tls_1_3()
    refuse_half_messages()
    try:
        credentials = Credentials(paths.bridge_pki)
    except JobletError as err:
        raise ConfigError(f"no certificates to serve with: {err}") from err
    lookups = Lookups(client)
    waits = Waits(client, lookups)
    ownership = Ownership(lookups, own_jobs_only=settings.own_jobs_only)
    servicers = {
        "joblet.JobService": JobServicer(client, lookups, waits, node_id=settings.node_id),
        "joblet1.Jobs": NativeServicer(client, ownership, waits),
        "joblet.MonitoringService": MonitoringServicer(client),
        "grpc.health.v1.Health": HealthServicer(alive),
        **dict.fromkeys({one.service for one in methods.REFLECTION}, ReflectionServicer()),
    }
    watch = asyncio.create_task(_watch(credentials))
    try:
        async with AsyncExitStack() as stack:
            ports = await stack.enter_async_context(
                server.serving(settings, credentials, servicers, ownership)
            )
            if settings.https_listeners:
                # Not paid for, and not needed, where nobody asked for it.
                try:
                    from joblet.bridge.https import server as https
                except ImportError as err:
                    raise ConfigError(
                        f"bridge.https_listeners: needs aiohttp, Debian's python3-aiohttp ({err})"
                    ) from err

                ports += await stack.enter_async_context(
                    https.serving(settings, credentials, client, waits, ownership)
                )
            yield ports
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        await waits.close()
        await lookups.close()


async def _watch(credentials: Credentials) -> None:
    while True:
        await asyncio.sleep(_LOOK_S)
        credentials.changed()
