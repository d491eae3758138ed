"""Throwaway namespaces: needs root, and leaves the host's mount table as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from joblet.init import plan
from tests.kernel.sandbox import Sandbox


def _mounts_of_ours(directory: Path) -> list[str]:
    """What the host's table shows of jobs; others may mount what they like meanwhile."""
    places = (plan.MOUNT_POINT, str(directory))
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if line.split()[4].startswith(places)]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Where this test's jobs run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    directory = Path(tempfile.mkdtemp(prefix="joblet-kernel-"))
    try:
        yield Sandbox(directory)
        assert _mounts_of_ours(directory) == []
    finally:
        shutil.rmtree(directory)
