"""Metrics of jobs and of the host over mutual TLS, in every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest

from joblet.client.monitoring import MetricsRequest
from joblet.client.remote import RemoteClient
from joblet.errors import JobletError, RemoteError, Unreachable
from joblet.rpc.pb import joblet_pb2 as pb
from tests.bridge.conftest import PATIENCE_S, Ground, Remote, Start
from tests.bridge.test_remote_client import node, restarted
from tests.fakes.client import NOW_USEC, FakeClient, ended, job, job_id
from tests.fakes.hoststatus import FIRST, GIB, LAST, MIB, SAMPLES, SECOND, STATUS

ID = job_id(1)
GET = pb.GetJobMetricsRequest(job_uuid=ID[:8])
STREAM = pb.StreamJobMetricsRequest(job_uuid=ID)


def prepare(host: FakeClient, *, running: bool = False) -> None:
    host.jobs[ID] = job() if running else ended()
    host.samples[ID] = list(SAMPLES)
    host.statuses_of_host = [STATUS]


@pytest.fixture
def prepared(ground: Ground) -> Ground:
    prepare(ground.host)
    return ground


def nested(answers: list[Any]) -> list[pb.JobMetricsSample]:
    """The same bytes as an older client reads them."""
    return [pb.JobMetricsSample.FromString(one.SerializeToString()) for one in answers]


async def test_flat_samples(prepared: Ground) -> None:
    for method, request in (("GetJobMetrics", GET), ("StreamJobMetrics", STREAM)):
        first, second, last = await prepared.user("viewer")(method, request)
        assert (first.job_uuid, first.timestamp) == (ID, FIRST.time_usec * 1000)
        assert (first.cpu_percent, first.memory_bytes) == (50.0, 64 * MIB)
        assert (first.memory_limit, first.disk_read_bytes) == (128 * MIB, 4 * MIB)
        assert (second.cpu_percent, second.memory_bytes) == (100.0, 0)
        assert (last.disk_write_bytes, last.timestamp) == (MIB, LAST.time_usec * 1000)


async def test_nested_samples_in_the_same_bytes(prepared: Ground) -> None:
    first, second, last = nested(await prepared.user()("GetJobMetrics", GET))
    assert (first.job_id, first.timestamp) == (ID, FIRST.time_usec // 1_000_000)
    assert first.sample_interval_seconds == 2
    assert (first.cpu.usage_usec, first.cpu.usage_percent) == (1_000_000, 50.0)
    assert first.cpu.pressure_some10 == 1.5
    assert (first.memory.current, first.memory.max) == (64 * MIB, 128 * MIB)
    assert first.memory.usage_percent == 50.0
    assert first.io.devices["8:0"].read_bytes == 4 * MIB
    assert first.io.read_bps == 2 * MIB
    assert (first.process.current, first.process.max) == (3, 4096)
    assert (first.limits.cpu, first.limits.memory) == (100, 128 * MIB)
    # Not counted on that host: the group is not there, and no job has a network.
    assert not second.HasField("memory")
    assert not second.HasField("io")
    assert not first.HasField("network")
    assert second.HasField("cpu")
    assert last.io.total_write_bytes == MIB


async def test_a_listener_of_one_dialect_speaks_it(start: Start) -> None:
    listeners = ("127.0.0.1:0 v2.5", "127.0.0.1:0 v2.3")
    ground = await start(listeners=listeners)
    prepare(ground.host)
    pair = ground.authority.issue("ada", "viewer")
    [flat, *_] = await ground.connect(pair, listener=0)("GetJobMetrics", GET)
    assert flat.memory_limit == 128 * MIB
    assert not nested([flat])[0].HasField("cpu")
    answers = await ground.connect(pair, listener=1)("GetJobMetrics", GET)
    assert answers[0].cpu_percent == 0
    assert nested(answers)[0].cpu.usage_percent == 50.0


async def test_get_ends_with_the_history_and_stream_with_the_job(ground: Ground) -> None:
    prepare(ground.host, running=True)
    user = ground.user()
    assert len(await user("GetJobMetrics", GET)) == 3
    call = user.start("StreamJobMetrics", STREAM)
    async with asyncio.timeout(PATIENCE_S):
        for _ in SAMPLES:
            await call.read()
    assert getattr(_follow(ground), "follow") is True  # noqa: B009
    # What it waits for now does not come: the call is not at its end.
    assert not call.done()
    call.cancel()


def _follow(ground: Ground) -> object:
    return next(what for verb, what in reversed(ground.host.calls) if verb == "metrics")


async def test_where_get_goes_on_with_the_job_it_is_told_so(start: Start) -> None:
    ground = await start(listeners=("127.0.0.1:0 v2.3",))
    prepare(ground.host)
    await ground.user()("GetJobMetrics", GET)
    assert getattr(_follow(ground), "follow") is True  # noqa: B009


async def test_a_time_and_a_number_of_samples(prepared: Ground) -> None:
    user = prepared.user()
    request = pb.GetJobMetricsRequest(
        job_uuid=ID,
        start_time=SECOND.time_usec * 1000,
        end_time=SECOND.time_usec * 1000,
    )
    [only] = await user("GetJobMetrics", request)
    assert only.timestamp == SECOND.time_usec * 1000
    assert len(await user("GetJobMetrics", pb.GetJobMetricsRequest(job_uuid=ID, limit=2))) == 2
    nothing = pb.GetJobMetricsRequest(job_uuid=ID, start_time=LAST.time_usec * 2000)
    assert await user("GetJobMetrics", nothing) == []


async def test_history_of_a_time(prepared: Ground) -> None:
    user = prepared.user()
    whole = await user("GetJobMetricsHistory", pb.JobMetricsHistoryRequest(uuid=ID))
    assert [sample.timestamp for sample in whole.samples] == [
        sample.time_usec // 1_000_000 for sample in SAMPLES
    ]
    at = SECOND.time_usec // 1_000_000
    part = await user(
        "GetJobMetricsHistory",
        pb.JobMetricsHistoryRequest(uuid=ID, from_timestamp=at, to_timestamp=at),
    )
    assert [sample.timestamp for sample in part.samples] == [at]


async def test_a_history_that_is_too_long_keeps_its_end_and_says_so(prepared: Ground) -> None:
    many = [replace(SECOND, number=n, time_usec=NOW_USEC + n * 1_000_000) for n in range(1, 4101)]
    prepared.host.samples[ID] = many
    answer = await prepared.user()("GetJobMetricsHistory", pb.JobMetricsHistoryRequest(uuid=ID))
    assert len(answer.samples) == 4000
    assert answer.samples[-1].timestamp == many[-1].time_usec // 1_000_000
    assert answer.ByteSize() < 4 << 20


async def test_a_summary(prepared: Ground) -> None:
    prepared.host.samples[ID] = [
        replace(FIRST, time_usec=NOW_USEC + n * 1_000_000, cpu_percent=float(n))
        for n in range(1, 401)
    ]
    user = prepared.user()
    whole = await user("GetJobMetricsSummary", pb.JobMetricsSummaryRequest(uuid=ID))
    cpu = whole.cpu
    # the last 300 seconds
    assert (cpu.min, cpu.max, cpu.avg) == (100.0, 400.0, 250.0)
    assert (cpu.p50, cpu.p95, cpu.p99) == (250.0, 385.0, 397.0)
    assert whole.memory.p50 == 64 * MIB
    assert whole.io.max == 2 * MIB
    assert not whole.HasField("network")
    prepared.host.samples[ID] = [SECOND]
    assert not (await user("GetJobMetricsSummary", pb.JobMetricsSummaryRequest(uuid=ID))).HasField(
        "memory"
    )
    prepared.host.samples[ID] = []
    assert not (await user("GetJobMetricsSummary", pb.JobMetricsSummaryRequest(uuid=ID))).HasField(
        "cpu"
    )


@pytest.mark.parametrize(
    ("method", "request_type", "field"),
    [
        ("GetJobMetrics", pb.GetJobMetricsRequest, "job_uuid"),
        ("StreamJobMetrics", pb.StreamJobMetricsRequest, "job_uuid"),
        ("GetJobMetricsHistory", pb.JobMetricsHistoryRequest, "uuid"),
        ("GetJobMetricsSummary", pb.JobMetricsSummaryRequest, "uuid"),
    ],
)
async def test_a_job_that_is_not_there(
    prepared: Ground, method: str, request_type: Any, field: str
) -> None:
    user = prepared.user()
    assert await user.refused(method, request_type()) == (
        "INVALID_ARGUMENT",
        "job_uuid is required",
    )
    for unknown in ("ffff1234", "../../etc", job_id(9)):
        assert await user.refused(method, request_type(**{field: unknown})) == (
            "NOT_FOUND",
            f"job not found: {unknown}",
        )
    assert (await user.refused(method, request_type(**{field: "ab"})))[0] == "INVALID_ARGUMENT"
    prepared.host.failures["metrics"] = RemoteError("org.joblet1.Error.NoSuchJob", "gone")
    assert (await user.refused(method, request_type(**{field: ID})))[0] == "NOT_FOUND"


async def test_the_status_of_the_host(prepared: Ground) -> None:
    answer = await prepared.user("viewer")("GetSystemStatus")
    assert answer.available
    assert answer.timestamp == "2025-11-22T08:26:40Z"
    host = answer.host
    assert (host.hostname, host.platform, host.cpu_count) == ("box", "debian", 2)
    assert (host.boot_time, host.uptime) == ("2025-11-22T06:26:40Z", 7200)
    assert (list(host.server_ips), host.total_memory) == (["192.0.2.7"], 8 * GIB)
    assert list(answer.cpu.load_average) == [0.5, 0.25, 0.125]
    assert answer.cpu.usage_percent == 25.5
    assert list(answer.cpu.per_core_usage) == [50.5, 0.5]
    assert (answer.memory.used_bytes, answer.memory.swap_used) == (2 * GIB, GIB)
    # One that cannot be looked into would be an empty disk.
    [disk] = answer.disks
    assert (disk.mount_point, disk.inodes_usage_percent) == ("/", 10.0)
    assert answer.networks[0].receive_rate == 2048.0
    assert answer.networks[0].mac_address == "02:00:00:00:00:01"
    assert answer.io.read_rate == 4096.0
    assert answer.io.disk_io[0].utilization == 12.5
    assert answer.processes.total_processes == 231
    [top] = answer.processes.top_by_cpu
    assert (top.pid, top.command, top.user) == (4711, "python3 train.py", "ada")
    assert top.start_time == "2025-11-22T08:26:35Z"
    assert (answer.cloud.provider, answer.cloud.zone) == ("AWS", "eu-central-1a")
    assert answer.server_version.go_version == "Python 3.13.5"


async def test_every_group_is_there_for_clients_that_do_not_look(prepared: Ground) -> None:
    prepared.host.statuses_of_host = [
        replace(
            STATUS,
            cpu=None,
            memory=None,
            disks=None,
            networks=None,
            io=None,
            processes=None,
            cloud=None,
        )
    ]
    user = prepared.user()
    status = await user("GetSystemStatus")
    stream = user.start("StreamSystemMetrics", pb.StreamMetricsRequest(metric_types=["gpu"]))
    metrics = await stream.read()
    stream.cancel()
    for answer in (status, metrics):
        for group in ("host", "cpu", "memory", "io", "processes", "cloud"):
            assert answer.HasField(group), group
        assert list(answer.cpu.load_average) == [0, 0, 0]


async def first_answers(user: Remote, request: pb.StreamMetricsRequest, count: int) -> list[Any]:
    call = user.start("StreamSystemMetrics", request)
    async with asyncio.timeout(PATIENCE_S):
        answers = [await call.read() for _ in range(count)]
    call.cancel()
    return answers


async def test_a_stream_of_the_host(prepared: Ground) -> None:
    request = pb.StreamMetricsRequest(interval_seconds=1, metric_types=["memory", "cpu"])
    later = replace(STATUS, time_usec=NOW_USEC + 1_000_000)
    prepared.host.statuses_of_host = [STATUS, later]
    first, second = await first_answers(prepared.user(), request, 2)
    assert first.timestamp == "2025-11-22T08:26:40Z"
    assert second.timestamp == "2025-11-22T08:26:41Z"
    asked = [what for verb, what in prepared.host.calls if verb == "host_status"]
    # soon, then over the interval
    assert asked[:2] == [(("cpu", "memory"), 500_000), (("cpu", "memory"), 1_000_000)]


async def test_a_stream_without_wishes_has_everything(prepared: Ground) -> None:
    [first] = await first_answers(prepared.user(), pb.StreamMetricsRequest(), 1)
    assert first.processes.total_processes == 231
    assert ("host_status", ((), 500_000)) in prepared.host.calls


async def test_a_host_without_a_daemon_is_unavailable(prepared: Ground) -> None:
    prepared.host.failures["host_status"] = Unreachable("jobletd is not running")
    user = prepared.user()
    assert (await user.refused("GetSystemStatus"))[0] == "UNAVAILABLE"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await first_answers(user, pb.StreamMetricsRequest(), 1)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


@asynccontextmanager
async def native(ground: Ground) -> AsyncIterator[RemoteClient]:
    """This project's own client."""
    pair = ground.authority.issue("ada", "viewer")
    async with RemoteClient.connect(node(ground, pair)) as client:
        yield client


