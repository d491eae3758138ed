"""Time that tests turn: an event loop that never waits for its timers, and a clock that follows.

When nothing is ready the loop jumps to its next timer, so a day of waiting is over at once, and the
order of things is that of the real loop. While a thread works for it, the loop waits for the
thread, as nothing says how long its work would have taken.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, TypeVar

from joblet.core.ports import Clock

EPOCH_USEC = 1_700_000_000_000_000
# What is to happen at one moment takes a few turns of the loop; this many are work without end.
TURNS_MAX = 20_000
_Result = TypeVar("_Result")


class _JumpingSelector(selectors.EpollSelector):
    """Files and threads are real, the rest of a wait is skipped."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.threads = 0
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            self._turns += 1
            if self._turns > TURNS_MAX:
                self._turns = 0
                raise AssertionError("busy without end, and no time goes by")
            return ready
        self._turns = 0
        if timeout is None or self.threads:
            return super().select(None)
        self.now_s += timeout
        return ready


class TurnedLoop(asyncio.SelectorEventLoop):
    """The loop; `time` is the sum of all jumps."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., _Result], *args: Any
    ) -> asyncio.Future[_Result]:
        self._jumping.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._returned)
        return future

    async def shutdown_default_executor(self, *_: object) -> None:
        # Python 3.12 and later limit this wait for threads by a timer, and time would jump there.
        await super().shutdown_default_executor()

    def _returned(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.threads -= 1


class FakeClock(Clock):
    """The wall clock: follows the running loop; `shift_usec` is somebody setting it."""

    def __init__(self) -> None:
        self.shift_usec = 0

    def now_usec(self) -> int:
        elapsed_s = asyncio.get_running_loop().time()
        return EPOCH_USEC + self.shift_usec + round(elapsed_s * 1e6)
