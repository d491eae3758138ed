"""Which slice a job's scope goes into.

Creating a scope gets slower with its siblings, so a slice holds a bounded number of them.
"""

from __future__ import annotations


class Shards:
    """Counts of scopes per shard; the fullest prefix stays dense, so few slices exist."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._counts: list[int] = []
        self._shard_of: dict[str, int] = {}

    def take(self, job_id: str) -> int:
        """The lowest shard with room."""
        roomy = (shard for shard, count in enumerate(self._counts) if count < self._size)
        shard = next(roomy, len(self._counts))
        self.adopt(job_id, shard)
        return shard

    def adopt(self, job_id: str, shard: int) -> None:
        """A job that is in a shard already."""
        while len(self._counts) <= shard:
            self._counts.append(0)
        self._counts[shard] += 1
        self._shard_of[job_id] = shard

    def release(self, job_id: str) -> None:
        """The job's scope is gone. Idempotent."""
        shard = self._shard_of.pop(job_id, None)
        if shard is not None:
            self._counts[shard] -= 1
