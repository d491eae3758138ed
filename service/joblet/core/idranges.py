"""Which range of host ids a live job has; no two live jobs ever share one."""

from __future__ import annotations

from collections import deque

from joblet.errors import Exhausted
from joblet.model.ids import RANGE_SIZE


class IdRanges:
    """The pool of ranges of RANGE_SIZE ids, from `first` on.

    Who holds which range is in the job's row before the job runs, and recovery hands it back with
    `adopt`; so this is a view of the rows and needs no file of its own. A range that becomes free
    is used again as late as possible.
    """

    def __init__(self, first: int, count: int) -> None:
        self._own = range(first, first + count * RANGE_SIZE, RANGE_SIZE)
        self._free = deque(self._own)
        self._held: dict[str, int] = {}
        self._taken: set[int] = set()
        self._own_taken = 0

    @property
    def free(self) -> int:
        """How many are left."""
        return len(self._own) - self._own_taken

    def take(self, job_id: str) -> int:
        """The first id of a range that nobody has. Raises Exhausted."""
        while self._free:
            first_id = self._free.popleft()
            if first_id not in self._taken:
                self.adopt(job_id, first_id)
                return first_id
        raise Exhausted(
            f"all {len(self._own)} id ranges are held by jobs; raise ids.count in joblet.toml, "
            "or try again when some have ended"
        )

    def adopt(self, job_id: str, first_id: int) -> None:
        """A job that has its range already; also one from before the pool was moved."""
        self._held[job_id] = first_id
        if first_id not in self._taken:
            self._taken.add(first_id)
            self._own_taken += first_id in self._own

    def release(self, job_id: str) -> None:
        """None of the job's processes is left. Idempotent."""
        first_id = self._held.pop(job_id, None)
        if first_id is not None:
            self._taken.discard(first_id)
            if first_id in self._own:
                self._own_taken -= 1
                self._free.append(first_id)
