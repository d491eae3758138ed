"""What a terminal of 80 columns shows: lists that change, top, a job that fails, a long list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from joblet.client.api import (
    JobQuery,
    LogPiece,
)
from joblet.client.looks import (
    FINISHED,
    JobEvent,
    JobUsage,
    UsageReport,
)
from joblet.errors import Unreachable
from joblet.model.job import JobState, Reason
from jobletctl import jobview
from tests.fakes.client import HOST, NOW_USEC, FakeClient, ended, job, job_id
from tests.fakes.terminal import Terminal
from tests.unit.jobletctl.conftest import COLUMNS, ROWS, Ctl, On


def four_states() -> list[Any]:
    return [
        replace(
            ended(1, 3, name="n" * 63, command="false"),
            started_usec=NOW_USEC,
            finished_usec=NOW_USEC + 180_000_000,
        ),
        job(2, JobState.INITIALIZING, command="python3", args=("train.py", "--epochs", "3")),
        replace(ended(3, command="true"), started_usec=NOW_USEC, finished_usec=NOW_USEC + 5000),
        job(4, JobState.SCHEDULED, due_usec=NOW_USEC, command="sh", args=("-c", "x" * 300)),
    ]


def test_a_watched_list_is_drawn_again_when_something_happens(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.jobs = {one.id: one for one in four_states()}
    host.happenings = [JobEvent(event=FINISHED, id=job_id(1), time_usec=NOW_USEC)]
    # Ctrl-C when the list has been asked for a second time: because of the event
    lists = 0
    listed = host.list_jobs

    async def list_jobs(query: JobQuery) -> Any:
        nonlocal lists
        lists += 1
        if lists == 2:
            terminal.type(b"\x03q")
        return await listed(query)

    host.list_jobs = list_jobs  # type: ignore[method-assign]
    assert on("job", "list", "--watch") == 0
    assert lists == 2
    assert terminal.screen.lines == []
    assert terminal.screen.left == [
        "4 jobs; 12:00:00; q or Ctrl-C ends",
        "",
        "ID        NAME      STATE         EXIT  START     TIME  OWNER  COMMAND",
        "00000004  -         SCHEDULED     -     12:00:00  -     root   sh -c xxxxxxxx...",
        "00000003  -         COMPLETED     0     12:00:00  5ms   root   true",
        "00000002  -         INITIALIZING  -     12:00:00  -     root   python3 train....",
        "00000001  nnnnn...  FAILED        3     12:00:00  3m    root   false",
    ]


@pytest.mark.parametrize("key", [b"q", b"Q", b"xyzq"])
def test_a_key_ends_it(
    on: On, terminal: Terminal, host: FakeClient, calm: None, key: bytes
) -> None:
    terminal.type(key)
    assert on("job", "list", "--watch") == 0


def test_a_watched_list_is_as_high_as_the_terminal(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.jobs = {job_id(n): job(n, JobState.PENDING) for n in range(1, 51)}
    terminal.type(b"q")
    assert on("job", "list", "--watch") == 0
    shown = terminal.screen.left
    assert len(shown) == ROWS
    assert shown[3].startswith("00000032")
    assert shown[-1] == "... 30 more; a higher terminal shows them"


def test_a_watched_list_without_jobs(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    terminal.type(b"q")
    assert on("job", "list", "--watch") == 0
    assert terminal.screen.left == ["no jobs; 12:00:00; q or Ctrl-C ends"]


def test_ctrl_c_ends_it_and_that_is_no_failure(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.interrupted_by = "events end"
    assert on("job", "list", "--watch") == 0


def test_an_error_gives_the_terminal_back_before_it_is_told(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.failures["list"] = Unreachable("jobletd is not running")
    assert on("job", "list", "--watch") == 1


def test_without_a_terminal_pictures_follow_each_other(
    ctl: Ctl, host: FakeClient, calm: None
) -> None:
    host.jobs = {one.id: one for one in four_states()}
    host.interrupted_by = "events end"
    done = ctl("job", "list", "--watch")
    assert done.status == 0
    assert done.out.startswith("4 jobs; 12:00:00; q or Ctrl-C ends\n\nID ")
    assert "\x1b" not in done.out


# top


def used(number: int, **known: Any) -> JobUsage:
    return JobUsage(id=job_id(number), name="", owner_uid=0, command="python3", **known)


def reports() -> list[UsageReport]:
    """Two looks a second apart."""
    later = replace(HOST, cpu_usec=HOST.cpu_usec + 3_000_000, running_jobs=4)
    before = (
        used(1, cpu_usec=5, io_read_bytes=0, io_write_bytes=0),
        used(2, cpu_usec=1_000_000),
    )
    now = (
        used(
            1,
            cpu_usec=500_005,
            memory_bytes=512 << 20,
            tasks=12,
            io_read_bytes=3 << 20,
            io_write_bytes=1 << 10,
            args=("train.py", "--epochs", "3" * 100),
            max_memory=1 << 30,
        ),
        used(2, cpu_usec=2_500_000, memory_bytes=5, tasks=1),
        used(3, cpu_usec=7),
    )
    return [UsageReport(1_000_000, HOST, before), UsageReport(2_000_000, later, now)]


@pytest.fixture
def looks(host: FakeClient) -> None:
    host.reports = reports()


TOP = [
    "box: 4 CPUs 75% busy, 2 GB of 8 GB used, load 0.50, 321 tasks",
    "4 jobs running (1 not yours to see), 1 waiting; 12:00:00; q or Ctrl-C ends",
    "",
    "ID         CPU%  MEMORY  TASKS  READ/s  WRITE/s  TIME  COMMAND",
    "00000002  150.0     5 B      1       -        -     -  python3",
    "00000001   50.0  512 MB     12    3 MB     1 KB     -  python3 train.py --epo...",
    "00000003      -       -      -       -        -     -  python3",
]


def test_top_on_a_terminal(
    on: On, terminal: Terminal, host: FakeClient, calm: None, looks: None
) -> None:
    first, second = reports()
    host.reports = [first, second, replace(second, clock_usec=3_000_000)]
    assert on("top", "--count=2", "--interval=200ms") == 0
    assert terminal.screen.lines == []
    # one CPU is as idle as the other in the second picture
    assert [line[:13] for line in terminal.screen.left[3:]] == [
        "ID        CPU",
        "00000001   0.",
        "00000002   0.",
        "00000003   0.",
    ]


def test_a_single_picture_of_top_stays_on_the_terminal(
    on: On, terminal: Terminal, host: FakeClient, calm: None, looks: None
) -> None:
    assert on("top", "--count=1", "--interval=200ms") == 0
    assert terminal.screen.lines == TOP


@pytest.mark.parametrize(
    ("order", "numbers"),
    [("cpu", [2, 1, 3]), ("memory", [1, 2, 3]), ("READ", [1, 2, 3]), ("name", [1, 2, 3])],
)
def test_top_in_another_order(ctl: Ctl, looks: None, order: str, numbers: list[int]) -> None:
    done = ctl("top", "--json", "--count=1", "--interval=200ms", "--sort", order)
    [told] = done.json_lines
    assert [int(one["id"][:8], 16) for one in told["jobs"]] == numbers


def test_top_as_json_has_the_rates(ctl: Ctl, host: FakeClient, looks: None) -> None:
    done = ctl("top", "--json", "--count=2", "--interval=200ms")
    told, again = done.json_lines
    assert told["host"]["cpu_percent"] == 75.0
    assert told["jobs"][1]["io_read_bytes_per_s"] == 3 << 20
    assert "cpu_percent" not in told["jobs"][2]
    # no time went by between these two looks
    assert "cpu_percent" not in again["host"]


def test_top_without_a_job_to_show_is_the_host_alone(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.reports = [replace(report, jobs=()) for report in reports()]
    assert on("top", "--count=1", "--interval=200ms") == 0
    assert terminal.screen.lines == [
        TOP[0],
        TOP[1].replace("(1 not", "(4 not"),
    ]


def test_top_wide_fits_as_well(
    on: On, terminal: Terminal, host: FakeClient, calm: None, looks: None
) -> None:
    assert on("top", "--wide", "--count=1", "--interval=200ms") == 0
    assert max(map(len, terminal.screen.lines)) <= COLUMNS
    assert terminal.screen.lines[3].startswith("ID         CPU%  MEMORY")


def test_a_wide_list_leaves_out_what_does_not_fit(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.jobs = {one.id: one for one in four_states()}
    assert on("job", "list", "--wide") == 0
    lines = terminal.screen.lines
    assert len(lines) == 5
    assert lines[0].split()[-2:] == ["QUEUED", "CPU"]


def test_a_line_that_fills_the_terminal_keeps_its_last_character(
    on: On, terminal: Terminal, host: FakeClient, calm: None
) -> None:
    host.jobs = {job_id(n): job(n, JobState.PENDING, command="c" * 200) for n in range(1, 30)}
    terminal.type(b"q")
    assert on("job", "list", "--watch") == 0
    full = terminal.screen.left[3:-1]
    assert {len(line) for line in full} == {COLUMNS}
    assert {line[-4:] for line in full} == {"c..."}


# a job that fails


def test_a_failing_job_on_a_terminal(
    on: On, terminal: Terminal, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobview, "moment_with_zone", lambda usec: "noon" if usec else "")
    host.jobs[job_id(1)] = replace(
        ended(1, 137, name="train", command="python3", args=("train.py",)),
        reason=Reason.OOM,
        max_memory=64 << 20,
        started_usec=NOW_USEC,
        finished_usec=NOW_USEC + 90_000_000,
        memory_peak_bytes=64 << 20,
    )
    assert on("job", "status", job_id(1)) == 0
    assert terminal.screen.coloured == ["31", "0"]
    assert terminal.screen.lines == [
        f"Job ID: {job_id(1)}",
        "Job Name: train",
        "Command: python3 train.py",
        "Owner: root",
        "Status: FAILED",
        "",
        "Timing:",
        "  Submitted: noon",
        "  Started: noon",
        "  Ended: noon",
        "  Duration: 1m30s",
        "",
        "Resource Limits:",
        "  Max Memory: 64 MB",
        "",
        "Result:",
        "  Exit Code: 137",
        "  Reason: oom",
        "",
        "Resources Used:",
        "  Peak Memory: 64 MB",
    ]


# pages


@pytest.fixture
def many(host: FakeClient) -> None:
    host.jobs = {job_id(n): job(n, JobState.PENDING) for n in range(1, 51)}


@pytest.mark.spawns
def test_a_list_longer_than_the_terminal_is_given_to_the_pager(
    on: On, many: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("PAGER", f"cat > {seen}; echo $LESS > {seen}.less")
    monkeypatch.delenv("LESS", raising=False)
    assert on("job", "list") == 0
    lines = seen.read_text().splitlines()
    assert len(lines) == 51
    # the pager shows colour too
    assert "\x1b[36mPENDING\x1b[0m" in lines[1]
    assert Path(f"{seen}.less").read_text() == "FRSXM\n"


@pytest.mark.spawns
def test_a_pager_that_is_left_early_is_no_failure(
    on: On, many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", "exit 0")
    assert on("job", "list") == 0


@pytest.mark.spawns
@pytest.mark.parametrize("pager", ["", " ", "cat", "/nonexistent/pager"])
def test_without_a_pager_the_terminal_has_it_all(
    on: On, terminal: Terminal, many: None, monkeypatch: pytest.MonkeyPatch, pager: str
) -> None:
    monkeypatch.setenv("PAGER", pager)
    assert on("job", "list") == 0
    assert terminal.screen.lines[-1].startswith("00000001")


@pytest.mark.parametrize(
    "line", [("job", "list", "--no-pager"), ("job", "list", "--filter=name=x")]
)
def test_no_pager_where_none_is_wanted_or_needed(
    on: On, terminal: Terminal, many: None, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]
) -> None:
    # a unit test may not start one, either
    monkeypatch.setenv("PAGER", "false")
    assert on(*line) == 0
    shown = terminal.screen.lines
    assert shown == [] or shown[-1].startswith("00000001")


def test_a_pipe_gets_no_pager(ctl: Ctl, many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "false")
    assert len(ctl("job", "list").out.splitlines()) == 51


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_watched_list_without_colour(
    on: On,
    terminal: Terminal,
    host: FakeClient,
    calm: None,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    host.jobs = {one.id: one for one in four_states()}
    terminal.type(b"q")
    assert on("job", "list", "--watch") == 0
    assert terminal.screen.coloured == []


def test_a_followed_job_writes_its_output_as_it_is(
    on: On, terminal: Terminal, host: FakeClient
) -> None:
    host.endings[job_id(1)] = replace(ended(1, 1), detail="")
    host.logs[job_id(1)] = [LogPiece("stdout", 0, b"\x1b[32mgreen\x1b[0m\r\n")]
    assert on("job", "run", "--follow", "false") == 1
    assert terminal.screen.lines == ["green"]
    assert terminal.screen.coloured == ["32", "0"]
