"""Many files, a large one and many jobs, with a kernel that owns the quotas and the ids.

An emulated processor takes a quarter of an hour for what the container does in one minute, so here
everything is a fifth of the size, and whole where $JOBLET_VM_LARGE is 1 (`make test-vm-large`).
"""

from __future__ import annotations

import os

import pytest

from tests.container import cargo, crowd
from tests.vm.machine import VirtualMachine

PART = 1 if os.environ.get("JOBLET_VM_LARGE") == "1" else 5


def test_many_small_files_there_and_back(vm: VirtualMachine, figures: list[str]) -> None:
    figures += cargo.many_files_there_and_back(vm, cargo.FILES // PART)


def test_a_large_file_there_and_back(vm: VirtualMachine, figures: list[str]) -> None:
    figures += cargo.large_file_there_and_back(vm, cargo.BYTES // PART)


@pytest.mark.journal_allows(*crowd.KILLED)
def test_no_range_is_lost_or_doubled_by_a_kill_in_the_middle_of_many_jobs(
    vm: VirtualMachine, figures: list[str]
) -> None:
    with crowd.small_pool(vm):
        figures.append(crowd.ranges_are_kept_through_a_kill(vm, crowd.JOBS // PART))
