from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.model.job import JobState
from jobletctl.output import Output, OutputFailed, ReaderGone, cells, shortened, visible
from tests.fakes.client import FakeClient, ended, job
from tests.unit.jobletctl.conftest import Ctl


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Grüße 日本", "Grüße 日本"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\tb\nc\rd", r"a\tb\nc\rd"),
        ("\x7f\x00", r"\x7f\x00"),
        ("\x9b0m", r"\x9b0m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028\u200b", r"\u2028\u200b"),
        ("\udcff", r"\udcff"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_visible_text_has_only_printable_characters(text: str) -> None:
    assert visible(text).isprintable()


@given(st.text(alphabet=st.sampled_from("ab日é\u0301"), max_size=30), st.integers(3, 40))
def test_shortened_text_fits(text: str, width: int) -> None:
    short = shortened(text, width)
    assert cells(short) <= width
    assert short == text or short.endswith("...")


class Terminal:
    """A terminal that a test can put in place of stdout (a fixture cannot: pytest undoes it)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fd: int, stdout: TextIO) -> None:
        self._monkeypatch = monkeypatch
        self._fd = fd
        self._stdout = stdout

    def attach(self) -> None:
        self._monkeypatch.setattr(sys, "stdout", self._stdout)

    def lines(self) -> list[str]:
        """All that was shown; the terminal is gone afterwards."""
        self._stdout.close()
        shown = b""
        while True:
            try:
                shown += os.read(self._fd, 1 << 16)
            except OSError:  # EIO: nobody has the other end any more
                return shown.decode().splitlines()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with open(theirs, "w", encoding="utf-8") as stdout:
        yield Terminal(monkeypatch, ours, stdout)
    os.close(ours)


def test_states_have_colour_on_a_terminal(terminal: Terminal) -> None:
    terminal.attach()
    Output().state("Status: ", "RUNNING")
    assert terminal.lines() == ["Status: \x1b[33mRUNNING\x1b[0m"]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_switched_off(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    terminal.attach()
    Output().state("Status: ", "RUNNING")
    assert terminal.lines() == ["Status: RUNNING"]


def test_a_pipe_gets_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    Output().state("Status: ", "RUNNING")
    assert capsys.readouterr().out == "Status: RUNNING\n"


def test_a_table_fits_the_terminal(terminal: Terminal) -> None:
    rows = [("1", "RUNNING", "x" * 100), ("2", "FAILED", "日" * 100)]
    terminal.attach()
    Output().table(("ID", "STATE", "COMMAND"), rows)
    title, first, second = terminal.lines()
    assert title == "ID  STATE    COMMAND"
    assert first == "1   \x1b[33mRUNNING\x1b[0m  " + "x" * 44 + "..."
    assert second == "2   \x1b[31mFAILED\x1b[0m   " + "日" * 22 + "..."


@pytest.mark.parametrize("columns", [80, 100, 132, 200])
def test_a_whole_list_fits_the_terminal(
    terminal: Terminal, host: FakeClient, monkeypatch: pytest.MonkeyPatch, ctl: Ctl, columns: int
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    jobs = [ended(1, command="c" * 300), job(2, JobState.INITIALIZING, name="n" * 63)]
    host.jobs = {one.id: one for one in jobs}
    terminal.attach()
    assert ctl("job", "list").status == 0
    lines = terminal.lines()
    assert len(lines) == 3
    assert max(map(len, lines)) == columns
    assert all(line.endswith("...") for line in lines[1:] if "cc" in line)


def test_a_table_in_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(("A", "B"), [("1", "x" * 500)])
    assert capsys.readouterr().out == "A  B\n1  " + "x" * 500 + "\n"


def test_a_terminal_without_an_encoding_for_it_gets_escapes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(seen, encoding="ascii"))
    Output().line("Grüße")
    assert seen.getvalue() == b"Gr\\xfc\\xdfe\n"


def test_a_closed_stdout_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    output = Output()
    output.line("nobody listens")
    output.raw("stdout", b"nobody")
    output.flush()
    assert not output.interactive


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputFailed, match="cannot write to standard output: No space left"):
            Output().line("x")
        # what stays in the buffer must not fail once more when the file is closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_reader_that_left_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        with pytest.raises(ReaderGone):
            Output().line("x")
        os.dup2(os.open(os.devnull, os.O_WRONLY), gone.fileno())
