"""How long the work directory of an ended job is kept: a stated time, or until space is short."""

from __future__ import annotations

import asyncio
import logging

from joblet.config import WorkConfig
from joblet.core.jobs import JobManager
from joblet.core.ports import Clock, JobFiles, JobStore
from joblet.errors import JobletError

log = logging.getLogger(__name__)

# Between two looks; a directory is kept up to this much longer than promised.
INTERVAL_S = 60.0
_BATCH = 100


class WorkKeeper:
    """Removes what is due, and when the file system fills up the oldest before its time."""

    def __init__(
        self,
        config: WorkConfig,
        manager: JobManager,
        store: JobStore,
        files: JobFiles,
        clock: Clock,
    ) -> None:
        self._config = config
        self._manager = manager
        self._store = store
        self._files = files
        self._clock = clock

    async def run(self) -> None:
        """For ever. What cannot be removed, or seen, is tried again at the next look."""
        while True:
            try:
                await self.look()
            except JobletError as err:
                log.warning("work directories are looked at again later: %s", err)
            await asyncio.sleep(INTERVAL_S)

    async def look(self) -> None:
        """Remove what may not be kept any longer."""
        now = self._clock.now_usec()
        # What was removed is among the answers until its row is written, what could not be stays.
        seen: set[str] = set()
        while jobs := await self._due(now - self._config.keep_usec, seen):
            for job_id in jobs:
                await self._drop(job_id, seen)
        while self._short_of_space() and (jobs := await self._due(now + 1, seen)):
            log.warning("%s: its work directory goes early: space is short", jobs[0])
            await self._drop(jobs[0], seen)

    async def _due(self, finished_before_usec: int, seen: set[str]) -> list[str]:
        found = await self._store.kept(
            finished_before_usec=finished_before_usec, limit=_BATCH + len(seen)
        )
        return [job_id for job_id in found if job_id not in seen]

    async def _drop(self, job_id: str, seen: set[str]) -> None:
        seen.add(job_id)
        try:
            await self._manager.drop_work(job_id)
        except JobletError as err:
            log.warning("%s: its work directory stays: %s", job_id, err)

    def _short_of_space(self) -> bool:
        total, free = self._files.work_space()
        return free * 100 < total * self._config.min_free
