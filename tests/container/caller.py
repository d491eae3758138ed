"""Calls of D-Bus methods from inside the machine: many in one process, as one user.

What busctl does not show is needed where refusals are tested: the name of the error. The values
travel as JSON; a variant is written `Variant(signature, value)`. What the calls mean is the
test's matter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.grounds.machine import BootedMachine

MANAGER = "org.joblet1.Manager"
ROOT = "/org/joblet1"

_PROGRAM = """\
import asyncio, json, os, sys
from dbus_next import BusType, Message, MessageType, Variant
from dbus_next.aio import MessageBus

def decoded(value):
    if isinstance(value, dict) and set(value) == {"signature", "value"}:
        return Variant(value["signature"], decoded(value["value"]))
    if isinstance(value, dict):
        return {key: decoded(one) for key, one in value.items()}
    return [decoded(one) for one in value] if isinstance(value, list) else value

def encoded(value):
    if isinstance(value, Variant):
        return encoded(value.value)
    if isinstance(value, dict):
        return {key: encoded(one) for key, one in value.items()}
    if isinstance(value, bytes):
        return list(value)
    return [encoded(one) for one in value] if isinstance(value, list) else value

async def main():
    bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
    answers = []
    for path, interface, member, signature, body in json.load(sys.stdin):
        reply = await bus.call(Message(
            destination="org.joblet1", path=path, interface=interface, member=member,
            signature=signature, body=decoded(body)))
        failed = reply.message_type is MessageType.ERROR
        answers.append([reply.error_name if failed else "", encoded(reply.body)])
        for fd in reply.unix_fds:
            os.close(fd)
    json.dump(answers, sys.stdout)

asyncio.run(main())
"""


class Variant(NamedTuple):
    """A value with its type, as it stands in an a{sv}."""

    signature: str
    value: Any


class Call(NamedTuple):
    """One call; the manager's, unless it says otherwise."""

    member: str
    signature: str = ""
    body: Sequence[Any] = ()
    interface: str = MANAGER
    path: str = ROOT


class Answer(NamedTuple):
    """A reply: the error's name without its prefix, or "" and the values; variants unpacked."""

    error: str
    body: list[Any]

    @property
    def text(self) -> str:
        """The sentence of an error."""
        return str(self.body[0]) if self.error and self.body else ""


def run_job(spec: Mapping[str, Variant]) -> Call:
    """The call that submits a job."""
    return Call("RunJob", "a{sv}", [dict(spec)])


def ask(
    machine: BootedMachine, calls: Sequence[Call], user: str | int | None = None
) -> list[Answer]:
    """Make the calls one after the other; the answers in the same order."""
    request = [
        [call.path, call.interface, call.member, call.signature, _encoded(call.body)]
        for call in calls
    ]
    done = machine.run(["python3", "-c", _PROGRAM], input=json.dumps(request), user=user)
    return [
        Answer(error.removeprefix("org.joblet1.Error."), body)
        for error, body in json.loads(done.stdout)
    ]


def _encoded(value: Any) -> Any:
    if isinstance(value, Variant):
        return {"signature": value.signature, "value": _encoded(value.value)}
    if isinstance(value, dict):
        return {key: _encoded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(one) for one in value]
    return value
