"""Who hears of a job when another listener fails."""

from __future__ import annotations

import pytest

from joblet.core.events import EventFeed
from joblet.model.events import Event, JobNew
from joblet.model.job import Job, JobState
from tests.fakes.daemon import TRUE

JOB = Job(
    id="0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11",
    seq=1,
    spec=TRUE,
    owner_uid=0,
    state=JobState.PENDING,
    submitted_usec=0,
    due_usec=0,
)


def test_listener_that_fails_is_told_of_and_the_others_hear(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feed = EventFeed()
    heard: list[Event] = []

    def fail(event: Event) -> None:
        raise UnicodeError("a name that the journal does not take")

    feed.subscribe(fail)
    feed.subscribe(heard.append)
    event = JobNew(JOB)
    feed.publish(event)
    assert heard == [event]
    [record] = caplog.records
    assert JOB.id in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], UnicodeError)
