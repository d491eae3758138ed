"""/run without room: a job goes on, and how it ended is written when there is some."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from joblet.records import run as run_record
from tests.kernel.sandbox import Sandbox, fill, record_in

DEADLINE_S = 60.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def started(run_dir: int) -> int | None:
    data = record_in(run_dir, "run")
    return None if data is None else run_record.decode(data).started_ns


def free(run_dir: int) -> None:
    os.unlink("filler", dir_fd=run_dir)


def test_records_wait_for_room_and_the_job_does_not(sandbox: Sandbox) -> None:
    def before_gate(run_dir: int) -> None:
        until(lambda: record_in(run_dir, "run"))
        fill(run_dir)

    def after_gate(run_dir: int, work: Path) -> None:
        until((work / "runs").exists)
        until(lambda: record_in(run_dir, "run.new") is not None)
        assert started(run_dir) is None
        free(run_dir)
        until(lambda: started(run_dir))
        fill(run_dir)
        (work / "go").touch()
        until(lambda: record_in(run_dir, "exit.new") is not None)
        assert record_in(run_dir, "exit") is None
        free(run_dir)

    script = "> runs; while ! [ -e go ]; do :; done; echo said; exit 3"
    outcome = sandbox.run("sh", "-c", script, before_gate=before_gate, after_gate=after_gate)
    assert outcome.exit.exit_status == 3
    assert outcome.exit.started_ns is not None
    assert outcome.log == b"said\n"
    assert outcome.sealed
