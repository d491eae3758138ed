"""Who waits for the end of which job."""

from __future__ import annotations

import asyncio

from joblet.model.job import Job


class Waiters:
    """Futures by job; there only while somebody waits."""

    def __init__(self) -> None:
        # By job; a dictionary for its order, and since thousands may leave at the same time.
        self._futures: dict[str, dict[asyncio.Future[Job], None]] = {}

    async def until_ended(self, job_id: str, timeout_usec: int) -> Job | None:
        """The job when it ends; None when the time is up (0: no limit)."""
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        waiting = self._futures.setdefault(job_id, {})
        waiting[future] = None
        try:
            async with asyncio.timeout(timeout_usec / 1e6 if timeout_usec else None):
                return await future
        except TimeoutError:
            return None
        finally:
            del waiting[future]
            if not waiting:
                self._futures.pop(job_id, None)

    async def tell(self, job: Job) -> None:
        """A job has ended. Returns when those who wait have answered their clients."""
        if job.id not in self._futures:
            return
        for future in self._futures.get(job.id, ()):
            if not future.done():
                future.set_result(job)
        # One round of the loop for their answers, one for what sends them.
        for _ in range(2):
            await asyncio.sleep(0)
