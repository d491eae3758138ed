"""Rates between samples."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from joblet.model.metrics import Sample, rated

START = 1_000_000


def at(seconds: float, **values: Any) -> Sample:
    return Sample(time_usec=START + round(seconds * 1e6), **values)


def test_the_first_rates_are_since_the_start_the_next_since_the_sample_before() -> None:
    samples = [at(2, cpu_usec=1_000_000), at(4, cpu_usec=4_000_000)]
    first, second = rated(samples, started_usec=START)
    assert (first.interval_usec, first.cpu_percent) == (2_000_000, 50.0)
    assert (second.interval_usec, second.cpu_percent) == (2_000_000, 150.0)


def test_without_a_start_the_first_sample_has_no_rates() -> None:
    first, second = rated([at(2, cpu_usec=1), at(3, cpu_usec=2)], started_usec=None)
    assert first.cpu_percent is None
    assert second.cpu_percent == 0.0001


def test_a_clock_that_is_set_changes_no_rate() -> None:
    one = at(1, clock_usec=50, cpu_usec=0)
    two = at(-500, clock_usec=50 + 1_000_000, cpu_usec=500_000)
    _, second = rated([one, two], started_usec=START)
    assert second.cpu_percent == 50.0


def test_what_is_not_counted_has_no_rate() -> None:
    [sample] = rated([at(1, io_read_bytes=10)], started_usec=START)
    assert sample.io_read_bytes_per_s == 10.0
    assert (sample.cpu_percent, sample.io_write_bytes_per_s) == (None, None)


def test_a_share_of_memory_needs_a_limit() -> None:
    assert at(1, memory_bytes=5, max_memory=10).memory_percent == 50.0
    assert at(1, memory_bytes=5, max_memory=0).memory_percent is None
    assert at(1, max_memory=10).memory_percent is None


COUNT = st.none() | st.integers(0, 2**63)


@given(
    st.lists(
        st.builds(
            Sample,
            time_usec=st.integers(0, 2**62),
            clock_usec=COUNT,
            cpu_usec=COUNT,
            io_read_bytes=COUNT,
        ),
        max_size=6,
    ),
    st.none() | st.integers(0, 2**62),
)
def test_no_rate_is_ever_negative(samples: list[Sample], started: int | None) -> None:
    for sample in rated(samples, started_usec=started):
        for rate in (sample.cpu_percent, sample.io_read_bytes_per_s):
            assert rate is None or rate >= 0
        assert sample.interval_usec is None or sample.interval_usec > 0
