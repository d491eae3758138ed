"""Project ids: the lowest free one, never that of a kept directory."""

from __future__ import annotations

from joblet.core.projects import FIRST, Projects


def test_lowest_free_number_first() -> None:
    projects = Projects()
    assert [projects.take(job) for job in "abc"] == [FIRST, FIRST + 1, FIRST + 2]
    projects.release("c")
    projects.release("a")
    assert [projects.take(job) for job in "def"] == [FIRST, FIRST + 2, FIRST + 3]


def test_number_of_a_kept_directory_is_passed_over() -> None:
    projects = Projects()
    projects.adopt("old", FIRST)
    projects.adopt("older", FIRST + 1)
    assert projects.take("new") == FIRST + 2
    projects.release("old")
    projects.release("old")
    assert [projects.take(job) for job in "ab"] == [FIRST, FIRST + 3]
