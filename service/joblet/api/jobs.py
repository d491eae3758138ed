"""org.joblet1.Job objects of live jobs, and the signals of their lives.

JobObjects turns core's events into exported objects, PropertiesChanged, JobNew and JobFinished. A
job's object stays a little longer than the job, so that who was told of the end can read it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from joblet.api.manager import INTERFACE as MANAGER_INTERFACE
from joblet.api.manager import ManagerHandler
from joblet.bus import interfaces
from joblet.bus.export import Exporter
from joblet.bus.values import Typed
from joblet.core.events import EventFeed
from joblet.core.jobs import JobManager
from joblet.model.events import Event, JobChanged, JobFinished, JobNew, JobRemoved
from joblet.model.ids import ROOT_PATH, object_path, scope_name
from joblet.model.job import Job

JOB_INTERFACE = "org.joblet1.Job"
# Time for a client to come after JobFinished; long enough for a loaded host.
LINGER_S = 5.0
# A short job goes through its states within milliseconds: changes of this long go out as one, and
# the last of them no later than JobFinished.
ANNOUNCE_S = 0.02
NOT_ENDED = -1


class JobHandler:
    """One live job on the bus; its verbs are the manager's."""

    __slots__ = ("_manager", "job")

    def __init__(self, job: Job, manager: ManagerHandler) -> None:
        self.job = job
        self._manager = manager

    @property
    def id(self) -> str:
        """Property Id."""
        return self.job.id

    @property
    def name(self) -> str:
        """Property Name."""
        return self.job.spec.name

    @property
    def owner_uid(self) -> int:
        """Property OwnerUid."""
        return self.job.owner_uid

    @property
    def unit(self) -> str:
        """Property Unit."""
        return scope_name(self.job.id)

    @property
    def submitted_usec(self) -> int:
        """Property SubmittedUsec."""
        return self.job.submitted_usec

    @property
    def state(self) -> str:
        """Property State."""
        return self.job.state.value

    @property
    def reason(self) -> str:
        """Property Reason."""
        return self.job.reason.value if self.job.reason else ""

    @property
    def exit_code(self) -> int:
        """Property ExitCode."""
        return NOT_ENDED if self.job.exit_code is None else self.job.exit_code

    @property
    def started_usec(self) -> int:
        """Property StartedUsec."""
        return self.job.started_usec or 0

    @property
    def finished_usec(self) -> int:
        """Property FinishedUsec."""
        return self.job.finished_usec or 0

    async def stop(self, options: Mapping[str, Typed]) -> None:
        """Stop."""
        await self._manager.stop_job(self.job.id, options)

    async def update(self, limits: Mapping[str, Typed]) -> None:
        """Update."""
        await self._manager.update_job(self.job.id, limits)

    async def cancel(self) -> None:
        """Cancel."""
        await self._manager.cancel_job(self.job.id)

    async def wait(self, timeout_usec: int) -> dict[str, Typed]:
        """Wait."""
        return await self._manager.wait_job(self.job.id, timeout_usec)


class JobObjects:
    """The manager and all live jobs on the bus; made by wiring, exported while `shown` lasts."""

    def __init__(self, exporter: Exporter, manager: ManagerHandler) -> None:
        self._exporter = exporter
        self._manager = manager
        self._manager_interface = interfaces.load(MANAGER_INTERFACE)
        self._job_interface = interfaces.load(JOB_INTERFACE)
        self._handlers: dict[str, JobHandler] = {}
        self._lingering: dict[str, asyncio.TimerHandle] = {}
        self._unsaid: dict[str, Job] = {}  # changed jobs, as they were last announced
        self._announcement: asyncio.TimerHandle | None = None

    @contextmanager
    def shown(self, jobs: JobManager, feed: EventFeed) -> Iterator[None]:
        """Export the manager and what lives now, and follow the feed."""
        self._exporter.add(ROOT_PATH, self._manager, self._manager_interface)
        unsubscribe = feed.subscribe(self.handle)
        for job in jobs.live():
            self._show(job)
        try:
            yield
        finally:
            unsubscribe()
            if self._announcement is not None:
                self._announcement.cancel()
            for job_id in list(self._handlers):
                self._hide(job_id)
            self._exporter.remove(ROOT_PATH)

    def handle(self, event: Event) -> None:
        """One event of core."""
        job = event.job
        match event:
            case JobNew():
                self._show(job)
                self._signal("JobNew", (job.id, object_path(job.id)))
            case JobChanged():
                self._change(job)
            case JobFinished():
                self._change(job)
                self._announce(job.id)
                reason = job.reason.value if job.reason else ""
                code = NOT_ENDED if job.exit_code is None else job.exit_code
                path = object_path(job.id)
                self._signal("JobFinished", (job.id, path, job.state.value, reason, code))
                self._linger(job.id)
            case JobRemoved():
                self._hide(job.id)

    def _signal(self, member: str, args: tuple[object, ...]) -> None:
        self._exporter.emit(ROOT_PATH, self._manager_interface, member, args)

    def _show(self, job: Job) -> None:
        handler = self._handlers[job.id] = JobHandler(job, self._manager)
        self._exporter.add(object_path(job.id), handler, self._job_interface)

    def _change(self, job: Job) -> None:
        handler = self._handlers.get(job.id)
        if handler is None:
            self._show(job)
            return
        self._unsaid.setdefault(job.id, handler.job)
        handler.job = job
        if self._announcement is None:
            loop = asyncio.get_running_loop()
            self._announcement = loop.call_later(ANNOUNCE_S, self._announce_all)

    def _announce_all(self) -> None:
        self._announcement = None
        for job_id in list(self._unsaid):
            self._announce(job_id)

    def _announce(self, job_id: str) -> None:
        before = self._unsaid.pop(job_id, None)
        handler = self._handlers.get(job_id)
        if before is None or handler is None:
            return
        changed = [name for name, read in _CHANGING.items() if read(before) != read(handler.job)]
        if changed:
            self._exporter.changed(object_path(job_id), self._job_interface, changed)

    def _linger(self, job_id: str) -> None:
        loop = asyncio.get_running_loop()
        self._lingering[job_id] = loop.call_later(LINGER_S, self._hide, job_id)

    def _hide(self, job_id: str) -> None:
        timer = self._lingering.pop(job_id, None)
        if timer is not None:
            timer.cancel()
        if self._handlers.pop(job_id, None) is not None:
            self._exporter.remove(object_path(job_id))


_CHANGING: Mapping[str, Callable[[Job], object]] = {
    "State": lambda job: job.state,
    "Reason": lambda job: job.reason,
    "ExitCode": lambda job: job.exit_code,
    "StartedUsec": lambda job: job.started_usec,
    "FinishedUsec": lambda job: job.finished_usec,
}
