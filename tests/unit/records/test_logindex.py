"""The bytes of log.idx."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.records import logindex
from joblet.records.framing import BadRecord
from joblet.records.logindex import Header, decode_entries, decode_header, encode_entry

WORD = st.integers(0, 2**64 - 1)
ENTRY = st.tuples(WORD, WORD, st.sampled_from([1, 2, 3]), st.integers(0, 2**56 - 1))


@given(WORD, WORD, WORD, WORD, st.booleans())
def test_a_header_comes_back_as_it_was(
    valid_from: int, first_entry: int, dropped: int, end: int, sealed: bool
) -> None:
    data = Header(valid_from, first_entry, dropped, end, sealed).encode()
    assert len(data) == logindex.HEADER_SIZE
    back = decode_header(data)
    assert (back.valid_from, back.first_entry, back.dropped_bytes) == (
        valid_from,
        first_entry,
        dropped,
    )
    assert (back.end_offset, back.sealed) == (end, sealed)


@given(st.lists(ENTRY, max_size=50), st.binary(max_size=logindex.ENTRY_SIZE - 1))
def test_entries_come_back_in_order_without_a_torn_last_one(
    entries: list[tuple[int, int, int, int]], torn: bytes
) -> None:
    data = b"".join(encode_entry(*entry) for entry in entries)
    assert list(decode_entries(data + torn)) == entries


def test_the_first_version_is_read_as_it_was_written() -> None:
    header = bytes.fromhex(
        "4a4c4958 0100 0100 1000000000000000 0200000000000000 0300000000000000 4000000000000000"
    ) + bytes(24)
    back = decode_header(header)
    assert (back.valid_from, back.first_entry, back.dropped_bytes) == (16, 2, 3)
    assert (back.end_offset, back.sealed) == (64, True)
    entry = bytes.fromhex("1000000000000000 00000000000000ff 0307000000000000")
    assert list(decode_entries(entry)) == [(16, 0xFF << 56, logindex.GAP, 7)]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (Header().encode()[:-1], "cut short"),
        (b"JLOG" + Header().encode()[4:], "not a log index"),
        (b"JLIX\x02\x00" + Header().encode()[6:], "version 2"),
    ],
)
def test_what_is_not_a_header_of_ours_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadRecord, match=why):
        decode_header(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    try:
        header = decode_header(data)
    except BadRecord:
        return
    assert data.startswith(logindex.MAGIC)
    assert header.end_offset >= 0
