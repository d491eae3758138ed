"""The methods of org.joblet1.Monitor, asked over D-Bus; what they tell is read in monitoring.py."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from joblet.bus.connection import Typed
from joblet.client.api import broken
from joblet.errors import RemoteError, Unreachable

if TYPE_CHECKING:
    from joblet.client.monitoring import MetricsRequest
    from joblet.model.host import HostStatus
    from joblet.model.metrics import Sample

MONITOR = "org.joblet1.Monitor"
# So long one call waits for the next sample.
_WAIT_USEC = 240 * 1_000_000
_DEADLINE_S = 30
_RETRY_FIRST_S = 0.05
_RETRY_LAST_S = 1.0
# A bus daemon lets a connection have some 128 calls without an answer. Followers beyond these ask
# now and then instead.
_WAITING_MAX = 64
_ASKING_MAX = 16
_ASK_AGAIN_S = 2.0


class MonitorCalls(ABC):
    """The methods of Monitor, for a client that can call and knows what is worth another try."""

    _restart_patience_s: float
    _waiting = 0
    _asking: asyncio.Semaphore | None = None

    async def metrics(self, job: str, request: MetricsRequest) -> AsyncGenerator[Sample, None]:
        """The samples of a job, oldest first, each once; following: to the end of the job."""
        # its classes cost milliseconds
        from joblet.client.monitoring import samples

        options: dict[str, Typed] = {}
        for name in ("since_usec", "until_usec"):
            value = getattr(request, name)
            if value is not None:
                options[name] = Typed("t", value)
        after, ended = request.after, False
        silent_since_s: float | None = None
        delay_s = _RETRY_FIRST_S
        while not ended:
            options["after"] = Typed("t", after)
            waits = request.follow and self._waiting < _WAITING_MAX
            options["wait_usec"] = Typed("t", _WAIT_USEC if waits else 0)
            try:
                async with nullcontext() if waits else self._in_turn():
                    asked = self._call(
                        "GetJobMetrics",
                        "sa{sv}",
                        [job, options],
                        3,
                        _DEADLINE_S + (_WAIT_USEC / 1e6 if waits else 0),
                        interface=MONITOR,
                    )
                    encoded, following, over = await (self._counted(asked) if waits else asked)
            except (RemoteError, Unreachable) as err:
                # A daemon that is started again goes on where the last one ended.
                now_s = time.monotonic()
                if silent_since_s is None:
                    silent_since_s = now_s
                patient = now_s - silent_since_s <= self._restart_patience_s
                if not (request.follow and patient and self._may_come_back(err)):
                    raise
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _RETRY_LAST_S)
                continue
            silent_since_s, delay_s = None, _RETRY_FIRST_S
            found = samples(encoded)
            for sample in found:
                yield sample
            if not isinstance(following, int) or not isinstance(over, bool):
                raise broken("samples without where to go on")
            # Without follow: until a page is empty.
            ended = over or (not request.follow and following == after)
            if request.follow and not (waits or ended or found):
                await asyncio.sleep(_ASK_AGAIN_S)
            after = following

    async def host_status(
        self, groups: Sequence[str], *, window_usec: int = 1_000_000
    ) -> HostStatus:
        """The host right now, with rates over about the window; no groups are all."""
        from joblet.client.monitoring import host_status

        options = {"groups": Typed("as", list(groups)), "window_usec": Typed("t", window_usec)}
        deadline_s = _DEADLINE_S + window_usec / 1e6
        [encoded] = await self._call(
            "GetStatus", "a{sv}", [options], 1, deadline_s, interface=MONITOR
        )
        return host_status(encoded)

    def _counted(self, asked: Coroutine[Any, Any, list[object]]) -> Awaitable[list[object]]:
        """A call that waits; it counts until the daemon answers, who asked may be gone by then."""
        answer = asyncio.ensure_future(asked)
        self._waiting += 1
        answer.add_done_callback(self._uncounted)
        return asyncio.shield(answer)

    def _uncounted(self, answer: asyncio.Future[list[object]]) -> None:
        self._waiting -= 1
        if not answer.cancelled():
            answer.exception()  # heard by who asked, if anybody still does

    def _in_turn(self) -> asyncio.Semaphore:
        """Room for one more question that is answered at once."""
        if self._asking is None:
            self._asking = asyncio.Semaphore(_ASKING_MAX)
        return self._asking

    @abstractmethod
    async def _call(
        self,
        member: str,
        signature: str,
        body: Sequence[object],
        answers: int,
        deadline_s: float,
        *,
        interface: str,
    ) -> list[object]:
        """Of the whole client: one call with its answers. Raises RemoteError, Unreachable."""

    @abstractmethod
    def _may_come_back(self, err: RemoteError | Unreachable) -> bool:
        """Of the whole client: whether the daemon may answer a little later."""
