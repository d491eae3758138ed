"""A course of values in one line of characters. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
# For terminals that have no other characters.
ASCII = "_.-=+*#@"
# Where nothing is known.
GAP = " "


def draw(
    points: Sequence[tuple[int, float]], begin: int, end: int, width: int, *, marks: str = BLOCKS
) -> str:
    """The values (place, value) between two places, each character the mean of its part.

    The lowest mark is zero, the highest the largest value. A part without a value goes on with the
    one before it: what is sampled now and then is not unknown in between.
    """
    parts: list[list[float]] = [[] for _ in range(width)]
    span = max(1, end - begin)
    for place, value in points:
        parts[min(width - 1, max(0, (place - begin) * width // span))].append(value)
    means = [math.fsum(part) / len(part) if part else None for part in parts]
    top = max((mean for mean in means if mean is not None), default=0.0)
    drawn, last = [], None
    for mean in means:
        last = mean if mean is not None else last
        drawn.append(GAP if last is None else _mark(last, top, marks))
    return "".join(drawn).rstrip()


def _mark(value: float, top: float, marks: str) -> str:
    return marks[round((len(marks) - 1) * value / top)] if top > 0 else marks[0]
