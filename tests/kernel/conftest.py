"""Throwaway namespaces: needs root, and leaves the host's mount table as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.sandbox import Sandbox


def _mount_table() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Where this test's jobs run."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    before = _mount_table()
    directory = Path(tempfile.mkdtemp(prefix="joblet-kernel-"))
    try:
        yield Sandbox(directory)
        assert _mount_table() == before
    finally:
        shutil.rmtree(directory)
