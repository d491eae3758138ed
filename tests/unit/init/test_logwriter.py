"""The pipes that a log is filled from."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from joblet.init.logwriter import PIPE_BYTES, READ_MAX, LogWriter
from joblet.records import logindex


@pytest.fixture
def writer(tmp_path: Path) -> LogWriter:
    log = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    index = os.open(tmp_path / "log.idx", os.O_RDWR | os.O_CREAT)
    os.write(index, logindex.Header().encode())
    return LogWriter(log, index, 1 << 30)


def test_pipe_that_was_full_is_widened(writer: LogWriter, tmp_path: Path) -> None:
    """And one that was not stays as it is."""
    full, far = os.pipe()
    other, other_far = os.pipe()
    os.write(far, b"x" * PIPE_BYTES)
    os.write(other_far, b"y" * 100)
    assert writer.take(logindex.STDOUT, full, 1) == PIPE_BYTES
    assert writer.take(logindex.STDERR, other, 2) == 100
    assert fcntl.fcntl(full, fcntl.F_GETPIPE_SZ) == READ_MAX
    assert fcntl.fcntl(other, fcntl.F_GETPIPE_SZ) == PIPE_BYTES
    os.write(far, b"z" * READ_MAX)
    assert writer.take(logindex.STDOUT, full, 3) == READ_MAX
    content = (tmp_path / "log").read_bytes()
    assert content == b"x" * PIPE_BYTES + b"y" * 100 + b"z" * READ_MAX


# Its limit; a job that had made the pipe wider still, and filled it; no memory.
@pytest.mark.parametrize("code", [errno.EPERM, errno.EBUSY, errno.ENOMEM])
def test_host_that_allows_no_wider_pipe(
    writer: LogWriter, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """It is asked once, and goes on as it is."""
    asked: list[int] = []

    def refuse(fd: int, _command: int, _size: int) -> int:
        asked.append(fd)
        raise OSError(code, os.strerror(code))

    near, far = os.pipe()
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    for _ in range(3):
        os.write(far, b"x" * PIPE_BYTES)
        assert writer.take(logindex.STDOUT, near, 1) == PIPE_BYTES
    assert asked == [near]
