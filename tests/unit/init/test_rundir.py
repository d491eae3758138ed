"""Processes of a record whose number is somebody else's by now."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from joblet.host import processes
from joblet.init import rundir
from joblet.records.run import Process


@pytest.fixture
def thread() -> Iterator[Process]:
    """Threads have numbers of the same kind as processes."""
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    assert other.native_id is not None
    yield Process(other.native_id, 1)
    done.set()
    other.join()


def test_process_whose_number_a_thread_has_is_gone(thread: Process) -> None:
    assert rundir.open_process(thread) == -1
    assert not processes.kill(thread)
    assert not processes.is_alive(thread)


@pytest.mark.parametrize("pid", [0, 1, 1 << 22])
def test_process_that_is_gone(pid: int) -> None:
    """0 is what a record has that knows of none."""
    assert rundir.open_process(Process(pid, 1 << 62)) == -1
    assert not processes.kill(Process(pid, 1 << 62))
