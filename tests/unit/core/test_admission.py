"""What a spec comes to on a host; what this host cannot keep is refused before anything exists."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from joblet.config import Config, DefaultsConfig
from joblet.core.admission import HostFacts, change, settle
from joblet.errors import InvalidSpec
from joblet.model.job import JobSpec
from joblet.model.limits import Limits

M, G = 1 << 20, 1 << 30
SECOND = 1_000_000
FULL = HostFacts(
    cpus=frozenset({0, 1, 4}),
    controllers=frozenset({"cpu", "cpuset", "memory", "pids", "io"}),
    memory_bytes=8 * G,
    tasks=32_768,
    io_device="/dev/block/8:0",
    weighs_io=True,
    work_quota=True,
)
BARE = replace(
    FULL, controllers=frozenset(), io_device=None, io_missing="it is a tmpfs", weighs_io=False
)
LENIENT = replace(BARE, accept_unenforced=True)
PLAIN = JobSpec(command="true")
OPEN = Config(defaults=DefaultsConfig(max_tasks=0))
CONTROLLERS: dict[str, tuple[str, Any]] = {
    "max_cpu": ("cpu", 100),
    "cpu_weight": ("cpu", 50),
    "cpu_cores": ("cpuset", (0,)),
    "max_memory": ("memory", G),
    "max_io_bps": ("io", M),
    "max_iops": ("io", 10),
    "io_weight": ("io", 50),
    "max_tasks": ("pids", 10),
}


def spec(**asked: Any) -> JobSpec:
    return replace(PLAIN, **asked)


def ceiling(**most: Any) -> Config:
    """Nobody has more, and nothing is said by default."""
    quiet = DefaultsConfig(max_tasks=0, stop_grace_usec=0, max_work=0, max_tmp=0, max_shm=0, user=0)
    return Config(defaults=quiet, ceilings=Limits(**most))


def test_a_plain_spec_gets_the_defaults() -> None:
    settled = settle(PLAIN, Config(), FULL)
    for limit in fields(Limits):
        assert getattr(settled, limit.name) == getattr(Config().defaults, limit.name)
    assert settled.user == 1000


def test_what_was_asked_wins_over_the_defaults_and_zero_is_no_limit() -> None:
    config = Config(defaults=DefaultsConfig(max_cpu=50, max_memory=G, timeout_usec=9, user=5))
    asked = spec(max_cpu=0, max_memory=2 * G, max_tasks=0, stop_grace_usec=0, user=0)
    settled = settle(asked, config, FULL)
    assert (settled.max_cpu, settled.max_memory, settled.max_tasks) == (0, 2 * G, 0)
    assert (settled.stop_grace_usec, settled.user, settled.timeout_usec) == (0, 0, 9)


def test_settling_changes_nothing_the_second_time() -> None:
    settled = settle(spec(max_memory=64 * M), Config(), FULL)
    assert settle(settled, Config(), FULL) == settled


def test_a_ceiling_is_what_a_job_gets_that_neither_says_nor_has_a_default() -> None:
    config = ceiling(max_cpu=150, cpu_cores=(0, 1), cpu_weight=80, io_weight=200, max_work=G)
    settled = settle(PLAIN, config, FULL)
    assert (settled.max_cpu, settled.cpu_cores, settled.max_work) == (150, (0, 1), G)
    # the kernel's own 100 would be above the first, and is below the second
    assert (settled.cpu_weight, settled.io_weight) == (80, 0)


def test_a_ceiling_of_the_grace_leaves_a_default_of_none_alone() -> None:
    assert settle(PLAIN, ceiling(stop_grace_usec=5), FULL).stop_grace_usec == 0


def test_sizes_in_memory_that_are_left_out_fit_into_a_small_limit() -> None:
    settled = settle(spec(max_memory=64 * M), Config(), FULL)
    assert (settled.max_tmp, settled.max_shm) == (16 * M, 16 * M)
    large = settle(spec(max_memory=4 * G), Config(), FULL)
    assert (large.max_tmp, large.max_shm) == (256 * M, 64 * M)
    assert settle(spec(max_memory=64 * M, max_tmp=48 * M), Config(), FULL).max_tmp == 48 * M


@pytest.mark.parametrize("field", CONTROLLERS)
def test_a_limit_with_its_controller_is_fine(field: str) -> None:
    controller, value = CONTROLLERS[field]
    only = replace(FULL, controllers=frozenset({controller}))
    assert getattr(settle(spec(**{field: value}), OPEN, only), field) == value


@pytest.mark.parametrize("field", CONTROLLERS)
def test_a_limit_without_its_controller_is_refused_by_name(field: str) -> None:
    controller, value = CONTROLLERS[field]
    others = replace(FULL, controllers=FULL.controllers - {controller})
    with pytest.raises(InvalidSpec, match=f"no '{controller}' controller") as refused:
        settle(spec(**{field: value}), OPEN, others)
    assert refused.value.field == field


@pytest.mark.parametrize("field", CONTROLLERS)
def test_a_limit_without_its_controller_is_taken_where_the_settings_say_so(field: str) -> None:
    _, value = CONTROLLERS[field]
    assert getattr(settle(spec(**{field: value}), OPEN, LENIENT), field) == value


def test_a_default_that_the_host_cannot_keep_is_refused_as_well() -> None:
    with pytest.raises(InvalidSpec, match="'pids'") as refused:
        settle(PLAIN, Config(), BARE)
    assert refused.value.field == "max_tasks"


@pytest.mark.parametrize(
    ("asked", "config", "host", "field", "why"),
    [
        # more than there is
        ({"max_cpu": 301}, OPEN, FULL, "max_cpu", "3 CPUs of this host have; ask for at most 300"),
        ({"max_cpu": 301}, OPEN, LENIENT, "max_cpu", "at most 300"),
        ({"cpu_cores": (2,)}, OPEN, FULL, "cpu_cores", "CPU 2 is not there.*there are 0-1,4"),
        ({"cpu_cores": (0, 2, 3)}, OPEN, FULL, "cpu_cores", "CPU 2-3 is not there"),
        ({"cpu_cores": (0, 64)}, OPEN, LENIENT, "cpu_cores", "CPU 64 is not there"),
        ({"max_memory": 8 * G + 1}, OPEN, FULL, "max_memory", "more than this host has, 8192M"),
        ({"max_memory": 1 << 62}, OPEN, LENIENT, "max_memory", "more than this host has"),
        ({"max_tasks": 32_768}, OPEN, FULL, "max_tasks", "at most 32768 processes"),
        ({"max_tasks": 1 << 22}, OPEN, FULL, "max_tasks", "kernel.pid_max"),
        # nothing there to limit
        (
            {"max_io_bps": M},
            OPEN,
            replace(FULL, io_device=None, io_missing="/work is on tmpfs, which has none"),
            "max_io_bps",
            "no block device under /work to limit: /work is on tmpfs",
        ),
        (
            {"max_iops": 5},
            OPEN,
            replace(FULL, io_device=None, io_missing="it is an overlay"),
            "max_iops",
            "it is an overlay",
        ),
        ({"io_weight": 5}, OPEN, replace(FULL, weighs_io=False), "io_weight", "bfq scheduler"),
        # ceilings
        (
            {"max_cpu": 101},
            ceiling(max_cpu=100),
            FULL,
            "max_cpu",
            "101 % is above ceilings.max_cpu",
        ),
        (
            {"max_cpu": 0},
            ceiling(max_cpu=100),
            FULL,
            "max_cpu",
            "no limit is above ceilings.max_cpu",
        ),
        ({"cpu_weight": 101}, ceiling(cpu_weight=100), FULL, "cpu_weight", "is above ceilings"),
        (
            {"io_weight": 11},
            ceiling(io_weight=10),
            FULL,
            "io_weight",
            "is above ceilings.io_weight",
        ),
        (
            {"cpu_cores": (1, 4)},
            ceiling(cpu_cores=(0, 1)),
            FULL,
            "cpu_cores",
            "CPU 4 is not within",
        ),
        (
            {"cpu_cores": ()},
            ceiling(cpu_cores=(0, 1)),
            FULL,
            "cpu_cores",
            "all CPUs are not within",
        ),
        ({"max_memory": 2 * G}, ceiling(max_memory=G), FULL, "max_memory", "2G is above.* 1G"),
        ({"max_memory": 0}, ceiling(max_memory=G), FULL, "max_memory", "ask for at most 1G"),
        ({"max_io_bps": 2 * M}, ceiling(max_io_bps=M), FULL, "max_io_bps", "2M is above"),
        ({"max_io_bps": 0}, ceiling(max_io_bps=M), FULL, "max_io_bps", "no limit is above"),
        ({"max_iops": 11}, ceiling(max_iops=10), FULL, "max_iops", "11 is above ceilings.max_iops"),
        ({"max_iops": 0}, ceiling(max_iops=10), FULL, "max_iops", "no limit is above"),
        ({"max_tasks": 11}, ceiling(max_tasks=10), FULL, "max_tasks", "11 is above"),
        ({"max_tasks": 0}, ceiling(max_tasks=10), FULL, "max_tasks", "no limit is above"),
        (
            {"timeout_usec": 61 * SECOND},
            ceiling(timeout_usec=60 * SECOND),
            FULL,
            "timeout_usec",
            "1m1s is above ceilings.timeout, 1m",
        ),
        ({"timeout_usec": 0}, ceiling(timeout_usec=SECOND), FULL, "timeout_usec", "no limit"),
        (
            {"stop_grace_usec": 2 * SECOND},
            ceiling(stop_grace_usec=SECOND),
            FULL,
            "stop_grace_usec",
            "2s is above ceilings.stop_grace, 1s",
        ),
        ({"max_work": 2 * G}, ceiling(max_work=G), FULL, "max_work", "2G is above"),
        ({"max_work": 0}, ceiling(max_work=G), FULL, "max_work", "no limit is above"),
        ({"max_tmp": 2 * M}, ceiling(max_tmp=M), FULL, "max_tmp", "2M is above"),
        ({"max_tmp": 0}, ceiling(max_tmp=M), FULL, "max_tmp", "no limit is above"),
        ({"max_shm": 2 * M}, ceiling(max_shm=M), FULL, "max_shm", "2M is above"),
        ({"max_shm": 0}, ceiling(max_shm=M), FULL, "max_shm", "no limit is above"),
        # what cannot both be
        ({"max_memory": M, "max_tmp": 2 * M}, OPEN, FULL, "max_tmp", "counts as memory"),
        ({"max_memory": M, "max_shm": 2 * M}, OPEN, FULL, "max_shm", "max_memory is 1M"),
        (
            {"max_memory": 8 * M, "max_shm": 5 * M, "max_tmp": 5 * M},
            OPEN,
            FULL,
            "max_tmp",
            "with max_shm it is more than max_memory, 8M",
        ),
        # what is impossible also where controllers are not asked for
        ({"max_cpu": 301}, ceiling(max_cpu=400), FULL, "max_cpu", "3 CPUs"),
        ({}, ceiling(cpu_cores=(0, 9)), FULL, "cpu_cores", "CPU 9 is not there"),
        ({}, ceiling(max_memory=G), BARE, "max_memory", "no 'memory' controller"),
    ],
)
def test_what_is_impossible_is_refused_by_name(
    asked: dict[str, Any], config: Config, host: HostFacts, field: str, why: str
) -> None:
    with pytest.raises(InvalidSpec, match=why) as refused:
        settle(spec(**asked), config, host)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "asked",
    [
        {"max_cpu": 300},
        {"cpu_cores": (0, 1, 4)},
        {"max_memory": 8 * G},
        {"max_tasks": 32_767},
        {"max_memory": 8 * M, "max_shm": 4 * M, "max_tmp": 4 * M},
        {"max_cpu": 0, "cpu_cores": (), "max_memory": 0, "max_io_bps": 0, "max_iops": 0},
    ],
)
def test_the_most_there_is_can_be_had(asked: dict[str, Any]) -> None:
    settled = settle(spec(**asked), OPEN, FULL)
    for name, value in asked.items():
        assert getattr(settled, name) == value


def test_exactly_the_ceiling_can_be_had() -> None:
    config = ceiling(max_cpu=100, cpu_cores=(0, 1), max_memory=G, stop_grace_usec=SECOND)
    asked = spec(max_cpu=100, cpu_cores=(0, 1), max_memory=G, stop_grace_usec=SECOND)
    assert settle(asked, config, FULL).max_memory == G


def test_a_change_is_judged_like_a_submission_and_counted() -> None:
    before = settle(spec(max_memory=G), OPEN, FULL)
    after = change(before, {"max_cpu": 200, "cpu_cores": (4,)}, OPEN, FULL)
    assert after == replace(before, max_cpu=200, cpu_cores=(4,), revision=1)
    assert change(after, {"max_cpu": 0}, OPEN, FULL).revision == 2
    for changes, config, host, field in (
        ({"max_cpu": 301}, OPEN, FULL, "max_cpu"),
        ({"max_cpu": 50}, OPEN, BARE, "max_cpu"),
        ({"max_memory": 0}, ceiling(max_memory=2 * G), FULL, "max_memory"),
    ):
        with pytest.raises(InvalidSpec) as refused:
            change(before, changes, config, host)
        assert refused.value.field == field


def test_what_a_change_leaves_alone_is_not_judged_again() -> None:
    """A CPU may have gone offline since; that is no reason to keep somebody from more memory."""
    before = settle(spec(cpu_cores=(4,)), OPEN, FULL)
    fewer = replace(FULL, cpus=frozenset({0, 1}))
    assert change(before, {"max_memory": G}, OPEN, fewer).max_memory == G
