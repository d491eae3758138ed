"""The linters as tests, so that one command is the whole truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--output-format=concise", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "--no-error-summary"],
        ["mypy", "--no-error-summary", "tests"],
        ["mypy", "--no-error-summary", "packaging/pages"],
    ],
    ids=" ".join,
)
def test_linter_has_nothing_to_say(command: list[str]) -> None:
    # Beside this interpreter: the versions that tests/requirements.txt names.
    tool = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [tool, *command[1:]], cwd=CHECKOUT, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
