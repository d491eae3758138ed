from __future__ import annotations

from dataclasses import fields

import pytest

from joblet.client.api import JobStatus, job_status
from joblet.client.local import DAEMONS_OWN, spec_options
from joblet.errors import RemoteError
from joblet.model.job import JobSpec, JobState, Reason
from tests.fakes.client import job_id

LEAST = {"id": job_id(1), "state": "RUNNING", "owner_uid": 7, "submitted_usec": 5}


def test_a_status_needs_only_what_every_job_has() -> None:
    found = job_status(LEAST)
    assert found == JobStatus(
        id=job_id(1), state=JobState.RUNNING, owner_uid=7, submitted_usec=5, name=""
    )


def test_known_gives_back_what_came_in() -> None:
    keys = LEAST | {
        "name": "n",
        "reason": "oom",
        "exit_code": 137,
        "args": ["a", ""],
        "environment": {"A": "1"},
        "init": False,
        "max_cpu": 0,
    }
    found = job_status(keys)
    assert found.reason is Reason.OOM
    assert found.args == ("a", "")
    assert found.known() == keys | {"args": ("a", "")}


def test_keys_of_a_newer_daemon_are_passed_over() -> None:
    assert job_status(LEAST | {"gpu": 1}) == job_status(LEAST)


def test_an_empty_reason_is_none() -> None:
    assert job_status(LEAST | {"reason": ""}).reason is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", 5),
        ("state", "ASLEEP"),
        ("state", 3),
        ("reason", "boredom"),
        ("owner_uid", "root"),
        ("owner_uid", True),
        ("exit_code", "0"),
        ("exit_code", 1.5),
        ("args", "one two"),
        ("args", 1),
        ("environment", ["A=1"]),
        ("init", 1),
        ("name", None),
    ],
)
def test_a_value_that_the_contract_rules_out_is_an_error(key: str, value: object) -> None:
    with pytest.raises(RemoteError, match=f"the daemon sent {key}") as caught:
        job_status(LEAST | {key: value})
    assert caught.value.code == "Internal"


@pytest.mark.parametrize("key", list(LEAST))
def test_a_missing_key_is_an_error(key: str) -> None:
    with pytest.raises(RemoteError, match=key):
        job_status({k: v for k, v in LEAST.items() if k != key})


def test_a_spec_is_sent_without_what_was_left_at_its_default() -> None:
    assert spec_options(JobSpec(command="true")) == {"command": ("s", "true")}


def test_every_field_of_a_spec_has_its_type_on_the_bus() -> None:
    spec = JobSpec(
        command="sh",
        args=("-c", ""),
        name="n",
        environment={"A": "1"},
        timeout_usec=1,
        stop_grace_usec=0,
        start_at_usec=3,
        max_cpu=4,
        max_memory=5,
        max_tasks=6,
        cpu_weight=7,
        cpu_cores=(0, 1, 3),
        max_io_bps=8,
        max_iops=9,
        io_weight=10,
        max_work=11,
        max_tmp=12,
        max_shm=13,
        user=0,
        network="lan",
        init=True,
    )
    options = spec_options(spec)
    assert options == {
        "command": ("s", "sh"),
        "args": ("as", ["-c", ""]),
        "name": ("s", "n"),
        "environment": ("a{ss}", {"A": "1"}),
        "timeout_usec": ("t", 1),
        "stop_grace_usec": ("t", 0),
        "start_at_usec": ("t", 3),
        "max_cpu": ("u", 4),
        "max_memory": ("t", 5),
        "max_tasks": ("t", 6),
        "cpu_weight": ("u", 7),
        "cpu_cores": ("s", "0-1,3"),
        "max_io_bps": ("t", 8),
        "max_iops": ("t", 9),
        "io_weight": ("u", 10),
        "max_work": ("t", 11),
        "max_tmp": ("t", 12),
        "max_shm": ("t", 13),
        "user": ("u", 0),
        "network": ("s", "lan"),
        "init": ("b", True),
    }
    assert set(options) == {part.name for part in fields(JobSpec)} - set(DAEMONS_OWN)


def test_no_limit_is_sent_and_no_word_is_not() -> None:
    options = spec_options(JobSpec(command="c", max_memory=0, cpu_cores=(), max_cpu=None))
    assert options == {"command": ("s", "c"), "max_memory": ("t", 0), "cpu_cores": ("s", "")}
