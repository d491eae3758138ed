"""Which slice a job's scope goes into, and what each slice weighs.

Creating a scope gets slower with its siblings, so a slice holds a bounded number of them. Between
slices the kernel divides CPU and IO by the weights of the slices, so a slice weighs what its
members weigh together; else a job alone in one would count as much as 64 in another.
"""

from __future__ import annotations

from typing import NamedTuple

from joblet.model.limits import WEIGHT_DEFAULT, WEIGHT_MAX, WEIGHT_MIN

# A weight that is off by less than this part is let be: with many short jobs that come and go it
# would change all the time, and PID 1 has better to do.
_TOLERANCE = 1 / 32


class Weights(NamedTuple):
    """The CPU and the IO weight of a job, or of a slice."""

    cpu: int = WEIGHT_DEFAULT
    io: int = WEIGHT_DEFAULT


NORMAL = Weights()


class Shards:
    """Members of the shards; the fullest prefix stays dense, so few slices exist."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._members: list[dict[str, Weights]] = []
        self._shard_of: dict[str, int] = {}
        self._said: dict[int, Weights] = {}

    def take(self, job_id: str, weights: Weights = NORMAL) -> int:
        """The lowest shard with room."""
        roomy = (shard for shard, jobs in enumerate(self._members) if len(jobs) < self._size)
        shard = next(roomy, len(self._members))
        self.adopt(job_id, shard, weights)
        return shard

    def adopt(self, job_id: str, shard: int, weights: Weights = NORMAL) -> None:
        """A job that is in a shard already."""
        while len(self._members) <= shard:
            self._members.append({})
        self._members[shard][job_id] = weights
        self._shard_of[job_id] = shard

    def reweigh(self, job_id: str, weights: Weights) -> None:
        """The job weighs otherwise from now on; one that is in no shard does not matter."""
        shard = self._shard_of.get(job_id)
        if shard is not None:
            self._members[shard][job_id] = weights

    def release(self, job_id: str) -> None:
        """The job's scope is gone. Idempotent."""
        shard = self._shard_of.pop(job_id, None)
        if shard is not None:
            del self._members[shard][job_id]

    @property
    def divided(self) -> bool:
        """Whether weights matter: a single slice has nobody to share with."""
        return sum(1 for jobs in self._members if jobs) > 1

    def weights(self) -> dict[int, Weights]:
        """What the shards with members should weigh, as large as the manager takes it."""
        sums = {
            shard: Weights(sum(one.cpu for one in jobs.values()), sum(o.io for o in jobs.values()))
            for shard, jobs in enumerate(self._members)
            if jobs
        }
        cpu = _scaled({shard: both.cpu for shard, both in sums.items()})
        io = _scaled({shard: both.io for shard, both in sums.items()})
        return {shard: Weights(cpu[shard], io[shard]) for shard in sums}

    def unsaid(self) -> dict[int, Weights]:
        """Weights that the host does not know yet; none while there is nothing to share."""
        if not self.divided:
            return {}
        return {
            shard: wanted
            for shard, wanted in self.weights().items()
            if _differ(wanted, self._said.get(shard))
        }

    def said(self, shard: int, weights: Weights) -> None:
        """The host knows this weight."""
        self._said[shard] = weights


def _scaled(sums: dict[int, int]) -> dict[int, int]:
    largest = max(sums.values(), default=0)
    if largest <= WEIGHT_MAX:
        return sums
    return {k: max(WEIGHT_MIN, round(v * WEIGHT_MAX / largest)) for k, v in sums.items()}


def _differ(wanted: Weights, said: Weights | None) -> bool:
    if said is None:
        return True
    return any(abs(new - old) > old * _TOLERANCE for new, old in zip(wanted, said, strict=True))
