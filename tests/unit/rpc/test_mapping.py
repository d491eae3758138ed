"""The forms of the wire: states, times, limits, masks and exit codes, against its tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.client.api import Attachments, JobStatus
from joblet.errors import InvalidSpec
from joblet.model.job import JobSpec, JobState, Reason, Remote
from joblet.rpc import mapping
from joblet.rpc.pb import joblet_pb2 as pb
from tests.fakes.client import NOW_USEC, ended, job

ADA = Remote("CN=ada,OU=developer", "developer")
NOW = "2025-11-22T08:26:40Z"
SECOND = 1_000_000
MIB = 1 << 20
# What clients compare with, upper case and one L.
STATES = {
    "PENDING",
    "INITIALIZING",
    "SCHEDULED",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "STOPPED",
    "CANCELED",
    "TIMEOUT",
}


def asked(**fields: Any) -> tuple[JobSpec, Attachments]:
    return mapping.run_request(pb.RunJobRequest(command="true", **fields), ADA)


def complaint(**fields: Any) -> str:
    with pytest.raises(InvalidSpec) as refused:
        asked(**fields)
    return str(refused.value)


def test_the_least_request_is_the_least_spec() -> None:
    assert asked() == (JobSpec(command="true"), Attachments(remote=ADA))


def test_every_field_of_a_request_has_its_place() -> None:
    spec, attached = mapping.run_request(
        pb.RunJobRequest(
            name="nightly",
            command="sh",
            args=["-c", "", "ü"],
            max_cpu=150,
            cpu_cores="0-2",
            max_memory=512,
            max_io_bps=1000,
            schedule="2026-01-31T23:59:00Z",
            network="bridge",
            work_dir="/anywhere",
            environment={"A": "1"},
            secret_environment={"TOKEN": "hush"},
            timeout="1h30m",
        ),
        ADA,
        upload_tar=7,
    )
    assert spec == JobSpec(
        command="sh",
        args=("-c", "", "ü"),
        name="nightly",
        environment={"A": "1"},
        timeout_usec=5400 * SECOND,
        start_at_usec=1_769_903_940_000_000,
        max_cpu=150,
        cpu_cores=(0, 1, 2),
        max_memory=512 * MIB,
        max_io_bps=1000,
        network="none",
    )
    assert attached == Attachments(secrets={"TOKEN": "hush"}, tar=7, remote=ADA)


def test_every_field_of_a_request_is_thought_of() -> None:
    """A field that is new in the contract is not forgotten here."""
    unused = {"work_dir", "job_uuid", "uploads"}
    used = set(re.findall(r"request\.([a-z_]+)", Path(mapping.__file__).read_text()))
    assert {field.name for field in pb.RunJobRequest.DESCRIPTOR.fields} - used == unused


@pytest.mark.parametrize(("network", "expected"), [("", "none"), ("bridge", "none"), ("x", "x")])
def test_the_default_network_runs_with_none(network: str, expected: str) -> None:
    assert asked(network=network)[0].network == expected


def test_control_variables_are_stripped_from_both_maps() -> None:
    given_map = {"JOB_TYPE": "runtime-build", "JOBLET_X": "1", "MY_JOB_": "kept"}
    spec, attached = asked(environment=given_map, secret_environment=given_map)
    assert spec.environment == attached.secrets == {"MY_JOB_": "kept"}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"max_cpu": -1}, "max_cpu: use 0 or more, not -1"),
        ({"max_memory": -1}, "max_memory: use 0 or more, not -1"),
        ({"max_io_bps": -5}, "max_io_bps: use 0 or more, not -5"),
        ({"cpu_cores": "0-"}, "cpu_cores: "),
        ({"runtime": "python:3.11"}, "runtime: runtimes are not available yet"),
        ({"volumes": ["data"]}, "volumes: volumes are not available yet"),
        ({"gpu_count": 1}, "gpu_count: GPUs are not available yet"),
        ({"gpu_memory_mb": 1}, "gpu_count: GPUs are not available yet"),
        ({"timeout": "soon"}, "timeout: expected a duration like 90s, 10m or 1h30m"),
        ({"timeout": "0s"}, "timeout: expected a duration above zero, like 90s, 10m or 1h30m"),
        (
            {"schedule": "tomorrow"},
            "schedule: expected a time like 2026-01-31T23:59:00Z (RFC 3339)",
        ),
        ({"workflow_uuid": "x"}, "workflow_uuid: workflows are not available yet"),
    ],
)
def test_what_has_no_form_in_a_spec_is_refused_by_name(fields: dict[str, Any], text: str) -> None:
    assert complaint(**fields).startswith(text)


@pytest.mark.parametrize(
    ("text", "usec"),
    [
        (NOW, NOW_USEC),
        ("2025-11-22T08:26:40.25Z", NOW_USEC + 250_000),
        ("2025-11-22T08:26:40.123456789z", NOW_USEC + 123_456),
        ("2025-11-22t10:56:40+02:30", NOW_USEC),
        ("2025-11-22 03:26:40-05:00", NOW_USEC),
        ("1960-01-01T00:00:00Z", 0),
    ],
)
def test_an_instant_is_read_in_every_spelling(text: str, usec: int) -> None:
    assert mapping.parse_instant("schedule", text) == usec


@pytest.mark.parametrize(
    "text",
    [
        "2025-13-01T00:00:00Z",
        "2025-11-22T25:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2025-11-22T08:00:00+99:00",
        "2025-11-22T08:00:00",
        "２025-11-22T08:00:00Z",
    ],
)
def test_an_instant_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^schedule: "):
        mapping.parse_instant("schedule", text)


@given(st.integers(0, 253_402_300_799))
def test_an_instant_is_whole_seconds_in_utc(second: int) -> None:
    text = mapping.instant(second * SECOND + 999_999)
    assert datetime.fromisoformat(text.replace("Z", "+00:00")) == datetime.fromtimestamp(
        second, UTC
    )
    assert mapping.parse_instant("f", text) == second * SECOND


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("", ""),
        ("nightly-build.1", "nightly-build.1"),
        ("My job!", "My_job_"),
        ("-x", "x"),
        ("ü", ""),
        ("a" * 100, "a" * 63),
    ],
)
def test_any_label_becomes_the_nearest_name(given_name: str, name: str) -> None:
    assert mapping.label(given_name) == name


@given(st.text())
def test_a_label_is_a_name_or_nothing(text: str) -> None:
    assert re.fullmatch(r"(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,62})?", mapping.label(text))


FULL = job(
    1,
    JobState.FAILED,
    name="n",
    command="sh",
    args=("-c", "x"),
    environment={"A": "1"},
    secrets={"TOKEN": "***"},
    due_usec=NOW_USEC + 60 * SECOND,
    started_usec=NOW_USEC + 61 * SECOND,
    finished_usec=NOW_USEC + 62 * SECOND,
    reason=Reason.OOM,
    exit_code=137,
    max_cpu=50,
    cpu_cores="0,2",
    max_memory=512 * MIB,
    max_io_bps=1000,
    timeout_usec=90 * SECOND,
    network="none",
)


def test_a_status_fills_every_number_it_has_a_value_for() -> None:
    assert mapping.status_response(FULL, node_id="n1") == pb.GetJobStatusResponse(
        uuid=FULL.id,
        name="n",
        command="sh",
        args=["-c", "x"],
        max_cpu=50,
        cpu_cores="0,2",
        max_memory=512,
        max_io_bps=1000,
        status="FAILED",
        start_time="2025-11-22T08:27:41Z",
        end_time="2025-11-22T08:27:42Z",
        exit_code=137,
        scheduled_time="2025-11-22T08:27:40Z",
        environment={"A": "1"},
        secret_environment={"TOKEN": "***"},
        network="none",
        node_id="n1",
        timeout="1m30s",
    )


def test_a_list_entry_says_the_same_as_the_status() -> None:
    whole = mapping.status_response(FULL, node_id="n1")
    entry = mapping.list_entry(FULL, node_id="n1")
    for field in pb.Job.DESCRIPTOR.fields:
        if field.name not in ("runtime", "gpu_indices", "gpu_count", "gpu_memory_mb"):
            assert getattr(entry, field.name) == getattr(whole, field.name), field.name
    short = mapping.list_entry(FULL, environment=False)
    assert not short.environment
    assert not short.secret_environment


def test_a_job_that_waits_has_its_creation_for_a_start_and_no_end() -> None:
    said = mapping.status_response(job(1, JobState.PENDING, due_usec=NOW_USEC))
    assert (said.start_time, said.end_time, said.exit_code) == (NOW, "", 0)
    assert said.scheduled_time == ""


@pytest.mark.parametrize("state", JobState)
def test_states_are_the_words_that_clients_compare(state: JobState) -> None:
    assert mapping.status_response(job(1, state)).status in STATES


@pytest.mark.parametrize(
    ("size", "mebibytes"),
    [(None, 0), (0, 0), (1, 1), (MIB, 1), (MIB + 1, 2), (1 << 62, 2**31 - 1)],
)
def test_a_limit_in_mebibytes_is_never_shown_as_none(size: int | None, mebibytes: int) -> None:
    assert mapping.status_response(job(1, max_memory=size)).max_memory == mebibytes


def test_numbers_stay_within_32_bits() -> None:
    big = job(1, max_io_bps=1 << 40, max_cpu=1 << 31)
    said = mapping.status_response(big)
    assert (said.max_io_bps, said.max_cpu) == (2**31 - 1, 2**31 - 1)
    assert mapping.delete_all_response(1 << 40, 0).deleted_count == 2**31 - 1


def test_the_answer_to_a_run_echoes_what_was_asked() -> None:
    request = pb.RunJobRequest(
        command="sh", args=["-c"], max_cpu=5, cpu_cores="0", max_memory=6, max_io_bps=7
    )
    said = mapping.run_response(job(3, JobState.SCHEDULED, due_usec=NOW_USEC + SECOND), request)
    assert (said.job_uuid, said.status) == (job(3).id, "SCHEDULED")
    assert said.scheduled_time == "2025-11-22T08:26:41Z"
    for field in ("command", "args", "max_cpu", "cpu_cores", "max_memory", "max_io_bps"):
        assert getattr(said, field) == getattr(request, field)


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (ended(1, 3), "FAILED", 3),
        (job(1, JobState.STOPPED, exit_code=143), "STOPPED", 143),
        (job(1, JobState.TIMEOUT, exit_code=124), "TIMEOUT", 124),
        (job(1, JobState.CANCELED), "CANCELED", 0),
        (job(1, JobState.RUNNING), "STOPPING", 0),
    ],
)
def test_a_stop_says_truthfully_what_became_of_the_job(
    status: JobStatus, word: str, code: int
) -> None:
    said = mapping.stop_response(status)
    assert (said.uuid, said.status, said.exit_code) == (status.id, word, code)


def test_deletions_use_the_words_that_clients_know() -> None:
    assert mapping.delete_response("x") == pb.DeleteJobResponse(
        uuid="x", success=True, message="Job deleted successfully"
    )
    assert mapping.delete_all_response(2, 1) == pb.DeleteAllJobsResponse(
        success=True,
        message="Successfully deleted 2 jobs, skipped 1 running/scheduled jobs",
        deleted_count=2,
        skipped_count=1,
    )
    assert mapping.cancel_response("x") == pb.CancelJobResponse(uuid="x", status="CANCELED")


def test_a_list_is_sorted_by_creation_then_name() -> None:
    jobs = [job(2, name="b"), job(1, name="c"), job(3, name="a")]
    assert [one.name for one in sorted(jobs, key=mapping.list_order)] == ["a", "b", "c"]
