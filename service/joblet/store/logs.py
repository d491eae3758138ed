"""The files of each job: core.ports.JobFiles over two directories.

    <logs>/jobs/<id>/log, log.idx    0644 below 0700: root opens, a holder of a descriptor may watch
    <state>/work/<id>                0700, of the host id that the job's program has

Owns creation, sealing without a supervisor, and removal. The supervisor writes the log; `records`
knows the format. Everything here is plain blocking code that may run in any thread; removal may
take long.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from joblet.errors import HostFailure, NotFound
from joblet.model.ids import is_job_id
from joblet.model.run import LogSummary
from joblet.paths import Paths
from joblet.records.framing import BadRecord
from joblet.records.logindex import HEADER_SIZE, Header, decode_header
from joblet.records.logreader import LogReader
from joblet.store.removal import remove_tree

_WRITABLE = 0o644
# No write bit left: this is how a follower sees that no more will come.
_SEALED = 0o444


class DiskJobFiles:
    """Logs and work directories below two parents, which it makes when they are not there."""

    def __init__(self, paths: Paths) -> None:
        self._logs = paths.job_logs
        self._work = paths.work
        with _reported():
            for parent in (self._logs, self._work):
                os.makedirs(parent, mode=0o700, exist_ok=True)

    def create(self, job_id: str) -> None:
        """Make the log and its index, empty. Idempotent."""
        logs = self._logs_of(job_id)
        with _reported():
            _make_directory(logs)
            # The index first: a log never stands without one.
            index = _make_file(f"{logs}/log.idx")
            try:
                if _is_unwritten(os.pread(index, HEADER_SIZE, 0)):
                    os.pwrite(index, Header().encode(), 0)
            finally:
                os.close(index)
            os.close(_make_file(f"{logs}/log"))

    def create_work(self, job_id: str, owner_id: int) -> None:
        """Make the work directory, empty, and give it to a host id. Idempotent."""
        work = self._work_of(job_id)
        with _reported():
            _make_directory(work)
            directory = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                found = os.fstat(directory)
                if (found.st_uid, found.st_gid) != (owner_id, owner_id):
                    os.fchown(directory, owner_id, owner_id)
            finally:
                os.close(directory)

    def has_work(self, job_id: str) -> bool:
        """Whether the work directory is there."""
        return os.path.isdir(self._work_of(job_id))

    def open_for_writing(self, job_id: str) -> tuple[int, int, int]:
        """Descriptors of log, index and work directory for the supervisor; caller closes.

        Raises NotFound.
        """
        log, index, work = _open_all(
            job_id,
            # Not O_APPEND: splice(2) refuses it, and the one writer gives every offset itself.
            (f"{self._logs_of(job_id)}/log", os.O_WRONLY),
            (f"{self._logs_of(job_id)}/log.idx", os.O_RDWR),
            (self._work_of(job_id), os.O_RDONLY | os.O_DIRECTORY),
        )
        return log, index, work

    def open_for_reading(self, job_id: str) -> tuple[int, int]:
        """Read-only descriptors of log and index; caller closes. Raises NotFound."""
        directory = self._logs_of(job_id)
        log, index = _open_all(
            job_id, (f"{directory}/log", os.O_RDONLY), (f"{directory}/log.idx", os.O_RDONLY)
        )
        return log, index

    def read(self, job_id: str, offset: int, limit: int) -> tuple[bytes, int, bool]:
        """Bytes from offset, the offset to ask for next, and whether that is the sealed end.

        Dropped bytes are jumped over. Raises NotFound.
        """
        with self._reader(job_id) as reader:
            return reader.read(offset, limit)

    def summary(self, job_id: str) -> LogSummary:
        """Sizes of the log; all zero and sealed when there is no log."""
        try:
            with self._reader(job_id) as reader:
                facts = reader.facts()
        except NotFound:
            return LogSummary(end_offset=0, valid_from=0, dropped_bytes=0, sealed=True)
        return LogSummary(
            end_offset=facts.end_offset,
            valid_from=facts.valid_from,
            dropped_bytes=facts.dropped_bytes,
            sealed=facts.sealed,
        )

    def seal(self, job_id: str) -> None:
        """Mark the log as complete, when no supervisor does or will. Idempotent.

        No log is as good as a sealed one.
        """
        try:
            log, index = self.open_for_reading(job_id)
        except NotFound:
            return
        try:
            with _reported():
                _seal_index(index, f"{self._logs_of(job_id)}/log.idx", os.fstat(log).st_size)
                for descriptor in (index, log):
                    if stat.S_IMODE(os.fstat(descriptor).st_mode) != _SEALED:
                        os.fchmod(descriptor, _SEALED)
        finally:
            os.close(log)
            os.close(index)

    def remove(self, job_id: str) -> None:
        """Remove log and work directory. Idempotent, safe with any content, possibly slow."""
        with _reported():
            for path in (self._work_of(job_id), self._logs_of(job_id)):
                remove_tree(*os.path.split(path))

    def remove_work(self, job_id: str) -> None:
        """Remove the work directory, whatever is in it. Idempotent, possibly slow."""
        with _reported():
            remove_tree(*os.path.split(self._work_of(job_id)))

    def remove_empty_work(self, job_id: str) -> bool:
        """Remove the work directory if nothing is in it; True when it is not there any more."""
        with _reported():
            try:
                os.rmdir(self._work_of(job_id))
            except FileNotFoundError:
                return True
            except OSError as err:
                if err.errno != errno.ENOTEMPTY:
                    raise
                return False
        return True

    def work_space(self) -> tuple[int, int]:
        """Bytes of the file system of the work directories: in all, and free."""
        with _reported():
            found = os.statvfs(self._work)
        return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize

    def list_ids(self) -> set[str]:
        """Ids that have files."""
        with _reported():
            names = {*os.listdir(self._logs), *os.listdir(self._work)}
        return {name for name in names if is_job_id(name)}

    @contextmanager
    def _reader(self, job_id: str) -> Iterator[LogReader]:
        log, index = self.open_for_reading(job_id)
        try:
            with _reported():
                yield LogReader(log, index)
        finally:
            os.close(log)
            os.close(index)

    def _logs_of(self, job_id: str) -> str:
        return f"{self._logs}/{_checked(job_id)}"

    def _work_of(self, job_id: str) -> str:
        return f"{self._work}/{_checked(job_id)}"


def _checked(job_id: str) -> str:
    if not is_job_id(job_id):
        raise NotFound("job", job_id)
    return job_id


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise HostFailure("job files", err.errno or errno.EIO, str(err.filename or err)) from err
    except BadRecord as err:
        raise HostFailure("job files", errno.EBADMSG, str(err)) from err


def _open_all(job_id: str, *wanted: tuple[str, int]) -> list[int]:
    descriptors: list[int] = []
    try:
        with _reported():
            for path, flags in wanted:
                descriptors.append(os.open(path, flags | os.O_NOFOLLOW))
    except HostFailure as err:
        for descriptor in descriptors:
            os.close(descriptor)
        if err.errno == errno.ENOENT:
            raise NotFound("log", job_id) from err
        raise
    return descriptors


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return


def _make_file(path: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, _WRITABLE)
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    # A strict umask must not take the followers' right to watch; a sealed file stays sealed.
    if mode not in (_WRITABLE, _SEALED):
        os.fchmod(descriptor, _WRITABLE)
    return descriptor


def _is_unwritten(header: bytes) -> bool:
    """Whether a power cut has kept the header of an index from the disk, or nobody has made one.

    Anything else that is not a header stays as it is: it may be one of a newer program.
    """
    return len(header) < HEADER_SIZE or not any(header)


def _seal_index(index: int, path: str, size: int) -> None:
    data = os.pread(index, HEADER_SIZE, 0)
    header = Header() if _is_unwritten(data) else decode_header(data)
    if header.sealed:
        return
    writable = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        # In two steps: who sees the flag sees the end as well.
        header.end_offset = size
        os.pwrite(writable, header.encode(), 0)
        header.sealed = True
        os.pwrite(writable, header.encode(), 0)
    finally:
        os.close(writable)
