"""Durations as Go writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.rpc.durations import format_usec, parse_usec

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "usec"),
    [
        ("90s", 90 * SECOND),
        ("10m", 600 * SECOND),
        ("1h30m", 5400 * SECOND),
        ("1.5h", 5400 * SECOND),
        (".5s", SECOND // 2),
        ("1.s", SECOND),
        ("250ms", SECOND // 4),
        ("1us", 1),
        ("1µs", 1),
        ("1μs", 1),
        ("1500ns", 2),
        ("1ns", 1),
        ("1h1m1s1ms", 3661 * SECOND + 1000),
    ],
)
def test_a_duration_is_read(text: str, usec: int) -> None:
    assert parse_usec(text) == usec


@pytest.mark.parametrize(
    "text",
    ["", "0s", "0", "10", "-1s", "+1s", "1d", "s", ".s", "1 s", "1s ", "1h30", "1e3s", "１s"],
)
def test_what_is_no_positive_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_usec(text)


def test_a_text_of_any_length_is_refused_quickly() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_usec("1s" * 100_000)


@pytest.mark.parametrize(
    ("usec", "text"),
    [
        (0, ""),
        (90 * SECOND, "1m30s"),
        (5400 * SECOND, "1h30m0s"),
        (3600 * SECOND, "1h0m0s"),
        (SECOND + SECOND // 2, "1.5s"),
        (250_000, "250ms"),
        (1_500, "1.5ms"),
        (7, "7µs"),
        (60 * SECOND + 1, "1m0.000001s"),
    ],
)
def test_a_duration_is_written_as_go_does(usec: int, text: str) -> None:
    assert format_usec(usec) == text


@given(st.integers(1, 10**15))
def test_what_is_written_is_read_back(usec: int) -> None:
    assert parse_usec(format_usec(usec)) == usec
