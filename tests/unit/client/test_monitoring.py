"""What Monitor tells, read into the model; and what it must not tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.client import monitoring
from joblet.errors import RemoteError
from joblet.model import telling
from joblet.model.metrics import Sample
from tests.fakes.hoststatus import SAMPLES, STATUS

DEVICE = {
    "device": "8:0",
    "read_bytes": 1,
    "write_bytes": 2,
    "discard_bytes": 3,
    "read_ops": 4,
    "write_ops": 5,
    "discard_ops": 6,
}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_what_the_daemon_writes_the_client_reads() -> None:
    assert monitoring.samples(telling.samples_json(SAMPLES)) == SAMPLES
    status = telling.status_json(STATUS, commands=True)
    assert monitoring.host_status(status) == STATUS


def test_pressure_comes_back_in_hundredths() -> None:
    [sample] = monitoring.samples(encoded([{"time_usec": 1, "cpu_some_avg10": 0.29}]))
    assert sample == Sample(time_usec=1, cpu_some_avg10=29)


def test_a_newer_daemon_may_tell_more() -> None:
    told = {"time_usec": 1, "gpu": 7, "devices": [{**DEVICE, "latency": 3}]}
    [sample] = monitoring.samples(encoded([told]))
    assert sample.devices is not None
    assert sample.devices[0].device == "8:0"


@pytest.mark.parametrize(
    "told",
    [
        b"[",
        encoded({}),
        encoded([1]),
        encoded([{}]),
        encoded([{"time_usec": "now"}]),
        encoded([{"time_usec": True}]),
        encoded([{"time_usec": 1, "devices": [{"device": "8:0"}]}]),
        encoded([{"time_usec": 1, "devices": 3}]),
        "text",
    ],
)
def test_what_the_contract_rules_out_is_an_error(told: Any) -> None:
    with pytest.raises(RemoteError, match="the daemon sent"):
        monitoring.samples(told)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["host", "time_usec", "cpu", "disks", "x"]), inner)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_is_read_or_refused(told: object) -> None:
    for read in (monitoring.samples, monitoring.host_status):
        try:
            read(encoded(told))
        except RemoteError:
            continue
