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
        """Tell everyone, now; one who fails at it keeps neither the others nor the job from it."""
        for handler in tuple(self._handlers):
            try:
                handler(event)
            except Exception:
                # Whoever publishes is in the middle of a job's change, which is on disk already.
                log.exception("%s: a listener failed at %s", event.job.id, type(event).__name__)
