"""A peer of the benchmarks that fails: nothing of it stays, and once is not the end of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
# In a process of its own, since it waits for any child.
SCRIPT = """\
import os
from tests.bench import spawner
from tests.bench.run import once_more

TRUE, LONGER, FAILS = ["/bin/true"], ["/bin/sleep", "0.05"], ["/bin/sh", "-c", "exit 3"]

def refused(work, *args):
    try:
        work(*args)
    except RuntimeError as err:
        return str(err)

print(refused(spawner.run, [LONGER, LONGER, FAILS], 3))
try:
    os.wait()
except ChildProcessError:
    print("no child is left")

rounds = iter([[FAILS], [TRUE], [FAILS], [FAILS]])
again = []
measure = lambda: spawner.run(next(rounds), 1)
print(len(once_more(measure, again).seconds), again)
print(refused(once_more, measure, again), len(again))
"""


@pytest.mark.spawns
def test_a_peer_that_fails_leaves_nothing_and_has_a_second_try() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=CHECKOUT,
        env={"PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "/bin/sh -c exit 3 ended with 3",
        "no child is left",
        "1 ['/bin/sh -c exit 3 ended with 3']",
        "/bin/sh -c exit 3 ended with 3 2",
    ]
