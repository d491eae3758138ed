"""Objects that children use and do not copy."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import sys
from joblet.init.immortal import immortalise

class Thing:
    pass

thing = Thing()
thing.text = "".join(["not", "interned"])
before = sys.getrefcount(thing)
count = immortalise()
kept = sys.getrefcount(thing)
more = [thing] * 1000
assert sys.getrefcount(thing) == (kept if count else before + 1000), count
more.clear()
del more
assert sys.version_info < (3, 12) or count > 1000, count
assert thing.text + "!" == "notinterned!" and [thing] and {thing: 1}
fresh = [Thing() for _ in range(1000)]
assert sys.getrefcount(fresh[0]) < 10
print("well")
"""


@pytest.mark.spawns
def test_what_was_there_is_not_counted_any_more() -> None:
    """In a process of its own, which goes on to work."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("well\n", "", 0)
