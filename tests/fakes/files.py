"""JobFiles in memory: which logs there are, how long, and whether they are sealed.

Descriptors handed out are real ones of /dev/null, so that a leak shows in the test's own process.
"""

from __future__ import annotations

import errno
import os

from joblet.core.ports import JobFiles
from joblet.errors import HostFailure, NotFound
from joblet.model.run import LogSummary
from tests.fakes.store import Died


class Log:
    """One job's log."""

    def __init__(self) -> None:
        self.data = b""
        self.dropped_bytes = 0
        self.sealed = False


class Shelf:
    """The logs of all jobs; survives daemons."""

    def __init__(self) -> None:
        self.logs: dict[str, Log] = {}
        self.work: dict[str, int] = {}  # who owns each work directory
        self.full: set[str] = set()  # jobs that left something there
        self.space = (1000, 1000)  # bytes in all, and free


class FakeJobFiles(JobFiles):
    """The logs as one daemon reaches them; `fails` is raised by the next attempt to create."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.dead = False
        self.fails: Exception | None = None
        self.unreadable = False  # a log that cannot be read, nor sealed
        self.removed: list[str] = []

    def create(self, job_id: str) -> None:
        self._check()
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure
        self.shelf.logs.setdefault(job_id, Log())

    def create_work(self, job_id: str, owner_id: int) -> None:
        self._check()
        self.shelf.work[job_id] = owner_id

    def has_work(self, job_id: str) -> bool:
        self._check()
        return job_id in self.shelf.work

    def open_for_writing(self, job_id: str) -> tuple[int, int, int]:
        self._log(job_id)
        return _null(), _null(), _null()

    def open_for_reading(self, job_id: str) -> tuple[int, int]:
        self._log(job_id)
        return _null(), _null()

    def read(self, job_id: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        log = self._log(job_id)
        data = log.data[offset : offset + limit]
        after = offset + len(data)
        return data, after, log.sealed and after >= len(log.data)

    def summary(self, job_id: str) -> LogSummary:
        self._check_readable()
        log = self.shelf.logs.get(job_id)
        if log is None:
            return LogSummary(end_offset=0, valid_from=0, dropped_bytes=0, sealed=True)
        return LogSummary(len(log.data), 0, log.dropped_bytes, log.sealed)

    def seal(self, job_id: str) -> None:
        self._check_readable()
        if job_id in self.shelf.logs:
            self.shelf.logs[job_id].sealed = True

    def remove(self, job_id: str) -> None:
        self._check()
        self.shelf.logs.pop(job_id, None)
        self.shelf.work.pop(job_id, None)
        self.removed.append(job_id)

    def remove_work(self, job_id: str) -> None:
        self._check()
        self.shelf.work.pop(job_id, None)
        self.shelf.full.discard(job_id)

    def remove_empty_work(self, job_id: str) -> bool:
        self._check()
        if job_id in self.shelf.full:
            return False
        self.shelf.work.pop(job_id, None)
        return True

    def work_space(self) -> tuple[int, int]:
        self._check()
        return self.shelf.space

    def list_ids(self) -> set[str]:
        self._check()
        return set(self.shelf.logs) | set(self.shelf.work)

    def _check(self) -> None:
        if self.dead:
            raise Died

    def _check_readable(self) -> None:
        self._check()
        if self.unreadable:
            raise HostFailure("job files", errno.EBADMSG, "log index: not a log index")

    def _log(self, job_id: str) -> Log:
        self._check()
        if job_id not in self.shelf.logs:
            raise NotFound("log", job_id)
        return self.shelf.logs[job_id]


def _null() -> int:
    return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
