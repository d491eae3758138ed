"""The grammar of durations, in full."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.model.limits import DURATION_MAX, BadLimit, parse_duration

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("text", "usec"),
    [
        # what the reference takes, and takes wrongly
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("30s", 30 * SECOND),
        ("2hours", 2 * HOUR),
        ("2h30m", 2 * HOUR + 30 * MINUTE),
        ("1h30m15s", HOUR + 30 * MINUTE + 15 * SECOND),
        ("2hours30min", 2 * HOUR + 30 * MINUTE),
        ("1d", DAY),
        ("2h,30m", 2 * HOUR + 30 * MINUTE),
        ("1.5h", HOUR + 30 * MINUTE),
        ("3 minutes", 3 * MINUTE),
        ("10sec", 10 * SECOND),
        # and the rest of the grammar
        ("1h 30m", HOUR + 30 * MINUTE),
        (" 1H30Min ", HOUR + 30 * MINUTE),
        ("2 hours, 30 mins", 2 * HOUR + 30 * MINUTE),
        ("1w", 7 * DAY),
        ("1w2d3h4m5s6ms", 9 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND + 6000),
        ("1m5ms", MINUTE + 5000),
        ("0.1s", 100_000),
        ("0.000001s", 1),
        ("0.5ms", 500),
        ("0.3333h", 3333 * HOUR // 10_000),
        ("0s", 0),
        ("007s", 7 * SECOND),
        ("3650d", 3650 * DAY),
        ("3653d", DURATION_MAX),
    ],
)
def test_durations_are_sums_of_all_their_parts(text: str, usec: int) -> None:
    assert parse_duration(text) == usec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("abc5m", "use a duration"),
        ("5mabc", "unknown unit 'mabc'"),
        ("90", "unit is missing"),
        ("1.5", "unit is missing"),
        ("1h30", "use a duration"),
        ("", "empty"),
        ("   ", "empty"),
        ("h", "use a duration"),
        ("-5m", "use a duration"),
        ("+5m", "use a duration"),
        ("5 m m", "use a duration"),
        ("1h1h", "once"),
        ("30m2h", "largest first"),
        ("2h,,30m", "use a duration"),
        ("2h30m,", "use a duration"),
        ("1,5h", "use a duration"),
        ("1..5h", "use a duration"),
        (".5h", "use a duration"),
        ("1e3s", "unknown unit 'e'"),
        ("0x10s", "unknown unit 'x'"),
        ("5 fortnights", "unknown unit 'fortnights'"),
        ("1mo", "unknown unit 'mo'"),
        ("0.0000001s", "whole number of microseconds"),
        ("3654d", "more than 10 years"),
        ("999999999999999999w", "more than 10 years"),
        ("9999999999999999999s", "use a duration"),
        ("٣h", "use a duration"),
        ("1\u00a0h\x00", "use a duration"),
        ("tomorrow", "use a duration"),
        ("1h\n; rm", "use a duration"),
    ],
)
def test_what_is_not_wholly_a_duration_is_refused(text: str, why: str) -> None:
    with pytest.raises(BadLimit, match=why):
        parse_duration(text)


@given(
    st.tuples(st.integers(0, 99), st.integers(0, 6), st.integers(0, 23), st.integers(0, 59)).filter(
        any
    )
)
def test_every_sum_of_units_counts_in_full(parts: tuple[int, int, int, int]) -> None:
    units = (("w", 7 * DAY), ("d", DAY), ("h", HOUR), ("m", MINUTE))
    text = "".join(f"{n}{unit}" for n, (unit, _) in zip(parts, units, strict=True) if n)
    assert parse_duration(text) == sum(n * usec for n, (_, usec) in zip(parts, units, strict=True))


@given(st.text(max_size=20))
def test_no_text_is_worse_than_a_bad_limit(text: str) -> None:
    try:
        usec = parse_duration(text)
    except BadLimit:
        return
    assert 0 <= usec <= DURATION_MAX
