"""How long an answer about the host is good for."""

from __future__ import annotations

from joblet.daemon.facts import Fresh


def test_one_look_serves_a_second() -> None:
    """Then it is looked again."""
    looks: list[float] = []
    clock = [100.0]

    def look() -> int:
        looks.append(clock[0])
        return len(looks)

    fresh = Fresh(look, lambda: clock[0])
    assert [fresh(), fresh()] == [1, 1]
    clock[0] += 0.999
    assert fresh() == 1
    clock[0] += 0.002
    assert fresh() == 2
    assert looks == [100.0, clock[0]]
