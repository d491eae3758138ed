"""Listeners, health, an orderly stop, and what hostile bytes and our own bugs end in."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from joblet.bridge.server import Listener, parse_listener
from joblet.bridge.wiring import bridge
from joblet.client import pipes
from joblet.client.api import BOTH, Attachments, LogPiece
from joblet.config import BridgeConfig, ConfigError
from joblet.paths import Paths
from joblet.rpc import methods
from joblet.rpc.dialects import Dialect
from joblet.rpc.pb import health_pb2
from joblet.rpc.pb import joblet1_pb2 as native_pb
from joblet.rpc.pb import joblet_pb2 as pb
from joblet.rpc.pb import reflection_pb2 as reflection
from tests.bridge import rawhttp2
from tests.bridge.conftest import ENDLESS, METHODS, PATIENCE_S, Ground, Start, until
from tests.fakes.client import FakeClient, ended, job, job_id
from tests.fakes.hoststatus import STATUS

SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("text", "listener"),
    [
        ("[::]:50051", Listener("[::]:50051", Dialect.AUTO)),
        ("127.0.0.1:50053 v1", Listener("127.0.0.1:50053", Dialect.V1)),
        ("host.example:1 v2.5", Listener("host.example:1", Dialect.V2_5)),
        ("h:0  auto ", Listener("h:0", Dialect.AUTO)),
    ],
)
def test_a_listener_is_read(text: str, listener: Listener) -> None:
    assert parse_listener(text) == listener


@pytest.mark.parametrize("text", ["", "50051", ":50051", "h:", "h:65536", "h:-1", "h:1 v9", "h:１"])
def test_a_bad_listener_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^bridge\.listeners: "):
        parse_listener(text)


async def test_several_listeners_serve_side_by_side(start: Start) -> None:
    ground = await start(listeners=("127.0.0.1:0", "127.0.0.1:0 v1"))
    assert len(set(ground.ports)) == 2
    pair = ground.authority.issue("ada", "reader")
    for listener in (0, 1):
        assert list((await ground.connect(pair, listener=listener)("ListJobs")).jobs) == []


async def test_a_port_that_is_taken_is_an_error_that_names_it(
    ground: Ground, capfd: pytest.CaptureFixture[str]
) -> None:
    address = f"127.0.0.1:{ground.ports[0]}"
    with pytest.raises(ConfigError, match=f"cannot listen on {address}; is it taken"):
        async with bridge(
            BridgeConfig(listeners=(address,)),
            Paths(config=str(ground.config_folder)),
            FakeClient(),
            alive=lambda: True,
        ):
            pass


async def test_health_is_told_to_who_has_a_role(ground: Ground) -> None:
    user = ground.user("reader")
    for service in ("", "joblet.JobService"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert (await user("Check", request)).status == SERVING
        assert (await user.start("Watch", request).read()).status == SERVING
    unknown = health_pb2.HealthCheckRequest(service="no.Such")
    assert (await user.refused("Check", unknown))[0] == "NOT_FOUND"
    answer = await user.start("Watch", unknown).read()
    assert answer.status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


async def test_reflection_is_not_there(ground: Ground) -> None:
    channel = ground.authority.channel(ground.ports[0], ground.authority.issue("ada", "admin"))
    async with channel:
        for method in methods.REFLECTION:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(channel, method)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def asked(
    channel: grpc.aio.Channel, method: methods.Method, *requests: bytes, **fields: Any
) -> list[Any]:
    """The answers to some requests, or to one with a field."""
    sent = requests or (reflection.ServerReflectionRequest(**fields).SerializeToString(),)
    call = channel.stream_stream(method.path, response_deserializer=method.response.FromString)
    async with asyncio.timeout(PATIENCE_S):
        return [answer async for answer in call(iter(sent))]


@pytest.mark.parametrize("method", methods.REFLECTION, ids=lambda method: method.service)
async def test_reflection_tells_the_contract_where_it_is_on(
    start: Start, method: methods.Method
) -> None:
    ground = await start(reflection=True)
    channel = ground.authority.channel(ground.ports[0], ground.authority.issue("ada", "reader"))
    async with channel:
        [listed] = await asked(channel, method, list_services="")
        names = {service.name for service in listed.list_services_response.service}
        served = (*methods.EVERY, *methods.REFLECTION)
        assert names == {one.service for one in served}
        contract = pb.DESCRIPTOR.serialized_pb
        for symbol in (
            "joblet.JobService",
            "joblet.JobService.RunJob",
            "joblet.RunJobRequest",
            "joblet.RunJobRequest.command",
        ):
            [found] = await asked(channel, method, file_containing_symbol=symbol)
            assert list(found.file_descriptor_response.file_descriptor_proto) == [contract]
            assert found.original_request.file_containing_symbol == symbol
        [found] = await asked(channel, method, file_by_filename=pb.DESCRIPTOR.name)
        assert list(found.file_descriptor_response.file_descriptor_proto) == [contract]
        [none] = await asked(channel, method, all_extension_numbers_of_type="joblet.Job")
        assert none.all_extension_numbers_response.base_type_name == "joblet.Job"
        for symbol in ("joblet.No", "joblet.JobService.No", "jobletX", "google.protobuf.Any", ""):
            [missing] = await asked(channel, method, file_containing_symbol=symbol)
            assert missing.error_response.error_code == 5
        [missing] = await asked(channel, method, b"")
        assert missing.error_response.error_code == 5
        several = reflection.ServerReflectionRequest(host="h", list_services="*")
        answers = await asked(channel, method, *[several.SerializeToString()] * 3)
        assert [answer.valid_host for answer in answers] == ["h"] * 3


@pytest.mark.parametrize("method", methods.REFLECTION, ids=lambda method: method.service)
async def test_reflection_needs_a_role_and_a_request(start: Start, method: methods.Method) -> None:
    ground = await start(reflection=True)
    for unit, request, code in (
        ("Server", b"", grpc.StatusCode.PERMISSION_DENIED),
        ("reader", b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
    ):
        pair = ground.authority.issue("ada", unit)
        async with ground.authority.channel(ground.ports[0], pair) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(channel, method, request)
            assert refused.value.code() is code


def test_the_files_of_the_contract_stand_alone() -> None:
    """Or else reflection would have to send what they import, too."""
    for module in (pb, health_pb2, reflection):
        assert list(module.DESCRIPTOR.dependencies) == []


async def test_a_stop_lets_calls_end_and_tells_streams_to_come_back(
    ground_ends: tuple[Ground, Any],
) -> None:
    ground, end = ground_ends
    ground.host.jobs[job_id(1)] = job(1)
    ground.host.logs[job_id(1)] = [LogPiece(BOTH, 0, b"history\n")]
    user = ground.user()
    log = user.start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert (await log.read()).payload == b"history\n"
    asked, may_end = asyncio.Event(), asyncio.Event()

    async def slow_stop(_job: str) -> str:
        asked.set()
        await may_end.wait()
        ground.host.endings[job_id(1)] = ended(1)
        return job_id(1)

    ground.host.stop = slow_stop  # type: ignore[method-assign,assignment]
    stop = asyncio.ensure_future(user("StopJob", pb.StopJobRequest(uuid=job_id(1))))
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
        ending = asyncio.ensure_future(end())
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await log.read()
        assert told.value.code() is grpc.StatusCode.UNAVAILABLE
        assert told.value.details() == "the bridge is stopping"
        may_end.set()
        assert (await stop).status == "COMPLETED"
        await ending


@pytest.fixture
async def ground_ends(start: Start) -> tuple[Ground, Any]:
    """A bridge, and the call that ends it before the test does."""
    ground = await start(stop_grace_usec=30_000_000)
    return ground, ground.end


async def test_a_bug_of_ours_is_a_number_for_the_client_and_a_traceback_for_us(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.host.failures["list"] = ZeroDivisionError("secret inside")  # type: ignore[assignment]
    ground.host.failures["log"] = ZeroDivisionError("secret inside")  # type: ignore[assignment]
    ground.host.jobs[job_id(1)] = job(1)
    for name, request in (("ListJobs", None), ("GetJobLogs", pb.GetJobLogsRequest(uuid="0000"))):
        code, details = await ground.user().refused(name, request)
        assert code == "INTERNAL"
        assert details.startswith("internal error ")
        assert "secret" not in details
        assert details.split()[2].rstrip(";") in caplog.text
    assert caplog.text.count("ZeroDivisionError: secret inside") == 2


async def test_a_client_killed_in_mid_upload_leaves_nothing(ground: Ground) -> None:
    """A TCP connection that ends after half a handshake, and one after some of a message."""
    for data in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", ground.ports[0])) as plain:
            plain.sendall(data)
    user = ground.connect(ground.authority.issue("ada", "admin"))
    uploads = [pb.FileUpload(path="f", content=bytes(64 << 20))]
    call = user.start("RunJob", pb.RunJobRequest(command="true", uploads=uploads))
    await asyncio.sleep(0)
    call.cancel()
    assert (await ground.user()("ListJobs")).ByteSize() >= 0


async def test_uploads_that_never_end_leave_calls_to_others(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus lets the bridge have so many calls at once, and each of these is one."""
    under_way = 0

    async def run(_spec: object, attached: Attachments) -> str:
        nonlocal under_way
        assert attached.tar is not None
        under_way += 1
        try:
            os.set_blocking(attached.tar, False)
            while await pipes.read(attached.tar):
                pass
        finally:
            under_way -= 1
        return job_id(1)

    monkeypatch.setattr(ground.host, "run", run)
    channel = ground.authority.channel(ground.ports[0], ground.authority.issue("eve", "developer"))
    method = METHODS["Run"]
    start = channel.stream_unary(method.path, response_deserializer=method.response.FromString)
    calls = [start() for _ in range(40)]
    request = native_pb.RunPart(request=native_pb.RunRequest(upload=True)).SerializeToString()
    for call in calls:
        await call.write(request)
    await until(lambda: under_way == 16)
    await ground.user()("ListJobs")
    assert under_way == 16
    for call in calls[:30]:
        call.cancel()
    await until(lambda: under_way == 10)
    for call in calls[30:]:
        await call.done_writing()
        assert (await call).id == job_id(1)
    await channel.close()


