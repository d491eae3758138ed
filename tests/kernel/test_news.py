"""What a supervisor tells jobletd of a job, and when."""

from __future__ import annotations

import os

from joblet.records.spawn import Failed, Spawned, Started
from tests.kernel.sandbox import Sandbox


def test_start_of_a_job_that_goes_on_is_told(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "sleep 0.2; exit 3")
    spawned, started = outcome.told
    assert isinstance(spawned, Spawned)
    assert isinstance(started, Started)
    assert started.started_ns == outcome.exit.started_ns
    assert outcome.exit.exit_status == 3


def test_start_is_told_while_output_keeps_coming(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "yes | head -c 200000000")
    assert [type(message) for message in outcome.told] == [Spawned, Started]


def test_set_up_that_fails_is_told_at_once(sandbox: Sandbox) -> None:
    outcome = sandbox.run("/nonexistent")
    spawned, failed = outcome.told
    assert isinstance(spawned, Spawned)
    assert isinstance(failed, Failed)
    assert (failed.step, failed.recorded) == ("exec", True)


def test_job_that_is_over_at_once_has_one_piece_of_news(sandbox: Sandbox) -> None:
    """Its end, which has the time of its start: whoever looks finds one or the other way."""
    for _ in range(20):
        outcome = sandbox.run("true")
        assert outcome.exit.started_ns is not None
        if len(outcome.told) == 1:
            return
    raise AssertionError(f"every one of them was told twice: {os.getloadavg()}")
