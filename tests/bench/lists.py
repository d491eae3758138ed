"""Bar 9: `jobletctl job list` of 100 jobs, whole process, and the import of click alone.

Both are started anew in every round, who begins takes turns, and both have their byte code cached
as after an installation.
"""

from __future__ import annotations

import json
import subprocess
import time

from tests.bench.contenders import ENVIRONMENT
from tests.bench.samples import Batch, Series

JOBS = 100
LIST = "jobletctl job list"
IMPORT = "python3 -c 'import click'"
EMPTY = "python3 -c pass"
_COMMANDS = {
    LIST: ["jobletctl", "job", "list"],
    IMPORT: ["python3", "-c", "import click"],
    EMPTY: ["python3", "-c", "pass"],
}


def measure(rounds: int) -> dict[str, Series]:
    """By command, a batch of one start per round. There must be 100 jobs at least."""
    listed = _run([*_COMMANDS[LIST], "--json"])
    if len(json.loads(listed)) != JOBS:
        raise RuntimeError(f"there are fewer than {JOBS} jobs to list")
    results = {name: Series() for name in _COMMANDS}
    order = list(_COMMANDS)
    for _ in range(rounds):
        for name in order:
            begin = time.perf_counter()
            _run(_COMMANDS[name])
            seconds = time.perf_counter() - begin
            results[name].batches.append(Batch([seconds], seconds))
        order = [*order[1:], order[0]]
    return results


def _run(command: list[str]) -> bytes:
    done = subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE)
    return done.stdout
