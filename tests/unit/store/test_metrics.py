"""Samples of a job on disk: order, crashes, full disks, the bound on the size."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from joblet.core.ports import MetricsFiles
from joblet.errors import HostFailure
from joblet.model.ids import new_job_id
from joblet.model.metrics import STORED, DeviceIo, Sample
from joblet.paths import Paths
from joblet.records.metrics import FIELDS, HEADER_SIZE
from joblet.store.logs import DiskJobFiles
from joblet.store.metrics import DiskMetricsFiles

DEVICE = DeviceIo(
    device="259:3",
    read_bytes=1,
    write_bytes=2,
    discard_bytes=3,
    read_ops=4,
    write_ops=5,
    discard_ops=6,
)
FULL = Sample(
    time_usec=5,
    devices=(DEVICE,),
    **{name: number for number, name in enumerate(STORED, 7)},  # type: ignore[arg-type]
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=f"{tmp_path}/state", logs=f"{tmp_path}/logs")


@pytest.fixture
def job(paths: Paths) -> str:
    job_id = new_job_id()
    DiskJobFiles(paths).create(job_id)
    return job_id


@pytest.fixture
def files(paths: Paths) -> DiskMetricsFiles:
    return DiskMetricsFiles(paths)


def at(time_usec: int, **values: Any) -> Sample:
    return Sample(time_usec=time_usec, **values)


def file_of(paths: Paths, job: str) -> Path:
    return Path(paths.job_logs, job, "metrics")


def test_the_model_stores_what_the_format_has() -> None:
    assert STORED == FIELDS


def test_every_field_comes_back(files: MetricsFiles, job: str) -> None:
    assert files.append(job, FULL) == 1
    assert files.append(job, at(6)) == 2
    assert files.read(job) == [replace(FULL, number=1), at(6, number=2)]


def test_unknown_is_not_zero(files: MetricsFiles, job: str) -> None:
    files.append(job, at(5, tasks=0, devices=()))
    [sample] = files.read(job)
    assert (sample.tasks, sample.devices) == (0, ())
    assert (sample.memory_bytes, sample.cpu_some_avg10) == (None, None)


def test_the_next_daemon_goes_on_counting(paths: Paths, files: MetricsFiles, job: str) -> None:
    files.append(job, at(5))
    assert DiskMetricsFiles(paths).append(job, at(6)) == 2
    assert [sample.number for sample in files.read(job)] == [1, 2]


@pytest.mark.parametrize("left", [1, 7, 9, 30])
def test_what_a_crash_cut_off_is_written_over(
    paths: Paths, files: MetricsFiles, job: str, left: int
) -> None:
    files.append(job, at(5, tasks=1))
    size = file_of(paths, job).stat().st_size
    files.append(job, FULL)
    os.truncate(file_of(paths, job), size + left)
    assert [sample.time_usec for sample in files.read(job)] == [5]
    assert DiskMetricsFiles(paths).append(job, at(7, tasks=3)) == 2
    assert [sample.time_usec for sample in files.read(job)] == [5, 7]


def test_a_header_that_never_reached_the_disk_is_written_again(
    paths: Paths, files: MetricsFiles, job: str
) -> None:
    file_of(paths, job).write_bytes(bytes(HEADER_SIZE + 40))
    assert files.read(job) == []
    assert files.append(job, at(5)) == 1
    assert [sample.time_usec for sample in files.read(job)] == [5]


def test_a_job_without_files_gets_none(paths: Paths, files: MetricsFiles) -> None:
    DiskJobFiles(paths)
    job_id = new_job_id()
    assert files.append(job_id, at(5)) is None
    assert files.read(job_id) == []
    assert os.listdir(paths.job_logs) == []


def test_samples_go_with_the_log(paths: Paths, files: MetricsFiles, job: str) -> None:
    files.append(job, at(5))
    DiskJobFiles(paths).remove(job)
    assert os.listdir(paths.job_logs) == []
    assert files.append(job, at(6)) is None
    assert os.listdir(paths.job_logs) == []


def test_a_full_file_gets_sparser_where_it_is_old(paths: Paths, job: str) -> None:
    size = 40_000
    files = DiskMetricsFiles(paths, max_bytes=size)
    count = 0
    for count in range(1, 5_001):
        files.append(job, at(count, cpu_usec=count, tasks=1))
        assert file_of(paths, job).stat().st_size <= size
    times = [sample.time_usec for sample in files.read(job)]
    assert times[0] == 1  # the whole life
    assert times[-1] == count
    assert times == sorted(set(times))
    gaps = [late - early for early, late in zip(times, times[1:], strict=False)]
    assert gaps[-100:] == [1] * 100
    assert gaps[0] > 8
    assert [sample.number for sample in files.read(job)] == times
    assert set(os.listdir(f"{paths.job_logs}/{job}")) == {"log", "log.idx", "metrics"}


def test_the_sparser_file_is_on_disk_before_it_takes_the_place_of_the_other(
    paths: Paths, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut leaves an empty file, on a file system that writes names before bytes."""
    files = DiskMetricsFiles(paths, max_bytes=1000)
    synced: list[int] = []
    sync, rename = os.fdatasync, os.rename

    def note(fd: int) -> None:
        sync(fd)
        synced.append(os.fstat(fd).st_size)

    def put(source: str, target: str) -> None:
        assert synced.pop() == os.stat(source).st_size
        rename(source, target)
        renamed.append(target)

    renamed: list[str] = []
    monkeypatch.setattr(os, "fdatasync", note)
    monkeypatch.setattr(os, "rename", put)
    for count in range(100):
        files.append(job, at(count))
    assert set(renamed) == {str(file_of(paths, job))}
    assert synced == []


def test_a_full_disk_keeps_what_was_there_and_is_left_behind(
    files: MetricsFiles, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.append(job, at(5))
    real = os.pwrite

    def short(fd: int, data: bytes, offset: int) -> int:
        return real(fd, data[: len(data) // 2], offset)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", short)
        with pytest.raises(HostFailure) as failure:
            files.append(job, FULL)
    assert failure.value.errno == errno.ENOSPC
    assert [sample.time_usec for sample in files.read(job)] == [5]
    assert files.append(job, at(6)) == 2
    assert [sample.number for sample in files.read(job)] == [1, 2]


def test_a_file_of_a_newer_version_stays_as_it_is(
    paths: Paths, files: MetricsFiles, job: str
) -> None:
    newer = b"JLMS\x02\x00" + bytes(40)
    file_of(paths, job).write_bytes(newer)
    for ask in (lambda: files.read(job), lambda: files.append(job, at(5))):
        with pytest.raises(HostFailure, match="version 2 is not known here"):
            ask()
    assert file_of(paths, job).read_bytes() == newer


def test_a_link_in_the_place_of_the_file_is_not_followed(
    paths: Paths, files: MetricsFiles, job: str, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("mine")
    file_of(paths, job).symlink_to(target)
    with pytest.raises(HostFailure):
        files.append(job, at(5))
    assert target.read_text() == "mine"
