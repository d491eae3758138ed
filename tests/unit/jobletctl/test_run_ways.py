"""Ways to run a job: detached, removed after its end, or not at all."""

from __future__ import annotations

import pytest

from joblet.client.api import NO_ATTACHMENTS
from joblet.errors import RemoteError
from joblet.model.job import JobSpec, JobState
from jobletctl.dryrun import property_text
from tests.fakes.client import FakeClient, ended, job_id
from tests.unit.jobletctl.conftest import Ctl


@pytest.mark.parametrize("option", ["-d", "--detach", "--init"])
def test_a_job_is_detached_with_the_option_and_without(
    ctl: Ctl, host: FakeClient, option: str
) -> None:
    done = ctl("job", "run", option, "true")
    assert (done.status, done.out, done.err) == (0, f"{job_id(1)}\n", "")
    assert [verb for verb, _ in host.calls] == ["run"]


@pytest.mark.parametrize(
    ("option", "rest"), [("--wait", ["wait"]), ("--follow", ["log", "log end", "wait"])]
)
def test_rm_deletes_the_job_when_it_has_ended(
    ctl: Ctl, host: FakeClient, option: str, rest: list[str]
) -> None:
    host.endings[job_id(1)] = ended(1, 3)
    done = ctl("job", "run", option, "--rm", "false")
    assert done.status == 3
    assert [verb for verb, _ in host.calls] == ["run", *rest, "delete"]
    assert host.jobs == {}


def test_who_is_interrupted_leaves_the_job_as_it_is(ctl: Ctl, host: FakeClient) -> None:
    host.interrupted_by = "wait"
    done = ctl("job", "run", "--wait", "--rm", "true")
    assert done.status == 130
    assert "goes on" in done.err
    assert job_id(1) in host.jobs


def test_a_delete_that_fails_is_told_after_the_result(ctl: Ctl, host: FakeClient) -> None:
    host.endings[job_id(1)] = ended(1)
    host.failures["delete"] = RemoteError("org.joblet1.Error.HostFailure", "no space")
    done = ctl("job", "run", "--wait", "--rm", "true")
    assert (done.status, done.out) == (1, f"{job_id(1)}\n")
    assert done.err == "jobletctl: no space\n"


def test_dry_run_shows_scope_and_steps_and_runs_nothing(
    ctl: Ctl, host: FakeClient, berlin: None
) -> None:
    done = ctl("job", "run", "--dry-run", "--max-memory=512M", "true")
    assert (done.status, done.err) == (0, "")
    spec = JobSpec(command="true", max_memory=512 << 20)
    assert host.calls == [("explain", (spec, NO_ATTACHMENTS))]
    assert host.jobs == {}
    assert done.out == (
        "Nothing was run. The job would start at once, or when there is room.\n"
        "Zeros stand for its id.\n"
        "\n"
        f"Scope: joblet-{job_id(0)}.scope\n"
        "  Description=Joblet job 00000000\n"
        "  AllowedCPUs=0-1,3\n"
        "  CPUQuotaPerSecUSec=1s500ms\n"
        "  MemoryMax=512M\n"
        "  MemorySwapMax=0\n"
        "  TasksMax=infinity\n"
        "  TimeoutStopUSec=1m30s\n"
        "  IOAccounting=yes\n"
        "  After=jobletd.service joblet-supervisors.service\n"
        "  IOReadBandwidthMax=/dev/block/8:1 2M\n"
        "\n"
        "Steps of its first process:\n"
        "  1. take the host name job-00000000\n"
        "  2. run true\n"
    )


def test_dry_run_of_a_scheduled_job_says_when(ctl: Ctl, berlin: None) -> None:
    line = ("job", "run", "--dry-run", "--wait", "--rm", "--schedule=2030-01-31 22:00", "true")
    assert "would start at 2030-01-31 22:00:00 CET, or when there is room then" in ctl(*line).out


def test_dry_run_as_json_has_the_same(ctl: Ctl) -> None:
    told = ctl("job", "run", "--dry-run", "--json", "--max-memory=512M", "true").json
    assert told["state"] == JobState.PENDING
    assert told["spec"] == {"command": "true", "max_memory": 512 << 20, "user": 1000}
    assert told["properties"]["AllowedCPUs"] == "0-1,3"
    assert told["properties"]["MemoryMax"] == 512 << 20
    assert told["steps"][-1] == "run true"


def test_dry_run_is_refused_as_the_run_would_be(ctl: Ctl, host: FakeClient) -> None:
    host.failures["explain"] = RemoteError("org.joblet1.Error.InvalidSpec", "max_memory: too much")
    done = ctl("job", "run", "--dry-run", "true")
    assert (done.status, done.out) == (1, "")
    assert done.err == "jobletctl: max_memory: too much\n"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("CPUWeight", 100, "100"),
        ("MemoryMax", (1 << 64) - 1, "infinity"),
        ("AllowedCPUs", b"", ""),
        ("AllowedCPUs", b"\x00\x01", "8"),
        ("IOReadIOPSMax", [("/dev/a", 5), ("/dev/b", 6)], "/dev/a 5 /dev/b 6"),
        ("IOAccounting", False, "no"),
    ],
)
def test_a_property_in_the_words_of_systemctl(name: str, value: object, shown: str) -> None:
    assert property_text(name, value) == shown
