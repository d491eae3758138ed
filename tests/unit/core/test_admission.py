"""What this host cannot keep is refused before anything exists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from joblet.core.admission import HostFacts, check
from joblet.errors import InvalidSpec
from joblet.model.job import JobSpec

FULL = HostFacts(cpus=2, controllers=frozenset({"cpu", "memory", "pids", "io"}))
BARE = HostFacts(cpus=2, controllers=frozenset())
PLAIN = JobSpec(command="true")
LIMITS = {"max_cpu": "cpu", "max_memory": "memory", "max_tasks": "pids"}


def test_a_plain_spec_runs_anywhere() -> None:
    check(PLAIN, FULL)
    check(PLAIN, BARE)


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_with_its_controller_is_fine(field: str) -> None:
    only = replace(BARE, controllers=frozenset({LIMITS[field]}))
    check(replace(PLAIN, **{field: 100}), only)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_without_its_controller_is_refused_by_name(field: str) -> None:
    others = replace(FULL, controllers=FULL.controllers - {LIMITS[field]})
    with pytest.raises(InvalidSpec, match=LIMITS[field]) as refused:
        check(replace(PLAIN, **{field: 100}), others)  # type: ignore[arg-type]
    assert refused.value.field == field


@pytest.mark.parametrize("field", LIMITS)
def test_a_limit_without_its_controller_is_taken_where_the_settings_say_so(field: str) -> None:
    lenient = replace(BARE, accept_unenforced=True)
    check(replace(PLAIN, **{field: 100}), lenient)  # type: ignore[arg-type]


@pytest.mark.parametrize("accept", [True, False])
def test_more_cpu_than_there_is_is_refused(accept: bool) -> None:
    host = replace(FULL, accept_unenforced=accept)
    check(replace(PLAIN, max_cpu=200), host)
    with pytest.raises(InvalidSpec, match="2 CPUs") as refused:
        check(replace(PLAIN, max_cpu=201), host)
    assert refused.value.field == "max_cpu"
