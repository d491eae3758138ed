"""A connection to a bus: calls with a deadline, signals in and out, names.

Every message in either direction passes here; nothing is left to the library's own dispatch,
which would answer strangers with tracebacks and send past our queue. Method calls of others go to
the one server that export.py registers. Signals reach a handler only when their sender is the
present owner of the name it asked for: on a system bus anyone may send a signal to anyone.

Descriptors: those given to `call` stay the caller's, those of a reply belong to the caller, all
others are closed here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from joblet.bus import library
from joblet.bus.encode import encode
from joblet.bus.frames import Flag, Kind, Message, build
from joblet.bus.library import Library
from joblet.bus.outbox import Outbox
from joblet.bus.stream import Stream
from joblet.bus.subscriptions import (
    BUS_INTERFACE,
    BUS_NAME,
    BUS_PATH,
    MatchRule,
    Signal,
    SignalHandler,
    Subscriptions,
)
from joblet.bus.values import Malformed, Typed, Unsendable, close_all
from joblet.errors import AlreadyExists, JobletError, RemoteError, Unreachable

PROPERTIES = "org.freedesktop.DBus.Properties"

_SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
# The bus daemon answers at once or is in trouble.
_BUS_DEADLINE_S = 25
# What an orderly end grants to replies and signals that still wait.
_FLUSH_DEADLINE_S = 2
_DO_NOT_QUEUE = 4
# A sentence may quote what a stranger sent, a path of 32 MiB for one; with our words around it the
# answer would be longer than the bus takes, and it closes the connection of whoever sends such.
_ERROR_MAX = 4096
_NAME_IS_OURS = (1, 4)
# Errors of the bus itself that mean: there is nobody of that name.
_NOBODY_THERE = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.",
)
_NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"

Server = Callable[[Message], None]


class Connection:
    """One connection; made by system, session or open, ended by close or by the bus.

    `closed` gets "" after close, and a sentence when the bus ended it.
    """

    def __init__(self, connected: Library) -> None:
        self._library = connected
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(connected)
        self._pending: dict[int, asyncio.Future[Message]] = {}
        self._subscriptions = Subscriptions(self._call_bus, self._post)
        self._server: Server | None = None
        self._closing = False
        self.unique_name: str = connected.unique_name
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self._changes: dict[tuple[str, str], dict[str, Typed]] = {}
        self._stream = Stream(connected, self._receive)
        self._watch = self._loop.create_task(connected.wait_for_disconnect())
        self._watch.add_done_callback(self._ended)

    @classmethod
    async def system(cls) -> Connection:
        """The system bus. Raises Unreachable."""
        return await cls.open(os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", _SYSTEM_BUS))

    @classmethod
    async def session(cls) -> Connection:
        """The bus of this user's session. Raises Unreachable."""
        address = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        if address is None:
            run_dir = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
            address = f"unix:path={run_dir}/bus"
        return await cls.open(address)

    @classmethod
    async def open(cls, address: str) -> Connection:
        """The bus at a D-Bus address. Raises Unreachable."""
        return cls(await library.connect(address))

    async def close(self) -> None:
        """Send what waits, then leave the bus. Idempotent."""
        if not self._closing and not self._watch.done():
            self._closing = True
            try:
                async with asyncio.timeout(_FLUSH_DEADLINE_S):
                    await self._outbox.empty()
            except TimeoutError:
                pass  # the bus does not read; what waits cannot be delivered
            if not self._watch.done():
                self._library.disconnect()
        await asyncio.wait([self._watch])
        await self.closed

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        deadline_s: float,
        fds: Sequence[int] = (),
        interactive: bool = False,
    ) -> tuple[list[Any], list[int]]:
        """Call a method; its reply, variants unpacked, and the descriptors that came with it.

        An `h` in body is a descriptor; `fds` adds descriptors that no argument names. Variants go
        out as Typed pairs. interactive: polkit may ask the user.

        Raises RemoteError for an error reply and for silence until the deadline, Unreachable when
        nobody owns the name or the bus is gone.
        """
        named: list[int] = []
        serial = self._library.next_serial()
        encoded = encode(signature, body, named)
        all_fds = [*named, *fds]
        data = build(
            Kind.METHOD_CALL,
            serial,
            flags=Flag.ALLOW_INTERACTIVE_AUTHORIZATION if interactive else 0,
            path=path,
            interface=interface,
            member=member,
            destination=destination,
            signature=signature,
            body=encoded,
            fds=all_fds,
        )
        future: asyncio.Future[Message] = self._loop.create_future()

        def expire() -> None:
            if not future.done():
                text = (
                    f"{destination} did not answer {member} within {deadline_s:g} s; "
                    "the request may still be carried out"
                )
                future.set_exception(RemoteError(_NO_REPLY, text))

        entry = self._outbox.put(data, _duplicates(all_fds))
        self._pending[serial] = future
        timer = self._loop.call_later(deadline_s, expire)
        try:
            reply = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                close_all(future.result().fds)
            raise
        finally:
            timer.cancel()
            entry.withdrawn = True
            self._pending.pop(serial, None)
        return self._result(reply, destination)

    @asynccontextmanager
    async def subscribe(self, rule: MatchRule, handler: SignalHandler) -> AsyncIterator[None]:
        """Give every signal that matches to handler while the context lasts.

        The handler is called from the event loop, in order of arrival, and must not block.
        """
        async with self._subscriptions.added(rule, handler):
            yield

    async def request_name(self, name: str) -> None:
        """Own a well-known name: last, when everything is exported. Raises AlreadyExists."""
        [answer], _ = await self._call_bus("RequestName", "su", [name, _DO_NOT_QUEUE])
        if answer not in _NAME_IS_OURS:
            raise AlreadyExists("bus name", name)

    def emit(
        self, path: str, interface: str, member: str, signature: str, body: Sequence[Any]
    ) -> None:
        """Send a signal to whom it may concern; never dropped while the connection lives."""
        if self._watch.done():
            return
        data = build(
            Kind.SIGNAL,
            self._library.next_serial(),
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=encode(signature, body, []),
        )
        self._outbox.put(data, patient=True)

    def emit_changed(self, path: str, interface: str, changed: Mapping[str, Typed]) -> None:
        """PropertiesChanged; merged with one of the same object that still waits.

        Raises Unsendable.
        """
        encode("a{sv}", [changed], [])  # now, since later nobody could be told
        if self._watch.done():
            return
        key = (path, interface)
        if self._outbox.waits(key):
            self._changes[key].update(changed)
        else:
            self._changes[key] = dict(changed)
            self._outbox.put_mergeable(key, lambda: self._changed(key))

    def _changed(self, key: tuple[str, str]) -> bytes:
        path, interface = key
        signature = "sa{sv}as"
        return build(
            Kind.SIGNAL,
            self._library.next_serial(),
            path=path,
            interface=PROPERTIES,
            member="PropertiesChanged",
            signature=signature,
            body=encode(signature, [interface, self._changes.pop(key), []], []),
        )

    async def drained(self) -> None:
        """Wait while the send queue is long: for those who make more messages."""
        if self._outbox.congested:
            await self._outbox.drained()

    def serve(self, server: Server | None) -> None:
        """Hand method calls of others to server (export.py), which answers with `reply`."""
        self._server = server

    def reply(self, call: Message, signature: str, body: Sequence[Any]) -> None:
        """Answer a call; takes the descriptors in body over. Raises Unsendable."""
        fds: list[int] = []
        try:
            encoded = encode(signature, body, fds)
            data = build(
                Kind.METHOD_RETURN,
                self._library.next_serial(),
                reply_serial=call.serial,
                destination=call.sender,
                signature=signature,
                body=encoded,
                fds=fds,
            )
        except Unsendable:
            close_all(fds)
            raise
        if self._closed_to(call):
            close_all(fds)
        else:
            self._outbox.put(data, fds)

    def reply_error(self, call: Message, name: str, text: str) -> None:
        """Answer a call with an error."""
        if self._closed_to(call):
            return
        # A NUL or a lone surrogate in the text could not be sent.
        short = text if len(text) <= _ERROR_MAX else text[:_ERROR_MAX] + "…"
        safe = short.replace("\0", "").encode("utf-8", "backslashreplace").decode()
        data = build(
            Kind.ERROR,
            self._library.next_serial(),
            reply_serial=call.serial,
            destination=call.sender,
            error_name=name,
            signature="s",
            body=encode("s", [safe], []),
        )
        self._outbox.put(data)

    def _closed_to(self, call: Message) -> bool:
        return self._watch.done() or bool(call.flags & Flag.NO_REPLY_EXPECTED)

    async def _call_bus(
        self, member: str, signature: str, body: Sequence[Any]
    ) -> tuple[list[Any], list[int]]:
        return await self.call(
            BUS_NAME, BUS_PATH, BUS_INTERFACE, member, signature, body, deadline_s=_BUS_DEADLINE_S
        )

    def _post(self, member: str, signature: str, body: list[Any]) -> None:
        """Tell the bus something without waiting for its answer."""
        if self._watch.done():
            return
        data = build(
            Kind.METHOD_CALL,
            self._library.next_serial(),
            flags=Flag.NO_REPLY_EXPECTED,
            path=BUS_PATH,
            interface=BUS_INTERFACE,
            member=member,
            destination=BUS_NAME,
            signature=signature,
            body=encode(signature, body, []),
        )
        self._outbox.put(data)

    def _receive(self, message: Message) -> None:
        """Every message that arrives."""
        kind = message.kind
        if kind == Kind.METHOD_CALL and self._server is not None:
            self._server(message)
            return
        if kind in (Kind.METHOD_RETURN, Kind.ERROR):
            future = self._pending.pop(message.reply_serial, None)
            if future is not None and not future.done():
                future.set_result(message)
                return
        elif kind == Kind.SIGNAL:
            self._subscriptions.dispatch(message)
        elif kind == Kind.METHOD_CALL:
            self.reply_error(message, UNKNOWN_METHOD, "this program offers no methods")
        # Messages of other kinds are ignored, as the specification has it.
        close_all(message.fds)

    def _result(self, reply: Message, destination: str) -> tuple[list[Any], list[int]]:
        try:
            values = reply.values(typed=False)
        except Malformed:
            close_all(reply.fds)
            raise
        if reply.kind == Kind.ERROR:
            close_all(reply.fds)
            raise _remote_error(reply, values, destination)
        return values, reply.fds

    def _ended(self, watch: asyncio.Task[None]) -> None:
        err = None if watch.cancelled() else watch.exception()
        why = "" if self._closing else f"the bus closed the connection ({err or 'end of stream'})"
        self._outbox.close()
        self._stream.close()
        self._library.release()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(Unreachable("the connection to the bus is closed"))
        self._pending.clear()
        self.closed.set_result(why)


def _duplicates(fds: Sequence[int]) -> list[int]:
    # Ours to close when the message has gone, however the call itself ends meanwhile.
    copies: list[int] = []
    try:
        for fd in fds:
            copies.append(os.dup(fd))
    except OSError:
        close_all(copies)
        raise
    return copies


def _remote_error(reply: Message, values: list[Any], destination: str) -> JobletError:
    text = values[0] if reply.signature.startswith("s") else ""
    if reply.error_name.startswith(_NOBODY_THERE):
        return Unreachable(f"{destination} is not running: {text}" if text else destination)
    return RemoteError(reply.error_name, text or reply.error_name)


__all__ = [
    "BUS_INTERFACE",
    "BUS_NAME",
    "BUS_PATH",
    "PROPERTIES",
    "Connection",
    "MatchRule",
    "Signal",
    "Typed",
]