async def test_headers_that_are_no_text_are_a_line_each_and_no_traceback(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = ground.authority.issue("eve")  # without a role
    before = {task.get_name() for task in asyncio.all_tasks()}
    for path, more in (
        (b"/joblet.JobService/ListJobs", (b"x-a", b"\xff" * 100)),
        (b"/joblet.JobService/ListJobs", (b"user-agent", b"\xff\n")),
        (b"/\xff\xfe/x", (b"x-a", b"b")),
    ):
        caplog.clear()
        _, writer = await rawhttp2.connected(ground.authority, nobody, ground.ports[0], tmp_path)
        writer.write(rawhttp2.beginning() + rawhttp2.call(1, path, b"", more))
        await until(lambda: "Invalid encoding" in caplog.text)
        writer.transport.abort()
    await until(lambda: {task.get_name() for task in asyncio.all_tasks()} <= before)
    gc.collect()
    assert "Traceback" not in caplog.text
    assert "never retrieved" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_client_that_goes_away_in_mid_stream_is_nobodys_bug(
    ground: Ground, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ground.host.jobs[job_id(1)] = job(1)
    sent = reading = 0

    async def log(_job: str, _request: object) -> object:
        nonlocal sent, reading
        reading += 1
        try:
            while True:
                yield LogPiece(BOTH, 0, b"x" * 50_000)
                sent += 1
                await asyncio.sleep(0)
        finally:
            reading -= 1

    ground.host.log = log  # type: ignore[method-assign,assignment]
    message = pb.GetJobLogsRequest(uuid=job_id(1)).SerializeToString()
    calls = b"".join(
        rawhttp2.call(number, b"/joblet.JobService/GetJobLogs", message)
        for number in range(1, 21, 2)
    )
    pair = ground.authority.issue("eve", "viewer")
    for _ in range(20):
        _, writer = await rawhttp2.connected(ground.authority, pair, ground.ports[0], tmp_path)
        writer.write(rawhttp2.beginning() + calls)
        before = sent
        await until(lambda before=before: sent > before)  # type: ignore[misc]
        writer.transport.abort()
        await until(lambda: not reading)
    assert "internal error" not in caplog.text
    assert "Traceback" not in caplog.text


REQUESTS = st.one_of(st.binary(max_size=64), st.just(b"\n\xff\xff\xff\xff\x0f"))


def messages(kind: type[Any]) -> st.SearchStrategy[bytes]:
    """Well-formed messages of a kind, with hostile values in every field, down to the last."""
    return _fields(kind.DESCRIPTOR).map(
        lambda given_values: bytes(kind(**given_values).SerializeToString())
    )


def _fields(descriptor: Any) -> st.SearchStrategy[dict[str, Any]]:
    values = {field.name: _one_or_several(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=values)


def _one_or_several(field: Any) -> st.SearchStrategy[Any]:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = (kind.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_values(key), _values(value), max_size=3)
    if field.label == field.LABEL_REPEATED:
        return st.lists(_values(field), max_size=3)
    return _values(field)


def _values(field: Any) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return _fields(field.message_type)
    if field.type == field.TYPE_STRING:
        return st.text(max_size=80) | st.sampled_from(["\0", "/", "..", "a" * 5000, "0000"])
    if field.type == field.TYPE_BYTES:
        return st.binary(max_size=80)
    if field.type == field.TYPE_BOOL:
        return st.booleans()
    if field.type == field.TYPE_DOUBLE:
        return st.floats()
    unsigned = field.type in (field.TYPE_UINT32, field.TYPE_UINT64)
    bits = 31 if field.type in (field.TYPE_INT32,) else 63
    if unsigned:
        return st.integers(0, 2 ** (32 if field.type == field.TYPE_UINT32 else 64) - 1)
    return st.integers(-(2**bits), 2**bits - 1)


CALLS = st.sampled_from([one for one in METHODS.values() if one.name not in ENDLESS]).flatmap(
    lambda method: st.tuples(st.just(method), st.one_of(REQUESTS, messages(method.request)))
)


async def test_no_message_of_a_client_is_our_bug(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.host.statuses_of_host = [STATUS]
    user = ground.user()
    drawn: list[tuple[methods.Method, bytes]] = []

    @settings(
        max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(CALLS)
    def draw(call: tuple[methods.Method, bytes]) -> None:
        drawn.append(call)

    draw()
    bugs = []
    for method, data in drawn:
        # None that lives, whose log would be followed for ever.
        ground.host.jobs = {job_id(1): ended(1)}
        try:
            await user(method.name, data)
        except grpc.aio.AioRpcError as err:
            if err.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
                bugs.append((method.name, data, err.details()))
    assert bugs == []
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []
    assert (await user("ListJobs")) is not None
