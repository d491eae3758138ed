"""Which waiting job starts next, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from joblet.core.scheduler import Scheduler


def all_due(scheduler: Scheduler, running: int = 0) -> list[str]:
    found = []
    while (job := scheduler.next(running)) is not None:
        found.append(job)
    return found


def test_jobs_that_are_due_go_by_due_time_then_by_acceptance() -> None:
    scheduler = Scheduler(10)
    for job, seq, due in [("c", 3, 5), ("b", 2, 9), ("a", 1, 9), ("d", 4, 1)]:
        scheduler.add(job, seq, due, now_usec=10)
    assert all_due(scheduler) == ["d", "c", "a", "b"]


def test_nothing_is_taken_while_all_places_are_taken() -> None:
    scheduler = Scheduler(2)
    scheduler.add("a", 1, 0, now_usec=0)
    assert scheduler.next(2) is None
    assert "a" in scheduler
    assert scheduler.next(1) == "a"
    assert "a" not in scheduler


def test_a_job_with_a_time_to_come_waits_for_it() -> None:
    scheduler = Scheduler(10)
    scheduler.add("later", 1, 100, now_usec=0)
    assert scheduler.next(0) is None
    assert scheduler.next_due_usec() == 100
    assert list(scheduler.ripen(99)) == []
    assert list(scheduler.ripen(100)) == ["later"]
    assert scheduler.next_due_usec() is None
    assert all_due(scheduler) == ["later"]


def test_a_job_that_ripened_takes_its_turn_among_the_due() -> None:
    scheduler = Scheduler(10)
    scheduler.add("ripe", 1, 100, now_usec=0)
    scheduler.add("new", 2, 200, now_usec=200)
    assert list(scheduler.ripen(200)) == ["ripe"]
    assert all_due(scheduler) == ["ripe", "new"]


def test_a_job_taken_out_neither_ripens_nor_starts_nor_rings() -> None:
    scheduler = Scheduler(10)
    scheduler.add("due", 1, 0, now_usec=0)
    scheduler.add("later", 2, 100, now_usec=0)
    for job in ("due", "later", "later", "never added"):
        scheduler.remove(job)
    assert len(scheduler) == 0
    assert scheduler.next_due_usec() is None
    assert list(scheduler.ripen(200)) == []
    assert all_due(scheduler) == []


def test_a_job_that_waits_again_keeps_its_old_place() -> None:
    scheduler = Scheduler(10)
    for seq, job in enumerate("abc", 1):
        scheduler.add(job, seq, 0, now_usec=0)
    assert scheduler.next(0) == "a"
    scheduler.add("a", 1, 0, now_usec=50)
    assert all_due(scheduler) == ["a", "b", "c"]


JOBS = st.dictionaries(st.integers(1, 50), st.integers(0, 100), min_size=1)


@given(JOBS, st.sets(st.integers(1, 50)), st.lists(st.integers(0, 120)))
def test_every_job_that_is_not_taken_out_starts_once_and_not_before_its_time(
    dues: dict[int, int], removed: set[int], moments: list[int]
) -> None:
    scheduler = Scheduler(1000)
    for seq, due in dues.items():
        scheduler.add(str(seq), seq, due, now_usec=0)
    for seq in removed:
        scheduler.remove(str(seq))
    started: list[str] = []
    for now in [*sorted(moments), 1000]:
        list(scheduler.ripen(now))
        batch = all_due(scheduler)
        assert all(dues[int(job)] <= now for job in batch)
        assert batch == sorted(batch, key=lambda job: (dues[int(job)], int(job)))
        started += batch
    assert sorted(map(int, started)) == sorted(dues.keys() - removed)
    assert len(scheduler) == 0
