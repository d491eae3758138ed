"""The pool of host ids: no range twice, none lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.core.idranges import IdRanges
from joblet.errors import Exhausted
from joblet.model.ids import RANGE_SIZE

FIRST = 1 << 30


def test_ranges_lie_side_by_side() -> None:
    ranges = IdRanges(FIRST, 3)
    taken = [ranges.take(job) for job in "abc"]
    assert taken == [FIRST, FIRST + RANGE_SIZE, FIRST + 2 * RANGE_SIZE]


def test_pool_that_is_used_up_says_what_to_do() -> None:
    ranges = IdRanges(FIRST, 1)
    ranges.take("a")
    with pytest.raises(Exhausted, match=r"all 1 id ranges .* raise ids\.count"):
        ranges.take("b")
    ranges.release("a")
    assert ranges.take("b") == FIRST


def test_freed_range_is_used_again_as_late_as_possible() -> None:
    ranges = IdRanges(FIRST, 3)
    first = ranges.take("a")
    ranges.release("a")
    assert first not in (ranges.take("b"), ranges.take("c"))
    assert ranges.take("d") == first


def test_adopted_range_is_nobody_elses() -> None:
    ranges = IdRanges(FIRST, 2)
    ranges.adopt("old", FIRST)
    assert ranges.take("new") == FIRST + RANGE_SIZE
    ranges.release("old")
    assert ranges.take("newer") == FIRST


def test_range_of_a_pool_that_was_moved_is_kept_and_not_given_out() -> None:
    ranges = IdRanges(FIRST, 1)
    ranges.adopt("old", 7 * RANGE_SIZE)
    assert ranges.free == 1
    ranges.release("old")
    assert ranges.take("new") == FIRST
    with pytest.raises(Exhausted):
        ranges.take("newer")


@given(st.lists(st.tuples(st.sampled_from("tar"), st.integers(0, 7))))
def test_live_jobs_never_share_a_range_and_none_is_lost(
    moves: list[tuple[str, int]],
) -> None:
    count = 4
    ranges = IdRanges(FIRST, count)
    held: dict[str, int] = {}
    for number, (move, slot) in enumerate(moves):
        assert ranges.free == count - len(held)
        job = f"job-{slot}"
        if move == "t" and job not in held:
            if len(held) < count:
                held[job] = ranges.take(job)
            else:
                with pytest.raises(Exhausted):
                    ranges.take(job)
        elif move == "r":
            ranges.release(job)
            held.pop(job, None)
        elif move == "a" and number == 0:
            ranges.adopt(job, FIRST + (slot % count) * RANGE_SIZE)
            held[job] = FIRST + (slot % count) * RANGE_SIZE
        assert len(set(held.values())) == len(held)
    for job in list(held):
        ranges.release(job)
    assert len({ranges.take(f"again-{number}") for number in range(count)}) == count
