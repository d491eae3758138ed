"""What /proc says of processes that name themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from joblet.init import procfs, rundir

NAME = Path("/proc/self/comm")


@pytest.fixture(params=[b"\xff\xfe", b"a) S 1 (", b"\n) \xe4"], ids=repr)
def _named(request: pytest.FixtureRequest) -> Iterator[None]:
    """We have a name that a job may give itself."""
    before = NAME.read_bytes().rstrip(b"\n")
    NAME.write_bytes(request.param)
    yield
    NAME.write_bytes(before)


@pytest.mark.usefixtures("_named")
def test_name_of_a_process_hides_nothing() -> None:
    process = procfs.identify(os.getpid())
    assert process.start_ticks > 0
    assert procfs.is_alive(process)
    fd = rundir.open_process(process)
    assert fd >= 0
    os.close(fd)
