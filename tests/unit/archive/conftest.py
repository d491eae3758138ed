"""A directory to unpack into, with something beside it that must stay as it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Snapshot = dict[str, tuple[int, int, int, bytes]]


def descriptors() -> set[str]:
    """What this process has open, by name: a descriptor that leaks shows which it is."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            # the one that listed
            continue
    return found


def snapshot(top: Path) -> Snapshot:
    """Everything below a directory: mode, owner, time, and content or target."""
    found = {}
    for folder, directories, files in os.walk(top):
        for name in [*directories, *files, "."]:
            path = os.path.join(folder, name)
            facts = os.lstat(path)
            if os.path.islink(path):
                content = os.fsencode(os.readlink(path))
            elif os.path.isfile(path):
                content = Path(path).read_bytes()
            else:
                content = b""
            found[path] = (facts.st_mode, facts.st_uid, facts.st_mtime_ns, content)
    return found


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Beside the destination; no test may change it or leave a descriptor open."""
    folder = tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    (folder / "secret").write_bytes(b"untouched")
    (folder / "sub/secret").write_bytes(b"untouched, too")
    before = snapshot(folder)
    opened = descriptors()
    yield folder
    assert snapshot(folder) == before
    assert descriptors() == opened
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "dest", "source", "more"}


@pytest.fixture
def dest(tmp_path: Path, outside: Path) -> Path:
    """Where archives are unpacked."""
    folder = tmp_path / "dest"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path, outside: Path) -> Path:
    """What is packed."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def notified(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """The service manager's end: what it has been told so far."""
    import socket

    name = f"joblet-test-{os.getpid()}-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + name)
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)

        def told() -> list[str]:
            messages = []
            while True:
                try:
                    messages.append(channel.recv(65536).decode())
                except BlockingIOError:
                    return messages

        yield told
