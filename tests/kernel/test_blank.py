"""The mount namespace that those of jobs are copies of: nothing is in it, nobody stays there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from joblet.init import plan
from tests.kernel.sandbox import Sandbox, without

LOOK = """
import errno, os
from pathlib import Path
from joblet.init import blank, syscalls

def here():
    return os.readlink("/proc/self/ns/mnt"), os.getcwd()

# The mount point, without touching that of the host.
syscalls.make_private()
syscalls.mount(b"test-run", b"/run", b"tmpfs", 0, b"size=64k")
os.makedirs("/run/joblet/root")
os.chdir("/")
before, mounts = here(), Path("/proc/self/mountinfo").read_text()
namespace = blank.make()
assert here() == before
assert Path("/proc/self/mountinfo").read_text() == mounts
assert not os.get_inheritable(namespace)
table = os.open("/proc/self/mountinfo", os.O_RDONLY)
syscalls.setns(namespace, 0x00020000)
syscalls.unshare(0x00020000)
os.lseek(table, 0, 0)
found = [os.path.join(top, name) for top, names, files in os.walk("/") for name in names + files]
print(found)
try:
    os.mkdir("/made")
except OSError as err:
    print(errno.errorcode[err.errno])
"""


@pytest.fixture(autouse=True)
def _as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")


def test_it_is_empty_and_read_only_and_nobody_stays() -> None:
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", LOOK],
        env={"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    parts = plan.MOUNT_POINT.lstrip("/").split("/")
    places = ["/" + "/".join(parts[: i + 1]) for i in range(len(parts))]
    assert (done.stdout, done.stderr) == (f"{places}\nEROFS\n", "")


def test_nobody_can_take_the_root_of_a_job_away(sandbox: Sandbox) -> None:
    """Not even who has every capability over a copy of the job's mount namespace.

    The filter keeps a job from making one, so here it has none.
    """
    outcome = sandbox.run(
        "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
        "echo asked; umount -l / && echo gone; umount / && echo gone; :",
        change=without("filter"),
    )  # fmt: skip
    assert b"asked" in outcome.log
    assert b"gone" not in outcome.log


def test_what_is_below_the_root_of_a_job_cannot_be_seen(sandbox: Sandbox) -> None:
    outcome = sandbox.run("cat", "/proc/self/mountinfo")
    mounts = [line.split() for line in outcome.log.decode().splitlines()]
    (root,) = [mount for mount in mounts if mount[4] == "/"]
    assert root[1] not in {mount[0] for mount in mounts}
    assert "joblet-blank" not in outcome.log.decode()
