"""A connection as its user sees it: calls, silence, loss, and whose signals are believed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from joblet.bus.connection import BUS_INTERFACE, BUS_NAME, BUS_PATH, Connection, MatchRule, Typed
from joblet.bus.export import Exporter
from joblet.errors import AlreadyExists, RemoteError, Unreachable
from tests.bus.subject import INTERFACE, NAME, PATH, Subject

DEADLINE_S = 60.0
SERVICE = "org.joblet1.Tested"

Open = Callable[[], Awaitable[Connection]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
async def server(connect: Open) -> AsyncIterator[Connection]:
    """A connection that owns SERVICE and exports a subject."""
    connection = await connect()
    async with Exporter.on(connection) as exporter:
        exporter.add(PATH, Subject(exporter), INTERFACE)
        await connection.request_name(SERVICE)
        yield connection


async def test_a_name_that_nobody_owns_is_said_to_be_not_running(connect: Open) -> None:
    client = await connect()
    with pytest.raises(Unreachable, match="^org.joblet1.Nobody is not running"):
        await client.call("org.joblet1.Nobody", PATH, NAME, "Echo", deadline_s=DEADLINE_S)


async def test_silence_ends_at_the_deadline_and_a_late_answer_harms_nothing(
    connect: Open, server: Connection
) -> None:
    client = await connect()
    with pytest.raises(RemoteError, match="did not answer Pause within 0.05 s") as caught:
        await client.call(SERVICE, PATH, NAME, "Pause", "s", ["x"], deadline_s=0.05)
    assert caught.value.dbus_name == "org.freedesktop.DBus.Error.NoReply"
    [back], _ = await client.call(
        SERVICE, PATH, NAME, "Echo", "v", [Typed("s", "hi")], deadline_s=DEADLINE_S
    )
    assert back == "hi"


async def test_a_body_that_does_not_fit_is_refused_and_the_connection_lives(
    connect: Open, server: Connection
) -> None:
    client = await connect()
    for signature, body in (
        ("s", ["\0"]),
        ("s", ["\udc80"]),
        ("u", [-1]),
        ("as", ["text", 5]),
        ("v", ["bare"]),
        ("ss", ["one"]),
        ("a{sv}", [{"k": Typed("s", "\0")}]),
        ("x", ["text"]),
        ("(", []),
    ):
        with pytest.raises(ValueError, match="."):
            await client.call(SERVICE, PATH, NAME, "Echo", signature, body, deadline_s=DEADLINE_S)
    [back], _ = await client.call(
        SERVICE, PATH, NAME, "Echo", "v", [Typed("s", "hi")], deadline_s=DEADLINE_S
    )
    assert back == "hi"


async def test_when_the_bus_dies_everyone_who_waits_is_told(
    connect: Open, server: Connection, bus: Any
) -> None:
    client = await connect()
    call = asyncio.create_task(
        client.call(SERVICE, PATH, NAME, "Pause", "s", ["x"], deadline_s=DEADLINE_S)
    )
    await client.call(BUS_NAME, BUS_PATH, BUS_INTERFACE, "GetId", deadline_s=DEADLINE_S)
    bus.kill()
    with pytest.raises(Unreachable, match="the connection to the bus is closed"):
        await call
    assert "the bus closed the connection" in await client.closed
    with pytest.raises(Unreachable):
        await client.call(SERVICE, PATH, NAME, "Pause", "s", ["x"], deadline_s=DEADLINE_S)
    client.emit("/", NAME, "Tick", "u", [1])
    await client.close()


async def test_an_orderly_end_sends_what_waits(connect: Open, until: Until) -> None:
    sender, receiver = await connect(), await connect()
    seen: list[Any] = []
    rule = MatchRule(sender.unique_name, NAME, "Tick")
    async with receiver.subscribe(rule, lambda signal: seen.append(signal.body[0])):
        for number in range(500):
            sender.emit("/", NAME, "Tick", "u", [number])
        await sender.close()
        assert await sender.closed == ""
        await until(lambda: len(seen) == 500)
    assert seen == list(range(500))


async def test_no_bus_at_the_address_is_told_with_the_address(tmp_path: Path) -> None:
    address = f"unix:path={tmp_path}/none"
    with pytest.raises(Unreachable, match=f"cannot connect to the bus at {address}: .*No such"):
        await Connection.open(address)
    with pytest.raises(Unreachable):
        await Connection.open("nonsense")


async def test_the_second_address_is_tried_too(bus: Any, tmp_path: Path) -> None:
    connection = await Connection.open(f"unix:path={tmp_path}/none;{bus.address}")
    await connection.close()


@pytest.mark.parametrize("answers", [[], [b"REJECTED EXTERNAL\r\n"], [b"OK 1234\r\n"]])
async def test_a_bus_that_hangs_up_is_unreachable(tmp_path: Path, answers: list[bytes]) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for answer in answers:
            await reader.readline()
            writer.write(answer)
        await writer.drain()
        writer.close()

    path = tmp_path / "bus"
    async with await asyncio.start_unix_server(hang_up, path):
        with pytest.raises(Unreachable, match="cannot connect to the bus"):
            await Connection.open(f"unix:path={path}")


async def test_a_name_has_one_owner(connect: Open, server: Connection) -> None:
    await server.request_name(SERVICE)
    other = await connect()
    with pytest.raises(AlreadyExists, match=f"bus name '{SERVICE}' exists already"):
        await other.request_name(SERVICE)


async def test_a_forged_signal_is_not_believed(
    connect: Open, server: Connection, until: Until
) -> None:
    listener, forger = await connect(), await connect()
    seen: list[Any] = []
    own: list[Any] = []
    async with AsyncExitStack() as stack:
        for rule, into in (
            (MatchRule(SERVICE, NAME, "Tick"), seen),
            (MatchRule(forger.unique_name, NAME, "Tick"), own),
        ):
            await stack.enter_async_context(listener.subscribe(rule, into.append))
        forger.emit(PATH, NAME, "Tick", "s", ["forged"])
        await until(lambda: own)
        server.emit(PATH, NAME, "Tick", "s", ["true"])
        await until(lambda: seen)
    assert [signal.body for signal in seen] == [["true"]]


async def test_a_name_is_followed_to_its_next_owner(connect: Open, until: Until) -> None:
    listener, first, second = await connect(), await connect(), await connect()
    seen: list[Any] = []
    rule = MatchRule(SERVICE, NAME, "Tick")
    async with listener.subscribe(rule, lambda signal: seen.append(signal.body[0])):
        await first.request_name(SERVICE)
        first.emit(PATH, NAME, "Tick", "s", ["first"])
        await first.close()
        await second.request_name(SERVICE)
        second.emit(PATH, NAME, "Tick", "s", ["second"])
        await until(lambda: len(seen) == 2)
    assert seen == ["first", "second"]


async def test_a_subscription_hears_what_its_rule_says_and_ends(
    connect: Open, server: Connection, until: Until
) -> None:
    listener = await connect()
    everything: list[Any] = []
    narrow: list[Any] = []
    wide_rule = MatchRule(SERVICE, NAME, "Tick")
    narrow_rule = MatchRule(SERVICE, NAME, "Tick", path=PATH, arg0="it's")
    async with listener.subscribe(wide_rule, everything.append):
        async with listener.subscribe(narrow_rule, narrow.append):
            server.emit(PATH, NAME, "Tick", "s", ["it's"])
            server.emit(PATH, NAME, "Tick", "s", ["other"])
            server.emit("/other", NAME, "Tick", "s", ["it's"])
            await until(lambda: len(everything) == 3)
        server.emit(PATH, NAME, "Tick", "s", ["it's"])
        await until(lambda: len(everything) == 4)
    assert [signal.body for signal in narrow] == [["it's"]]


async def test_a_handler_that_fails_costs_the_others_nothing(
    connect: Open, server: Connection, until: Until
) -> None:
    listener = await connect()
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    seen: list[Any] = []

    def fail(_signal: object) -> None:
        raise RuntimeError("a bug in a handler")

    rule = MatchRule(SERVICE, NAME, "Tick")
    async with listener.subscribe(rule, fail), listener.subscribe(rule, seen.append):
        server.emit(PATH, NAME, "Tick", "s", ["one"])
        await until(lambda: seen)
    assert [str(what["exception"]) for what in told] == ["a bug in a handler"]


async def test_the_caller_keeps_its_descriptors_and_a_canceled_call_leaves_none(
    connect: Open, server: Connection
) -> None:
    client = await connect()
    read_end, write_end = os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        call = asyncio.create_task(
            client.call(
                SERVICE, PATH, NAME, "Fail", "s", ["no"], fds=[write_end], deadline_s=DEADLINE_S
            )
        )
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
    await client.call(SERVICE, PATH, NAME, "Echo", "v", [Typed("s", "")], deadline_s=DEADLINE_S)
    os.fstat(write_end)
    os.close(write_end)
    os.close(read_end)
    assert len(os.listdir("/proc/self/fd")) <= before
