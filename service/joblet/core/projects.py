"""Which project id the files of a work directory are accounted to, while the directory is kept."""

from __future__ import annotations

import heapq

# Out of the way of the small numbers that people give by hand (projid(5)).
FIRST = 1 << 24


class Projects:
    """Project ids from FIRST on, the lowest free one first: a quota file grows with the highest."""

    def __init__(self) -> None:
        self._next = FIRST
        self._free: list[int] = []
        self._held: dict[str, int] = {}
        self._taken: set[int] = set()

    def take(self, job_id: str) -> int:
        """A project id that no kept work directory has."""
        if self._free:
            project = heapq.heappop(self._free)
        else:
            while self._next in self._taken:
                self._next += 1
            project = self._next
            self._next += 1
        self._held[job_id] = project
        self._taken.add(project)
        return project

    def adopt(self, job_id: str, project: int) -> None:
        """A work directory of an earlier daemon; before the first `take`."""
        self._held[job_id] = project
        self._taken.add(project)

    def release(self, job_id: str) -> None:
        """The work directory is gone. Idempotent."""
        project = self._held.pop(job_id, None)
        if project is not None:
            self._taken.discard(project)
            heapq.heappush(self._free, project)
