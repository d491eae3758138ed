"""The properties of a job's scope: the whole list, value by value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from joblet.config import Config
from joblet.core import admission
from joblet.host import jobplan
from joblet.model.job import Job, JobSpec, JobState
from tests.fakes.daemon import FACTS

UNLIMITED = (1 << 64) - 1
DEVICES = ["/dev/block/8:1", "/dev/block/8:2"]


def job(**asked: Any) -> Job:
    """A job as it is launched."""
    return Job(
        id="01234567-89ab-4cde-8f01-23456789abcd",
        seq=1,
        spec=admission.settle(JobSpec(command="secret", **asked), Config(), FACTS),
        owner_uid=1000,
        state=JobState.INITIALIZING,
        submitted_usec=0,
        due_usec=0,
        shard=3,
    )


def properties(job: Job) -> dict[str, tuple[str, object]]:
    found = jobplan.scope_properties(job, io_devices=DEVICES)
    assert len({p.name for p in found}) == len(found)
    return {p.name: (p.signature, p.value) for p in found}


PLAIN: dict[str, tuple[str, object]] = {
    "Description": ("s", "Joblet job 01234567"),
    "Slice": ("s", "joblet-jobs-03.slice"),
    "TimeoutStopUSec": ("t", 10_000_000),
    "IOAccounting": ("b", True),
    "OOMPolicy": ("s", "continue"),
    "TasksMax": ("t", 4097),
}


def test_a_plain_job_has_these_properties_and_no_others() -> None:
    assert properties(job()) == PLAIN


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ({"name": "n"}, {"Description": ("s", "Joblet job 01234567 (n)")}),
        ({"max_cpu": 150}, {"CPUQuotaPerSecUSec": ("t", 1_500_000)}),
        ({"cpu_weight": 300}, {"CPUWeight": ("t", 300)}),
        ({"cpu_cores": (0, 3)}, {"AllowedCPUs": ("ay", b"\x09")}),
        (
            {"max_memory": 1 << 30},
            {"MemoryMax": ("t", 1 << 30), "MemorySwapMax": ("t", 0)},
        ),
        (
            {"max_io_bps": 5000},
            {
                "IOReadBandwidthMax": ("a(st)", [(device, 5000) for device in DEVICES]),
                "IOWriteBandwidthMax": ("a(st)", [(device, 5000) for device in DEVICES]),
            },
        ),
        (
            {"max_iops": 7},
            {
                "IOReadIOPSMax": ("a(st)", [(device, 7) for device in DEVICES]),
                "IOWriteIOPSMax": ("a(st)", [(device, 7) for device in DEVICES]),
            },
        ),
        ({"io_weight": 9}, {"IOWeight": ("t", 9)}),
        # one more than asked for: the anchor
        ({"max_tasks": 1}, {"TasksMax": ("t", 2)}),
        # said, since the manager's own default is a limit
        ({"max_tasks": 0}, {"TasksMax": ("t", UNLIMITED)}),
        ({"stop_grace_usec": 0}, {"TimeoutStopUSec": ("t", 0)}),
        ({"timeout_usec": 2_000_000}, {"RuntimeMaxUSec": ("t", 2_500_000)}),
    ],
)
def test_each_limit_is_a_property(
    asked: dict[str, Any], more: dict[str, tuple[str, object]]
) -> None:
    assert properties(job(**asked)) == {**PLAIN, **more}


def test_no_property_tells_what_runs() -> None:
    assert "secret" not in repr(properties(job()))


def test_limits_that_are_lifted_say_so() -> None:
    """For a scope that has them: what a new scope need not hear."""
    full = job(
        max_cpu=1, cpu_cores=(1,), max_memory=1 << 20, max_io_bps=5000, max_iops=1, io_weight=1
    )
    none = replace(full, spec=replace(job().spec, max_tasks=0))
    before = {p.name for p in jobplan.limit_properties(full, io_devices=DEVICES)}
    after = {p.name: p.value for p in jobplan.limit_properties(none, io_devices=DEVICES)}
    assert set(after) == before
    assert after.pop("AllowedCPUs") == b""
    for name in ("IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax"):
        assert after.pop(name) == []
    assert set(after.values()) == {UNLIMITED}
