"""Fan-out of events inside the daemon, in order, to handlers that do not block."""

from __future__ import annotations

import logging
from collections.abc import Callable

from joblet.model.events import Event

log = logging.getLogger(__name__)

Handler = Callable[[Event], None]


class EventFeed:
    """Everyone who wants to hear of jobs."""

    def __init__(self) -> None:
        self._handlers: list[Handler] = []

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        """Call handler with every event from now on; returns how to stop that."""
        self._handlers.append(handler)
        return lambda: self._handlers.remove(handler)

    def publish(self, event: Event) -> None:
        """Tell everyone, now."""
        for handler in tuple(self._handlers):
            handler(event)
