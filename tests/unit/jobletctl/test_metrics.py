"""`job metrics`: drawn, as rows, as records, live."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.errors import RemoteError
from joblet.model.metrics import Sample
from jobletctl import sparkline
from tests.fakes.client import NOW_USEC, FakeClient, ended, job, job_id
from tests.fakes.hoststatus import FIRST, SAMPLES
from tests.fakes.terminal import Terminal
from tests.unit.jobletctl.conftest import Ctl, On

ID = job_id(1)


@pytest.fixture
def finished(host: FakeClient) -> None:
    host.jobs[ID] = ended()
    host.samples[ID] = list(SAMPLES)


def test_the_life_of_a_job_is_drawn(ctl: Ctl, finished: None) -> None:
    done = ctl("job", "metrics", ID[:8])
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{ID}: 3 samples over 6.0s, ended"
    assert lines[1] == "in all: CPU time 6.5s, peak memory 70 MB, read 4 MB, written 1 MB"
    table = {line[:15].strip(): line[15:].split() for line in lines[3:]}
    assert lines[3].split() == ["METRIC", "NOW", "MEAN", "PEAK", "OVER", "TIME"]
    assert table["CPU"][:3] == ["50.0%", "81.2%", "100.0%"]
    assert table["memory"][:6] == ["64", "MB", "64", "MB", "64", "MB"]
    assert table["of its limit"][0] == "50.0%"
    assert table["CPU pressure"][0] == "1.5%"
    assert table["tasks"][:3] == ["1", "2", "3"]
    # half as high for the first two seconds as for the five after them
    assert set(table["CPU"][3]) == {"▅", "█"}


def test_what_the_host_does_not_count_is_left_out(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[ID] = job()
    host.samples[ID] = [Sample(number=1, time_usec=NOW_USEC, cpu_percent=0.0, cpu_usec=0)]
    out = ctl("job", "metrics", ID).out
    assert [line.split()[0] for line in out.splitlines()[3:]] == ["METRIC", "CPU"]
    assert "memory" not in out


def test_a_row_for_each_sample(ctl: Ctl, finished: None) -> None:
    lines = ctl("job", "metrics", "--history", ID).out.splitlines()
    assert lines[0].split() == [
        "TIME",
        "CPU%",
        "MEMORY",
        "TASKS",
        "READ/s",
        "WRITE/s",
        "CPU",
        "TIME",
        "READ",
        "WRITTEN",
    ]
    assert len(lines) == 4
    assert " ".join(lines[1].split()).endswith(" 50.0 64 MB 3 2 MB 0 B 1.0s 4 MB 0 B")
    # Not counted is not zero.
    assert lines[2].split()[-6:] == ["1", "-", "-", "6.0s", "-", "-"]


def test_each_sample_is_a_record(ctl: Ctl, finished: None) -> None:
    records = ctl("--json", "job", "metrics", ID).json_lines
    assert [one["number"] for one in records] == [1, 2, 3]
    assert records[0]["cpu_some_avg10"] == 1.5
    assert records[0]["devices"][0]["device"] == "8:0"
    assert "memory_bytes" not in records[1]
    assert "final" not in records[1]
    assert records[2]["final"] is True


def test_only_samples_since_a_time(ctl: Ctl, host: FakeClient, finished: None) -> None:
    since = "2025-11-22T08:26:46Z"
    records = ctl("job", "metrics", ID, "--json", "--since", since).json_lines
    assert [one["number"] for one in records] == [2, 3]


def test_a_job_without_samples_is_an_error(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[ID] = job()
    done = ctl("job", "metrics", ID)
    assert done.status == 1
    assert "there is no sample of job" in done.err
    assert ctl("job", "metrics", "--json", ID).raw == b""


def test_followed_into_a_pipe_rows_come_as_they_are(ctl: Ctl, finished: None) -> None:
    lines = ctl("job", "metrics", "--follow", ID).out.splitlines()
    assert lines[0].split()[0] == "TIME"
    assert len(lines) == 4
    records = ctl("job", "metrics", "-f", "--json", ID).json_lines
    assert len(records) == 3


def test_ctrl_c_ends_following(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[ID] = job()
    host.samples[ID] = [FIRST]
    host.interrupted_by = "metrics end"
    done = ctl("job", "metrics", "--follow", ID)
    assert done.status == 130
    assert len(done.out.splitlines()) == 2


def test_followed_on_a_terminal_the_last_picture_stays(
    on: On, terminal: Terminal, finished: None, calm: None
) -> None:
    assert on("job", "metrics", "--follow", ID) == 0
    assert terminal.screen.lines[0] == f"{ID}: 3 samples over 6.0s, ended"
    assert terminal.screen.lines[3].split()[0] == "METRIC"


def test_on_a_narrow_terminal_lines_fit(
    on: On, terminal: Terminal, finished: None, calm: None
) -> None:
    assert on("job", "metrics", ID) == 0
    assert max(map(len, terminal.screen.lines)) <= 80


def test_follow_and_history_contradict_each_other(ctl: Ctl) -> None:
    done = ctl("job", "metrics", "--follow", "--history", ID)
    assert done.status == 2
    assert "contradict" in done.err


def test_an_error_while_it_is_drawn_is_told(
    on: On, terminal: Terminal, host: FakeClient, finished: None, calm: None
) -> None:
    host.failures["metrics"] = RemoteError("org.joblet1.Error.NotAllowed", "not yours")
    assert on("job", "metrics", "--follow", ID) == 1


@pytest.mark.parametrize(
    ("points", "drawn"),
    [
        ([], ""),
        ([(0, 0.0), (9, 0.0)], "_________ _".replace(" ", "")),
        ([(0, 1.0), (5, 2.0)], "*****@@@@@".replace("*", "+")),
        ([(9, 1.0)], "         @"),
    ],
)
def test_a_line_of_marks(points: list[tuple[int, float]], drawn: str) -> None:
    assert sparkline.draw(points, 0, 10, 10, marks=sparkline.ASCII) == drawn


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1e12)), max_size=50),
    st.integers(1, 80),
)
def test_a_line_is_never_wider_than_its_room(points: list[tuple[int, float]], width: int) -> None:
    line = sparkline.draw(sorted(points), 0, 1000, width)
    assert len(line) <= width
    assert set(line) <= {*sparkline.BLOCKS, sparkline.GAP}
    assert bool(line) == bool(points)


def test_the_mean_is_over_time(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[ID] = job()
    long = replace(FIRST, cpu_percent=0.0, interval_usec=9_000_000)
    short = replace(FIRST, number=2, cpu_percent=100.0, interval_usec=1_000_000)
    host.samples[ID] = [long, short]
    assert "10.0%" in ctl("job", "metrics", ID).out
