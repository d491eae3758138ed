"""When a waiting job may start: at its time, in order of being due, while there is room."""

from __future__ import annotations

import heapq
from collections.abc import Iterator


class Scheduler:
    """Two queues of job ids: those with a time to come, and those that are due.

    Knows nothing of jobs but id, order and time. A job is in at most one queue.
    """

    def __init__(self, max_running: int) -> None:
        self.max_running = max_running
        self._later: list[tuple[int, int, str]] = []  # due_usec, seq, id
        self._due: list[tuple[int, int, str]] = []
        self._queued: dict[str, int] = {}  # id: seq

    def __len__(self) -> int:
        return len(self._queued)

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._queued

    def add(self, job_id: str, seq: int, due_usec: int, now_usec: int) -> None:
        """Queue a job. Jobs that are due go by the time they became due, then by acceptance."""
        entry = (due_usec, seq, job_id)
        heapq.heappush(self._due if due_usec <= now_usec else self._later, entry)
        self._queued[job_id] = seq

    def remove(self, job_id: str) -> None:
        """Take a job out, wherever it is. Idempotent."""
        # Its entry stays in the heap and is passed over when its turn comes.
        self._queued.pop(job_id, None)

    def ripen(self, now_usec: int) -> Iterator[str]:
        """Jobs whose time has come; they are among the due from here on."""
        while self._later and self._later[0][0] <= now_usec:
            entry = heapq.heappop(self._later)
            if entry[2] in self._queued:
                heapq.heappush(self._due, entry)
                yield entry[2]

    def head(self) -> str | None:
        """The job that is the next to start, or None if none is due."""
        while self._due and self._due[0][2] not in self._queued:
            heapq.heappop(self._due)
        return self._due[0][2] if self._due else None

    def next(self, running: int) -> str | None:
        """Take the job that may start now, or None if there is none or no room."""
        if running >= self.max_running or self.head() is None:
            return None
        job_id = heapq.heappop(self._due)[2]
        del self._queued[job_id]
        return job_id

    def vacant(self, running: int, now_usec: int) -> bool:
        """Whether a job that is due now would be the next, and has room."""
        earliest = self.next_due_usec()
        if earliest is not None and earliest <= now_usec:
            # Its time has come, and nobody has told us yet: the clock was set.
            return False
        return running < self.max_running and self.head() is None

    def next_due_usec(self) -> int | None:
        """When the earliest scheduled job is due, or None."""
        while self._later and self._later[0][2] not in self._queued:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None
