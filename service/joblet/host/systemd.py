"""Transient units of the manager: scopes of jobs, and services for work that the daemon may not do.

The only caller of org.freedesktop.systemd1.

One match rule serves all jobs: JobRemoved, the end of a queue entry of systemd. There is no
Subscribe(): the manager tells those who caused an entry anyway, and eleven signals per scope are
spared.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joblet.bus.connection import Connection, MatchRule, Signal, Typed
from joblet.errors import HostFailure, JobletError, RemoteError, Unreachable
from joblet.host.jobplan import ScopeProperty
from joblet.model.ids import SCOPE_PREFIX, SCOPE_SUFFIX, job_id_of_scope
from joblet.model.run import ScopeFact

log = logging.getLogger(__name__)

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
_NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
# What the manager answers to a property of a newer version than its own.
_UNKNOWN_PROPERTY = (
    "org.freedesktop.DBus.Error.PropertyReadOnly",
    "org.freedesktop.DBus.Error.UnknownProperty",
    "org.freedesktop.DBus.Error.InvalidArgs",
)
# PID 1 answers within milliseconds; a reload of a large host takes seconds.
_CALL_DEADLINE_S = 30.0
# Starting a scope moves one process; slower than this and the host is in trouble.
_START_DEADLINE_S = 60.0
# Beyond the job's own grace: what the manager needs to notice that a scope is empty.
_STOP_MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class ServiceOutcome:
    """How the start of a transient service ended: its work if it is oneshot."""

    done: bool
    result: str  # of systemd: success, exit-code, timeout, signal …
    exit_status: int
    status_text: str  # what it said last through sd_notify(3)


class Systemd:
    """The service manager of this host."""

    def __init__(
        self,
        connection: Connection,
        *,
        call_deadline_s: float = _CALL_DEADLINE_S,
        start_deadline_s: float = _START_DEADLINE_S,
        stop_margin_s: float = _STOP_MARGIN_S,
    ) -> None:
        self._connection = connection
        self._call_deadline_s = call_deadline_s
        self._start_deadline_s = start_deadline_s
        self._stop_margin_s = stop_margin_s
        self._waiting: dict[str, list[Callable[[str, str], None]]] = {}
        self._takes_pidfds = True

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hear the ends of queue entries while the context lasts; needed by start and stop."""
        rule = MatchRule(sender=_NAME, path=_PATH, interface=_MANAGER, member="JobRemoved")
        async with self._connection.subscribe(rule, self._job_removed):
            yield

    async def start_scope(
        self,
        unit: str,
        properties: Sequence[ScopeProperty],
        *,
        pid: int,
        pidfd: int,
    ) -> None:
        """Create a scope around a process; returns when it is in there, limits in force.

        Raises HostFailure, ConnectionError when the bus is gone.
        """
        fixed = [(p.name, Typed(p.signature, p.value)) for p in properties]
        with self._removal_of(unit) as removed:
            try:
                if self._takes_pidfds:
                    try:
                        process = ("PIDFDs", Typed("ah", [pidfd]))
                        await self._start(unit, [*fixed, process])
                    except RemoteError as err:
                        if err.dbus_name not in _UNKNOWN_PROPERTY or "PIDFDs" not in str(err):
                            raise
                        log.info("this systemd takes no PIDFDs, going on with PIDs")
                        self._takes_pidfds = False
                if not self._takes_pidfds:
                    await self._start(unit, [*fixed, ("PIDs", Typed("au", [pid]))])
                async with asyncio.timeout(self._start_deadline_s):
                    result = await removed
            except Unreachable as err:
                # The bus went away, and this daemon with it: the next one starts the job.
                raise ConnectionResetError(str(err)) from err
            except JobletError as err:
                raise HostFailure("scope", 0, str(err)) from err
            except TimeoutError as err:
                raise HostFailure("scope", 0, f"{unit} did not start in time") from err
        if result != "done":
            raise HostFailure("scope", 0, f"starting {unit} ended with '{result}'")

    async def _start(self, unit: str, properties: list[tuple[str, Typed]]) -> None:
        await self._connection.call(
            _NAME,
            _PATH,
            _MANAGER,
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            [unit, "fail", properties, []],
            deadline_s=self._call_deadline_s,
        )

    async def run_service(
        self, unit: str, properties: Mapping[str, Typed], *, deadline_s: float
    ) -> ServiceOutcome:
        """Start a transient service and wait for the end of its start.

        With Type=oneshot that is when its work is done, with Type=notify when it says so. When
        this call is cancelled, and at the deadline, the service is stopped and gone before it
        returns. Raises HostFailure when the manager refuses it or the time is up.
        """
        wanted = [
            *properties.items(),
            # Failed or not it goes away by itself, but not before we have looked at it.
            ("CollectMode", Typed("s", "inactive-or-failed")),
            ("AddRef", Typed("b", True)),
        ]
        started = False
        with self._removal_of(unit) as removed:
            try:
                await self._start(unit, wanted)
                started = True
                async with asyncio.timeout(deadline_s):
                    result = await removed
                outcome = await self._outcome(unit, done=result == "done")
            except BaseException as err:
                refused = isinstance(err, RemoteError) and err.dbus_name != _NO_REPLY
                if started or not refused:
                    # Also while the request is on its way: the manager takes ours in their order.
                    await asyncio.shield(self._see_off(unit))
                if isinstance(err, TimeoutError):
                    raise HostFailure("service", errno.ETIMEDOUT, unit) from err
                if isinstance(err, JobletError):
                    raise HostFailure("service", 0, str(err)) from err
                raise
            await asyncio.shield(self._unref(unit))
        return outcome

    async def _outcome(self, unit: str, *, done: bool) -> ServiceOutcome:
        [path] = await self._call("GetUnit", "s", [unit])
        [known], _ = await self._connection.call(
            _NAME,
            path,
            "org.freedesktop.DBus.Properties",
            "GetAll",
            "s",
            ["org.freedesktop.systemd1.Service"],
            deadline_s=self._call_deadline_s,
        )
        return ServiceOutcome(done, known["Result"], known["ExecMainStatus"], known["StatusText"])

    async def _see_off(self, unit: str) -> None:
        """Stop a service that nobody waits for any more, and wait until no process of it is left.

        Whoever asked for it may give away, right afterwards, what it works with.
        """
        try:
            await self._stop_and_wait(unit)
        except JobletError as err:
            # What ended the wait is the news, not this.
            log.warning("%s may not have been stopped: %s", unit, err)
        await self._unref(unit)

    async def _unref(self, unit: str) -> None:
        try:
            await self._call("UnrefUnit", "s", [unit])
        except JobletError as err:
            log.warning("%s may stay loaded: %s", unit, err)

    async def _stop_and_wait(self, unit: str) -> None:
        with self._removals_of(unit) as removals:
            try:
                [entry] = await self._call("StopUnit", "ss", [unit, "replace"])
                async with asyncio.timeout(_STOP_MARGIN_S):
                    # The entry that starts it ends before, when this one takes its place.
                    while (await removals.get())[0] != entry:
                        continue
            except TimeoutError as err:
                raise HostFailure("stop of service", errno.ETIMEDOUT, unit) from err
            except JobletError as err:
                if err.dbus_name != _NO_SUCH_UNIT:
                    raise HostFailure("stop of service", 0, str(err)) from err

    async def stop_all(self, pattern: str) -> None:
        """Stop every loaded unit whose name fits, and wait for it. Raises HostFailure."""
        try:
            [units] = await self._call("ListUnitsByPatterns", "asas", [[], [pattern]])
        except JobletError as err:
            raise HostFailure("list of services", 0, str(err)) from err
        for unit in units:
            await self._stop_and_wait(unit[0])

    async def request_stop(self, unit: str) -> bool:
        """Ask the manager to stop a unit, without waiting; False if there is no such unit.

        Raises HostFailure.
        """
        try:
            await self._call("StopUnit", "ss", [unit, "replace"])
        except JobletError as err:
            if err.dbus_name == _NO_SUCH_UNIT:
                return False
            raise HostFailure("stop of scope", 0, str(err)) from err
        return True

    async def remove(self, unit: str, *, grace_usec: int) -> None:
        """See a scope off: stopped, and not left behind as failed. Idempotent."""
        with self._removal_of(unit) as removed:
            if not await self.request_stop(unit):
                return
            try:
                async with asyncio.timeout(grace_usec / 1e6 + self._stop_margin_s):
                    await removed
            except TimeoutError:
                log.warning("%s does not stop", unit)
                return
        try:
            await self._call("ResetFailedUnit", "s", [unit])
        except JobletError as err:
            # gone already: the usual case
            if err.dbus_name != _NO_SUCH_UNIT:
                raise HostFailure("reset of scope", 0, str(err)) from err

    async def set_properties(self, unit: str, properties: Sequence[ScopeProperty]) -> bool:
        """Change a unit until the next boot; False if there is no such unit. Raises HostFailure."""
        values = [(p.name, Typed(p.signature, p.value)) for p in properties]
        try:
            await self._call("SetUnitProperties", "sba(sv)", [unit, True, values])
        except JobletError as err:
            if err.dbus_name == _NO_SUCH_UNIT:
                return False
            raise HostFailure(f"properties of {unit}", 0, str(err)) from err
        return True

    async def scopes(self) -> list[ScopeFact]:
        """Our scopes that are loaded, whatever their state."""
        try:
            [units] = await self._call(
                "ListUnitsByPatterns", "asas", [[], [f"{SCOPE_PREFIX}*{SCOPE_SUFFIX}"]]
            )
        except JobletError as err:
            raise HostFailure("list of scopes", 0, str(err)) from err
        facts = []
        for unit in units:
            job_id = job_id_of_scope(unit[0])
            if job_id is not None:
                facts.append(ScopeFact(job_id=job_id, active_state=unit[3]))
        return facts

    async def shutting_down(self) -> bool:
        """True once the host is on its way down."""
        try:
            [state], _ = await self._connection.call(
                _NAME,
                _PATH,
                "org.freedesktop.DBus.Properties",
                "Get",
                "ss",
                [_MANAGER, "SystemState"],
                deadline_s=self._call_deadline_s,
            )
        except JobletError as err:
            raise HostFailure("state of the system", 0, str(err)) from err
        return bool(state == "stopping")

    async def _call(self, member: str, signature: str, body: list[object]) -> list[Any]:
        reply, _ = await self._connection.call(
            _NAME, _PATH, _MANAGER, member, signature, body, deadline_s=self._call_deadline_s
        )
        return reply

    @contextlib.contextmanager
    def _removal_of(self, unit: str) -> Iterator[asyncio.Future[str]]:
        """The result of the next queue entry of a unit to end."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def ended(_entry: str, result: str) -> None:
            if not future.done():
                future.set_result(result)

        with self._heard(unit, ended):
            yield future

    @contextlib.contextmanager
    def _removals_of(self, unit: str) -> Iterator[asyncio.Queue[tuple[str, str]]]:
        """Every queue entry of a unit that ends, by its path, with the result."""
        queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        with self._heard(unit, lambda entry, result: queue.put_nowait((entry, result))):
            yield queue

    @contextlib.contextmanager
    def _heard(self, unit: str, listener: Callable[[str, str], None]) -> Iterator[None]:
        waiting = self._waiting.setdefault(unit, [])
        waiting.append(listener)
        try:
            yield
        finally:
            waiting.remove(listener)
            if not waiting:
                self._waiting.pop(unit, None)

    def _job_removed(self, signal: Signal) -> None:
        _number, systemd_job_path, unit, result = signal.body
        for listener in tuple(self._waiting.get(unit, ())):
            listener(systemd_job_path, result)
