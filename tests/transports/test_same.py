"""What is printed does not tell how it came: each line, over the bus and over the network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from joblet.errors import RemoteError
from tests.transports.conftest import Host, Program
from tests.transports.test_verbs import write_log

LINES = [
    "job list",
    "job list --wide",
    "job list --json",
    "job list --limit=1 --json",
    "job list --state=running",
    "job list --filter=name=a* --filter=exit-code=3 --json",
    "job list --filter=owner=4000000000 --sort=-name",
    "job status ENDED",
    "job status ENDED --json",
    "job status RUNNING --json",
    "job inspect ENDED RUNNING",
    "job log --no-follow ENDED",
    "job log ENDED",
    "job log ENDED --json",
    "job log ENDED --timestamps",
    "job log ENDED --tail=1",
    "job log ENDED --stream=stderr",
    "job log ENDED --since=2025-11-22T08:26:40.2Z --json",
    "job log RUNNING --tail=2",
    "job wait ENDED",
    "job wait ENDED --json",
    "job run --dry-run --max-memory=1G -e A=1 --secret-env=T=hush -- sh -c x",
    "job run --dry-run --json --max-memory=1G -e A=1 --secret-env=T=hush -- sh -c x",
    "version",
    "version --json",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_says_the_same_both_ways(
    local: Program, remote: Program, host: Host, line: str
) -> None:
    secrets = {"secret_names": ("TOKEN",)}
    ended = host.ended(3, name="abc", environment={"B": "2", "A": ""}, max_memory=64 << 20)
    running = host.start_job(name="xyz", max_cpu=50, **secrets)
    write_log(host)
    args = line.replace("ENDED", ended).replace("RUNNING", running).split()
    here, there = local(*args), remote(*args)
    assert there.status == here.status
    if "inspect" in line:
        # The clock goes on.
        assert _without_clock(there.json) == _without_clock(here.json)
    elif there.raw != here.raw:
        # An hour of the job that runs went by in between.
        assert there.raw == local(*args).raw
    assert there.err == here.err
    assert here.raw or here.err


def _without_clock(jobs: list[dict[str, Any]]) -> str:
    for one in jobs:
        one.get("usage", {}).pop("clock_usec", None)
    return json.dumps(jobs)


def test_what_runs_is_shown_the_same(local: Program, remote: Program, host: Host) -> None:
    host.start_job()
    shown = [
        program("top", "--count=1", "--interval=200ms", "--json").json
        for program in (local, remote)
    ]
    for one in shown:
        del one["clock_usec"]
        one["host"].pop("cpu_percent", None)
        for job in one["jobs"]:
            for key in ("cpu_percent", "io_read_bytes_per_s", "io_write_bytes_per_s"):
                job.pop(key, None)
    assert shown[0] == shown[1]
    assert len(shown[0]["jobs"]) == 1


def test_an_error_of_the_host_has_the_same_status(
    local: Program, remote: Program, host: Host
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RemoteError("org.joblet1.Error.Exhausted", "the queue is full")

    host.jobs.submit = fail  # type: ignore[assignment, method-assign]
    here, there = local("job", "run", "true"), remote("job", "run", "true")
    assert (there.status, here.status) == (1, 1)
    assert "the queue is full" in here.err
    assert there.err.replace("node 'lab': ", "") == here.err
