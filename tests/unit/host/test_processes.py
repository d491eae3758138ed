"""Processes of the host as they are: how long they have been."""

from __future__ import annotations

import subprocess
import time

import pytest

from joblet.host import processes
from joblet.init import procfs
from joblet.records.run import Process


@pytest.mark.spawns
def test_the_age_of_a_process_is_what_it_lived_and_what_came_after() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    with subprocess.Popen(["sleep", "60"]) as child:
        born = time.clock_gettime(time.CLOCK_BOOTTIME)
        identified = procfs.identify(child.pid)
        child.kill()
    assert not processes.is_alive(identified)
    ended = time.clock_gettime(time.CLOCK_BOOTTIME)
    age_usec = processes.age_usec(identified)
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    # proc(5) has the start of a process in hundredths of a second, rounded down
    assert (ended - born) * 1_000_000 - 1 <= age_usec <= (after - before) * 1_000_000 + 10_001


def test_a_process_of_the_boot_is_as_old_as_the_boot() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    age_usec = processes.age_usec(Process(pid=1, start_ticks=0))
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before * 1_000_000 - 1 <= age_usec <= after * 1_000_000 + 1
