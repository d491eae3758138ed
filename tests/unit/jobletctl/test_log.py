from __future__ import annotations

import base64
import json

import pytest

from joblet.client.api import GAP, STDERR, STDOUT, LogPiece, LogRequest
from joblet.errors import RemoteError
from jobletctl.logview import LINE_MAX, LogView, rfc3339
from jobletctl.output import Output
from tests.fakes.client import FakeClient, ended, job, job_id
from tests.unit.jobletctl.conftest import Ctl

ID = job_id(1)
T1 = 1_763_800_000_123_456_789
PIECES = [
    LogPiece(STDOUT, T1, b"one\ntwo"),
    LogPiece(STDERR, T1 + 10**9, b"oops\n"),
    LogPiece(STDOUT, T1 + 2 * 10**9, b" halves\n\xff\xfe\n"),
    LogPiece(STDOUT, T1 + 3 * 10**9, b"rest"),
]


@pytest.fixture
def logged(host: FakeClient) -> FakeClient:
    host.jobs[ID] = ended()
    host.logs[ID] = PIECES
    return host


@pytest.mark.usefixtures("logged")
def test_log_is_byte_exact_and_keeps_the_streams_apart(ctl: Ctl) -> None:
    done = ctl("job", "log", ID)
    assert (done.status, done.raw, done.err) == (0, b"one\ntwo halves\n\xff\xfe\nrest", "oops\n")


@pytest.mark.usefixtures("logged", "berlin")
def test_timestamps_stand_before_each_line(ctl: Ctl) -> None:
    done = ctl("job", "log", "--timestamps", ID)
    assert done.raw.splitlines(keepends=True) == [
        b"2025-11-22T09:26:40.123456+01:00 one\n",
        b"2025-11-22T09:26:40.123456+01:00 two halves\n",
        b"2025-11-22T09:26:42.123456+01:00 \xff\xfe\n",
        b"2025-11-22T09:26:43.123456+01:00 rest",
    ]
    assert done.err == "2025-11-22T09:26:41.123456+01:00 oops\n"


@pytest.mark.usefixtures("logged")
def test_json_is_one_object_per_line(ctl: Ctl) -> None:
    done = ctl("job", "log", "--json", ID)
    assert done.err == ""
    assert done.json_lines == [
        {"stream": "stdout", "time": "2025-11-22T08:26:40.123456Z", "data": "one\n"},
        {"stream": "stderr", "time": "2025-11-22T08:26:41.123456Z", "data": "oops\n"},
        {"stream": "stdout", "time": "2025-11-22T08:26:40.123456Z", "data": "two halves\n"},
        {
            "stream": "stdout",
            "time": "2025-11-22T08:26:42.123456Z",
            "data_base64": base64.b64encode(b"\xff\xfe\n").decode(),
        },
        {"stream": "stdout", "time": "2025-11-22T08:26:43.123456Z", "data": "rest"},
    ]


def test_missing_bytes_are_told_beside_the_output(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[ID] = ended()
    host.logs[ID] = [LogPiece(GAP, 0, b"", 77), LogPiece(STDOUT, T1, b"x")]
    done = ctl("job", "log", ID)
    assert (done.raw, done.err) == (b"x", "jobletctl: 77 bytes of the log are missing here\n")
    first, _ = ctl("job", "log", "--json", ID).json_lines
    assert first == {"stream": "gap", "lost_bytes": 77}


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ([], LogRequest()),
        (["-f"], LogRequest()),
        (["--follow"], LogRequest()),
        (["--no-follow"], LogRequest(follow=False)),
        (["--tail", "0"], LogRequest(tail_lines=0)),
        (["--tail=20", "--stream=stderr"], LogRequest(tail_lines=20, stream=STDERR)),
        (["--since=1970-01-01T00:00:01Z"], LogRequest(since_usec=1_000_000)),
    ],
)
def test_options_select_the_part_of_the_log(
    ctl: Ctl, logged: FakeClient, options: list[str], request_: LogRequest
) -> None:
    assert ctl("job", "log", *options, ID).status == 0
    assert logged.calls[0] == ("log", request_)


def test_since_with_a_duration_means_ago(ctl: Ctl, logged: FakeClient) -> None:
    ctl("job", "log", "--since=10m", "--no-follow", ID)
    ctl("job", "log", "--since=20m", "--no-follow", ID)
    ten, twenty = (what for verb, what in logged.calls if verb == "log")
    assert isinstance(ten, LogRequest)
    assert isinstance(twenty, LogRequest)
    assert ten.since_usec is not None
    assert twenty.since_usec is not None
    assert ten.since_usec > twenty.since_usec > 1_700_000_000_000_000


def test_an_interrupt_gives_out_the_unfinished_line_first(ctl: Ctl, host: FakeClient) -> None:
    host.jobs[ID] = job()
    host.logs[ID] = PIECES[-1:]
    host.interrupted_by = "log end"
    done = ctl("job", "log", "--json", ID)
    assert done.status == 130
    assert done.json["data"] == "rest"


def test_a_log_that_may_not_be_read_is_one_sentence(ctl: Ctl, host: FakeClient) -> None:
    host.failures["log"] = RemoteError("org.joblet1.Error.NotAllowed", "not allowed to read logs")
    done = ctl("job", "log", ID)
    assert (done.status, done.out) == (1, "")
    assert done.err == "jobletctl: not allowed to read logs\n"


def test_an_endless_line_is_given_out_in_parts_between_characters(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    output = Output()
    output.as_json = True
    view = LogView(output)
    text = "a" + "é" * LINE_MAX
    for start in range(0, len(text.encode()), 1000):
        view.take(LogPiece(STDOUT, T1, text.encode()[start : start + 1000]))
    view.close()
    parts = [json.loads(line)["data"] for line in capsysbinary.readouterr().out.splitlines()]
    assert len(parts) == 3
    assert "".join(parts) == text


def test_an_endless_line_has_one_timestamp(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    view = LogView(Output(), timestamps=True)
    view.take(LogPiece(STDOUT, T1, b"x" * (3 * LINE_MAX)))
    view.take(LogPiece(STDOUT, T1, b"y\nz\n"))
    view.close()
    stamp = rfc3339(T1, local=True).encode()
    first, second = capsysbinary.readouterr().out.splitlines()
    assert first == stamp + b" " + b"x" * (3 * LINE_MAX) + b"y"
    assert second == stamp + b" z"
