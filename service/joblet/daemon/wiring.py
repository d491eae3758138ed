"""Composition root: builds host, store, core and api and connects them. No decisions."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from contextlib import AsyncExitStack

from joblet import config as configuration
from joblet.api.manager import publish
from joblet.bus.connection import Connection
from joblet.core.admission import HostFacts
from joblet.core.events import EventFeed
from joblet.core.jobs import JobManager
from joblet.core.recovery import Recovery
from joblet.core.tasks import Tasks
from joblet.daemon.lifecycle import LifecycleLog
from joblet.host import machine, notify, pokes
from joblet.host.launcher import Launcher
from joblet.host.pokes import PokeReceiver
from joblet.host.runs import RunDirectory
from joblet.host.spawner import Spawner
from joblet.host.systemd import Systemd
from joblet.paths import Paths

log = logging.getLogger(__name__)

BUS_NAME = "org.joblet1"


class WallClock:
    """The clock on the wall."""

    def now_usec(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000
