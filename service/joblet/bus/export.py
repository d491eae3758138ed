"""Exported objects: plain handlers bound to the XML contract, and every call that reaches them.

A handler is any object with an async method per D-Bus method and an attribute per property, named
in snake_case; binding checks that all are there and that parameter counts agree. A call runs as a
task of its own; inside it `current_call` tells who calls. All errors become error replies here: a
JobletError with its name and sentence, anything else as Internal with an id that the log has too.

Variants reach a handler as Typed pairs and leave it as such. Descriptors that came with a call are
closed when its handler ends; who wants to keep one dups it. Descriptors that a handler returns are
taken over. Standard interfaces are in standard.py; rights are the handlers' business.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from joblet.bus import standard
from joblet.bus.connection import Connection
from joblet.bus.frames import Flag, Message
from joblet.bus.interfaces import ContractError, Interface
from joblet.bus.subscriptions import BUS_INTERFACE, BUS_NAME, BUS_PATH, MatchRule, Signal
from joblet.bus.values import Malformed, Typed, close_all
from joblet.errors import DBUS_ERROR_PREFIX, Exhausted, HostFailure, JobletError

INTERNAL = DBUS_ERROR_PREFIX + "Internal"

# Types of arguments that can be, or contain, a descriptor.
_CARRIES_FDS = frozenset("hv")
# The most that one call may bring: twice what the longest command line takes with its variables.
# Reading so many of the smallest values takes an eighth of a second.
_CALL_MAX_BYTES = 4 << 20
# What calls in progress may hold, of one caller and of all: each counts for one, and for one more
# with each descriptor and each KiB it brought. When it is much in all, who holds little gets in.
_HELD_MAX = 16_384
_HELD_IN_ALL = 65_536
_HELD_SHARE = 256
_EXHAUSTED = DBUS_ERROR_PREFIX + Exhausted.code

logger = logging.getLogger(__name__)
# Callers take it for an answer that was lost, which it is: they ask the next daemon.
_STOPPING = "jobletd is stopping"


@dataclass(frozen=True, slots=True)
class Call:
    """Who called what: sender is a unique name; interactive: the caller lets polkit ask."""

    sender: str
    path: str
    interface: str
    member: str
    interactive: bool


_CURRENT: ContextVar[_Running] = ContextVar("joblet_call")


def current_call() -> Call:
    """The call that this task serves. Raises LookupError outside of one."""
    return _CURRENT.get().call


class _Running:
    """One call in progress."""

    __slots__ = ("call", "ends_with_caller", "gone", "message", "task", "weight")

    def __init__(self, call: Call, message: Message, weight: int) -> None:
        self.call = call
        self.message = message
        self.weight = weight
        self.task: asyncio.Task[None] | None = None
        self.ends_with_caller = False
        self.gone = False  # the caller has left the bus


class Exporter:
    """The objects of one connection; made by `on`, which also ends its calls."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._objects = standard.Objects()
        self._checked: dict[tuple[type, Interface], tuple[str, ...]] = {}
        self._running: dict[str, set[_Running]] = {}
        self._held: Counter[str] = Counter()
        self._held_in_all = 0

    @classmethod
    @asynccontextmanager
    async def on(cls, connection: Connection) -> AsyncIterator[Exporter]:
        """Serve calls on a connection while the context lasts."""
        exporter = cls(connection)
        departures = MatchRule(BUS_NAME, BUS_INTERFACE, "NameOwnerChanged", BUS_PATH)
        async with connection.subscribe(departures, exporter._owner_changed):
            connection.closed.add_done_callback(exporter._connection_closed)
            connection.serve(exporter._serve)
            try:
                yield exporter
            finally:
                connection.serve(exporter._refuse)
                connection.closed.remove_done_callback(exporter._connection_closed)
                await exporter._end_all()

    def add(self, path: str, handler: object, interface: Interface) -> None:
        """Export a handler. Raises ContractError if it does not fit the interface."""
        kind = type(handler)
        own_attributes = self._checked.get((kind, interface))
        if own_attributes is None:
            own_attributes = self._checked[kind, interface] = _check_class(kind, interface)
        for attribute in own_attributes:
            if attribute not in getattr(handler, "__dict__", ()):
                raise ContractError(f"{kind.__name__} for {interface.name}: no {attribute}")
        self._objects.add(path, interface, handler)

    def remove(self, path: str) -> None:
        """Take an object away with all its interfaces; calls in progress go on."""
        self._objects.remove(path)

    def emit(self, path: str, interface: Interface, member: str, args: Sequence[object]) -> None:
        """Send a signal of the contract."""
        signal = interface.signals[member]
        self._connection.emit(path, interface.name, member, signal.signature, args)

    def changed(self, path: str, interface: Interface, names: Sequence[str]) -> None:
        """Announce the present values of these properties of an exported object."""
        handler = self._objects.handler(path, interface.name)
        values = {}
        for name in names:
            prop = interface.properties[name]
            values[name] = Typed(prop.signature, getattr(handler, prop.attribute))
        self._connection.emit_changed(path, interface.name, values)

    @contextmanager
    def ends_with_caller(self) -> Iterator[None]:
        """Inside, the current call is cancelled when its caller leaves the bus."""
        running = _CURRENT.get()
        if running.gone:
            raise asyncio.CancelledError
        running.ends_with_caller = True
        try:
            yield
        finally:
            running.ends_with_caller = False

    def _serve(self, message: Message) -> None:
        """Every method call that arrives. Nothing may escape: the library would tell the caller."""
        try:
            target = self._objects.find(message)
            if message.body_size > _CALL_MAX_BYTES:
                raise standard.Refused(
                    standard.INVALID_ARGS,
                    f"{message.member} takes at most {_CALL_MAX_BYTES} bytes of arguments, "
                    f"not {message.body_size}",
                )
            expected = target.method.in_signature
            if expected != message.signature:
                raise standard.Refused(
                    standard.INVALID_ARGS,
                    f"{message.member} takes '{expected}', not '{message.signature}'",
                )
            try:
                args = message.values(typed=True)
            except Malformed as err:
                raise standard.Refused(standard.INVALID_ARGS, str(err)) from err
            if target.interface is not None:
                self._start(message, target, target.interface.name, args)
                return
            self._connection.reply(message, target.method.out_signature, target.function(*args))
        except standard.Refused as err:
            self._connection.reply_error(message, err.name, str(err))
        except Exception as err:
            self._internal(message, err)
        close_all(message.fds)

    def _refuse(self, message: Message) -> None:
        """A call that comes when it is too late for it."""
        self._connection.reply_error(message, standard.NO_REPLY, _STOPPING)
        close_all(message.fds)

    def _start(
        self, message: Message, target: standard.Target, interface: str, args: list[Any]
    ) -> None:
        interactive = bool(message.flags & Flag.ALLOW_INTERACTIVE_AUTHORIZATION)
        call = Call(message.sender, message.path, interface, message.member, interactive)
        if not _CARRIES_FDS & set(message.signature):
            # A call may wait for hours; nothing that no argument names waits with it.
            close_all(message.fds)
            message.fds.clear()
        running = _Running(call, message, self._hold(message))
        self._running.setdefault(call.sender, set()).add(running)
        running.task = self._loop.create_task(self._run(running, target, args))
        # Not in the coroutine: one that is cancelled before its first step never runs.
        running.task.add_done_callback(lambda _: self._forget(running))

    def _hold(self, message: Message) -> int:
        """Count a call that begins. Raises Refused."""
        weight = 1 + len(message.fds) + message.body_size // 1024
        held = self._held[message.sender] + weight
        in_all = self._held_in_all + weight
        if held > _HELD_MAX or (in_all > _HELD_IN_ALL and held > _HELD_SHARE):
            raise standard.Refused(
                _EXHAUSTED, "too many calls are in progress; try again when some have ended"
            )
        self._held[message.sender] = held
        self._held_in_all = in_all
        return weight

    async def _run(self, running: _Running, target: standard.Target, args: list[Any]) -> None:
        message = running.message
        _CURRENT.set(running)
        try:
            await self._connection.drained()
            result = await target.function(*args)
            outs = len(target.method.out_args)
            body = () if outs == 0 else (result,) if outs == 1 else result
            self._connection.reply(message, target.method.out_signature, body)
        except JobletError as err:
            level = logging.WARNING if isinstance(err, HostFailure) else logging.DEBUG
            logger.log(level, "%s for %s: %s", message.member, message.sender, err)
            self._connection.reply_error(message, err.dbus_name, str(err))
        except asyncio.CancelledError:
            if not running.gone:
                self._connection.reply_error(message, standard.NO_REPLY, _STOPPING)
        except Exception as err:
            self._internal(message, err)

    def _internal(self, message: Message, err: Exception) -> None:
        """Our bug: all of it goes to the log, a number to the caller."""
        number = uuid.uuid4().hex[:8]
        what = f"{message.interface}.{message.member}"
        logger.error("internal error %s in %s", number, what, exc_info=err)
        text = f"internal error {number}; the journal of the service says more"
        self._connection.reply_error(message, INTERNAL, text)

    def _forget(self, running: _Running) -> None:
        close_all(running.message.fds)
        sender = running.call.sender
        self._held_in_all -= running.weight
        self._held[sender] -= running.weight
        if not self._held[sender]:
            del self._held[sender]
        others = self._running.get(sender)
        if others is not None:
            others.discard(running)
            if not others:
                del self._running[sender]

    def _owner_changed(self, signal: Signal) -> None:
        name, _, new_owner = signal.body
        if not new_owner:
            self._departed(name)

    def _departed(self, sender: str) -> None:
        for running in self._running.get(sender, ()):
            running.gone = True
            if running.ends_with_caller and running.task is not None:
                running.task.cancel()

    def _connection_closed(self, _closed: asyncio.Future[str]) -> None:
        for sender in self._running:
            self._departed(sender)

    async def _end_all(self) -> None:
        tasks = [
            running.task
            for group in self._running.values()
            for running in group
            if running.task is not None
        ]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _check_class(kind: type, interface: Interface) -> tuple[str, ...]:
    """Compare a handler class with the XML; the properties that an instance must bring itself."""
    where = f"{kind.__name__} for {interface.name}"
    for method in interface.methods.values():
        function = getattr(kind, method.attribute, None)
        if not inspect.iscoroutinefunction(function):
            raise ContractError(f"{where}: {method.attribute} must be an async method")
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters):
            raise ContractError(f"{where}: {method.attribute} must have plain parameters")
        if len(parameters) - 1 != len(method.in_args):
            raise ContractError(
                f"{where}: {method.attribute} must take {len(method.in_args)} arguments"
            )
    for prop in interface.properties.values():
        if prop.access != "read":
            raise ContractError(f"{where}: property {prop.name} is not read-only")
    attributes = (prop.attribute for prop in interface.properties.values())
    return tuple(attribute for attribute in attributes if not hasattr(kind, attribute))
