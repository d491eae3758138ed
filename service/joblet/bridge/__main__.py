"""joblet-bridge: reads the configuration, connects to the bus, serves until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from importlib import metadata

from joblet import config
from joblet.bridge import notify
from joblet.bridge.wiring import bridge
from joblet.client.local import LocalClient
from joblet.config import BridgeConfig, ConfigError
from joblet.errors import JobletError, Unreachable
from joblet.paths import Paths

EX_CONFIG = 78
_LEVELS = {"debug": logging.DEBUG, "warning": logging.WARNING, "err": logging.ERROR}
_JOURNAL = {"DEBUG": "<7>", "INFO": "<6>", "WARNING": "<4>", "ERROR": "<3>", "CRITICAL": "<2>"}

log = logging.getLogger("joblet-bridge")


async def serve(settings: BridgeConfig, paths: Paths) -> None:
    """Until SIGTERM or SIGINT. Raises JobletError, Unreachable when the bus goes away."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(LocalClient.connect())
        alive = client.closed
        await stack.enter_async_context(
            bridge(settings, paths, client, alive=lambda: not alive.done())
        )
        notify.ready(f"listening on {', '.join(settings.listeners)}")
        stack.callback(notify.stopping)
        alive.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if alive.done():
            raise Unreachable(alive.result())


class _JournalFormatter(logging.Formatter):
    """One event, one entry: every line of it carries the level (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = _JOURNAL.get(record.levelname, "<6>")
        return prefix + super().format(record).replace("\n", "\n" + prefix)


def main() -> int:
    """Entry point of the launcher that ExecStart names."""
    parser = argparse.ArgumentParser(
        prog="joblet-bridge", description="gRPC for remote clients of Joblet"
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.parse_args()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    level = _LEVELS.get(os.environ.get("SYSTEMD_LOG_LEVEL", ""), logging.INFO)
    logging.basicConfig(level=level, handlers=[handler])
    paths = Paths.from_environment()
    try:
        asyncio.run(serve(config.load(paths.config_file).bridge, paths))
    except ConfigError as err:
        log.error("%s", err)
        return EX_CONFIG
    except JobletError as err:
        log.error("%s", err)
        return 1
    return 0


def _version() -> str:
    try:
        return metadata.version("joblet")
    except metadata.PackageNotFoundError:
        return "0+unpackaged"


if __name__ == "__main__":
    sys.exit(main())
