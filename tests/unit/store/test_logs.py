"""The files of a job on disk: modes, crashes in the middle, sealing, reading, removal."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from joblet.core.ports import JobFiles
from joblet.errors import HostFailure, NotFound
from joblet.init.logwriter import LogWriter as SupervisorLogWriter
from joblet.model.ids import new_job_id
from joblet.model.run import LogSummary
from joblet.paths import Paths
from joblet.records.logindex import HEADER_SIZE, STDERR, STDOUT, Header
from joblet.store.logs import DiskJobFiles
from tests.fakes.logwriter import LogWriter

NO_LOG = LogSummary(end_offset=0, valid_from=0, dropped_bytes=0, sealed=True)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=f"{tmp_path}/state", logs=f"{tmp_path}/logs")


@pytest.fixture
def files(paths: Paths) -> JobFiles:
    return DiskJobFiles(paths)


@pytest.fixture
def job(files: JobFiles) -> str:
    job_id = new_job_id()
    create(files, job_id)
    return job_id


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def create(files: JobFiles, job_id: str) -> None:
    files.create(job_id)
    files.create_work(job_id, os.getuid())


def mode(path: str) -> int:
    return os.stat(path).st_mode & 0o7777


def write(files: JobFiles, job_id: str, data: bytes, *, seal: bool = False) -> None:
    log, index, work = files.open_for_writing(job_id)
    writer = LogWriter(log, index)
    writer.write(data, 1)
    if seal:
        writer.seal()
    for descriptor in (log, index, work):
        os.close(descriptor)


@pytest.mark.usefixtures("strict_umask")
def test_a_new_job_has_an_empty_log_and_a_directory_of_its_own(
    files: JobFiles, paths: Paths
) -> None:
    job = new_job_id()
    create(files, job)
    logs, work = f"{paths.job_logs}/{job}", f"{paths.work}/{job}"
    assert mode(paths.job_logs) == mode(paths.work) == mode(logs) == mode(work) == 0o700
    assert mode(f"{logs}/log") == mode(f"{logs}/log.idx") == 0o644
    assert os.listdir(work) == []
    assert files.summary(job) == LogSummary(0, 0, 0, sealed=False)
    assert files.read(job, 0, 100) == (b"", 0, False)
    assert files.list_ids() == {job}


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives directories away")
def test_the_work_directory_belongs_to_the_user_of_the_program(paths: Paths) -> None:
    job = new_job_id()
    files = DiskJobFiles(paths)
    create(files, job)
    for owner in (4321, 8765):
        # the second time: a job that goes back to the queue has another range afterwards
        files.create_work(job, owner)
        found = os.stat(f"{paths.work}/{job}")
        assert (found.st_uid, found.st_gid, mode(f"{paths.work}/{job}")) == (owner, owner, 0o700)
    assert os.stat(f"{paths.job_logs}/{job}/log").st_uid == 0


def test_an_empty_work_directory_goes_and_one_with_results_stays(
    files: JobFiles, job: str, paths: Paths
) -> None:
    result = Path(f"{paths.work}/{job}/result")
    result.write_text("kept")
    assert not files.remove_empty_work(job)
    assert result.read_text() == "kept"
    result.unlink()
    assert files.remove_empty_work(job)
    assert files.remove_empty_work(job)
    assert not os.path.exists(f"{paths.work}/{job}")
    assert files.summary(job) == LogSummary(0, 0, 0, sealed=False)


def test_a_full_work_directory_goes_alone(files: JobFiles, job: str, paths: Paths) -> None:
    Path(f"{paths.work}/{job}/result").write_text("kept")
    write(files, job, b"hello")
    files.remove_work(job)
    files.remove_work(job)
    assert not os.path.exists(f"{paths.work}/{job}")
    assert files.read(job, 0, 100) == (b"hello", 5, False)


def test_space_is_that_of_the_work_directories(files: JobFiles, paths: Paths) -> None:
    total, free = files.work_space()
    found = os.statvfs(paths.work)
    assert total == found.f_blocks * found.f_frsize
    assert 0 <= free <= total


def test_creating_again_keeps_what_is_there(files: JobFiles, job: str, paths: Paths) -> None:
    write(files, job, b"hello")
    Path(f"{paths.work}/{job}/result").write_text("kept")
    create(files, job)
    assert files.read(job, 0, 100) == (b"hello", 5, False)
    assert os.listdir(f"{paths.work}/{job}") == ["result"]
    files.seal(job)
    create(files, job)
    assert files.summary(job).sealed
    assert mode(f"{paths.job_logs}/{job}/log") == 0o444


@pytest.mark.parametrize("steps", range(5))
def test_creating_goes_on_after_a_crash_at_any_step(
    files: JobFiles, paths: Paths, steps: int
) -> None:
    job = new_job_id()
    logs = f"{paths.job_logs}/{job}"
    made: list[Callable[[], object]] = [
        lambda: os.mkdir(logs, 0o700),
        lambda: Path(f"{logs}/log.idx").touch(0o600),
        lambda: Path(f"{logs}/log.idx").write_bytes(Header().encode()),
        lambda: Path(f"{logs}/log").touch(0o600),
        lambda: os.mkdir(f"{paths.work}/{job}", 0o700),
    ]
    for step in made[: steps + 1]:
        step()
    assert files.list_ids() == {job}
    create(files, job)
    assert mode(f"{logs}/log") == mode(f"{logs}/log.idx") == 0o644
    write(files, job, b"hello")
    assert files.read(job, 0, 100) == (b"hello", 5, False)


@pytest.mark.parametrize("size", [0, HEADER_SIZE])
def test_creating_makes_a_header_that_a_power_cut_took(
    files: JobFiles, job: str, paths: Paths, size: int
) -> None:
    """A job that waits may have a log: somebody has looked at it."""
    index = f"{paths.job_logs}/{job}/log.idx"
    os.truncate(index, 0)
    os.truncate(index, size)
    create(files, job)
    log_fd, index_fd, work_fd = files.open_for_writing(job)
    assert SupervisorLogWriter(log_fd, index_fd, 1 << 20).offset == 0
    for fd in (log_fd, index_fd, work_fd):
        os.close(fd)


def test_a_supervisor_can_write_log_index_and_work_directory(
    files: JobFiles, job: str, paths: Paths
) -> None:
    log, index, work = files.open_for_writing(job)
    supervisor = SupervisorLogWriter(log, index, 1 << 20)
    source, sink = os.pipe()
    for stream, data in ((STDOUT, b"out"), (STDERR, b"err")):
        os.write(sink, data)
        assert supervisor.take(stream, source, 1) == 3
    assert supervisor.dropped_bytes == 0
    os.mkdir("inside", dir_fd=work)
    assert os.listdir(f"{paths.work}/{job}") == ["inside"]
    assert files.read(job, 0, 100) == (b"outerr", 6, False)
    supervisor.seal()
    assert files.summary(job) == LogSummary(6, 0, 0, sealed=True)
    for descriptor in (log, index, work):
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
    os.close(source)
    os.close(sink)


def test_a_reader_cannot_write(files: JobFiles, job: str) -> None:
    for descriptor in files.open_for_reading(job):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(descriptor, b"x")
        os.close(descriptor)


def test_what_a_supervisor_sealed_is_read_to_its_end(files: JobFiles, job: str) -> None:
    write(files, job, b"hello", seal=True)
    assert files.read(job, 0, 3) == (b"hel", 3, False)
    assert files.read(job, 3, 3) == (b"lo", 5, True)
    assert files.summary(job) == LogSummary(5, 0, 0, sealed=True)


def test_sealing_says_where_the_log_ends_and_takes_the_write_bits(
    files: JobFiles, job: str, paths: Paths
) -> None:
    write(files, job, b"hello")
    for _ in range(2):
        files.seal(job)
        assert files.summary(job) == LogSummary(5, 0, 0, sealed=True)
        assert mode(f"{paths.job_logs}/{job}/log") == 0o444
        assert mode(f"{paths.job_logs}/{job}/log.idx") == 0o444


def test_sealing_goes_on_after_a_crash_between_its_steps(
    files: JobFiles, job: str, paths: Paths
) -> None:
    write(files, job, b"hello")
    index = f"{paths.job_logs}/{job}/log.idx"
    Path(index).write_bytes(Header(end_offset=5, sealed=True).encode())
    os.chmod(index, 0o444)
    files.seal(job)
    assert mode(f"{paths.job_logs}/{job}/log") == 0o444
    assert files.summary(job) == LogSummary(5, 0, 0, sealed=True)


@pytest.mark.parametrize("size", [0, HEADER_SIZE])
def test_sealing_makes_a_header_that_a_power_cut_took(
    files: JobFiles, job: str, paths: Paths, size: int
) -> None:
    write(files, job, b"hello")
    index = f"{paths.job_logs}/{job}/log.idx"
    os.truncate(index, 0)
    os.truncate(index, size)
    assert files.summary(job) == LogSummary(5, 0, 0, sealed=False)
    files.seal(job)
    assert files.read(job, 0, 100) == (b"hello", 5, True)


def test_an_index_of_a_newer_program_is_left_alone(files: JobFiles, job: str, paths: Paths) -> None:
    index = Path(f"{paths.job_logs}/{job}/log.idx")
    newer = b"JLIX\x09\x00" + bytes(90)
    index.write_bytes(newer)
    for call in (files.seal, files.summary, lambda job_id: files.read(job_id, 0, 1)):
        with pytest.raises(HostFailure, match="version 9"):
            call(job)
    assert index.read_bytes() == newer


def test_without_files_there_is_no_log_and_nothing_to_do(files: JobFiles) -> None:
    job = new_job_id()
    assert files.summary(job) == NO_LOG
    files.seal(job)
    files.remove(job)
    for call in (files.open_for_reading, files.open_for_writing):
        with pytest.raises(NotFound):
            call(job)
    with pytest.raises(NotFound):
        files.read(job, 0, 1)
    assert files.list_ids() == set()


def test_opening_leaves_no_descriptor_behind_when_a_part_is_missing(
    files: JobFiles, job: str, paths: Paths
) -> None:
    os.rmdir(f"{paths.work}/{job}")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotFound):
        files.open_for_writing(job)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("text", ["", ".", "..", "../..", "x/y", "A" * 36])
def test_what_is_no_id_never_becomes_a_path(files: JobFiles, text: str) -> None:
    calls = (files.create, files.open_for_reading, files.open_for_writing, files.remove)
    for call in calls:
        with pytest.raises(NotFound):
            call(text)


def test_a_link_in_the_place_of_a_log_is_not_followed(
    files: JobFiles, job: str, paths: Paths, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    log = Path(f"{paths.job_logs}/{job}/log")
    log.unlink()
    log.symlink_to(tmp_path / "secret")
    with pytest.raises(HostFailure) as caught:
        files.read(job, 0, 100)
    assert caught.value.errno == errno.ELOOP


def test_removing_takes_log_and_work_directory_of_that_job_only(
    files: JobFiles, job: str, paths: Paths
) -> None:
    other = new_job_id()
    create(files, other)
    deep = Path(f"{paths.work}/{job}/a/b/c")
    deep.mkdir(parents=True)
    (deep / "link").symlink_to(f"{paths.work}/{other}")
    write(files, job, b"hello", seal=True)
    for _ in range(2):
        files.remove(job)
        assert files.list_ids() == {other}
        assert files.summary(job) == NO_LOG
    assert os.listdir(paths.work) == os.listdir(paths.job_logs) == [other]


def test_a_listing_has_every_id_with_any_file_and_nothing_else(
    files: JobFiles, job: str, paths: Paths
) -> None:
    half = new_job_id()
    os.mkdir(f"{paths.work}/{half}")
    os.mkdir(f"{paths.work}/lost+found")
    Path(f"{paths.job_logs}/note").touch()
    assert files.list_ids() == {job, half}


def test_a_parent_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    paths = Paths(state=f"{tmp_path}/file", logs=f"{tmp_path}/logs")
    with pytest.raises(HostFailure, match=r"Not a directory \(.*/file/work\)"):
        DiskJobFiles(paths)
