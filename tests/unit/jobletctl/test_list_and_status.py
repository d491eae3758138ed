from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from joblet.model.job import JobState, Reason
from tests.fakes.client import NOW_USEC, FakeClient, ended, job, job_id
from tests.unit.jobletctl.conftest import Ctl

SECOND = 1_000_000


def fill(host: FakeClient, count: int) -> None:
    host.jobs = {one.id: one for one in (ended(n) for n in range(1, count + 1))}


@pytest.mark.usefixtures("berlin")
def test_list_has_a_line_per_job_newest_first(ctl: Ctl, host: FakeClient) -> None:
    start = NOW_USEC + SECOND
    jobs = [
        ended(
            1,
            3,
            name="old",
            started_usec=start,
            finished_usec=start + 90 * SECOND,
            command="sh",
            args=("-c", "exit 3"),
        ),
        job(2, JobState.SCHEDULED, due_usec=NOW_USEC + 3600 * SECOND),
    ]
    host.jobs = {one.id: one for one in jobs}
    done = ctl("job", "list")
    assert done.err == ""
    assert done.out.splitlines() == [
        "ID        NAME  STATE      EXIT  START                DURATION  OWNER  COMMAND",
        "00000002  -     SCHEDULED  -     2025-11-22 10:26:40  -         root   -",
        "00000001  old   FAILED     3     2025-11-22 09:26:41  1m30s     root   sh -c 'exit 3'",
    ]


def test_a_wide_list_says_what_was_used(ctl: Ctl, host: FakeClient) -> None:
    done = ended(
        1,
        0,
        queue_usec=1_500_000,
        cpu_usec=20_000,
        memory_peak_bytes=90 << 20,
        io_read_bytes=0,
        io_write_bytes=4096,
        command="sh",
    )
    host.jobs = {one.id: one for one in (done, job(2))}
    head, running, finished = ctl("job", "list", "--wide").out.splitlines()
    assert re.split(r"  +", head)[6:] == [
        *("OWNER", "QUEUED", "CPU", "PEAK MEM", "READ", "WRITTEN", "REASON", "COMMAND")
    ]
    assert re.split(r"  +", finished)[7:] == ["1.5s", "20ms", "90 MB", "0 B", "4 KB", "exit", "sh"]
    assert re.split(r"  +", running)[7:] == ["-"] * 7


def test_an_empty_list_is_no_result_and_no_error(ctl: Ctl) -> None:
    done = ctl("job", "list")
    assert (done.status, done.out, done.err) == (0, "", "jobletctl: no jobs found\n")


def test_an_empty_list_as_json_is_an_empty_array(ctl: Ctl) -> None:
    done = ctl("job", "list", "--json")
    assert (done.json, done.err) == ([], "")


def test_list_as_json_gives_the_known_keys_of_each_job(ctl: Ctl, host: FakeClient) -> None:
    one = ended(1, 0, args=("a",), environment={"K": "V"}, command="c")
    host.jobs = {one.id: one}
    assert ctl("job", "list", "--json").json == [
        {
            "id": one.id,
            "name": "",
            "state": "COMPLETED",
            "owner_uid": 0,
            "submitted_usec": NOW_USEC,
            "reason": "exit",
            "exit_code": 0,
            "command": "c",
            "args": ["a"],
            "environment": {"K": "V"},
        }
    ]


@pytest.mark.parametrize(
    ("options", "lines", "calls"),
    [([], 100, 1), (["--limit=7"], 7, 1), (["--limit=2100"], 2100, 3), (["--all"], 2300, 3)],
)
def test_list_asks_for_as_many_pages_as_it_needs(
    ctl: Ctl, host: FakeClient, options: list[str], lines: int, calls: int
) -> None:
    fill(host, 2300)
    done = ctl("job", "list", *options)
    assert len(done.out.splitlines()) == lines + 1
    assert [verb for verb, _ in host.calls] == ["list"] * calls


def test_list_can_be_narrowed_to_states(ctl: Ctl, host: FakeClient) -> None:
    jobs = [job(1), ended(2), ended(3, 1), job(4, JobState.PENDING)]
    host.jobs = {one.id: one for one in jobs}
    listed = ctl("--json", "job", "list", "--state=running", "--state", "FAILED").json
    assert [one["id"] for one in listed] == [job_id(3), job_id(1)]


def test_list_can_be_narrowed_to_the_callers_jobs(ctl: Ctl, host: FakeClient) -> None:
    other = replace(job(1), owner_uid=os.getuid() + 1)
    own = replace(job(2), owner_uid=os.getuid())
    host.jobs = {one.id: one for one in (other, own)}
    assert [one["id"] for one in ctl("--json", "job", "list", "--mine").json] == [own.id]


def test_short_ids_grow_until_they_tell_the_jobs_apart(ctl: Ctl, host: FakeClient) -> None:
    near = ["12345678-aaaa-4000-8000-000000000000", "12345678-aaab-4000-8000-000000000000"]
    host.jobs = {one: replace(job(1), id=one) for one in near}
    shown = [line.split()[0] for line in ctl("job", "list").out.splitlines()[1:]]
    assert shown == ["12345678-aaab", "12345678-aaaa"]


