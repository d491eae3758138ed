"""One timer per key: what is to be done for a job later, unless it is not needed any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Timers of the running loop by key; `close` ends all of them."""

    def __init__(self) -> None:
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._handles

    def set(self, key: str, delay_s: float, call: Callable[..., object], *args: object) -> None:
        """Call it after the delay, at once for one that is over; in place of what was set before.

        The key is taken until `cancel`: what is due may still be under way.
        """
        self.cancel(key)
        loop = asyncio.get_running_loop()
        self._handles[key] = loop.call_later(max(0.0, delay_s), call, *args)

    def cancel(self, key: str) -> None:
        """Forget it. Idempotent."""
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """Forget all."""
        for key in list(self._handles):
            self.cancel(key)
