"""What README.md shows of limits, on a machine that keeps them; and all that the demo shows."""

from __future__ import annotations

import pytest

from tests.grounds.pages import CHECKOUT, blocks, follow
from tests.grounds.shell import shell
from tests.vm import demo
from tests.vm.machine import VirtualMachine

KILLED_FOR_MEMORY = r"\.scope: .*(OOM killer|oom-kill)"


@pytest.mark.journal_allows(KILLED_FOR_MEMORY)
def test_limits_of_the_readme(vm: VirtualMachine) -> None:
    (block,) = (one for one in blocks(CHECKOUT / "README.md", "console") if one.section == "Limits")
    with shell(vm, user="member") as typed:
        said = follow(block, typed)
    assert [one.status for one in said] == [0, 137, 2, 0, 1, 124]
    vm.run(["jobletctl", "job", "delete-all", "--all-users"])


@pytest.mark.journal_allows(
    KILLED_FOR_MEMORY, r"jobletd\.service: (Main process exited|Failed with result)"
)
def test_tour_of_the_demo_shows_what_it_says(vm: VirtualMachine) -> None:
    written: list[str] = []
    screen = demo.Screen(written.append)
    demo.tour(vm, screen)
    assert not screen.failed, "".join(written)
    assert screen.expected > 25
