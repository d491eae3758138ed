"""Exported objects as callers see them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from joblet.bus.connection import PROPERTIES, Connection, MatchRule, Typed
from joblet.bus.export import Exporter
from joblet.errors import RemoteError
from tests.bus.subject import INTERFACE, NAME, PATH, Subject

ERROR = "org.freedesktop.DBus.Error."
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
DEADLINE_S = 60.0

Open = Callable[[], Awaitable[Connection]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


class Service:
    """A serving connection with its subject, and a client of it."""

    def __init__(self, server: Connection, exporter: Exporter, client: Connection) -> None:
        self.server = server
        self.exporter = exporter
        self.client = client
        self.subject = Subject(exporter)
        exporter.add(PATH, self.subject, INTERFACE)

    async def call(self, member: str, signature: str = "", *body: Any, **how: Any) -> Any:
        interface, path = how.pop("interface", NAME), how.pop("path", PATH)
        client = how.pop("client", self.client)
        reply, _ = await client.call(
            self.server.unique_name,
            path,
            interface,
            member,
            signature,
            body,
            deadline_s=DEADLINE_S,
            **how,
        )
        return reply


@pytest.fixture
async def service(connect: Open) -> AsyncIterator[Service]:
    server = await connect()
    async with Exporter.on(server) as exporter:
        yield Service(server, exporter, await connect())


async def test_a_variant_of_every_type_comes_back_as_it_was(service: Service) -> None:
    values = [
        Typed("s", "text"),
        Typed("b", True),
        Typed("t", 2**64 - 1),
        Typed("x", -(2**63)),
        Typed("ay", b"\0\xff"),
        Typed("as", ["a", "ü"]),
        Typed("a{ss}", {"a": "b"}),
        Typed("(sa(ut))", ["a", [[1, 2]]]),
        Typed("v", Typed("d", 0.5)),
        Typed("a{sv}", {"o": Typed("o", "/a"), "g": Typed("g", "a{sv}")}),
    ]
    for value in values:
        [back] = await service.call("Echo", "v", value)
        assert back == _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Typed):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


async def test_options_reach_the_handler_with_their_types(service: Service) -> None:
    given = {"a": Typed("u", 1), "b": Typed("o", "/x"), "c": Typed("a{sv}", {"d": Typed("y", 2)})}
    seen: list[Any] = []

    async def spy(options: Any) -> Any:
        seen.append(options)
        return options

    service.subject.options = spy  # type: ignore[assignment,method-assign]
    [back] = await service.call("Options", "a{sv}", given)
    assert seen == [given]
    assert back == {"a": 1, "b": "/x", "c": {"d": 2}}


async def test_our_errors_arrive_by_name_with_their_sentence(service: Service) -> None:
    with pytest.raises(RemoteError, match="^there is no job 'abcd'$") as caught:
        await service.call("Fail", "s", "missing")
    assert caught.value.dbus_name == "org.joblet1.Error.NoSuchJob"


async def test_text_that_no_message_may_carry_is_made_harmless(service: Service) -> None:
    with pytest.raises(RemoteError, match=r"it is RUNNING; stop it first\\udc80$") as caught:
        await service.call("Fail", "s", "state")
    assert caught.value.dbus_name == "org.joblet1.Error.WrongState"


async def test_a_bug_is_told_by_number_and_never_by_traceback(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RemoteError) as caught:
        await service.call("Fail", "s", "bug")
    assert caught.value.dbus_name == "org.joblet1.Error.Internal"
    text = str(caught.value)
    assert not any(word in text for word in ("secret", "Traceback", ".py", "line", "Error:"))
    number = text.split()[2].rstrip(";")
    assert f"internal error {number} in org.joblet1.Test.Fail" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("answer", ["bare", ("one", "too many"), None, Typed("s", 5)])
async def test_an_answer_of_the_wrong_shape_is_a_bug_too(service: Service, answer: Any) -> None:
    async def echo(_value: Typed) -> Any:
        return answer

    service.subject.echo = echo  # type: ignore[assignment,method-assign]
    with pytest.raises(RemoteError) as caught:
        await service.call("Echo", "v", Typed("s", ""))
    assert caught.value.dbus_name == "org.joblet1.Error.Internal"


async def test_a_value_out_of_the_range_of_its_type_is_a_bug_too(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    await service.call("Fail", "s", "range")
    with pytest.raises(RemoteError) as caught:
        await service.call("Get", "ss", NAME, "Size", interface=PROPERTIES)
    assert caught.value.dbus_name == "org.joblet1.Error.Internal"
    assert "does not fit signature" in caplog.text


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body", "error"),
    [
        ("/elsewhere", NAME, "Echo", "v", [Typed("s", "")], "UnknownObject"),
        (PATH, "org.joblet1.Nothing", "Echo", "v", [Typed("s", "")], "UnknownInterface"),
        (PATH, NAME, "Nothing", "", [], "UnknownMethod"),
        (PATH, NAME, "Echo", "s", ["text"], "InvalidArgs"),
        (PATH, NAME, "Echo", "", [], "InvalidArgs"),
        (PATH, NAME, "ReadAll", "s", ["not a descriptor"], "InvalidArgs"),
        ("/org/joblet1", NAME, "Echo", "v", [Typed("s", "")], "UnknownInterface"),
        ("/elsewhere", INTROSPECTABLE, "Introspect", "", [], "UnknownObject"),
        ("/elsewhere", PROPERTIES, "GetAll", "s", [NAME], "UnknownObject"),
        (PATH, PROPERTIES, "GetAll", "s", ["org.joblet1.Nothing"], "UnknownInterface"),
        (PATH, PROPERTIES, "Get", "ss", [NAME, "Nothing"], "UnknownProperty"),
        (PATH, PROPERTIES, "Get", "ss", [PEER, "Nothing"], "UnknownProperty"),
        (PATH, PROPERTIES, "Set", "ssv", [NAME, "Size", Typed("u", 1)], "PropertyReadOnly"),
        (PATH, PROPERTIES, "Set", "ssv", [NAME, "Nothing", Typed("u", 1)], "UnknownProperty"),
        (PATH, PROPERTIES, "Get", "s", [NAME], "InvalidArgs"),
    ],
)
async def test_a_call_without_a_target_gets_the_standard_error(
    service: Service,
    path: str,
    interface: str,
    member: str,
    signature: str,
    body: list[Any],
    error: str,
) -> None:
    with pytest.raises(RemoteError) as caught:
        await service.call(member, signature, *body, path=path, interface=interface)
    assert caught.value.dbus_name == ERROR + error


async def test_properties_are_read_from_the_handler(service: Service) -> None:
    service.subject.colour = "blue"
    assert await service.call("Get", "ss", NAME, "Colour", interface=PROPERTIES) == ["blue"]
    for name in (NAME, ""):
        everything = await service.call("GetAll", "s", name, interface=PROPERTIES)
        assert everything == [{"Colour": "blue", "Size": 7}]


async def test_a_change_of_a_property_is_announced_with_its_value(
    service: Service, until: Until
) -> None:
    seen: list[Any] = []
    rule = MatchRule(service.server.unique_name, PROPERTIES, "PropertiesChanged", PATH, NAME)
    async with service.client.subscribe(rule, lambda signal: seen.append(signal.body)):
        service.subject.colour = "green"
        service.exporter.changed(PATH, INTERFACE, ["Colour"])
        await until(lambda: seen)
    assert seen == [[NAME, {"Colour": "green"}, []]]


async def test_signals_carry_what_the_contract_says(service: Service, until: Until) -> None:
    seen: list[Any] = []
    rule = MatchRule(service.server.unique_name, NAME, "Tick")
    async with service.client.subscribe(rule, lambda signal: seen.append(signal)):
        service.exporter.emit(PATH, INTERFACE, "Tick", (3, Typed("s", "note")))
        await until(lambda: seen)
    assert seen == [(service.server.unique_name, PATH, NAME, "Tick", [3, "note"])]


async def test_concurrent_callers_are_not_mixed_up(connect: Open, service: Service) -> None:
    clients = [await connect() for _ in range(8)]
    calls = [
        asyncio.create_task(service.call("WhoAmI", client=client, interactive=bool(number % 2)))
        for _ in range(5)
        for number, client in enumerate(clients)
    ]
    await service.call("Ping", interface=PEER)
    service.subject.resume.set()
    answers = await asyncio.gather(*calls)
    assert answers == [
        [client.unique_name, bool(number % 2)]
        for _ in range(5)
        for number, client in enumerate(clients)
    ]


async def test_a_slow_call_does_not_hold_up_the_others(service: Service, until: Until) -> None:
    slow = asyncio.create_task(service.call("Pause", "s", "slow"))
    await until(lambda: service.subject.entered)
    assert await service.call("Echo", "v", Typed("s", "quick")) == ["quick"]
    service.subject.resume.set()
    await slow


async def test_a_guarded_call_ends_when_its_caller_leaves(
    connect: Open, service: Service, until: Until
) -> None:
    leaver = await connect()
    guarded = asyncio.create_task(service.call("Guarded", client=leaver))
    unguarded = asyncio.create_task(service.call("Pause", "s", "other", client=leaver))
    await until(lambda: len(service.subject.entered) == 2)
    await leaver.close()
    await until(lambda: "guarded" in service.subject.left)
    assert "other" not in service.subject.left
    service.subject.resume.set()
    await until(lambda: "other" in service.subject.left)
    await asyncio.wait([guarded, unguarded])
    assert guarded.exception() is not None
    assert unguarded.exception() is not None


async def test_a_caller_who_left_before_the_guard_is_noticed(
    connect: Open, service: Service, until: Until
) -> None:
    leaver = await connect()
    release = asyncio.Event()

    async def late() -> None:
        service.subject.entered.append("late")
        await release.wait()
        try:
            with service.exporter.ends_with_caller():
                service.subject.entered.append("guarded")
        finally:
            service.subject.left.append("late")

    service.subject.guarded = late  # type: ignore[method-assign]
    gone: list[Any] = []
    rule = MatchRule("org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged")
    async with service.server.subscribe(rule, lambda signal: gone.append(signal.body[0])):
        call = asyncio.create_task(service.call("Guarded", client=leaver))
        await until(lambda: service.subject.entered)
        await leaver.close()
        await until(lambda: leaver.unique_name in gone)
    release.set()
    await until(lambda: service.subject.left)
    assert service.subject.entered == ["late"]
    await asyncio.wait([call])
    assert call.exception() is not None


async def test_descriptors_travel_both_ways_and_none_is_left(service: Service) -> None:
    before = _open_fds()
    for _ in range(20):
        [end], fds = await service.client.call(
            service.server.unique_name, PATH, NAME, "Pipe", "s", ["hello"], deadline_s=DEADLINE_S
        )
        assert fds == [end]
        assert not os.get_inheritable(end)
        assert await service.call("ReadAll", "h", end) == [b"hello"]
        os.close(end)
    await service.call("Ping", interface=PEER)
    assert _open_fds() == before


@pytest.mark.parametrize(
    ("member", "signature", "error"),
    [
        ("Nothing", "v", "UnknownMethod"),
        ("Echo", "as", "InvalidArgs"),
        ("ReadAll", "h", "org.joblet1.Error.Internal"),
    ],
)
async def test_descriptors_of_failed_calls_are_closed(
    service: Service, member: str, signature: str, error: str
) -> None:
    before = _open_fds()
    read_end, write_end = os.pipe()
    body = {"v": Typed("h", write_end), "as": ["x"], "h": write_end}[signature]
    for _ in range(20):
        with pytest.raises(RemoteError, match=".") as caught:
            await service.call(member, signature, body, fds=[write_end])
        assert caught.value.dbus_name.endswith(error)
    os.close(write_end)
    assert os.read(read_end, 1) == b"", "somebody still holds the writing end"
    os.close(read_end)
    assert _open_fds() == before


async def test_objects_come_and_go(service: Service) -> None:
    other = PATH.replace("one", "two")
    service.exporter.add(other, service.subject, INTERFACE)
    [xml] = await service.call("Introspect", path="/org/joblet1/test", interface=INTROSPECTABLE)
    assert '<node name="one"/>' in xml
    assert '<node name="two"/>' in xml
    service.exporter.remove(other)
    with pytest.raises(RemoteError) as caught:
        await service.call("Echo", "v", Typed("s", ""), path=other)
    assert caught.value.dbus_name == ERROR + "UnknownObject"


async def test_after_the_exporter_has_ended_calls_are_refused_at_once(connect: Open) -> None:
    server, client = await connect(), await connect()
    async with Exporter.on(server) as exporter:
        service = Service(server, exporter, client)
        waiting = asyncio.create_task(service.call("Pause", "s", "x"))
        await service.call("Ping", interface=PEER)
    with pytest.raises(RemoteError, match="is stopping"):
        await waiting
    with pytest.raises(RemoteError, match="is stopping") as caught:
        await service.call("Echo", "v", Typed("s", ""))
    assert caught.value.dbus_name == "org.freedesktop.DBus.Error.NoReply"


async def test_busctl_understands_the_objects(service: Service, bus: Any) -> None:
    async def busctl(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "busctl",
            f"--address={bus.address}",
            *words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return output.decode()

    name = service.server.unique_name
    described = await busctl("introspect", name, PATH)
    for word in (".Echo", ".Tick", ".Colour", '"red"', "emits-change", "const"):
        assert word in described
    echoed = await busctl("call", name, PATH, NAME, "Options", "a{sv}", "1", "k", "u", "5")
    assert echoed.strip() == 'a{sv} 1 "k" u 5'
    machine = await busctl("call", name, PATH, PEER, "GetMachineId")
    assert machine.startswith(("s ", "Call failed: this host has no machine id"))


def _open_fds() -> int:
    return len(os.listdir("/proc/self/fd"))
