"""The rehearsal of joblet-init: it warms the interpreter and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

REHEARSED = """
import os
from pathlib import Path
from joblet.init.rehearsal import rehearse

def look():
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return os.listdir("/proc/self/fd"), Path("/proc/self/cgroup").read_text(), len(mounts)

before = look()
rehearse()
assert look() == before
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nothing is left")
"""


def test_nothing_is_left() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", REHEARSED],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("nothing is left\n", "", 0)
