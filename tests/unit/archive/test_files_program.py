"""joblet-files as the service manager runs it: streams, messages and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from joblet.archive.__main__ import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERNAL,
    EXIT_USAGE,
    SKIPPED_SHOWN,
)
from tests.fakes.rawtar import END, directory, file, pax

SERVICE = Path(__file__).resolve().parents[3] / "service"
Told = Callable[[], list[str]]

pytestmark = pytest.mark.spawns


def run(
    folder: Path, *arguments: str | bytes, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "joblet.archive", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(SERVICE)},
        input=stdin,
        capture_output=True,
    )


def status(messages: list[str]) -> dict[str, Any]:
    assert messages[-1].startswith("STATUS=")
    fields = json.loads(unquote(messages[-1].removeprefix("STATUS=")))
    assert isinstance(fields, dict)
    return fields


def test_unpack_fills_the_working_directory(dest: Path, notified: Told) -> None:
    done = run(dest, "unpack", stdin=directory(b"d") + file(b"d/f", b"hello") + END)
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_DONE, b"", b"")
    assert (dest / "d/f").read_bytes() == b"hello"
    assert status(notified()) == {"entries": 2, "bytes": 5, "skipped": 0}


def test_refusal_is_told_as_one_object(dest: Path, notified: Told) -> None:
    done = run(dest, "unpack", stdin=file(b"../x") + END)
    assert done.returncode == EXIT_FAILED
    sentence = "archive entry '../x': its name goes up with '..'"
    status_line = f'STATUS={{"error": "UploadRefused", "message": "{sentence}"}}'
    assert notified() == [f"{status_line}\nREADY=1"]
    assert done.stderr.decode() == f"joblet-files: {sentence}\n"


def test_message_fits_into_what_the_service_manager_takes(dest: Path, notified: Told) -> None:
    name = "\U0001f600" * 60 + "/" + "\U0001f601\n" * 40
    done = run(dest, "unpack", stdin=pax({b"path": b"../" + name.encode()}) + file(b"x") + END)
    assert done.returncode == EXIT_FAILED
    (message,) = notified()
    assert len(message) < 4096
    assert message.removesuffix("\nREADY=1").isprintable()


def test_pack_is_ready_before_the_first_byte(source: Path, notified: Told) -> None:
    (source / "big").write_bytes(bytes(8 << 20))
    with subprocess.Popen(
        [sys.executable, "-m", "joblet.archive", "pack", "big"],
        cwd=source,
        env=os.environ | {"PYTHONPATH": str(SERVICE)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        assert notified() == ["READY=1"]
        rest = process.stdout.read()
    assert process.returncode == EXIT_DONE
    assert len(first + rest) > 8 << 20
    assert status(notified()) == {"entries": 1, "bytes": 8 << 20, "skipped": 0}


def test_no_backslash_is_in_what_systemd_is_told(dest: Path, notified: Told) -> None:
    """It would take them away, and with them the sense."""
    run(dest, "unpack", stdin=file("größe/../%5C\x01".encode()) + END)
    (message,) = notified()
    assert "\\" not in message
    assert r"'größe/../%5C\x01'" in status([message.removesuffix("\nREADY=1")])["message"]


def test_missing_path_is_told_and_nothing_is_written(source: Path, notified: Told) -> None:
    done = run(source, "pack", b"no\xff")
    assert (done.returncode, done.stdout) == (EXIT_FAILED, b"")
    assert notified() == [
        'STATUS={"error": "NoSuchPath", "message": "there is no path \'no%5C%5Cxff\'"}\nREADY=1'
    ]


def test_what_is_left_out_is_named_on_stderr_and_counted(source: Path, notified: Told) -> None:
    for number in range(SKIPPED_SHOWN + 5):
        os.mkfifo(source / f"fifo{number}")
    done = run(source, "pack", "")
    assert done.returncode == EXIT_DONE
    lines = done.stderr.decode().splitlines()
    assert len(lines) == SKIPPED_SHOWN
    assert lines[0].startswith("joblet-files: left out 'fifo")
    assert status(notified())["skipped"] == SKIPPED_SHOWN + 5


def test_a_whole_archive_lacks_nothing_but_what_cannot_be_copied(
    source: Path, notified: Told
) -> None:
    os.mkfifo(source / "fifo")
    (source / "f").write_bytes(b"x")
    assert run(source, "--whole", "pack", ".").returncode == EXIT_DONE
    assert status(notified())["skipped"] == 1
    deep = b"/".join([b"d" * 200] * 22)
    below = os.open(source, os.O_RDONLY)
    for part in deep.split(b"/"):
        os.mkdir(part, dir_fd=below)
        inner = os.open(part, os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = inner
    os.close(below)
    done = run(source, "--whole", "pack", ".")
    assert done.returncode == EXIT_FAILED
    (message,) = (one for one in notified() if one.startswith("STATUS="))
    assert "UploadRefused" in message
    assert "it lies too deep" in message
    assert run(source, "pack", ".").returncode == EXIT_DONE


def test_a_reader_who_goes_away_is_no_failure(source: Path, notified: Told) -> None:
    (source / "big").write_bytes(bytes(8 << 20))
    with subprocess.Popen(
        [sys.executable, "-m", "joblet.archive", "pack", "big"],
        cwd=source,
        env=os.environ | {"PYTHONPATH": str(SERVICE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == EXIT_DONE
    assert notified() == ["READY=1"]


def test_a_directory_given_open_is_opened_anew_with_the_rights_of_the_user_it_becomes(
    source: Path, notified: Told
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    source.chmod(0o700)
    handle = os.open(source, os.O_PATH)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "joblet.archive", "--as", "65534,65534"]
            + ["--in", f"/proc/self/fd/{handle}", "pack", "."],
            env=os.environ | {"PYTHONPATH": str(SERVICE)},
            pass_fds=[handle],
            capture_output=True,
        )
    finally:
        os.close(handle)
    assert (done.returncode, done.stdout) == (EXIT_FAILED, b"")
    assert done.stderr == b"joblet-files: not allowed to read the directory\n"
    assert '"error": "NotAllowed"' in notified()[0]


def test_what_is_no_directory_is_named_as_such(source: Path, notified: Told) -> None:
    (source / "f").write_bytes(b"x")
    done = run(source, "--in", "f", "pack", ".")
    assert (done.returncode, done.stdout) == (EXIT_FAILED, b"")
    assert '"error": "InvalidSpec"' in notified()[0]


def test_a_fault_of_its_own_is_told_and_leaves_a_traceback(source: Path, notified: Told) -> None:
    done = run(source, "--in", "missing", "pack", ".")
    assert done.returncode == EXIT_INTERNAL
    assert done.stderr.startswith(b"Traceback")
    assert '"error": "Internal"' in notified()[0]
    assert "READY=1" not in notified()


@pytest.mark.parametrize(
    "arguments",
    [[], ["pack"], ["unpack", "x"], ["pack", "a", "b"], ["--whole", "unpack"], ["--whole"], ["-h"]],
)
def test_wrong_use_says_what_would_be_right(arguments: list[str], dest: Path) -> None:
    done = run(dest, *arguments)
    assert done.returncode == EXIT_USAGE
    assert done.stderr.startswith(b"joblet-files: usage: ")


def test_without_a_service_manager_it_works_as_well(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert run(dest, "unpack", stdin=file(b"f") + END).returncode == EXIT_DONE


def test_unpack_and_pack_are_each_other_s_reverse(source: Path, dest: Path) -> None:
    (source / "f").write_bytes(b"x")
    packed = run(source, "pack", ".")
    assert run(dest, "unpack", stdin=packed.stdout).returncode == EXIT_DONE
    assert (dest / "f").read_bytes() == b"x"
