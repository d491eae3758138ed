"""Much at once, in both directions: the library's writer and reader break here without our care."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from joblet.bus import export, outbox
from joblet.bus.connection import PROPERTIES, Connection, MatchRule, Typed
from joblet.bus.export import Exporter
from joblet.bus.stream import TURN
from joblet.errors import RemoteError
from tests.bus.subject import INTERFACE, NAME, PATH, Subject

DEADLINE_S = 120.0
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
ROOT = Path(__file__).parents[2]
Open = Callable[[], Awaitable[Connection]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
async def server(connect: Open) -> Connection:
    return await connect()


@pytest.fixture
async def exporter(server: Connection) -> AsyncIterator[Exporter]:
    async with Exporter.on(server) as exporter:
        yield exporter


async def _echo(client: Connection, server: Connection) -> object:
    [back], _ = await client.call(
        server.unique_name, PATH, NAME, "Echo", "v", [Typed("s", "hi")], deadline_s=DEADLINE_S
    )
    return back


async def test_20_000_signals_pass_a_stopped_subscriber_and_calls_go_on(
    bus: Any, connect: Open, server: Connection, exporter: Exporter
) -> None:
    exporter.add(PATH, Subject(exporter), INTERFACE)
    client = await connect()
    count = 20_000
    listener = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "listener.py"),
        bus.address,
        server.unique_name,
        NAME,
        "Tick",
        str(count),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/service:{ROOT}"},
    )
    assert listener.stdout is not None
    assert await listener.stdout.readline() == b"ready\n"
    listener.send_signal(signal.SIGSTOP)
    try:
        for number in range(count):
            exporter.emit(PATH, INTERFACE, "Tick", (number, Typed("s", "x" * 100)))
        assert await _echo(client, server) == "hi"
    finally:
        listener.send_signal(signal.SIGCONT)
    async with asyncio.timeout(DEADLINE_S):
        assert await listener.wait() == 0
    assert await _echo(client, server) == "hi"
    assert not server.closed.done()


async def test_changes_of_one_object_are_merged_while_they_wait(
    connect: Open, server: Connection, exporter: Exporter, until: Until
) -> None:
    subject = Subject(exporter)
    exporter.add(PATH, subject, INTERFACE)
    listener = await connect()
    seen: list[Any] = []
    rule = MatchRule(server.unique_name, PROPERTIES, "PropertiesChanged")
    async with listener.subscribe(rule, lambda signal: seen.append(signal.body[1])):
        for number in range(1000):
            subject.size = number
            exporter.changed(PATH, INTERFACE, ["Size"])
            if number == 10:
                exporter.changed(PATH, INTERFACE, ["Colour"])
        await until(lambda: seen and seen[-1].get("Size") == 999)
    assert len(seen) < 10
    assert any(values.get("Colour") == "red" for values in seen)


async def test_a_long_queue_holds_up_new_calls_until_it_is_short(
    connect: Open, server: Connection, exporter: Exporter, until: Until
) -> None:
    subject = Subject(exporter)
    exporter.add(PATH, subject, INTERFACE)
    client = await connect()
    for number in range(outbox.HIGH_WATER * 3):
        exporter.emit(PATH, INTERFACE, "Tick", (number, Typed("s", "x")))
    length_at_call: list[int] = []

    async def echo(value: Typed) -> Typed:
        length_at_call.append(len(server._outbox))
        return value

    subject.echo = echo  # type: ignore[method-assign]
    assert len(server._outbox) > outbox.HIGH_WATER
    assert await _echo(client, server) == "hi"
    # what is in the hands of the socket is no longer waiting
    assert length_at_call[0] <= outbox.LOW_WATER + outbox._WRITE_MESSAGES + 1


async def test_a_flood_of_signals_leaves_others_their_turn(
    connect: Open, server: Connection, until: Until
) -> None:
    flooder = await connect()
    total = 3000
    heard = 0
    turns: list[int] = []
    loop = asyncio.get_running_loop()

    def hear(_signal: object) -> None:
        nonlocal heard
        heard += 1

    def turn() -> None:
        turns.append(heard)
        if heard < total:
            loop.call_soon(turn)

    async with server.subscribe(MatchRule(flooder.unique_name, NAME, "Tick"), hear):
        # All of it waits in the socket: the library would read it in one go.
        loop.remove_reader(server._stream._socket)
        for number in range(total):
            flooder.emit(PATH, NAME, "Tick", "u", [number])
        await flooder._outbox.empty()
        loop.call_soon(turn)
        loop.add_reader(server._stream._socket, server._stream._readable)
        await until(lambda: heard == total)
    steps = [after - before for before, after in zip(turns, turns[1:], strict=False)]
    # The end of one turn and the next read may fall into the same round of the loop.
    assert max(steps) <= 2 * TURN


async def test_1_000_objects_are_served_beside_each_other(
    connect: Open, server: Connection, exporter: Exporter
) -> None:
    client = await connect()
    subject = Subject(exporter)
    paths = [f"/org/joblet1/test/n{number}" for number in range(1000)]
    for path in paths:
        exporter.add(path, subject, INTERFACE)
    [xml], _ = await client.call(
        server.unique_name,
        "/org/joblet1/test",
        "org.freedesktop.DBus.Introspectable",
        "Introspect",
        deadline_s=DEADLINE_S,
    )
    assert xml.count("<node name=") == 1000
    for path in (paths[0], paths[-1]):
        [size], _ = await client.call(
            server.unique_name, path, PROPERTIES, "Get", "ss", [NAME, "Size"], deadline_s=DEADLINE_S
        )
        assert size == 7


async def _refused(client: Connection, server: Connection, path: str, *call: Any) -> RemoteError:
    interface, member, *rest = call
    with pytest.raises(RemoteError) as refusal:
        await client.call(server.unique_name, path, interface, member, *rest, deadline_s=DEADLINE_S)
    return refusal.value


async def test_a_refusal_of_the_longest_message_is_short(
    connect: Open, server: Connection, exporter: Exporter
) -> None:
    exporter.add(PATH, Subject(exporter), INTERFACE)
    client = await connect()
    # As long as the bus takes: the same with our words around it is too long.
    path = "/" + "x" * ((32 << 20) - 120)
    told = await _refused(client, server, path, INTROSPECTABLE, "Introspect")
    assert told.dbus_name == "org.freedesktop.DBus.Error.UnknownObject"
    assert str(told).startswith("there is no object /xxx")
    assert str(told).endswith("…")
    body = "x" * ((32 << 20) - 500)
    await _refused(client, server, PATH, PROPERTIES, "Get", "ss", [body, ""])
    told = await _refused(client, server, PATH, NAME, "Fail", "s", [body])
    assert "Fail takes at most 4194304 bytes of arguments" in str(told)
    assert await _echo(client, server) == "hi"
    assert not server.closed.done()


async def test_one_caller_cannot_make_us_hold_any_number_of_calls(
    connect: Open,
    server: Connection,
    exporter: Exporter,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "_HELD_MAX", 100)
    monkeypatch.setattr(export, "_HELD_IN_ALL", 150)
    monkeypatch.setattr(export, "_HELD_SHARE", 10)
    subject = Subject(exporter)
    exporter.add(PATH, subject, INTERFACE)

    def start(client: Connection, count: int) -> list[asyncio.Task[Any]]:
        return [
            asyncio.ensure_future(
                client.call(
                    server.unique_name, PATH, NAME, "Pause", "s", [""], deadline_s=DEADLINE_S
                )
            )
            for _ in range(count)
        ]

    greedy, second, modest = [await connect() for _ in range(3)]
    calls: list[asyncio.Task[Any]] = []

    async def counts(entered: int, refused: int) -> None:
        await until(lambda: sum(call.done() for call in calls) == refused)
        await until(lambda: len(subject.entered) == entered)

    calls += start(greedy, 105)
    await counts(100, 5)
    calls += start(second, 60)
    await counts(150, 15)
    calls += start(modest, 5)
    await counts(155, 15)
    refusals = [call.exception() for call in calls if call.done()]
    assert {str(one) for one in refusals} == {
        "too many calls are in progress; try again when some have ended"
    }
    assert {getattr(one, "code", "") for one in refusals} == {"Exhausted"}
    subject.resume.set()
    await asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: not exporter._running)
    assert (exporter._held, exporter._held_in_all) == ({}, 0)
    assert await _echo(greedy, server) == "hi"


async def test_descriptors_and_bytes_of_a_call_count(
    connect: Open, server: Connection, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_HELD_MAX", 16)
    exporter.add(PATH, Subject(exporter), INTERFACE)
    client = await connect()
    read_end, write_end = os.pipe()
    os.write(write_end, b"data")
    try:
        with pytest.raises(RemoteError, match="too many calls"):
            await client.call(
                server.unique_name,
                PATH,
                NAME,
                "ReadAll",
                "h",
                [read_end],
                fds=[read_end] * 15,
                deadline_s=DEADLINE_S,
            )
        with pytest.raises(RemoteError, match="too many calls"):
            await client.call(
                server.unique_name, PATH, NAME, "Fail", "s", ["x" * 16_384], deadline_s=DEADLINE_S
            )
        [data], _ = await client.call(
            server.unique_name, PATH, NAME, "ReadAll", "h", [read_end], deadline_s=DEADLINE_S
        )
        assert data == b"data"
    finally:
        os.close(read_end)
        os.close(write_end)
