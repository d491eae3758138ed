"""Many calls that ask for the status of a job at the same time, few questions to jobletd.

While a question is on its way, those who come gather for the next one. So an answer is never older
than its request, and a busy bridge costs the daemon a message per batch and not per call.
"""

from __future__ import annotations

import asyncio

from joblet.client.api import JobletClient, JobStatus
from joblet.errors import JobletError, NotFound
from joblet.model.ids import PREFIX_MIN, check_job_reference


def checked(reference: str) -> str:
    """A job's id or the beginning of one, as jobletd takes it. Raises InvalidSpec, NotFound."""
    if len(reference) >= PREFIX_MIN:
        try:
            return check_job_reference(reference)
        except JobletError as err:
            # Of a form that no id has: there is no such job, and that is what clients look for.
            raise NotFound("job", reference) from err
    return check_job_reference(reference)


class Lookups:
    """The gathering place of one bridge; ends with close()."""

    def __init__(self, client: JobletClient) -> None:
        self._client = client
        self._gathered: dict[str, asyncio.Future[JobStatus]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def status(self, job: str) -> JobStatus:
        """What is known of a job. Raises JobletError."""
        future = self._gathered.get(job)
        if future is None:
            future = self._gathered[job] = asyncio.get_running_loop().create_future()
            if self._worker is None:
                self._worker = asyncio.create_task(self._work())
        # A caller that gives up does not take the answer from the others.
        return await asyncio.shield(future)

    async def close(self) -> None:
        """Ask no more; who still waits is cancelled."""
        worker = self._worker
        if worker is not None:
            worker.cancel()
            await asyncio.wait([worker])

    async def _work(self) -> None:
        try:
            # A turn of the loop, for those who were woken together.
            await asyncio.sleep(0)
            while self._gathered:
                asked, self._gathered = self._gathered, {}
                await self._ask(asked)
        finally:
            self._worker = None
            for future in self._gathered.values():
                future.cancel()

    async def _ask(self, asked: dict[str, asyncio.Future[JobStatus]]) -> None:
        question = asyncio.ensure_future(self._client.statuses(list(asked)))
        try:
            await asyncio.wait([question])
        except asyncio.CancelledError:
            question.cancel()
            for future in asked.values():
                future.cancel()
            raise
        failure = question.exception()
        answers = [failure] * len(asked) if failure is not None else question.result()
        for future, answer in zip(asked.values(), answers, strict=True):
            if isinstance(answer, BaseException):
                future.set_exception(answer)
                # Whoever asked may have gone: then it is nobody's error.
                future.exception()
            else:
                future.set_result(answer)
