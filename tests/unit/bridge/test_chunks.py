"""Cutting output: nothing is lost, held back or torn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.bridge.chunks import FULL, Chunker, incomplete


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"", 0),
        (b"a", 0),
        ("ü".encode(), 0),
        ("ü".encode()[:1], 1),
        ("€".encode()[:1], 1),
        ("€".encode()[:2], 2),
        ("€".encode(), 0),
        ("😀".encode()[:3], 3),
        (b"a" + "😀".encode()[:1], 1),
        ("😀".encode(), 0),
        (b"\x80\x80\x80\x80\x80", 0),  # no beginning of anything
        (b"\xff", 0),
        (b"\xf8\x80\x80", 0),
    ],
)
def test_only_the_beginning_of_a_character_is_incomplete(data: bytes, missing: int) -> None:
    assert incomplete(data) == missing


def test_a_live_line_is_sent_as_far_as_it_is_there() -> None:
    chunker = Chunker()
    assert chunker.cut(b"Password: ") == b"Password: "
    assert chunker.rest() == b""


def test_a_full_piece_is_cut_at_its_last_line_end() -> None:
    chunker = Chunker()
    line = b"x" * 99 + b"\n"
    data = (line * (FULL // 100 + 1))[:FULL]
    first = chunker.cut(data)
    assert first.endswith(b"\n")
    assert len(first) > FULL - 100
    assert first + chunker.cut(b"") == data


def test_a_long_line_is_not_waited_for() -> None:
    data = b"a\n" + b"x" * (FULL - 2)
    assert Chunker().cut(data) == data


@given(st.text(), st.data())
def test_text_stays_text_in_every_chunk(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    chunker = Chunker()
    chunks = []
    position = 0
    while position < len(whole):
        size = data.draw(st.integers(1, 5))
        chunks.append(chunker.cut(whole[position : position + size]))
        position += size
    chunks.append(chunker.rest())
    assert "".join(chunk.decode() for chunk in chunks) == text
    assert chunks[-1] == b""


@given(st.lists(st.binary(max_size=9)))
def test_any_bytes_come_out_as_they_went_in(pieces: list[bytes]) -> None:
    chunker = Chunker()
    out = b"".join(chunker.cut(piece) for piece in pieces)
    assert out + chunker.rest() == b"".join(pieces)
