"""The matrix of fail-points in the container tier names every fail-point that there is."""

from __future__ import annotations

import re
from pathlib import Path

import joblet
from tests.container.test_failpoints import POINTS

# _pass: the store's own way to a hit, with its error
CALL = r"(?:failpoints\.|\b_)(hit|between|look|act|pass)\("
PASSED = re.compile(CALL + r'\s*"([^"]*)"')


def points() -> set[tuple[str, str]]:
    [folder] = joblet.__path__
    return {
        (name, kind)
        for file in Path(folder).rglob("*.py")
        for kind, name in PASSED.findall(file.read_text())
    }


def test_every_fail_point_is_in_the_matrix() -> None:
    assert {name for name, _ in points()} == POINTS.keys()


def test_no_fail_point_has_a_name_that_only_the_program_knows() -> None:
    [folder] = joblet.__path__
    nameless = {
        file.name: len(re.findall(CALL, text)) - len(PASSED.findall(text))
        for file in Path(folder).rglob("*.py")
        if len(re.findall(CALL, text := file.read_text())) != len(PASSED.findall(text))
    }
    # the definition of _pass and the hit in it
    assert nameless == {"jobs.py": 2}


def test_what_may_fail_is_made_to_fail() -> None:
    fails = {name for name, kind in points() if kind != "between"}
    assert fails == {name for name, (_, *outcomes) in POINTS.items() if len(outcomes) == 2}
