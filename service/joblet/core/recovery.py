"""At start: rows, scopes and run records are compared, and every difference is settled.

Each job goes one of five ways: adopted because it runs; settled because it has an exit record;
queued again because it never ran; lost because nobody can tell (the host went down under it, or
all its witnesses died); swept because no row knows it. Every step may be repeated: a reconciler
that is killed leaves work, never damage.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice

from joblet import failpoints
from joblet.core.jobs import JobManager
from joblet.core.ports import JobFiles, JobHost, JobStore, SecretStore
from joblet.errors import HostFailure, JobletError
from joblet.model.job import Job, JobState, Reason
from joblet.model.run import RunFact

log = logging.getLogger(__name__)

# A killed supervisor is replaced within milliseconds; joblet-init itself is back within a second.
_REPLACEMENT_S = 5.0
_LOOK_AGAIN_S = 0.1
_BATCH = 500

_REBOOTED = "the host went down while it ran"
_NO_WITNESS = "its supervisor and joblet-init died together, so nobody saw it end"
_NO_TRACE = "its records in /run/joblet are gone"


class Recovery:
    """One reconciliation, and the sweep of files behind it."""

    def __init__(
        self,
        *,
        manager: JobManager,
        store: JobStore,
        files: JobFiles,
        host: JobHost,
        secrets: SecretStore,
    ) -> None:
        self._manager = manager
        self._store = store
        self._files = files
        self._host = host
        self._secrets = secrets

    async def run(self) -> None:
        """Settle every difference. Afterwards the manager knows all jobs that have not ended."""
        rows = {job.id: job for job in await self._store.unfinished()}
        runs = {fact.job_id: fact for fact in self._host.runs()}
        scopes = {scope.job_id for scope in await self._host.scopes()}
        failpoints.between("recovery.listed")
        for job in rows.values():
            try:
                await self._settle(job, runs.get(job.id), has_scope=job.id in scopes)
            except (JobletError, OSError) as err:
                # One job's trouble is not the others': it stays as it is until the next start.
                log.error("%s: cannot be settled: %s", job.id, err)
            failpoints.between("recovery.settled-one")
        for job_id in sorted((runs.keys() | scopes) - rows.keys()):
            await self._left_behind(job_id)
        failpoints.between("recovery.done")

    async def _settle(self, job: Job, fact: RunFact | None, *, has_scope: bool) -> None:
        manager = self._manager
        if job.boot_id and job.boot_id != self._host.boot_id():
            log.warning("%s: %s", job.id, _REBOOTED)
            await manager.lose(job, _REBOOTED)
        elif fact is None:
            if job.state is JobState.RUNNING:
                log.warning("%s: %s", job.id, _NO_TRACE)
                await manager.lose(job, _NO_TRACE)
            else:
                if has_scope:
                    # Another scope of that name could not be started beside it.
                    await self._host.sweep(job.id)
                await self._again(job)
        elif fact.ended is not None:
            log.info("%s: ended while the daemon was away", job.id)
            await manager.adopt(job, fact)
            await manager.settle_now(job.id, suspicious=has_scope)
        elif fact.supervisor_alive or await self._replaced(job.id):
            log.info("%s: adopted", job.id)
            await manager.adopt(job, fact)
        elif job.state in (JobState.PENDING, JobState.SCHEDULED) or (
            job.state is JobState.INITIALIZING and not fact.supervisor_known
        ):
            # Its directory was made, but its gate cannot have been opened.
            await self._host.sweep(job.id)
            await self._again(job)
        else:
            log.warning("%s: %s", job.id, _NO_WITNESS)
            await manager.lose(job, _NO_WITNESS)

    async def _again(self, job: Job) -> None:
        if job.state is JobState.INITIALIZING:
            await self._manager.requeue(job)
        else:
            self._manager.enqueue(job)

    async def _replaced(self, job_id: str) -> bool:
        """Whether a supervisor that is dead now gets a successor."""
        fact = self._host.run(job_id)
        if fact is None or not fact.supervisor_known:
            return False
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _REPLACEMENT_S
        while loop.time() < deadline:
            fact = self._host.run(job_id)
            if fact is None or fact.supervisor_alive or fact.ended is not None:
                return fact is not None
            await asyncio.sleep(_LOOK_AGAIN_S)
        return False

    async def _left_behind(self, job_id: str) -> None:
        job = await self._store.get(job_id)
        try:
            if job is None:
                fact = self._host.run(job_id)
                # One that was being made when its daemon died was never accepted.
                ran = fact is not None and fact.started_usec is not None
                level = logging.WARNING if ran else logging.INFO
                log.log(level, "%s: no row knows it, sweeping what is left", job_id)
                await self._host.sweep(job_id)
                return
            # The daemon that recorded its end may have got no further.
            self._files.seal(job_id)
            if job.reason is Reason.LOST:
                await self._host.sweep(job_id)
            await self._host.clear(job, suspicious=True)
        except (JobletError, OSError) as err:
            log.error("%s: cannot be swept: %s", job_id, err)

    async def sweep_files(self) -> None:
        """Remove logs, work directories and secrets without a job; slow, for the background."""
        wanted = self._manager.drafts | {job.id for job in self._manager.live()}
        for job_id in self._secrets.list_ids() - wanted:
            try:
                self._secrets.drop(job_id)
            except OSError as err:
                log.error("%s: its secrets cannot be removed: %s", job_id, err)
        found = await asyncio.to_thread(self._files.list_ids)
        # Asked for after the listing and before the rows: what is neither was left behind.
        ids = iter(found - self._manager.drafts)
        while batch := list(islice(ids, _BATCH)):
            for job_id in set(batch) - await self._store.existing(batch):
                log.info("%s: removing files without a row", job_id)
                try:
                    await asyncio.to_thread(self._files.remove, job_id)
                except HostFailure as err:
                    # One directory that resists is no reason to keep the others.
                    log.error("%s: its files cannot be removed: %s", job_id, err)
