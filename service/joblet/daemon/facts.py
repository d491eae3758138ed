"""What jobs are checked against: the host as it is, looked at again at most once a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_FRESH_S = 1.0


class Fresh(Generic[T]):
    """The answer of a look, kept for a second: in a burst of jobs it would be the same.

    Raises what the look raises.
    """

    def __init__(self, ask: Callable[[], T], now: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._now = now
        self._looked = -_FRESH_S
        self._answer: T | None = None

    def __call__(self) -> T:
        """The answer, at most a second old."""
        now = self._now()
        if self._answer is None or now - self._looked >= _FRESH_S:
            self._answer = self._ask()
            self._looked = now
        return self._answer
