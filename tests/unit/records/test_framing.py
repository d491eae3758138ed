"""The frame of all small records: what comes back, and what is refused."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.records.framing import BadRecord, Fields, Item, pack, unpack

MAGIC = b"TEST"
ITEMS = st.lists(
    st.one_of(st.none(), st.binary(max_size=300), st.integers(-(2**70), 2**70)), max_size=30
)


@given(ITEMS, st.integers(1, 0xFFFF))
def test_items_come_back_as_they_were(items: list[Item], version: int) -> None:
    assert unpack(pack(MAGIC, version, items), MAGIC, (version,)) == (version, items)


@given(ITEMS, st.data())
def test_a_record_cut_anywhere_is_refused(items: list[Item], data: st.DataObject) -> None:
    whole = pack(MAGIC, 1, items)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadRecord):
        unpack(whole[:end], MAGIC, (1,))


@given(ITEMS, st.binary(min_size=1, max_size=20))
def test_trailing_bytes_are_refused(items: list[Item], more: bytes) -> None:
    with pytest.raises(BadRecord, match="trailing"):
        unpack(pack(MAGIC, 1, items) + more, MAGIC, (1,))


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    for head in (b"", MAGIC, MAGIC + struct.pack("<H", 1), MAGIC + struct.pack("<HI", 1, 3)):
        try:
            version, items = unpack(head + data, MAGIC, (1,))
        except BadRecord:
            continue
        assert version == 1
        assert all(item is None or isinstance(item, bytes | int) for item in items)


@given(ITEMS.filter(len), st.data())
def test_a_changed_byte_gives_a_record_or_a_refusal(items: list[Item], data: st.DataObject) -> None:
    whole = bytearray(pack(MAGIC, 1, items))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadRecord):
        unpack(bytes(whole), MAGIC, (1,))


@pytest.mark.parametrize("version", [0, 2, 0xFFFF])
def test_a_version_that_is_not_known_is_named(version: int) -> None:
    with pytest.raises(BadRecord, match=f"version {version} is not known"):
        unpack(pack(MAGIC, version, []), MAGIC, (1,))


def test_a_record_of_another_kind_is_named() -> None:
    with pytest.raises(BadRecord, match="expected a TEST record, found b'ELSE'"):
        unpack(pack(b"ELSE", 1, []), MAGIC, (1,))


def test_a_count_far_beyond_the_data_costs_nothing() -> None:
    with pytest.raises(BadRecord, match="cut short"):
        unpack(MAGIC + struct.pack("<HI", 1, 0xFFFFFFFF), MAGIC, (1,))


def test_an_item_of_an_unknown_kind_is_refused() -> None:
    data = MAGIC + struct.pack("<HII", 1, 1, 3 << 30)
    with pytest.raises(BadRecord, match="unknown kind"):
        unpack(data, MAGIC, (1,))


@pytest.mark.parametrize("text", [b"", b"x", b"1.5", b"0x1", b"9" * 5000])
def test_a_number_that_is_none_is_refused(text: bytes) -> None:
    data = MAGIC + struct.pack("<HII", 1, 1, (1 << 30) | len(text)) + text
    with pytest.raises(BadRecord, match="bad number"):
        unpack(data, MAGIC, (1,))


def test_fields_of_an_older_writer_have_their_defaults() -> None:
    fields = Fields([1], "thing")
    assert fields.word() == 1
    assert (fields.word(7), fields.maybe_word(), fields.blob(b"x")) == (7, None, b"x")


@pytest.mark.parametrize(("item", "read"), [(b"x", "word"), (b"x", "maybe_word"), (1, "blob")])
def test_a_field_of_the_wrong_kind_is_named(item: Item, read: str) -> None:
    with pytest.raises(BadRecord, match="thing: item 1 is not a"):
        getattr(Fields([item], "thing"), read)()
