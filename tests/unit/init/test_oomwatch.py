"""What memory.events says of kills; that poll(2) reports a change is for a ground with memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from joblet.init.oomwatch import OomWatch


@pytest.fixture
def events(tmp_path: Path) -> Path:
    file = tmp_path / "memory.events"
    file.write_text("low 0\nhigh 7\nmax 3\noom 1\noom_kill 0\noom_group_kill 0\n")
    return file


def test_a_kill_is_seen_when_the_file_is_read_again(events: Path) -> None:
    watch = OomWatch()
    watch.open(str(events.parent))
    assert not watch.killed()
    events.write_text(events.read_text().replace("oom_kill 0", "oom_kill 2"))
    assert watch.killed()
    watch.close()
    watch.close()
    assert watch.fd == -1


def test_other_counters_are_no_kill(events: Path) -> None:
    events.write_text("oom 9\noom_kill 0\noom_group_kill 5\n")
    watch = OomWatch()
    watch.open(str(events.parent))
    assert not watch.killed()
    watch.close()


def test_without_the_controller_there_is_nothing_to_watch(tmp_path: Path) -> None:
    watch = OomWatch()
    watch.open(str(tmp_path))
    assert watch.fd == -1


def test_a_scope_that_is_gone_ends_the_watch(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    watch = OomWatch()
    watch.open(str(events.parent))

    def gone(*_args: int) -> bytes:
        raise OSError(19, "No such device")

    monkeypatch.setattr(os, "pread", gone)
    assert not watch.killed()
    assert watch.fd == -1
