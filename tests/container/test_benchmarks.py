"""Every benchmark works, in a size that says nothing: what `make bench` and docs/ call.

What they find is for people to read (docs/benchmarks.md); here they only have to come to their end
and to write down what they measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.ground import RESULTS, RUN, copy_bench
from tests.container.ground import CHECKOUT
from tests.container.machine import Machine

# tests.bench.run, in a machine without the engines: the parts that need no thousand jobs.
PARTS = {
    "jobs": ("--rounds=1", "--batch=1"),
    "lists": ("--list-rounds=1",),
    "output": ("--output-rounds=1", "--output-share=0.001"),
    "additions": ("--added-rounds=1", "--batch=1"),
    "steps": ("--starts=2",),
}
APART = {
    "tests.bench.bridge": ("--share=0.01",),
    "tests.bench.follow": ("--lines=20", "--rounds=1"),
    "tests.bench.metrics": ("--jobs=3", "--seconds=1"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_benchmarks(machine: Machine, part: str) -> None:
    copy_bench(machine)
    # Contenders leave systemd something to say.
    said = machine.run([*RUN, f"--parts={part}", *PARTS[part]]).stdout
    assert said == machine.read_file(f"{RESULTS}/bench.txt")
    assert json.loads(machine.read_file(f"{RESULTS}/bench.json"))
    machine.run(["rm", "--recursive", RESULTS])
    machine.run(["jobletctl", "job", "delete-all", "--all-users"])


@pytest.mark.parametrize("module", APART)
def test_a_benchmark_that_is_apart(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *APART[module], "--output", tmp_path / "figures"],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": f"{CHECKOUT}/service"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert json.loads((tmp_path / "figures").read_text())


def test_samples_of_real_cgroups(machine: Machine) -> None:
    copy_bench(machine)
    command = [*RUN[:4], "tests.bench.metrics", "--cgroups=real", "--jobs=3", "--seconds=6"]
    said = machine.run([*command, f"--output={RESULTS}.json"]).stdout
    figures = json.loads(machine.read_file(f"{RESULTS}.json"))
    assert said.count("\n") == len(figures)
    assert figures["samples"] >= 3
    machine.run(["rm", f"{RESULTS}.json"])
