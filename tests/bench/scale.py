"""Bar 4: the rate of starts on a host that has much already, next to the same host with nothing.

Once with jobs that live, once with jobs that ended long ago. The empty host is measured before and
after, since what else the machine does changes meanwhile.
"""

from __future__ import annotations

import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from joblet.paths import Paths
from tests.bench.joblet_jobs import Joblet
from tests.bench.samples import Series, by_round, rate_of, with_cpu

LIVE = "live jobs"
FINISHED = "finished jobs"
_SLEEP = ["sleep", "86400"]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Batches with so many jobs there, and batches without."""

    what: str
    jobs: int
    without: Series = field(default_factory=Series)
    there: Series = field(default_factory=Series)

    @property
    def ratio(self) -> float:
        """Rate with them to rate without."""
        return self.there.rate / self.without.rate

    @property
    def cpu(self) -> dict[str, dict[str, float]]:
        """Processor time per job in ms, without and with them, by part."""
        none, some = self.without.cpu_ms_each(), self.there.cpu_ms_each()
        return {part: {"none": none[part], f"{self.jobs}": some[part]} for part in none}

    @property
    def rounds(self) -> tuple[float, float]:
        """How far the ratio went."""
        return by_round(self.there, self.without, rate_of)


def measure(
    joblet: Joblet, live: int, finished: int, *, rounds: int, batch: int, parallel: int
) -> list[Crowd]:
    """Both crowds, each some rounds."""

    def rate(into: Series) -> None:
        into.batches.append(with_cpu(lambda: joblet.batch(batch, parallel)))

    crowds = [Crowd(LIVE, live), Crowd(FINISHED, finished)]
    for crowd, crowded in zip(crowds, (_sleepers(joblet), _rows()), strict=True):
        _alternate(crowd, crowded, rate, rounds)
    return crowds


def _alternate(
    crowd: Crowd,
    crowded: Callable[[int], AbstractContextManager[None]],
    rate: Callable[[Series], None],
    rounds: int,
) -> None:
    half = -(-rounds // 2)
    for _ in range(half):
        rate(crowd.without)
    with crowded(crowd.jobs):
        for _ in range(2 * half):
            rate(crowd.there)
    for _ in range(half):
        rate(crowd.without)


def _sleepers(joblet: Joblet) -> Callable[[int], AbstractContextManager[None]]:
    @contextmanager
    def sleepers(count: int) -> Iterator[None]:
        jobs = joblet.start(_SLEEP, count)
        try:
            yield
        finally:
            joblet.stop(jobs)

    return sleepers


def _rows() -> Callable[[int], AbstractContextManager[None]]:
    @contextmanager
    def rows(count: int) -> Iterator[None]:
        with _daemon_stopped(), _store() as store:
            last = _fill(store, count)
        try:
            yield
        finally:
            with _daemon_stopped(), _store() as store:
                store.execute(
                    "DELETE FROM jobs WHERE seq BETWEEN ? AND ?", (last - count + 1, last)
                )

    return rows


def _fill(store: sqlite3.Connection, count: int) -> int:
    """Copies of the newest ended job, as another program would find them; the last number."""
    columns = [str(row[1]) for row in store.execute("PRAGMA table_info(jobs)")]
    others = ", ".join(name for name in columns if name not in ("seq", "id", "project"))
    newest, last = store.execute(
        "SELECT max(seq) FILTER (WHERE finished_usec IS NOT NULL), max(seq) FROM jobs"
    ).fetchone()
    copy = (
        f"INSERT INTO jobs (seq, id, project, {others}) "  # noqa: S608
        f"SELECT ?, ?, NULL, {others} FROM jobs WHERE seq = ?"
    )
    store.executemany(
        copy,
        ((last + 1 + n, str(uuid.uuid4()), newest) for n in range(count)),
    )
    return int(last) + count


@contextmanager
def _store() -> Iterator[sqlite3.Connection]:
    store = sqlite3.connect(Paths().database)
    try:
        with store:
            yield store
    finally:
        store.close()


@contextmanager
def _daemon_stopped() -> Iterator[None]:
    # It holds the number of the last job in memory. With its socket, which would start it again.
    units = ["jobletd.service", "jobletd.socket"]
    subprocess.run(["systemctl", "stop", *units], check=True)
    try:
        yield
    finally:
        subprocess.run(["systemctl", "start", *reversed(units)], check=True)
