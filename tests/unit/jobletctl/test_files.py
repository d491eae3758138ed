"""Files into a job and out of it: job run --upload, --upload-dir, --output, and job cp."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from joblet.client.api import STDOUT, LogPiece
from joblet.errors import RemoteError, UploadRefused
from joblet.model.job import JobState
from tests.fakes.client import FakeClient, ended, job, job_id
from tests.fakes.daemon import open_descriptors
from tests.fakes.rawtar import END, directory, file, link
from tests.unit.jobletctl.conftest import Ctl

FIRST = job_id(1)
RESULT = file(b"result", b"42\n") + END
TREE = directory(b"out") + file(b"out/f", b"42\n") + directory(b"out/sub") + END


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command line; nothing may stay open."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def members(stream: bytes) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    with tarfile.open(fileobj=io.BytesIO(stream), mode="r:") as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isreg() else None
            found[member.name] = None if opened is None else opened.read()
    return found


# Up.


def test_files_and_directories_travel_in_one_stream(ctl: Ctl, host: FakeClient, here: Path) -> None:
    (here / "a.csv").write_text("1,2")
    (here / "src" / "lib").mkdir(parents=True)
    (here / "src" / "main.py").write_text("print()")
    (here / "src" / "lib" / "x.py").write_text("")
    before = open_descriptors()
    done = ctl("job", "run", "--upload", "a.csv", f"--upload-dir={here}/src", "--", "true")
    assert (done.status, done.out, done.err) == (0, f"{FIRST}\n", "")
    [stream] = host.uploads
    assert members(stream) == {"a.csv": b"1,2", "main.py": b"print()", "lib": None, "lib/x.py": b""}
    assert open_descriptors() == before


def test_without_files_there_is_no_stream(ctl: Ctl, host: FakeClient) -> None:
    assert ctl("job", "run", "true").status == 0
    assert (host.uploads, host.attached[0].tar, host.attached[0].directory) == ([], None, None)


@pytest.mark.parametrize(
    ("option", "path", "complaint"),
    [
        ("--upload", "missing", "'missing' cannot be read: No such file or directory"),
        ("--upload", "folder", "'folder' is a directory; use --upload-dir"),
        ("--upload", "folder/", "'folder/' is a directory; use --upload-dir"),
        ("--upload", ".", "'.' is a directory; use --upload-dir"),
        ("--upload", "", "'' cannot be read: No such file or directory"),
        ("--upload", "f/", "'f/' cannot be read: Not a directory"),
        ("--upload", "/dev/null", "'/dev/null' is neither a file nor a directory"),
        ("--upload", "fifo", "'fifo' is neither a file nor a directory"),
        ("--upload", "loop", "'loop' cannot be read: Too many levels of symbolic links"),
        ("--upload-dir", "missing", "'missing' cannot be read: No such file or directory"),
        ("--upload-dir", "f", "Directory 'f' is a file"),
        ("--upload-dir", "/dev/null", "'/dev/null' is no directory; use --upload"),
    ],
)
def test_what_cannot_be_uploaded_is_one_sentence_and_submits_nothing(
    ctl: Ctl, host: FakeClient, here: Path, option: str, path: str, complaint: str
) -> None:
    (here / "folder").mkdir()
    (here / "f").write_text("")
    os.mkfifo(here / "fifo")
    (here / "loop").symlink_to("loop")
    done = ctl("job", "run", option, path, "true")
    assert done.status == 2
    assert done.err.startswith(f"jobletctl: invalid value for '{option}': {complaint} (see ")
    assert (done.out, host.connections) == ("", 0)


def test_two_files_of_one_name_are_refused(ctl: Ctl, host: FakeClient, here: Path) -> None:
    (here / "d").mkdir()
    (here / "f").write_text("")
    (here / "d" / "f").write_text("")
    done = ctl("job", "run", "--upload", "f", "--upload", "d/f", "true")
    assert (done.status, host.connections) == (2, 0)
    assert "'d/f' has the same name as another one" in done.err


def test_a_refusal_of_the_daemon_is_shown_and_not_the_broken_pipe(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    (here / "big").write_bytes(bytes(8 << 20))
    host.reads = 100_000
    said = "there is no room for it"
    host.failures["upload"] = RemoteError("org.joblet1.Error.Exhausted", said)
    done = ctl("job", "run", "--upload", "big", "true")
    assert (done.status, done.out, done.err) == (1, "", f"jobletctl: {said}\n")


def test_what_goes_wrong_here_is_shown_and_not_what_the_daemon_makes_of_it(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    deep = here / "d" / Path(*["d" * 200] * 21)
    os.makedirs(here / "d")
    os.chdir(here / "d")
    for _ in range(21):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    os.chdir(here)
    assert len(str(deep)) > 4000
    host.failures["upload"] = UploadRefused("#7", "the archive ends without an end mark")
    host.reads = 1 << 30
    done = ctl("job", "run", "--upload-dir", "d", "true")
    assert (done.status, done.out) == (1, "")
    assert "it lies too deep" in done.err
    assert "end mark" not in done.err


def test_what_cannot_be_copied_at_all_is_left_out_and_named(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    (here / "d").mkdir()
    os.mkfifo(here / "d" / "fifo")
    (here / "d" / "f").write_text("x")
    done = ctl("job", "run", "--upload-dir", "d", "true")
    assert (done.status, members(host.uploads[0])) == (0, {"f": b"x"})
    assert done.err == "jobletctl: left out 'fifo': it is a device, a FIFO or a socket\n"


def test_interrupted_during_the_upload_says_that_there_is_no_job(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    (here / "big").write_bytes(bytes(8 << 20))
    host.interrupted_by = "run"
    done = ctl("job", "run", "--upload", "big", "true")
    assert (done.status, done.out) == (130, "")
    assert done.err == "jobletctl: interrupted during the upload; no job was submitted\n"


def test_interrupted_after_it_the_job_may_be_there(ctl: Ctl, host: FakeClient, here: Path) -> None:
    (here / "f").write_bytes(b"x")
    host.interrupted_by = "upload"
    done = ctl("job", "run", "--upload", "f", "true")
    assert done.status == 130
    assert "the job may have been accepted" in done.err


# Back, with the run.


def test_outputs_come_when_the_job_has_ended(ctl: Ctl, host: FakeClient, here: Path) -> None:
    host.archives = {"result": RESULT, "out": TREE}
    host.endings = {FIRST: ended()}
    host.logs[FIRST] = [LogPiece(STDOUT, 1, b"done\n")]
    (here / "there").mkdir()
    line = ["--output", "result", "--output=out:there", "--output=out:new"]
    done = ctl("job", "run", "--follow", *line, "true")
    assert (done.status, done.out, done.err) == (0, "done\n", "")
    assert (here / "result").read_text() == "42\n"
    assert (here / "there" / "out" / "f").read_text() == "42\n"
    assert (here / "new" / "f").read_text() == "42\n"
    verbs = [verb for verb, _ in host.calls]
    assert verbs.index("wait") < verbs.index("files")


@pytest.mark.parametrize(("exit_code", "status"), [(0, 1), (3, 3)])
def test_an_output_that_is_missing_fails_a_job_that_has_not_failed_itself(
    ctl: Ctl, host: FakeClient, here: Path, exit_code: int, status: int
) -> None:
    host.archives = {"result": RESULT}
    host.endings = {FIRST: ended(exit_code=exit_code)}
    done = ctl("job", "run", "--wait", "--output", "nope", "--output", "result", "true")
    assert done.status == status
    assert "jobletctl: --output nope: there is no path 'nope'" in done.err
    # The others come all the same.
    assert (here / "result").read_text() == "42\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["--output", "x"], "--output needs --wait or --follow"),
        (["--wait", "--output", ":x"], "name a path in /work"),
        (["--wait", "--output", "x:missing/y"], "missing: No such file or directory"),
    ],
)
def test_an_output_that_cannot_be_is_known_before_the_job_runs(
    ctl: Ctl, host: FakeClient, here: Path, line: list[str], complaint: str
) -> None:
    done = ctl("job", "run", *line, "true")
    assert (done.status, host.connections) == (2, 0)
    assert complaint in done.err


# job cp.


def test_cp_copies_and_says_nothing(ctl: Ctl, host: FakeClient, here: Path) -> None:
    host.archives = {"result": RESULT}
    before = open_descriptors()
    done = ctl("job", "cp", f"{FIRST[:8]}:result", ".")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert host.calls == [("files", (FIRST[:8], "result"))]
    assert (here / "result").read_text() == "42\n"
    assert open_descriptors() == before


@pytest.mark.parametrize("path", ["", ".", "/", "/work", "/work/"])
def test_the_whole_of_work_is_its_content(
    ctl: Ctl, host: FakeClient, here: Path, path: str
) -> None:
    host.archives = {path: file(b"f", b"x") + directory(b"d") + END}
    assert ctl("job", "cp", f"{FIRST}:{path}", "all").status == 0
    assert sorted(one.name for one in (here / "all").iterdir()) == ["d", "f"]


def test_a_dot_at_the_end_means_the_content(ctl: Ctl, host: FakeClient, here: Path) -> None:
    host.archives = {"out/.": TREE}
    assert ctl("job", "cp", f"{FIRST}:out/.", ".").status == 0
    assert sorted(one.name for one in here.iterdir()) == ["f", "sub"]


def test_a_path_may_have_colons(ctl: Ctl, host: FakeClient, here: Path) -> None:
    host.archives = {"a:b": file(b"a:b", b"x") + END}
    assert ctl("job", "cp", f"{FIRST}:a:b", ".").status == 0
    assert (here / "a:b").read_text() == "x"


def test_links_that_lead_out_of_what_is_copied_are_left_out_and_named(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    host.archives = {
        "out": directory(b"out")
        + link(b"out/absolute", b"/etc/passwd")
        + link(b"out/beside", b"../.ssh/authorized_keys")
        + link(b"out/fine", b"sub/f")
        + END
    }
    done = ctl("job", "cp", f"{FIRST}:out", ".")
    assert done.status == 0
    assert [one.name for one in (here / "out").iterdir()] == ["fine"]
    assert done.err.splitlines() == [
        "jobletctl: left out 'out/absolute': its target is absolute",
        "jobletctl: left out 'out/beside': its target lies outside",
    ]


@pytest.mark.parametrize(
    "stream",
    [
        RESULT[:-1024],
        RESULT[:600],
        b"",
        file(b"result", b"x") + file(b"../../up", b"x") + END,
        file(b"result", b"x") + file(b"/tmp/up", b"x") + END,
    ],
)
def test_a_copy_that_breaks_off_or_is_hostile_replaces_nothing(
    ctl: Ctl, host: FakeClient, here: Path, stream: bytes
) -> None:
    (here / "result").write_text("old")
    host.archives = {"result": stream}
    done = ctl("job", "cp", f"{FIRST}:result", ".")
    assert done.status == 1
    assert done.err.startswith("jobletctl: the copy of 'result' broke off")
    assert [(one.name, one.read_text()) for one in here.iterdir()] == [("result", "old")]
    assert [one.name for one in here.parent.iterdir()] == ["here"]


def test_what_came_under_another_name_is_not_taken(ctl: Ctl, host: FakeClient, here: Path) -> None:
    host.archives = {"result": file(b".bashrc", b"x") + END}
    done = ctl("job", "cp", f"{FIRST}:result", ".")
    assert (done.status, done.err) == (1, "jobletctl: 'result' did not come\n")
    assert list(here.iterdir()) == []


def test_cp_to_a_dash_writes_the_stream_as_it_is(ctl: Ctl, host: FakeClient) -> None:
    host.archives = {"out": TREE}
    done = ctl("job", "cp", f"{FIRST}:out", "-")
    assert (done.status, done.raw, done.err) == (0, TREE, "")


def test_a_stream_to_a_dash_that_breaks_off_is_an_error(ctl: Ctl, host: FakeClient) -> None:
    host.archives = {"out": TREE[:-512]}
    done = ctl("job", "cp", f"{FIRST}:out", "-")
    assert (done.status, done.raw) == (1, TREE[:-512])
    assert done.err == "jobletctl: the copy of 'out' broke off\n"


def test_cp_in_json(ctl: Ctl, host: FakeClient, here: Path) -> None:
    host.archives = {"result": RESULT}
    assert ctl("job", "cp", "--json", f"{FIRST}:result", "r").json == {
        "job": FIRST,
        "path": "result",
        "destination": "r",
        "entries": 1,
        "bytes": len(RESULT),
    }


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["result", "."], "'result' is not ID:PATH"),
        (["xyz!:result", "."], "'xyz!' is no job id"),
        ([f"{FIRST}:result"], "missing argument 'DEST'"),
        (["--json", f"{FIRST}:result", "-"], "both want standard output"),
    ],
)
def test_mistakes_of_cp(ctl: Ctl, host: FakeClient, line: list[str], complaint: str) -> None:
    done = ctl("job", "cp", *line)
    assert (done.status, host.connections) == (2, 0)
    assert complaint in done.err


def test_a_tar_stream_is_not_thrown_at_a_person(
    ctl: Ctl, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobletctl.output.Output.interactive", True)
    done = ctl("job", "cp", f"{FIRST}:out", "-")
    assert (done.status, host.connections) == (2, 0)
    assert "standard output is a terminal" in done.err


def test_a_destination_that_is_not_there_is_told_before_the_daemon_is_asked(
    ctl: Ctl, host: FakeClient, here: Path
) -> None:
    host.archives = {"result": RESULT}
    done = ctl("job", "cp", f"{FIRST}:result", "missing/x")
    assert (done.status, done.err) == (1, "jobletctl: missing: No such file or directory\n")
    assert host.calls == []


def test_interrupted_a_copy_leaves_nothing(
    ctl: Ctl, host: FakeClient, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.write(writing, TREE[:-1024])

    async def files(_job: str, _path: str) -> int:
        # The stream stays as it is, until somebody interrupts.
        asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
        return reading

    monkeypatch.setattr(host, "files", files)
    done = ctl("job", "cp", f"{FIRST}:out", ".")
    os.close(writing)
    assert done.status == 130
    assert list(here.iterdir()) == []


# Progress.


class Terminal(io.TextIOWrapper):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_takes_longer_than_a_moment_shows_how_far_it_is(
    ctl: Ctl, host: FakeClient, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = io.BytesIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("jobletctl.attachments._QUIET_S", 0.0)
    monkeypatch.setattr("jobletctl.attachments._REFRESH_S", 0.001)
    (here / "f").write_bytes(b"x")
    run: Any = host.run

    async def slowly(*args: Any) -> str:
        monkeypatch.setattr(sys, "stderr", Terminal(seen, write_through=True))
        job_id: str = await run(*args)
        async with asyncio.timeout(10):
            while b"1 files and directories" not in seen.getvalue():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return job_id

    monkeypatch.setattr(host, "run", slowly)
    monkeypatch.setattr("jobletctl.output.Output.shows_progress", True)
    assert ctl("job", "run", "--upload", "f", "true").status == 0
    shown = seen.getvalue()
    assert shown.startswith(b"\rjobletctl: ")
    # and takes it away again
    assert shown.endswith(b"\r\x1b[K")


def test_into_a_pipe_there_is_no_progress(
    ctl: Ctl, host: FakeClient, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobletctl.attachments._QUIET_S", 0.0)
    host.archives = {"result": RESULT}
    assert ctl("job", "cp", f"{FIRST}:result", ".").err == ""


def test_running_jobs_can_be_copied_from(ctl: Ctl, here: Path) -> None:
    host = FakeClient([job(1, JobState.RUNNING)])
    host.archives = {"result": RESULT}
    from jobletctl.__main__ import main

    assert main(["job", "cp", f"{FIRST}:result", "."], connector=host.connect) == 0
