"""The metrics file of each job: core.ports.MetricsFiles, beside the job's log.

    <logs>/jobs/<id>/metrics     goes with the log, when the job is deleted or swept

Owns appending, reading and the bound on the size. The whole life of a job stays in its file: when
it is full, every second sample of its older half goes, so the last hour or more is there sample by
sample, and what is older the coarser the longer ago it was. A reader sees the old file or the new
one. Samples are not synced: a power cut may take the last seconds, never what is before them.

One thread writes; any number may read.
"""

from __future__ import annotations

import errno
import os

from joblet.errors import HostFailure
from joblet.model.ids import is_job_id
from joblet.model.metrics import STORED, DeviceIo, Sample
from joblet.paths import Paths
from joblet.records.framing import BadRecord
from joblet.records.metrics import (
    HEADER,
    HEADER_SIZE,
    Device,
    MetricsRecord,
    check_header,
    records,
)

# 1,000 samples with all there is to know of a job on two disks.
MAX_BYTES = 512 << 10
_NAME = "metrics"
_MODE = 0o600


class DiskMetricsFiles:
    """The files below the log directories."""

    def __init__(self, paths: Paths, *, max_bytes: int = MAX_BYTES) -> None:
        self._logs = paths.job_logs
        self._max_bytes = max_bytes
        # Of each job that runs: the number of its last sample, and where that ends.
        self._ends: dict[str, tuple[int, int]] = {}

    def append(self, job_id: str, sample: Sample) -> int | None:
        """Keep a sample; its number. None when the job has no log (any more).

        Raises HostFailure, and then the file is as it was.
        """
        path = self._path(job_id)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        except FileNotFoundError:
            self.forget(job_id)
            return None
        except OSError as err:
            raise _failure(err, path) from err
        try:
            last, end = self._ends.get(job_id) or _end(fd)
            numbered = _numbered(sample, last + 1)
            data = numbered.encode()
            if end + len(data) > self._max_bytes:
                os.close(fd)
                fd = -1
                fd, end = _thinned(path)
            _write(fd, data if end else HEADER + data, end)
            self._ends[job_id] = last + 1, (end or HEADER_SIZE) + len(data)
            return last + 1
        except OSError as err:
            # The next attempt looks for the end, and begins over what was written in part.
            self.forget(job_id)
            raise _failure(err, path) from err
        except BadRecord as err:
            raise HostFailure("job metrics", errno.EBADMSG, str(err)) from err
        finally:
            if fd >= 0:
                os.close(fd)

    def read(self, job_id: str) -> list[Sample]:
        """All samples that are kept, oldest first; none for a job without any.

        Raises HostFailure.
        """
        path = self._path(job_id)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as err:
            raise _failure(err, path) from err
        if len(data) < HEADER_SIZE or not any(data[:HEADER_SIZE]):
            return []
        try:
            check_header(data)
        except BadRecord as err:
            raise HostFailure("job metrics", errno.EBADMSG, str(err)) from err
        return [_sample(record) for _, record in records(data)]

    def forget(self, job_id: str) -> None:
        """No more samples of this job come. Idempotent; the file stays."""
        self._ends.pop(job_id, None)

    def _path(self, job_id: str) -> str:
        if not is_job_id(job_id):
            raise HostFailure("job metrics", errno.EINVAL, job_id)
        return f"{self._logs}/{job_id}/{_NAME}"


def _failure(err: OSError, path: str) -> HostFailure:
    return HostFailure("job metrics", err.errno or errno.EIO, path)


def _end(fd: int) -> tuple[int, int]:
    """Number and end of the last whole record; (0, 0) for a file that has no header yet."""
    size = os.fstat(fd).st_size
    data = os.pread(fd, size, 0) if size else b""
    if len(data) < HEADER_SIZE or not any(data[:HEADER_SIZE]):
        return 0, 0
    check_header(data)
    last, end = 0, HEADER_SIZE
    for after, record in records(data):
        last, end = record.number, after
    if end < size:
        # A torn record longer than the next one would show its rest behind that.
        os.ftruncate(fd, end)
    return last, end


def _thinned(path: str) -> tuple[int, int]:
    """Put a smaller file in the place of a full one; it, open, and its end."""
    with open(path, "rb") as file:
        data = file.read()
    begin, pieces = HEADER_SIZE, []
    for end, _ in records(data):
        pieces.append(data[begin:end])
        begin = end
    older = len(pieces) // 2
    kept = HEADER + b"".join(pieces[:older:2] + pieces[older:])
    new = f"{path}.new"
    fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    try:
        _write(fd, kept, 0)
        # Else a power cut may leave the new name and none of the bytes.
        os.fdatasync(fd)
        os.rename(new, path)
    except OSError:
        os.close(fd)
        os.unlink(new)
        raise
    return fd, len(kept)


def _write(fd: int, data: bytes, at: int) -> None:
    written = os.pwrite(fd, data, at)
    if written < len(data):
        os.ftruncate(fd, at)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _numbered(sample: Sample, number: int) -> MetricsRecord:
    values = {name: value for name in STORED if (value := getattr(sample, name)) is not None}
    devices = None if sample.devices is None else tuple(map(_device, sample.devices))
    return MetricsRecord(number, sample.time_usec, values, devices)


def _device(io: DeviceIo) -> Device:
    major, _, minor = io.device.partition(":")
    return (
        int(major) << 32 | int(minor),
        io.read_bytes,
        io.write_bytes,
        io.discard_bytes,
        io.read_ops,
        io.write_ops,
        io.discard_ops,
    )


def _sample(record: MetricsRecord) -> Sample:
    devices = None
    if record.devices is not None:
        devices = tuple(
            DeviceIo(
                device=f"{number >> 32}:{number & 0xFFFF_FFFF}",
                read_bytes=read,
                write_bytes=written,
                discard_bytes=discarded,
                read_ops=reads,
                write_ops=writes,
                discard_ops=discards,
            )
            for number, read, written, discarded, reads, writes, discards in record.devices
        )
    return Sample(
        number=record.number,
        time_usec=record.time_usec,
        devices=devices,
        **record.values,  # type: ignore[arg-type]
    )
