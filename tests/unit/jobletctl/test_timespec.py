from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.model.limits import DURATION_MAX
from jobletctl.timespec import BadTime, moment

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * SECOND


@given(st.text(max_size=20))
def test_no_text_is_worse_than_a_bad_time(text: str) -> None:
    try:
        usec = moment(text, now_usec=NOW)
    except BadTime:
        return
    assert NOW - 4000 * 366 * DAY < usec <= NOW + DURATION_MAX


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00+00:00"),
        ("2026-03-01t10:00:00z", "2026-03-01T10:00:00+00:00"),
        ("2026-03-01T10:00:00.5Z", "2026-03-01T10:00:00.500000+00:00"),
        ("2026-03-01T10:00:00.123456789+01:00", "2026-03-01T09:00:00.123456+00:00"),
        ("2026-03-01T10:00:00-05:30", "2026-03-01T15:30:00+00:00"),
        ("2026-03-01 10:00Z", "2026-03-01T10:00:00+00:00"),
        ("1999-12-31T23:59:59Z", "1999-12-31T23:59:59+00:00"),
        # without a zone: local time, here Berlin
        ("2026-03-01T10:00:00", "2026-03-01T09:00:00+00:00"),
        ("2026-03-01 10:00:00", "2026-03-01T09:00:00+00:00"),
        ("2026-03-01 10:00", "2026-03-01T09:00:00+00:00"),
        ("2026-03-01T10:00", "2026-03-01T09:00:00+00:00"),
        ("2026-07-01 10:00", "2026-07-01T08:00:00+00:00"),
        # the hours around the two changes of the clocks
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59+00:00"),
        ("2026-03-29 03:00", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59+00:00"),
        ("2026-10-25 03:00", "2026-10-25T02:00:00+00:00"),
        ("2026-10-25 02:30+02:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25 02:30+01:00", "2026-10-25T01:30:00+00:00"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_absolute_times_name_one_moment(text: str, iso: str) -> None:
    wanted = datetime.fromisoformat(iso) - datetime(1970, 1, 1, tzinfo=UTC)
    usec = wanted.days * DAY + wanted.seconds * SECOND + wanted.microseconds
    assert moment(text, now_usec=NOW) == usec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("22:00", "use a duration"),
        ("2026-03-01", "use a duration"),
        ("2026-02-30 10:00", "no such date"),
        ("2026-03-01 25:00", "no such date"),
        ("2026-03-01 10:60", "no such date"),
        ("2026-03-01T10:00:60Z", "no such date"),
        ("0000-01-01 00:00Z", "no such date"),
        ("2026-03-01T10:00:00+25:00", "no such date"),
        ("2026-03-01T10:00:00+01:60", "no such zone offset"),
        ("2026-03-01T10:00:00+0100", "use a duration"),
        ("2026-3-1 10:00", "use a duration"),
        ("2026-03-01  10:00", "use a duration"),
        ("2026-03-01T10:00:00 CET", "use a duration"),
        ("2036-01-03T00:00:00Z", "more than 10 years"),
        ("9999-12-31 23:59:59Z", "more than 10 years"),
        ("2026-03-29 02:30", "the clocks skip 2026-03-29 02:30"),
        ("2026-10-25 02:30", r"the clocks repeat .* \+02:00 or \+01:00"),
        ("++1h", "use a duration"),
        ("-1h", "use a duration"),
        ("", "empty"),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_what_does_not_name_one_moment_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadTime, match=why):
        moment(text, now_usec=NOW)


@pytest.mark.parametrize("text", ["1h30m", "+1h30m", "+ 1h 30m"])
def test_a_duration_is_a_moment_from_now(text: str) -> None:
    assert moment(text, now_usec=NOW) == NOW + HOUR + 30 * MINUTE


def test_a_duration_ago_is_a_moment_before_now() -> None:
    assert moment("1h30m", now_usec=NOW, ago=True) == NOW - HOUR - 30 * MINUTE


def test_a_duration_ago_takes_no_plus() -> None:
    with pytest.raises(BadTime):
        moment("+1h", now_usec=NOW, ago=True)
