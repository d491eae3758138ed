"""Which slice a scope goes into, and what it weighs there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from joblet.core.shards import Shards, Weights


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


def test_a_shard_weighs_what_its_members_weigh_together() -> None:
    shards = Shards(2)
    for job, weight in (("a", 100), ("b", 300), ("c", 50)):
        shards.take(job, Weights(weight, 2 * weight))
    assert shards.weights() == {0: Weights(400, 800), 1: Weights(50, 100)}
    shards.release("a")
    shards.reweigh("b", Weights(10, 10))
    shards.reweigh("elsewhere", Weights(9, 9))
    assert shards.weights() == {0: Weights(10, 10), 1: Weights(50, 100)}


def test_jobs_share_alike_whatever_shard_they_are_in() -> None:
    """65 equal jobs: the one that is alone gets a 65th."""
    shards = Shards(64)
    for number in range(65):
        shards.take(str(number))
    weights = shards.weights()
    assert weights[0].cpu == 64 * weights[1].cpu


def test_weights_fit_what_the_manager_takes_and_keep_their_ratio() -> None:
    shards = Shards(64)
    for number in range(64):
        shards.take(str(number), Weights(10_000, 100))
    shards.take("alone", Weights(10_000, 1))
    shards.take("small", Weights(1, 1))
    weights = shards.weights()
    assert weights[0] == Weights(10_000, 6_400)
    assert weights[1] == Weights(156, 2)


def test_while_there_is_one_shard_there_is_nothing_to_say() -> None:
    shards = Shards(2)
    shards.take("a")
    shards.take("b")
    assert shards.unsaid() == {}
    shards.take("c")
    assert shards.unsaid() == {0: Weights(200, 200), 1: Weights(100, 100)}


def test_what_was_said_is_said_again_only_when_it_matters() -> None:
    shards = Shards(64)
    for number in range(65):
        shards.take(str(number))
    for shard, weights in shards.unsaid().items():
        shards.said(shard, weights)
    assert shards.unsaid() == {}
    shards.release("0")
    assert shards.unsaid() == {}
    for number in range(1, 10):
        shards.release(str(number))
    assert shards.unsaid() == {0: Weights(5400, 5400)}


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40), st.integers(1, 4))
def test_scaled_or_not_every_shard_has_its_share(members: list[int], size: int) -> None:
    shards = Shards(size)
    sums: dict[int, int] = {}
    for number, weight in enumerate(members):
        shard = shards.take(str(number), Weights(weight, 1))
        sums[shard] = sums.get(shard, 0) + weight
    found = {shard: weights.cpu for shard, weights in shards.weights().items()}
    assert all(1 <= weight <= 10_000 for weight in found.values())
    total, wanted = sum(found.values()), sum(sums.values())
    for shard, weight in found.items():
        # rounding is to whole numbers of a scale of 10,000, and nobody gets nothing
        assert abs(weight / total - sums[shard] / wanted) < 0.005
