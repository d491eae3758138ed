"""Which signals go to which handlers, and from whom they are believed.

A match rule with a well-known sender is only a filter of the bus for broadcasts; a signal sent to
us directly passes it. So the owners of the names in use are followed here, and a signal from
anybody else is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from joblet.bus.frames import Message
from joblet.bus.values import Malformed
from joblet.errors import Unreachable

BUS_NAME = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
BUS_INTERFACE = "org.freedesktop.DBus"
_OWNER_CHANGED = "NameOwnerChanged"

logger = logging.getLogger(__name__)


class Signal(NamedTuple):
    """A signal as a handler gets it, variants unpacked."""

    sender: str
    path: str
    interface: str
    member: str
    body: list[Any]


SignalHandler = Callable[[Signal], None]
BusCall = Callable[[str, str, Sequence[Any]], Awaitable[tuple[list[Any], list[int]]]]
BusPost = Callable[[str, str, list[Any]], None]


@dataclass(frozen=True, slots=True)
class MatchRule:
    """Which signals: sender is a well-known or a unique name; None elsewhere means any."""

    sender: str
    interface: str
    member: str
    path: str | None = None
    arg0: str | None = None

    def __str__(self) -> str:
        parts = ["type='signal'"]
        for key in ("sender", "interface", "member", "path", "arg0"):
            value = getattr(self, key)
            if value is not None:
                # In a rule a quote ends the value; outside of quotes a backslash escapes it.
                escaped = value.replace("'", "'\\''")
                parts.append(f"{key}='{escaped}'")
        return ",".join(parts)


class _Subscription:
    """One handler and its rule."""

    __slots__ = ("active", "handler", "rule")

    def __init__(self, rule: MatchRule, handler: SignalHandler) -> None:
        self.rule = rule
        self.handler = handler
        self.active = True

    def deliver(self, signal: Signal) -> None:
        if self.active:
            self.handler(signal)


class _Owner:
    """Who owns a name that some subscription uses."""

    __slots__ = ("known", "unique_name", "users")

    def __init__(self) -> None:
        self.users = 0
        self.known = False
        self.unique_name = ""


class Subscriptions:
    """All subscriptions of one connection."""

    def __init__(self, call: BusCall, post: BusPost) -> None:
        self._call = call
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._by_member: dict[tuple[str, str], list[_Subscription]] = {}
        self._owners: dict[str, _Owner] = {}
        self._following = asyncio.Lock()

    @asynccontextmanager
    async def added(self, rule: MatchRule, handler: SignalHandler) -> AsyncIterator[None]:
        """The rule is with the bus while the context lasts."""
        followed = rule.sender != BUS_NAME and not rule.sender.startswith(":")
        if followed:
            await self._follow(rule.sender)
        subscription = _Subscription(rule, handler)
        key = (rule.interface, rule.member)
        self._by_member.setdefault(key, []).append(subscription)
        try:
            await self._call("AddMatch", "s", [str(rule)])
            try:
                yield
            finally:
                self._post("RemoveMatch", "s", [str(rule)])
        finally:
            subscription.active = False
            self._by_member[key].remove(subscription)
            if not self._by_member[key]:
                del self._by_member[key]
            if followed:
                self._unfollow(rule.sender)

    def dispatch(self, message: Message) -> None:
        """Hand a received signal to the handlers it is for."""
        sender, path = message.sender, message.path
        interface, member = message.interface or "", message.member
        subscriptions = self._by_member.get((interface, member), ())
        from_bus = sender == BUS_NAME and member == _OWNER_CHANGED
        if not from_bus and not any(self._believed(sender, s.rule.sender) for s in subscriptions):
            return
        try:
            body = message.values(typed=False)
        except Malformed as err:
            logger.warning("signal %s.%s dropped: %s", interface, member, err)
            return
        if from_bus:
            self._owner_changed(body)
        signal = Signal(sender, path, interface, member, body)
        for subscription in subscriptions:
            rule = subscription.rule
            if (
                self._believed(sender, rule.sender)
                and rule.path in (None, path)
                and (rule.arg0 is None or body[:1] == [rule.arg0])
            ):
                # By the loop, so that one failing handler costs neither the others nor us.
                self._loop.call_soon(subscription.deliver, signal)

    def _believed(self, sender: str, wanted: str) -> bool:
        if sender == wanted:
            return True
        owner = self._owners.get(wanted)
        return owner is not None and owner.unique_name == sender

    def _owner_changed(self, body: list[Any]) -> None:
        name, _, new_owner = body
        owner = self._owners.get(name)
        if owner is not None:
            owner.unique_name = new_owner
            owner.known = True

    async def _follow(self, name: str) -> None:
        async with self._following:
            owner = self._owners.get(name)
            if owner is None:
                owner = self._owners[name] = _Owner()
                try:
                    await self._call("AddMatch", "s", [_owner_rule(name)])
                    try:
                        [unique_name], _ = await self._call("GetNameOwner", "s", [name])
                    except Unreachable:
                        unique_name = ""  # nobody yet; NameOwnerChanged will tell
                except BaseException:
                    del self._owners[name]
                    self._post("RemoveMatch", "s", [_owner_rule(name)])
                    raise
                # A change that came after the answer was read is newer than the answer.
                if not owner.known:
                    owner.unique_name = unique_name
            owner.users += 1

    def _unfollow(self, name: str) -> None:
        owner = self._owners[name]
        owner.users -= 1
        if owner.users == 0:
            del self._owners[name]
            self._post("RemoveMatch", "s", [_owner_rule(name)])


def _owner_rule(name: str) -> str:
    return str(MatchRule(BUS_NAME, BUS_INTERFACE, _OWNER_CHANGED, BUS_PATH, name))
