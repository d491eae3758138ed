"""The metrics file: samples come back, a torn tail is nobody's, newer fields are passed over."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.records import metrics
from joblet.records.framing import BadRecord
from joblet.records.metrics import FIELDS, HEADER, HEADER_SIZE, MetricsRecord, records

WORD = st.integers(0, 2**64 - 1)
DEVICE = st.tuples(*[WORD] * 7)
RECORDS = st.builds(
    MetricsRecord,
    WORD,
    WORD,
    st.dictionaries(st.sampled_from(FIELDS), WORD),
    st.none() | st.lists(DEVICE, max_size=4).map(tuple),
)


def told(record: MetricsRecord) -> tuple[Any, ...]:
    return record.number, record.time_usec, dict(record.values), record.devices


def read(data: bytes) -> list[tuple[Any, ...]]:
    return [told(record) for _, record in records(data)]


@given(st.lists(RECORDS, max_size=5))
def test_every_sample_comes_back_as_it_was(written: list[MetricsRecord]) -> None:
    data = HEADER + b"".join(record.encode() for record in written)
    assert read(data) == [told(record) for record in written]
    ends = [end for end, _ in records(data)]
    assert ends == sorted(ends)
    assert not ends or ends[-1] == len(data)


@given(st.lists(RECORDS, min_size=1, max_size=4), st.data())
def test_a_torn_tail_is_ignored(written: list[MetricsRecord], draw: st.DataObject) -> None:
    pieces = [record.encode() for record in written]
    cut = draw.draw(st.integers(0, len(pieces[-1]) - 1))
    zeros = draw.draw(st.booleans())
    data = HEADER + b"".join(pieces[:-1])
    tail = pieces[-1][:cut]
    if zeros:
        # The size of the file reached the disk, the bytes did not.
        lost = pieces[-1][cut:]
        if not any(lost):
            return
        tail += bytes(len(lost))
    assert read(data + tail) == [told(record) for record in written[:-1]]


@given(RECORDS, st.lists(WORD, max_size=3), st.lists(WORD, max_size=5))
def test_what_a_newer_writer_adds_is_passed_over(
    record: MetricsRecord, fields: list[int], behind: list[int]
) -> None:
    data = record.encode()
    count = struct.unpack_from("<I", data)[0]
    words = list(struct.unpack_from(f"<{count}Q", data, 8))
    values_end = 3 + words[2].bit_count()
    for bit in range(len(fields)):
        words[2] |= 1 << (len(FIELDS) + bit)
    devices = words[values_end:] or [0]
    words = words[:values_end] + fields + devices + behind
    data = struct.pack("<II", len(words), metrics._check(words))
    data += struct.pack(f"<{len(words)}Q", *words)
    [(number, time_usec, values, found)] = read(HEADER + data)
    assert (number, time_usec, values) == told(record)[:3]
    assert found == (record.devices or ())


def test_there_is_room_for_more_fields() -> None:
    assert len(FIELDS) == len(set(FIELDS)) < 64


@pytest.mark.parametrize("size", [0, 1, HEADER_SIZE - 1])
def test_a_header_that_is_cut_short_is_none(size: int) -> None:
    with pytest.raises(BadRecord, match="cut short"):
        metrics.check_header(HEADER[:size])


def test_foreign_files_and_unknown_versions_are_refused() -> None:
    metrics.check_header(HEADER)
    with pytest.raises(BadRecord, match="not a file of metrics"):
        metrics.check_header(b"JLIX" + HEADER[4:])
    with pytest.raises(BadRecord, match="version 2"):
        metrics.check_header(HEADER[:4] + b"\2\0" + HEADER[6:])
