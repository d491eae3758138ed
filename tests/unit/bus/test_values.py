"""Python values to messages and back: property-tested over signatures, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.bus.library import Message, MessageType, SignatureTree
from joblet.bus.values import Typed, Unsendable, pack, pack_variant, unpack

_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
_BASIC: dict[str, st.SearchStrategy[Any]] = {
    "y": st.integers(0, 255),
    "b": st.booleans(),
    "n": st.integers(-(2**15), 2**15 - 1),
    "q": st.integers(0, 2**16 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "u": st.integers(0, 2**32 - 1),
    "x": st.integers(-(2**63), 2**63 - 1),
    "t": st.integers(0, 2**64 - 1),
    "d": st.floats(allow_nan=False),
    "s": _TEXT,
    "o": st.just("/org/joblet1"),
    "g": st.just("a{sv}"),
}


def _array(element: tuple[str, Any]) -> tuple[str, Any]:
    signature, values = element
    if signature == "y":
        return "ay", st.binary(max_size=20)
    return f"a{signature}", st.lists(values, max_size=4)


def _dict(element: tuple[str, Any]) -> tuple[str, Any]:
    signature, values = element
    return f"a{{s{signature}}}", st.dictionaries(_TEXT, values, max_size=4)


def _struct(elements: list[tuple[str, Any]]) -> tuple[str, Any]:
    signature = "".join(part for part, _ in elements)
    return f"({signature})", st.tuples(*(values for _, values in elements)).map(list)


def _variant(element: tuple[str, Any]) -> tuple[str, Any]:
    signature, values = element
    return "v", values.map(lambda value: Typed(signature, value))


_TYPES: st.SearchStrategy[tuple[str, Any]] = st.recursive(
    st.sampled_from(sorted(_BASIC.items())),
    lambda inner: st.one_of(
        inner.map(_array),
        inner.map(_dict),
        st.lists(inner, min_size=1, max_size=3).map(_struct),
        inner.map(_variant),
    ),
    max_leaves=6,
)


@given(st.data())
def test_what_is_packed_is_unpacked_the_same(data: st.DataObject) -> None:
    signature, values = data.draw(_TYPES)
    value = data.draw(values)
    packed = pack(signature, [value], [])
    SignatureTree(signature).verify(packed)
    assert unpack(signature, packed, [], typed=True) == [value]
    assert unpack(signature, packed, [], typed=False) == [_plain(value)]


def _plain(value: Any) -> Any:
    if isinstance(value, Typed):
        return _plain(value.value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        ("s", ["a\0b"]),
        ("s", [b"bytes"]),
        ("as", [["ok", 5]]),
        ("a{ss}", [{"k": None}]),
        ("ss", ["one"]),
        ("", ["one"]),
        ("(su)", [["one"]]),
        ("v", ["bare"]),
        ("v", [("s",)]),
        ("v", [("s", 5)]),
        ("v", [("u", -1)]),
        ("v", [("ss", "two types")]),
        ("v", [("", "no type")]),
        ("z", [1]),
        ("(s", [["x"]]),
        ("a", [[]]),
    ],
)
def test_a_body_that_does_not_fit_is_refused(signature: str, body: list[Any]) -> None:
    with pytest.raises(Unsendable):
        pack(signature, body, [])


def test_descriptors_become_indexes_and_come_back_as_descriptors() -> None:
    fds: list[int] = []
    body = [7, Typed("ah", [8, 9])]
    packed = pack("hv", body, fds)
    assert fds == [7, 8, 9]
    assert packed[0] == 0
    assert unpack("hv", packed, [17, 18, 19], typed=False) == [17, [18, 19]]


def test_a_descriptor_that_did_not_come_is_noticed() -> None:
    with pytest.raises(Unsendable, match="descriptor 1 did not come with the message"):
        unpack("h", [1], [5], typed=True)


def test_a_tuple_may_stand_for_a_structure_and_a_string_enum_for_a_string() -> None:
    assert pack("(sa(sv))", [("a", [("b", Typed("u", 1))])], [])[0][1][0][0] == "b"


def test_a_plain_pair_may_stand_for_a_typed_value() -> None:
    assert pack_variant(("u", 5), []) == pack_variant(Typed("u", 5), [])


def test_the_library_marshals_what_was_packed() -> None:
    message = Message(
        message_type=MessageType.SIGNAL,
        path="/",
        interface="org.joblet1.Test",
        member="Tick",
        signature="a{sv}ay",
        body=pack("a{sv}ay", [{"a": Typed("as", ["b"])}, bytearray(b"x")], []),
        serial=1,
    )
    assert message._marshall(negotiate_unix_fd=True)
