"""What `make demo` makes of what it saw; the tour itself is in tests/vm/test_readme.py."""

from __future__ import annotations

from tests.vm.demo import Screen, account


def test_one_sentence_that_is_not_true_is_told_last_and_is_the_exit_status() -> None:
    written: list[str] = []
    screen = Screen(written.append)
    screen.title("memory")
    screen.expect(True, "killed at 64 MiB")
    assert account(screen, 12.3) == 0
    assert written[-1] == "\nShown in 12 s, 1 of 1: memory.\n"
    screen.title("time")
    screen.expect(False, "ended after two seconds")
    assert account(screen, 12.3) == 1
    assert written[-2:] == [
        "NOT SHOWN: ended after two seconds\n",
        "\nShown in 12 s, 1 of 2: memory, time.\n",
    ]


def test_a_demo_that_showed_nothing_has_failed() -> None:
    assert account(Screen(lambda _: None), 1) == 1
