"""The processes that a supervisor process has at hand, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

REPLACED = """
killed = crew.anchor.process.pid
os.kill(killed, 9)
os.waitid(os.P_PIDFD, crew.anchor.fd, os.WEXITED | os.WNOWAIT)
crew.prepare()
assert crew.anchor.process.pid != killed
"""
SEEN_OFF = """
def refuse(pid):
    raise OSError(24, "Too many open files")

identify, procfs.identify = procfs.identify, refuse
try:
    crew.prepare()
except OSError as err:
    assert err.errno == 24
else:
    raise AssertionError("nothing was raised")
assert crew.numbers() == list(crew.anchor.numbers())
later = Crew(blank=0, trace=False)
assert later.numbers() == []
procfs.identify = identify
later.prepare()
assert later.anchor is not None
later.dismiss_first()
later.anchor.socket.close()
later.lose_anchor()
"""
AROUND = """
import os
from joblet.init import procfs
from joblet.init.crew import Crew

before = os.listdir("/proc/self/fd")
crew = Crew(blank=0, trace=False)
{}
crew.dismiss_first()
if crew.anchor is not None:
    crew.anchor.socket.close()
    crew.lose_anchor()
assert os.listdir("/proc/self/fd") == before
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nobody is left")
"""


@pytest.mark.parametrize(
    "body", [REPLACED, SEEN_OFF], ids=["one was killed", "one cannot be identified"]
)
def test_nobody_and_nothing_is_left(body: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    done = subprocess.run(
        [sys.executable, "-c", AROUND.format(body)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("nobody is left\n", 0), done.stderr
    complaint = "<4>joblet-init: no process at hand: [Errno 24] Too many open files\n"
    assert done.stderr == (complaint if body is SEEN_OFF else "")