@pytest.mark.parametrize("verb", [["list"], ["status", job_id(1)]])
def test_what_a_job_owner_chose_cannot_command_the_terminal(
    ctl: Ctl, host: FakeClient, verb: list[str]
) -> None:
    evil = "\x1b[2J\r\n\x9b31m\u202eevil\x07"
    one = replace(
        ended(1), command=evil, args=(evil,), name=evil, detail=evil, environment={"K": evil}
    )
    host.jobs = {one.id: one}
    done = ctl("job", *verb)
    assert done.status == 0
    assert all(line.isprintable() for line in done.out.split("\n"))
    assert r"\x1b[2J\r\n\x9b31m\u202eevil\x07" in done.out


def test_json_carries_control_characters_only_escaped(ctl: Ctl, host: FakeClient) -> None:
    one = replace(ended(1), command="\x1b[2J\x9b")
    host.jobs = {one.id: one}
    done = ctl("job", "status", "--json", one.id)
    assert done.raw.isascii()
    assert b"\x1b" not in done.raw
    assert done.json["command"] == "\x1b[2J\x9b"


@pytest.mark.usefixtures("berlin")
def test_status_has_a_section_for_everything_known(ctl: Ctl, host: FakeClient) -> None:
    one = job(
        1,
        JobState.TIMEOUT,
        name="nightly",
        command="sh",
        args=("-c", "sleep 9"),
        due_usec=NOW_USEC + 60 * SECOND,
        started_usec=NOW_USEC + 61 * SECOND,
        finished_usec=NOW_USEC + 71 * SECOND,
        queue_usec=SECOND,
        reason=Reason.TIMEOUT,
        exit_code=124,
        cpu_usec=20_000,
        memory_peak_bytes=95_631_000,
        io_read_bytes=0,
        io_write_bytes=4096,
        log_bytes=12,
        log_dropped_bytes=0,
        environment={"B": "2", "A": "1"},
        timeout_usec=10 * SECOND,
        stop_grace_usec=10 * SECOND,
        max_cpu=50,
        max_memory=256 << 20,
        max_tasks=64,
        cpu_weight=300,
        cpu_cores="0-3,5",
        max_io_bps=2 << 20,
        max_iops=100,
        io_weight=50,
        max_work=4 << 30,
        max_tmp=256 << 20,
        max_shm=64 << 20,
        user=1000,
        network="none",
    )
    host.jobs = {one.id: one}
    assert ctl("job", "status", "00000001").out.splitlines() == [
        f"Job ID: {one.id}",
        "Job Name: nightly",
        "Command: sh -c 'sleep 9'",
        "Owner: root",
        "Status: TIMEOUT",
        "",
        "Timing:",
        "  Submitted: 2025-11-22 09:26:40 CET",
        "  Scheduled Time: 2025-11-22 09:27:40 CET",
        "  Started: 2025-11-22 09:27:41 CET",
        "  Queued For: 1.0s",
        "  Ended: 2025-11-22 09:27:51 CET",
        "  Duration: 10.0s",
        "",
        "Resource Limits:",
        "  Max CPU: 50%",
        "  CPU Weight: 300",
        "  CPU Cores: 0-3,5",
        "  Max Memory: 256 MB",
        "  Max IO: 2 MB/s",
        "  Max IOPS: 100",
        "  IO Weight: 50",
        "  Max Tasks: 64",
        "  Work Size: 4 GB",
        "  Tmp Size: 256 MB",
        "  Shm Size: 64 MB",
        "  User: 1000",
        "  Timeout: 10.0s",
        "  Stop Grace: 10.0s",
        "",
        "Network Configuration:",
        "  Network: none",
        "",
        "Environment Variables:",
        "  A=1",
        "  B=2",
        "",
        "Result:",
        "  Exit Code: 124",
        "  Reason: timeout",
        "",
        "Resources Used:",
        "  CPU Time: 20ms",
        "  Peak Memory: 91.2 MB",
        "  Read: 0 B",
        "  Written: 4 KB",
        "",
        "Log:",
        "  Size: 12 B",
    ]


def test_status_of_somebody_elses_job_leaves_out_what_is_not_told(
    ctl: Ctl, host: FakeClient
) -> None:
    one = job(1, unit="joblet-x.scope")
    host.jobs = {one.id: one}
    out = ctl("job", "status", one.id).out
    assert "Status: RUNNING" in out
    assert "Unit: joblet-x.scope" in out
    for absent in ("Command:", "Resource Limits:", "Environment", "Network", "Result:"):
        assert absent not in out


def test_status_as_json_is_the_job(ctl: Ctl, host: FakeClient) -> None:
    one = job(1, exit_code=None)
    host.jobs = {one.id: one}
    found = ctl("job", "status", "0000", "--json").json
    assert found["id"] == one.id
    assert "exit_code" not in found


def test_an_unknown_job_is_one_sentence(ctl: Ctl) -> None:
    done = ctl("job", "status", "abcd")
    assert (done.status, done.out) == (1, "")
    assert done.err == "jobletctl: there is no job 'abcd'\n"


def test_a_job_of_a_remote_user_names_its_holder_and_role(ctl: Ctl, host: FakeClient) -> None:
    one = job(1, remote_subject="CN=ada,OU=developer", remote_role="developer")
    host.jobs = {one.id: one}
    lines = ctl("job", "status", "00000001").out.splitlines()
    assert lines[lines.index("Owner: root") + 1] == "Remote Owner: CN=ada,OU=developer (developer)"
