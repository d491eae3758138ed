"""examples/slurm/joblet_step.py: what of an allocation becomes which option."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

STEP = Path(__file__).resolve().parents[2] / "examples/slurm/joblet_step.py"


@pytest.fixture(scope="module")
def step() -> Any:
    """The script as a module."""
    # not imported: that would leave a __pycache__ among the examples
    return SimpleNamespace(**runpy.run_path(str(STEP)))


@pytest.mark.parametrize(
    ("slurm", "cpu", "memory"),
    [
        # of all tasks of the step on this host
        ("CPUS_ON_NODE=4", "400", None),
        ("CPUS_ON_NODE=4 GTIDS=2,3", "200", None),
        ("CPUS_ON_NODE=3 GTIDS=0,1", "150", None),
        # whole cores are allocated, threads asked for
        ("CPUS_ON_NODE=4 CPUS_PER_TASK=3", "300", None),
        # what a batch script hands on to a smaller step
        ("CPUS_ON_NODE=1 CPUS_PER_TASK=3", "100", None),
        ("CPUS_ON_NODE=4 MEM_PER_NODE=1000", "400", "1000M"),
        ("CPUS_ON_NODE=4 MEM_PER_NODE=1000 GTIDS=0,1,2", "133", "333M"),
        ("CPUS_ON_NODE=4 MEM_PER_CPU=100", "400", "400M"),
        ("CPUS_ON_NODE=4 MEM_PER_CPU=100 GTIDS=0,1 CPUS_PER_TASK=2", "200", "200M"),
    ],
)
def test_each_task_has_its_share(step: Any, slurm: str, cpu: str, memory: str | None) -> None:
    given = dict(f"SLURM_{pair}".split("=") for pair in slurm.split())
    expected = ["--max-cpu", cpu, *(["--max-memory", memory] if memory else [])]
    assert step.limits(given, range(8), 8) == expected


def test_cpus_are_passed_on_when_they_are_not_all(step: Any) -> None:
    given = {"SLURM_CPUS_ON_NODE": "2"}
    assert step.limits(given, {5, 1}, 8) == ["--max-cpu", "200", "--cpu-cores", "1,5"]


def test_options_of_the_user_stand_before_those_of_slurm(step: Any) -> None:
    slurm = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "HOME": "/"}
    words = ["--max-cpu", "900", "--", "ls", "--", "-l"]
    line = step.command_line(words, slurm, ["--max-cpu", "100"])
    assert line[:6] == ["jobletctl", "job", "run", "--follow", "--max-cpu", "900"]
    assert line[-6:] == ["--max-cpu", "100", "--", "ls", "--", "-l"]
    assert line[line.index("--name") + 1].startswith("slurm-7.0.3.")
    told = {line[at + 1] for at, word in enumerate(line) if word == "--env"}
    assert told == {"SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID"}


def test_a_command_alone_needs_no_dashes(step: Any) -> None:
    line = step.command_line(["ls", "-l"], {"SLURM_JOB_ID": "7"}, [])
    assert line[-3:] == ["--", "ls", "-l"]