async def test_our_own_client_is_told_what_jobletd_tells(prepared: Ground) -> None:
    async with native(prepared) as client:
        assert await collected(client, MetricsRequest()) == SAMPLES
        wanted = MetricsRequest(after=1, since_usec=SECOND.time_usec, until_usec=SECOND.time_usec)
        assert await collected(client, wanted) == [SECOND]
        assert wanted in [what for verb, what in prepared.host.calls if verb == "metrics"]
        assert await client.host_status(("cpu",), window_usec=300_000) == STATUS
        assert ("host_status", (("cpu",), 300_000)) in prepared.host.calls
        with pytest.raises(JobletError, match="groups are cpu, memory"):
            await client.host_status(("gpu",))
        with pytest.raises(JobletError, match="there is no job"):
            await collected(client, MetricsRequest(), "ffffffff")


async def test_samples_go_on_where_they_were_after_a_lost_connection(start: Start) -> None:
    ground = await start()
    prepare(ground.host, running=True)
    seen: list[int] = []
    async with native(ground) as client:
        wanted = MetricsRequest(follow=True)
        async with aclosing(client.metrics(ID, wanted)) as found:
            async with asyncio.timeout(PATIENCE_S):
                seen += [(await anext(found)).number for _ in range(2)]
                await restarted(start, ground)
                ground.host.jobs[ID] = ended()
                seen += [sample.number async for sample in found]
    assert seen == [1, 2, 3]


async def collected(client: RemoteClient, wanted: MetricsRequest, job_ref: str = ID) -> list[Any]:
    async with aclosing(client.metrics(job_ref, wanted)) as found:
        return [sample async for sample in found]
