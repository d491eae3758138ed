"""Which slice a scope goes into."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from joblet.core.shards import Shards


def test_shards_fill_from_the_lowest() -> None:
    shards = Shards(2)
    assert [shards.take(job) for job in "abcde"] == [0, 0, 1, 1, 2]


def test_a_place_that_is_free_again_is_the_next_one_taken() -> None:
    shards = Shards(2)
    for job in "abcde":
        shards.take(job)
    shards.release("b")
    assert shards.take("f") == 0
    assert shards.take("g") == 2


def test_a_release_counts_once() -> None:
    shards = Shards(1)
    shards.take("a")
    shards.take("b")
    for _ in range(3):
        shards.release("a")
    shards.release("unknown")
    assert [shards.take(job) for job in "cd"] == [0, 2]


def test_adopted_jobs_count_where_they_are() -> None:
    shards = Shards(1)
    shards.adopt("old", 2)
    assert [shards.take(job) for job in "abc"] == [0, 1, 3]
    shards.release("old")
    assert shards.take("d") == 2


def test_a_shard_of_an_earlier_larger_size_takes_no_more() -> None:
    shards = Shards(1)
    shards.adopt("a", 0)
    shards.adopt("b", 0)
    shards.release("a")
    assert shards.take("c") == 1


@given(st.integers(1, 5), st.lists(st.integers(0, 20)))
def test_no_shard_is_ever_over_full_and_an_empty_set_starts_at_zero(
    size: int, toggled: list[int]
) -> None:
    shards = Shards(size)
    where: dict[str, int] = {}
    for job in map(str, toggled):
        if job in where:
            shards.release(job)
            del where[job]
        else:
            where[job] = shards.take(job)
            assert list(where.values()).count(where[job]) <= size
    for job in where:
        shards.release(job)
    assert shards.take("last") == 0
