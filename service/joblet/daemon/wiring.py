"""Composition root: builds host, store, core and api and connects them. No decisions."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from contextlib import AsyncExitStack

from joblet.api.authorize import Authority
from joblet.api.jobs import JobObjects
from joblet.api.manager import ManagerHandler
from joblet.api.monitor import INTERFACE as MONITOR_INTERFACE
from joblet.api.monitor import MonitorHandler
from joblet.api.openmetrics import Endpoint
from joblet.bus import interfaces
from joblet.bus.connection import Connection
from joblet.bus.export import Exporter
from joblet.config import Config
from joblet.core.admission import HostFacts
from joblet.core.events import EventFeed
from joblet.core.hoststatus import HostMonitor
from joblet.core.jobs import JobManager
from joblet.core.keeper import WorkKeeper
from joblet.core.metrics import JobMetrics
from joblet.core.recovery import Recovery
from joblet.core.tasks import Tasks
from joblet.daemon.facts import Fresh
from joblet.daemon.lifecycle import LifecycleLog
from joblet.errors import Unreachable
from joblet.host import disks, machine, metricsocket, notify, pokes, seccomp
from joblet.host.files import WorkFiles
from joblet.host.hostlook import HostEye
from joblet.host.jobmetrics import JobCounters
from joblet.host.jobplan import PlanMaker
from joblet.host.launcher import Launcher
from joblet.host.pokes import PokeReceiver
from joblet.host.runs import RunDirectory
from joblet.host.secrets import Secrets
from joblet.host.spawner import Spawner
from joblet.host.systemd import Systemd
from joblet.model.ids import ROOT_PATH
from joblet.model.job import JobState
from joblet.paths import Paths
from joblet.store.database import Database
from joblet.store.jobs import SqlJobStore
from joblet.store.logs import DiskJobFiles
from joblet.store.metrics import DiskMetricsFiles

log = logging.getLogger(__name__)

BUS_NAME = "org.joblet1"


class WallClock:
    """The clock on the wall."""

    def now_usec(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


async def run(config: Config, paths: Paths, version: str) -> None:
    """Serve until SIGTERM or SIGINT; from SIGUSR1 on without starting jobs.

    Raises JobletError when something that is needed is not there, Unreachable when the bus goes
    away: the service manager starts a new daemon, and jobs do not notice.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async with AsyncExitStack() as stack:
        connection = await Connection.system()
        stack.push_async_callback(connection.close)
        database = await Database.open(paths.database)
        stack.push_async_callback(database.close)
        store = SqlJobStore(database)
        files = DiskJobFiles(paths)

        work_quota = disks.has_project_quota(paths.work)
        systemd = Systemd(connection)
        await stack.enter_async_context(systemd.listening())
        spawner = Spawner(paths.init_socket, paths.poke_socket, config.logs.max_bytes)
        stack.callback(spawner.close)
        under_work = disks.under(paths.work)
        launcher = Launcher(
            systemd=systemd,
            spawner=spawner,
            runs=RunDirectory(paths.run_jobs),
            plans=PlanMaker(
                machine.layout(),
                paths.work,
                work_quota=work_quota,
                system_calls=seccomp.job_filter(),
            ),
            io_devices=disks.distinct(under_work, disks.under("/usr")),
            weighs_io=disks.weighs_io(under_work),
        )
        secrets = Secrets(systemd, paths)
        feed = EventFeed()
        clock = WallClock()

        def look_at_host() -> HostFacts:
            return HostFacts(
                cpus=machine.usable_cpus(),
                controllers=machine.controllers(),
                memory_bytes=machine.memory_bytes(),
                tasks=machine.task_count(),
                io_device=under_work.path,
                io_missing=under_work.missing,
                weighs_io=disks.weighs_io(under_work),
                work_quota=work_quota,
                accept_unenforced=config.limits.unenforced == "accept",
            )

        if config.limits.unenforced == "accept":
            log.warning("limits.unenforced = accept: a limit without a controller does not hold")
        mover = WorkFiles(systemd, paths.work)
        await mover.end_uploads()
        jobs = JobManager(
            config=config,
            # Not once for all: a CPU may go offline.
            facts=Fresh(look_at_host),
            store=store,
            files=files,
            host=launcher,
            mover=mover,
            secrets=secrets,
            clock=clock,
            events=feed,
        )
        await jobs.load()
        tasks = Tasks()
        stack.push_async_callback(tasks.cancel)
        stack.push_async_callback(jobs.close)

        recovery = Recovery(manager=jobs, store=store, files=files, host=launcher, secrets=secrets)
        await recovery.run()
        receiver = PokeReceiver(_poke_socket(paths), jobs.exited)
        receiver.start()
        stack.callback(receiver.close)
        stack.push_async_callback(jobs.record_last_ends)

        metrics = JobMetrics(
            config.metrics.interval_usec,
            host=JobCounters(),
            files=DiskMetricsFiles(paths),
            find=jobs.find_live,
        )
        running = [job for job in jobs.live() if job.state is JobState.RUNNING]
        stack.callback(metrics.watch(feed, running))
        monitor = HostMonitor(HostEye(version=version, node_id=config.bridge.node_id))

        feed.subscribe(LifecycleLog(notify.journal).handle)
        exporter = await stack.enter_async_context(Exporter.on(connection))
        authority = Authority(connection, bridge_uid=machine.bridge_uid(config.bridge.user))
        manager = ManagerHandler(jobs, authority, exporter, version=version)
        objects = JobObjects(exporter, manager)
        stack.enter_context(objects.shown(jobs, feed))
        looks = MonitorHandler(jobs, metrics, monitor, authority, exporter)
        exporter.add(ROOT_PATH, looks, interfaces.load(MONITOR_INTERFACE))
        listener = metricsocket.listen(paths.metrics_socket)
        endpoint = Endpoint(jobs, monitor, version=version)
        await stack.enter_async_context(endpoint.serving(listener, feed))
        await connection.request_name(BUS_NAME)

        notify.ready(f"{len(jobs.live())} jobs")
        stack.callback(notify.stopping)
        # A scope is ordered after this unit: started before READY=1 it would wait for ever.
        jobs.start()
        loop.add_signal_handler(signal.SIGUSR1, _hold, jobs)
        tasks.start(recovery.sweep_files(), "sweep of files without a row")
        keeper = WorkKeeper(config.work, jobs, store, files, clock)
        tasks.start(keeper.run(), "removal of old work directories")
        tasks.start(metrics.run(), "samples of running jobs")
        tasks.start(_feed_watchdog(jobs), "watchdog")
        await _until(stop, connection)


def _hold(jobs: JobManager) -> None:
    log.info("no job is started any more, until the next start of the daemon (SIGUSR1)")
    jobs.hold()


async def _until(stop: asyncio.Event, connection: Connection) -> None:
    connection.closed.add_done_callback(lambda _: stop.set())
    await stop.wait()
    if connection.closed.done():
        raise Unreachable(connection.closed.result())


async def _feed_watchdog(jobs: JobManager) -> None:
    interval_usec = notify.watchdog_usec()
    if not interval_usec:
        return
    while True:
        # From the event loop, so that a loop that hangs is a daemon that is replaced.
        notify.alive()
        held = ", held" if jobs.held else ""
        notify.status(f"{jobs.running} jobs running, {jobs.waiting} waiting{held}")
        await asyncio.sleep(interval_usec / 3e6)


def _poke_socket(paths: Paths) -> socket.socket:
    passed = notify.passed_socket()
    return pokes.bind(paths.poke_socket) if passed is None else socket.socket(fileno=passed)
