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
from joblet.bus.library import Library, Message, MessageFlag, MessageType, Unsendable
from joblet.bus.outbox import Outbox
from joblet.bus.subscriptions import (
    BUS_INTERFACE,
    BUS_NAME,
    BUS_PATH,
    MatchRule,
    Signal,
    SignalHandler,
    Subscriptions,
)
from joblet.bus.values import Typed, close_all, pack, pack_variant, unpack
from joblet.errors import AlreadyExists, JobletError, RemoteError, Unreachable

PROPERTIES = "org.freedesktop.DBus.Properties"

_SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
# The bus daemon answers at once or is in trouble.
_BUS_DEADLINE_S = 25
# What an orderly end grants to replies and signals that still wait.
_FLUSH_DEADLINE_S = 2
_DO_NOT_QUEUE = 4
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
        connected.add_message_handler(self._receive)
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
        packed = pack(signature, body, named)
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            flags=MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION if interactive else MessageFlag.NONE,
            signature=signature,
            body=packed,
            serial=self._library.next_serial(),
        )
        future: asyncio.Future[Message] = self._loop.create_future()

        def failed(err: Unsendable) -> None:
            if not future.done():
                future.set_exception(err)

        def expire() -> None:
            if not future.done():
                text = (
                    f"{destination} did not answer {member} within {deadline_s:g} s; "
                    "the request may still be carried out"
                )
                future.set_exception(RemoteError(_NO_REPLY, text))

        message.unix_fds = _duplicates([*named, *fds])
        entry = self._outbox.put(message, message.unix_fds, failed=failed)
        self._pending[message.serial] = future
        timer = self._loop.call_later(deadline_s, expire)
        try:
            reply = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                close_all(future.result().unix_fds)
            raise
        finally:
            timer.cancel()
            entry.withdrawn = True
            self._pending.pop(message.serial, None)
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
        self._outbox.put(
            Message(
                message_type=MessageType.SIGNAL,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=pack(signature, body, []),
            )
        )

    def emit_changed(self, path: str, interface: str, changed: Mapping[str, Typed]) -> None:
        """PropertiesChanged; merged with one of the same object that still waits."""
        if self._watch.done():
            return
        values = {name: pack_variant(value, []) for name, value in changed.items()}
        key = (path, interface)
        waiting = self._outbox.waiting(key)
        if waiting is not None:
            waiting.body[1].update(values)
            return
        message = Message(
            message_type=MessageType.SIGNAL,
            path=path,
            interface=PROPERTIES,
            member="PropertiesChanged",
            signature="sa{sv}as",
            body=[interface, values, []],
        )
        self._outbox.put(message, key=key)

    async def drained(self) -> None:
        """Wait while the send queue is long: for those who make more messages."""
        if self._outbox.congested:
            await self._outbox.drained()

    def serve(self, server: Server | None) -> None:
        """Hand method calls of others to server (export.py), which answers with `reply`."""
        self._server = server

    def reply(
        self,
        call: Message,
        signature: str,
        body: list[Any],
        fds: Sequence[int] = (),
        *,
        failed: Callable[[Unsendable], None] | None = None,
    ) -> None:
        """Answer a call with a body in the library's form; takes fds over."""
        if self._closed_to(call):
            close_all(fds)
            return
        message = Message(
            destination=call.sender,
            message_type=MessageType.METHOD_RETURN,
            reply_serial=call.serial,
            signature=signature,
            body=body,
            unix_fds=list(fds),
        )
        self._outbox.put(message, fds, failed=failed)

    def reply_error(self, call: Message, name: str, text: str) -> None:
        """Answer a call with an error."""
        if self._closed_to(call):
            return
        # A NUL or a lone surrogate in the text would break the connection or the reply.
        safe = text.replace("\0", "").encode("utf-8", "backslashreplace").decode()
        message = Message(
            destination=call.sender,
            message_type=MessageType.ERROR,
            reply_serial=call.serial,
            error_name=name,
            signature="s",
            body=[safe],
        )
        self._outbox.put(message)

    def _closed_to(self, call: Message) -> bool:
        return self._watch.done() or bool(call.flags & MessageFlag.NO_REPLY_EXPECTED)

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
        message = Message(
            destination=BUS_NAME,
            path=BUS_PATH,
            interface=BUS_INTERFACE,
            member=member,
            flags=MessageFlag.NO_REPLY_EXPECTED,
            signature=signature,
            body=body,
        )
        self._outbox.put(message)

    def _receive(self, message: Message) -> bool:
        """Every message that arrives; true tells the library to leave it alone."""
        kind = message.message_type
        if kind is MessageType.METHOD_CALL and self._server is not None:
            self._server(message)
            return True
        if kind is MessageType.METHOD_RETURN or kind is MessageType.ERROR:
            future = self._pending.pop(message.reply_serial, None)
            if future is not None and not future.done():
                future.set_result(message)
                return True
        elif kind is MessageType.SIGNAL:
            self._subscriptions.dispatch(message)
        else:
            self.reply_error(message, UNKNOWN_METHOD, "this program offers no methods")
        close_all(message.unix_fds)
        return True

    def _result(self, reply: Message, destination: str) -> tuple[list[Any], list[int]]:
        if reply.message_type is MessageType.ERROR:
            close_all(reply.unix_fds)
            raise _remote_error(reply, destination)
        try:
            return unpack(reply.signature, reply.body, reply.unix_fds, typed=False), reply.unix_fds
        except Unsendable:
            close_all(reply.unix_fds)
            raise

    def _ended(self, watch: asyncio.Task[None]) -> None:
        err = None if watch.cancelled() else watch.exception()
        why = "" if self._closing else f"the bus closed the connection ({err or 'end of stream'})"
        self._outbox.close()
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


def _remote_error(reply: Message, destination: str) -> JobletError:
    text = reply.body[0] if reply.signature.startswith("s") else ""
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
