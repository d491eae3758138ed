"""Many calls that wait for the ends of jobs, few that wait in jobletd.

The system bus lets one connection have 128 calls without an answer, and the bridge has one. So
those who wait for the same job share a question, and beyond a number of jobs the end is looked for
now and then instead. A question lives on when those who asked have gone, since nothing takes it
back: who comes next joins it.
"""

from __future__ import annotations

import asyncio

from joblet.bridge.lookups import Lookups
from joblet.client.api import JobletClient, JobStatus

WAITING_MAX = 24
# What nobody waits for any more is gone after so long.
_ROUND_USEC = 60 * 1_000_000
_LOOK_AGAIN_S = 1.0


class Waits:
    """The waiting room of one bridge; ends with close()."""

    def __init__(self, client: JobletClient, lookups: Lookups) -> None:
        self._client = client
        self._lookups = lookups
        self._questions: dict[str, asyncio.Task[JobStatus]] = {}

    async def until_ended(self, job: str, timeout_usec: int) -> JobStatus:
        """The job when it has ended, or as it is when the time is up. Raises JobletError."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_usec / 1e6
        status = await self._lookups.status(job)
        while not status.state.terminal and (left_s := end_s - loop.time()) > 0:
            question = self._question(status.id)
            if question is None:
                await asyncio.sleep(min(_LOOK_AGAIN_S, left_s))
            elif (await asyncio.wait([question], timeout=left_s))[0]:
                status = question.result()
                continue
            status = await self._lookups.status(status.id)
        return status

    async def close(self) -> None:
        """Ask no more; who still waits is cancelled."""
        questions = list(self._questions.values())
        for question in questions:
            question.cancel()
        if questions:
            await asyncio.wait(questions)

    def _question(self, job_id: str) -> asyncio.Task[JobStatus] | None:
        question = self._questions.get(job_id)
        if question is not None or len(self._questions) >= WAITING_MAX:
            return question
        question = asyncio.create_task(self._client.wait(job_id, timeout_usec=_ROUND_USEC))
        self._questions[job_id] = question
        question.add_done_callback(lambda done: self._answered(job_id, done))
        return question

    def _answered(self, job_id: str, question: asyncio.Task[JobStatus]) -> None:
        del self._questions[job_id]
        if not question.cancelled():
            question.exception()  # whoever asked may have gone: then it is nobody's error
