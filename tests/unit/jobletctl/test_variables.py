"""Variables and secrets of job run: from the command line, from here, from files and stdin."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.fakes.client import FakeClient
from tests.unit.jobletctl.conftest import Ctl

FORMAT = """\
# a comment
A=1
  INDENTED=2
QUOTED="as it stands"
HASH=a # no comment
EQUALS=a=b=c
TRAILING=with blanks  \n
EMPTY=
#B=not this
FROM_HERE
A=the later one
CRLF=x\r
"""
READ = {
    "A": "the later one",
    "INDENTED": "2",
    "QUOTED": '"as it stands"',
    "HASH": "a # no comment",
    "EQUALS": "a=b=c",
    "TRAILING": "with blanks  ",
    "EMPTY": "",
    "FROM_HERE": "of this process",
    "CRLF": "x",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FROM_HERE", "of this process")
    monkeypatch.delenv("NOWHERE", raising=False)
    return tmp_path


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_env_file_is_read_as_docker_reads_it(ctl: Ctl, host: FakeClient, here: Path) -> None:
    (here / "env").write_bytes(b"\xef\xbb\xbf" + FORMAT.encode())
    assert ctl("job", "run", "--env-file", "env", "true").status == 0
    assert host.specs[0].environment == READ
    assert host.attached[0].secrets == {}


def test_secret_file_is_the_same_and_not_in_the_spec(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    (here / "env").write_text(FORMAT)
    assert ctl("job", "run", "--secret-env-file=env", "true").status == 0
    assert host.attached[0].secrets == READ
    assert host.specs[0].environment == {}
    assert host.specs[0].secret_names == ()


def test_the_command_line_goes_before_files_and_later_files_before_earlier(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    (here / "one").write_text("A=1\nB=1\nC=1\n")
    (here / "two").write_text("B=2\nC=2\n")
    line = ["--env=C=3", "--env-file=one", "--env-file=two"]
    secret = ["--secret-env=Z=3", "--secret-env-file", "three", "--secret-env", "FROM_HERE"]
    (here / "three").write_text("Y=1\nZ=1")
    assert ctl("job", "run", *line, *secret, "true").status == 0
    assert host.specs[0].environment == {"A": "1", "B": "2", "C": "3"}
    assert host.attached[0].secrets == {"Y": "1", "Z": "3", "FROM_HERE": "of this process"}


@pytest.mark.parametrize("option", ["--env-file", "--secret-env-file"])
def test_a_dash_is_standard_input(
    ctl: Ctl, host: FakeClient, here: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    stdin(monkeypatch, "A=1\n")
    assert ctl("job", "run", option, "-", "true").status == 0
    assert {"A": "1"} in (host.specs[0].environment, host.attached[0].secrets)


@pytest.mark.parametrize(
    ("line", "content", "complaint"),
    [
        (["--env-file=missing"], "", "'missing' cannot be read: No such file or directory"),
        (["--env-file=."], "", "'.' cannot be read: Is a directory"),
        (["--env-file=env"], "A=1\n1B=2", "'env', line 2: '1B' is no variable name"),
        (["--env-file=env"], "A B=1", "'env', line 1: 'A B' is no variable name"),
        (["--env-file=env"], "export A=1", "'env', line 1: 'export A' is no variable name"),
        (["--env-file=env"], "NOWHERE", "'env', line 1: NOWHERE has no value here"),
        (["--env-file=env"], "A=" + "x" * (1 << 20), "'env' is larger than 1048576 bytes"),
        (["--env-file=-", "--secret-env-file=-"], "", "standard input can be read only once"),
        (
            ["--secret-env=A=1", "--env=A=1"],
            "",
            "variable A is given as a secret and in the environment",
        ),
        (["--secret-env=NOWHERE"], "", "NOWHERE has no value here"),
    ],
)
def test_mistakes_are_one_sentence_and_submit_nothing(
    ctl: Ctl, host: FakeClient, here: Path, line: list[str], content: str, complaint: str
) -> None:
    (here / "env").write_text(content)
    done = ctl("job", "run", *line, "true")
    assert (done.status, done.out, host.connections) == (2, "", 0)
    assert complaint in done.err
    assert done.err.count("\n") == 1


def test_bytes_that_are_no_text_are_refused(ctl: Ctl, host: FakeClient, here: Path) -> None:
    (here / "env").write_bytes(b"A=\xff")
    done = ctl("job", "run", "--env-file=env", "true")
    assert (done.status, host.connections) == (2, 0)
    assert "'env' is not valid UTF-8" in done.err


def test_a_complaint_about_a_secret_does_not_show_it(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    (here / "env").write_text("A=1\nhunter2 is the password\n")
    done = ctl("job", "run", "--secret-env-file=env", "true")
    assert (done.status, host.connections) == (2, 0)
    assert "'env', line 2: expected NAME=VALUE" in done.err
    assert "hunter2" not in done.err
