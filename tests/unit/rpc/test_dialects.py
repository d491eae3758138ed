"""Two encodings under one number, and who gets which."""

from __future__ import annotations

import pytest

from joblet.rpc.dialects import Dialect
from joblet.rpc.pb import joblet_pb2 as pb

PYTHON = "grpc-python/1.75.1 grpc-c/49.0.0 (linux; chttp2)"
GO = "grpc-go/1.76.0"
NODE = "grpc-node-js/1.12.0"

NESTED = pb.JobMetricsSample(
    job_id="j",
    timestamp=1_700_000_000,
    sample_interval_seconds=5,
    cpu=pb.JobCPUMetrics(usage_usec=7, usage_percent=12.5),
    memory=pb.JobMemoryMetrics(current=4096),
    io=pb.JobIOMetrics(devices={"8:0": pb.DeviceIOMetrics(device="8:0", read_bytes=1)}),
    network=pb.JobNetworkMetrics(),
    process=pb.JobProcessMetrics(current=3),
    gpu=[pb.JobGPUMetrics(index=1)],
    cgroup_path="/x",
    limits=pb.JobResourceLimits(cpu=50),
    gpu_allocation=[1],
)
FLAT = pb.JobMetricsEvent(
    timestamp=1_700_000_000_000_000_000,
    job_uuid="j",
    cpu_percent=12.5,
    memory_bytes=4096,
    memory_limit=8192,
    disk_read_bytes=1,
    disk_write_bytes=2,
    net_recv_bytes=3,
    net_sent_bytes=4,
    gpu_percent=5.0,
    gpu_memory_bytes=6,
)


def known(message: pb.JobMetricsSample | pb.JobMetricsEvent) -> object:
    message.DiscardUnknownFields()
    return message


@pytest.mark.parametrize("agent", [PYTHON, GO, ""])
def test_readers_of_either_time_find_all_of_theirs(agent: str) -> None:
    data = Dialect.AUTO.metrics(agent, NESTED, FLAT)
    assert known(pb.JobMetricsSample.FromString(data)) == NESTED
    assert known(pb.JobMetricsEvent.FromString(data)) == FLAT


def test_the_reader_that_would_throw_gets_the_flat_half_alone() -> None:
    assert Dialect.AUTO.metrics(NODE, NESTED, FLAT) == FLAT.SerializeToString()


@pytest.mark.parametrize(
    ("dialect", "message"),
    [(Dialect.V2_5, FLAT), (Dialect.V2_3, NESTED), (Dialect.V1, NESTED)],
)
@pytest.mark.parametrize("agent", [PYTHON, GO, NODE])
def test_a_listener_with_a_dialect_does_not_look_at_the_agent(
    dialect: Dialect, message: pb.JobMetricsEvent | pb.JobMetricsSample, agent: str
) -> None:
    assert dialect.metrics(agent, NESTED, FLAT) == message.SerializeToString()


@pytest.mark.parametrize(
    ("dialect", "agent", "asked", "with_job"),
    [
        (Dialect.AUTO, GO, {}, True),
        (Dialect.AUTO, GO, {"limit": 1}, False),
        (Dialect.AUTO, GO, {"start_time": 1}, False),
        (Dialect.AUTO, GO, {"end_time": 1}, False),
        (Dialect.AUTO, PYTHON, {}, False),
        (Dialect.AUTO, NODE, {}, False),
        (Dialect.AUTO, "", {}, False),
        (Dialect.V2_5, GO, {}, False),
        (Dialect.V2_3, PYTHON, {}, True),
        (Dialect.V1, PYTHON, {}, True),
    ],
)
def test_the_history_ends_or_goes_on_as_the_client_expects(
    dialect: Dialect, agent: str, asked: dict[str, int], with_job: bool
) -> None:
    request = pb.GetJobMetricsRequest(job_uuid="j", **asked)
    assert dialect.metrics_end_with_job(agent, request) is with_job


def test_only_the_oldest_dialect_has_the_old_workflow() -> None:
    assert [one for one in Dialect if one.old_workflow_info] == [Dialect.V1]
