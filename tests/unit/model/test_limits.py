"""How sizes, durations, percents and CPU sets are written, and written back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.model import limits
from joblet.model.limits import (
    CPU_NUMBER_MAX,
    DURATION_MAX,
    SIZE_MAX,
    BadLimit,
    cpu_mask,
    parse_cpus,
    parse_duration,
    parse_percent,
    parse_size,
    print_cpus,
    print_duration,
    print_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("512M", 512 << 20),
        ("1.5G", 3 << 29),
        ("2GiB", 2 << 30),
        ("2gb", 2 << 30),
        (" 1 K ", 1024),
        ("1T", 1 << 40),
        ("1P", 1 << 50),
        ("7b", 7),
    ],
)
def test_sizes_have_factors_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0", (0,)),
        ("0-3,5", (0, 1, 2, 3, 5)),
        ("5,0-3", (0, 1, 2, 3, 5)),
        ("2,2,1-2", (1, 2)),
        (" 1 , 3-3 ", (1, 3)),
        ("007", (7,)),
        (str(CPU_NUMBER_MAX), (CPU_NUMBER_MAX,)),
    ],
)
def test_cpu_sets_take_any_list_and_ranges(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpus(text) == cpus


@pytest.mark.parametrize(
    ("parse", "text", "why"),
    [
        (parse_size, "", "use a size"),
        (parse_size, "512MX", "use a size"),
        (parse_size, "x512M", "use a size"),
        (parse_size, "-1M", "use a size"),
        (parse_size, "1e3", "use a size"),
        (parse_size, "512M\n1", "use a size"),
        (parse_size, "1.3333333M", "whole number of bytes"),
        (parse_size, "9P" + "9" * 20, "use a size"),
        (parse_size, "9000P", "more than any machine"),
        (parse_percent, "half", "whole number of percent"),
        (parse_percent, "1.5", "whole number of percent"),
        (parse_percent, "-5", "whole number of percent"),
        (parse_duration, "", "empty"),
        (parse_duration, "90", "unit is missing"),
        (parse_duration, "1h1h", "once"),
        (parse_duration, "xx5m", "use a duration"),
        (parse_duration, "5mxx", "unknown unit"),
        (parse_duration, "20000d", "more than 10 years"),
        (parse_cpus, "", "numbers and ranges"),
        (parse_cpus, "all", "numbers and ranges"),
        (parse_cpus, "0,,1", "numbers and ranges"),
        (parse_cpus, "1-", "numbers and ranges"),
        (parse_cpus, "-1", "numbers and ranges"),
        (parse_cpus, "1-2-3", "numbers and ranges"),
        (parse_cpus, "0x1", "numbers and ranges"),
        (parse_cpus, "3-1", "reversed"),
        (parse_cpus, "0-400000000", "no machine has"),
    ],
)
def test_what_is_no_limit_is_refused_whole(
    parse: Callable[[str], object], text: str, why: str
) -> None:
    with pytest.raises(BadLimit, match=why):
        parse(text)


@given(st.integers(0, SIZE_MAX))
def test_a_printed_size_reads_back(size: int) -> None:
    assert parse_size(print_size(size)) == size


@given(st.integers(0, DURATION_MAX))
def test_a_printed_duration_reads_back(usec: int) -> None:
    assert parse_duration(print_duration(usec)) == usec


@given(st.sets(st.integers(0, 300), min_size=1))
def test_a_printed_cpu_set_reads_back_and_its_mask_has_its_bits(cpus: set[int]) -> None:
    assert parse_cpus(print_cpus(cpus)) == tuple(sorted(cpus))
    mask = cpu_mask(cpus)
    assert {cpu for cpu in range(8 * len(mask)) if mask[cpu // 8] >> cpu % 8 & 1} == cpus


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (print_size(0), "0"),
        (print_size(1000), "1000"),
        (print_size(1536 << 20), "1536M"),
        (print_size(1 << 30), "1G"),
        (print_duration(0), "0s"),
        (print_duration(5_400 * limits.SECOND), "1h30m"),
        (print_duration(1_500_000), "1s500ms"),
        (print_cpus([]), ""),
        (print_cpus([3, 1, 0, 2, 5, 5]), "0-3,5"),
    ],
)
def test_what_is_printed_is_short(value: str, text: str) -> None:
    assert value == text


def test_cpu_zero_is_the_lowest_bit_of_the_first_byte() -> None:
    assert cpu_mask([0]) == b"\x01"
    assert cpu_mask([0, 9]) == b"\x01\x02"
