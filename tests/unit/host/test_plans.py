"""Scope and plan of some jobs, whole, as golden files: a change of isolation is a change seen here.

JOBLET_WRITE_PLANS=1 writes tests/data/plans anew; then `git diff` is what there is to review.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from joblet.config import Config
from joblet.core import admission
from joblet.host import jobplan
from joblet.host.jobplan import PlanMaker
from joblet.host.machine import Layout
from joblet.init.plan import Step
from joblet.model.job import Job, JobSpec, JobState
from tests.fakes.daemon import FACTS

GOLDEN = Path(__file__).parents[2] / "data" / "plans"
DEVICES = ["/dev/block/8:1"]
MERGED = Layout(
    links=(("bin", "usr/bin"), ("lib", "usr/lib"), ("sbin", "usr/sbin")),
    directories=("usr",),
    etc=("alternatives", "ld.so.cache", "ssl/certs"),
    localtime="/usr/share/zoneinfo/Europe/Berlin",
)
SPLIT = Layout(links=(), directories=("bin", "lib", "usr"), etc=())

# name: what was asked, the host's layout, whether work directories have quotas there
JOBS: dict[str, tuple[JobSpec, Layout, bool]] = {
    "plain": (JobSpec(command="true"), MERGED, True),
    "limits": (
        JobSpec(
            command="make",
            args=("-j", "4", "all"),
            name="build",
            timeout_usec=3_600_000_000,
            max_cpu=150,
            max_memory=1 << 30,
            max_tasks=100,
        ),
        MERGED,
        True,
    ),
    "init-and-environment": (
        JobSpec(
            command="/bin/sh",
            args=("-c", "echo $PATH"),
            environment={"PATH": "/opt/bin", "JOBLET_JOB_ID": "not mine", "LC_ALL": "C"},
            init=True,
        ),
        MERGED,
        True,
    ),
    "split-usr-without-quota": (JobSpec(command="true"), SPLIT, False),
}


def job(spec: JobSpec) -> Job:
    return Job(
        id="01234567-89ab-4cde-8f01-23456789abcd",
        seq=1,
        spec=admission.settle(spec, Config(), FACTS),
        owner_uid=1000,
        state=JobState.INITIALIZING,
        submitted_usec=0,
        due_usec=0,
        shard=3,
        first_id=1_000_000_000,
        project=7,
    )


def written(step: Step) -> str:
    shown = (
        operand.decode(errors="backslashreplace").replace("\n", "\\n")
        if isinstance(operand, bytes)
        else f"{operand:#o}"
        if step.name in (b"directory", b"file")
        else str(operand)
        for operand in step.operands
    )
    return " | ".join((step.name.decode(), *shown))


def page(name: str) -> str:
    spec, layout, quota = JOBS[name]
    made = job(spec)
    maker = PlanMaker(layout, "/var/lib/joblet/work", work_quota=quota, system_calls=b"the filter")
    properties = jobplan.scope_properties(made, io_devices=DEVICES)
    lines = ["[scope]", *(f"{p.name} {p.signature} {p.value}" for p in properties)]
    lines += ["", "[plan]", *map(written, maker.steps(made, {}))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", JOBS)
def test_scope_and_plan_are_the_golden_ones(name: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("JOBLET_WRITE_PLANS") == "1":
        golden.write_text(page(name))
    assert page(name) == golden.read_text()


def test_no_golden_file_is_without_its_job() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == JOBS.keys()


def test_what_one_job_asks_for_is_not_in_the_plan_of_the_next() -> None:
    maker = PlanMaker(MERGED, "/var/lib/joblet/work", work_quota=True, system_calls=b"the filter")
    plain = job(JobSpec(command="true"))
    before = maker.steps(plain, {})
    maker.steps(job(JobSpec(command="true", environment={"A": "1"}, init=True)), {"B": "2"})
    assert maker.steps(plain, {}) == before


def test_nothing_that_is_secret_is_in_the_properties_of_the_unit() -> None:
    spec = JobSpec(command="secret-1", args=("secret-2",), environment={"A": "secret-3"})
    shown = str(jobplan.scope_properties(job(spec), io_devices=DEVICES))
    assert "secret" not in shown


def test_the_order_that_isolation_hangs_on() -> None:
    maker = PlanMaker(MERGED, "/var/lib/joblet/work", work_quota=True, system_calls=b"the filter")
    names = [step.name.decode() for step in maker.steps(job(JobSpec(command="true")), {})]
    order = ["namespaces", "root", "proc", "sealed", "pivot", "gate", "user-namespace", "identity"]
    places = [names.index(name) for name in order]
    assert places == sorted(places)
    # Nothing is mounted, made or opened for the job after the change of root.
    building = {"root", "bind", "work", "tmpfs", "proc", "device", "devpts", "masked", "readonly"}
    assert not building & set(names[names.index("pivot") :])
    # What comes after the filter was written by us, and has nothing to do but to execute.
    assert names[-2:] == ["filter", "exec"]


def test_a_job_that_is_not_assigned_its_ids_has_no_plan() -> None:
    maker = PlanMaker(MERGED, "/var/lib/joblet/work", work_quota=True, system_calls=b"the filter")
    with pytest.raises(AssertionError):
        maker.steps(replace(job(JobSpec(command="true")), first_id=None), {})
