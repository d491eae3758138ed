"""Samples in both dialects: one message for readers of either, and nothing out of range."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from joblet.model.metrics import STORED, DeviceIo, Sample
from joblet.rpc import metrics
from joblet.rpc.dialects import Dialect
from joblet.rpc.pb import joblet_pb2 as pb
from tests.fakes.client import job_id

ID = job_id(1)
COUNT = st.none() | st.integers(0, 2**63 - 1)
RATE = st.none() | st.floats(0, 1e18)
DEVICES = st.builds(
    DeviceIo,
    device=st.from_regex(r"[0-9]{1,3}:[0-9]{1,3}", fullmatch=True),
    **dict.fromkeys(
        ("read_bytes", "write_bytes", "discard_bytes", "read_ops", "write_ops", "discard_ops"),
        st.integers(0, 2**63 - 1),
    ),
)
KEYS: dict[str, Any] = {
    "time_usec": st.integers(0, 9_000_000_000_000_000),
    "interval_usec": st.none() | st.integers(1, 2**62),
    "cpu_percent": RATE,
    "io_read_bytes_per_s": RATE,
    "devices": st.none() | st.lists(DEVICES, max_size=3, unique_by=lambda d: d.device).map(tuple),
    **dict.fromkeys(STORED, COUNT),
}


@given(st.fixed_dictionaries(KEYS).map(lambda keys: Sample(**keys)))
def test_one_message_is_complete_for_readers_of_either(sample: Sample) -> None:
    old, new = metrics.nested(ID, sample), metrics.flat(ID, sample)
    both = Dialect.AUTO.metrics("grpc-python/1", old, new)
    read_new, read_old = pb.JobMetricsEvent.FromString(both), pb.JobMetricsSample.FromString(both)
    for part in pb.JobMetricsEvent.DESCRIPTOR.fields:
        assert getattr(read_new, part.name) == getattr(new, part.name)
    for part in pb.JobMetricsSample.DESCRIPTOR.fields:
        assert getattr(read_old, part.name) == getattr(old, part.name), part.name
        if part.message_type is not None and part.label != part.LABEL_REPEATED:
            assert read_old.HasField(part.name) == old.HasField(part.name)


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=40), st.integers(0, 2**31 - 1))
def test_a_summary_lies_between_the_least_and_the_most(values: list[float], period: int) -> None:
    samples = [Sample(time_usec=n, cpu_percent=value) for n, value in enumerate(values)]
    cpu = metrics.summary(samples, period).cpu
    assert cpu.min == min(values)
    assert cpu.max == max(values)
    assert cpu.min <= cpu.p50 <= cpu.p95 <= cpu.p99 <= cpu.max
    for percentile in (cpu.p50, cpu.p95, cpu.p99):
        assert percentile in values
