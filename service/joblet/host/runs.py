"""/run/joblet/jobs: a directory per job of this boot, with what its supervisor wrote there."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil

from joblet.host import processes
from joblet.model.ids import is_job_id
from joblet.model.run import Ended, RunFact
from joblet.records import exit as exit_record
from joblet.records import run as run_record
from joblet.records.exit import ExitRecord
from joblet.records.framing import BadRecord
from joblet.records.run import RunRecord

log = logging.getLogger(__name__)


class RunDirectory:
    """The directories of all jobs of this boot."""

    def __init__(self, path: str) -> None:
        self._path = path

    def create(self, job_id: str) -> int:
        """An empty directory for a job about to start, opened; the caller closes.

        What an attempt that never ran has left there goes away.
        """
        path = f"{self._path}/{job_id}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            shutil.rmtree(path)
            os.mkdir(path, 0o700)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def remove(self, job_id: str) -> None:
        """Forget a job. Idempotent."""
        path = f"{self._path}/{job_id}"
        for name in ("exit", "run", "exit.new", "run.new"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}/{name}")
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)

    def ids(self) -> list[str]:
        """Every job there is."""
        return [name for name in os.listdir(self._path) if is_job_id(name)]

    def run_record(self, job_id: str) -> RunRecord | None:
        """A job's processes; None before its supervisor wrote them down."""
        data = self._read(job_id, "run")
        if data is None:
            return None
        try:
            return run_record.decode(data)
        except BadRecord:
            log.exception("%s: run record", job_id)
            return None

    def ended(self, job_id: str) -> Ended | None:
        """How a job ended; None while it has no exit record."""
        data = self._read(job_id, "exit")
        if data is None:
            return None
        try:
            return _ended(exit_record.decode(data))
        except BadRecord:
            log.exception("%s: exit record", job_id)
            return None

    def fact(self, job_id: str) -> RunFact | None:
        """Everything there is about one job; None if it has no directory."""
        if not os.path.isdir(f"{self._path}/{job_id}"):
            return None
        record = self.run_record(job_id)
        return RunFact(
            job_id=job_id,
            supervisor_known=record is not None,
            supervisor_alive=record is not None and processes.is_alive(record.supervisor),
            started_usec=None if record is None else _usec(record.started_ns),
            ended=self.ended(job_id),
            age_usec=None if record is None else processes.age_usec(record.first),
        )

    def _read(self, job_id: str, name: str) -> bytes | None:
        try:
            with open(f"{self._path}/{job_id}/{name}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None


def _usec(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_ns // 1000


def _ended(record: ExitRecord) -> Ended:
    return Ended(
        started_usec=_usec(record.started_ns),
        finished_usec=record.finished_ns // 1000,
        exit_status=record.exit_status,
        signal=record.signal,
        term_seen_usec=_usec(record.term_seen_ns),
        oom_kills=record.oom_kills,
        setup_step=record.setup_step.decode(errors="replace"),
        setup_errno=record.setup_errno,
        setup_path=record.setup_path.decode(errors="replace"),
        setup_detail=record.setup_detail.decode(errors="replace"),
        gate_closed=record.gate_closed,
        status_lost=record.status_lost,
        cpu_usec=record.cpu_usec,
        memory_peak_bytes=record.memory_peak_bytes,
        io_read_bytes=record.io_read_bytes,
        io_write_bytes=record.io_write_bytes,
        log_bytes=record.log_bytes,
        log_dropped_bytes=record.log_dropped_bytes,
    )
