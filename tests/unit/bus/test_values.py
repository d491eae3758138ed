"""Python values to messages and back, with the library as the judge, and what is refused."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import dbus_next
import pytest
from dbus_next._private.unmarshaller import Unmarshaller
from hypothesis import given
from hypothesis import strategies as st

from joblet.bus import frames
from joblet.bus.decode import BIG, LITTLE, decode
from joblet.bus.encode import encode
from joblet.bus.frames import Flag, Kind
from joblet.bus.values import Malformed, Typed, Unsendable

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
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
    return f"a{signature}", st.lists(values, max_size=3)


def _dict(element: tuple[str, Any]) -> tuple[str, Any]:
    signature, values = element
    return f"a{{s{signature}}}", st.dictionaries(_TEXT, values, max_size=3)


def _struct(elements: list[tuple[str, Any]]) -> tuple[str, Any]:
    signature = "".join(part for part, _ in elements)
    return f"({signature})", st.tuples(*(values for _, values in elements)).map(list)


def _variant(element: tuple[str, Any]) -> tuple[str, Any]:
    signature, values = element
    # Of types as long as a stranger may send.
    if len(signature) > 32:
        return element
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


def _decode(signature: str, data: bytes | bytearray, *fds: int, typed: bool = True) -> list[Any]:
    return decode(signature, bytes(data), fds, order=LITTLE, typed=typed)


@given(st.data())
def test_what_is_encoded_is_decoded_the_same(data: st.DataObject) -> None:
    elements = data.draw(st.lists(_TYPES, max_size=3))
    signature = "".join(part for part, _ in elements)
    body = [data.draw(values) for _, values in elements]
    encoded = bytes(encode(signature, body, []))
    assert _decode(signature, encoded) == body
    assert _decode(signature, encoded, typed=False) == [_plain(value) for value in body]


@given(st.data())
def test_the_library_reads_what_we_write(data: st.DataObject) -> None:
    signature, values = data.draw(_TYPES)
    value = data.draw(values)
    ours = frames.build(
        Kind.SIGNAL,
        7,
        flags=Flag.NO_REPLY_EXPECTED,
        path="/org/joblet1",
        interface="org.joblet1.Test",
        member="Tick",
        destination=":1.7",
        signature=signature,
        body=encode(signature, [value], []),
    )
    theirs = Unmarshaller(io.BytesIO(ours)).unmarshall()
    assert (theirs.serial, theirs.path, theirs.member) == (7, "/org/joblet1", "Tick")
    assert (theirs.interface, theirs.destination) == ("org.joblet1.Test", ":1.7")
    assert theirs.signature == signature
    assert _typed(theirs.body) == [value]


@given(st.data())
def test_we_read_what_the_library_writes(data: st.DataObject) -> None:
    signature, values = data.draw(_TYPES)
    value = data.draw(values)
    theirs = dbus_next.Message(
        destination="org.joblet1",
        path="/org/joblet1",
        interface="org.joblet1.Test",
        member="Echo",
        flags=dbus_next.MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION,
        sender=":1.9",
        signature=signature,
        body=[_variants(value)],
        serial=8,
        unix_fds=[5, 6],
    )
    buffer = bytearray(theirs._marshall(negotiate_unix_fd=True))
    # The library leaves the sender to the daemon; nothing else of a header is missing.
    assert frames.size_of(buffer) == len(buffer)
    assert frames.size_of(buffer[:15]) == 0
    ours = frames.parse(bytes(buffer))
    assert (ours.kind, ours.serial, ours.path) == (Kind.METHOD_CALL, 8, "/org/joblet1")
    assert (ours.interface, ours.member) == ("org.joblet1.Test", "Echo")
    assert ours.flags == Flag.ALLOW_INTERACTIVE_AUTHORIZATION
    assert ours.fds_expected == 2
    assert ours.values(typed=True) == [value]


def _typed(value: Any) -> Any:
    """The library's variants as ours."""
    if isinstance(value, dbus_next.Variant):
        return Typed(value.signature, _typed(value.value))
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    return value


def _variants(value: Any) -> Any:
    """Our variants as the library's."""
    if isinstance(value, Typed):
        return dbus_next.Variant(value.signature, _variants(value.value))
    if isinstance(value, list):
        return [_variants(item) for item in value]
    if isinstance(value, dict):
        return {key: _variants(item) for key, item in value.items()}
    return value


def test_a_message_of_a_machine_with_the_other_byte_order_is_read() -> None:
    fields = bytes.fromhex("01016f0000000001 2f00000000000000 0301730000000004 4563686f00000000")
    fields += bytes.fromhex("0801670002737500")
    body = struct.pack(">I2sxxI", 1, b"a", 0x01020304)
    data = struct.pack(">cBBBIII", b"B", 1, 0, 1, len(body), 9, len(fields)) + fields + body
    assert frames.size_of(bytearray(data)) == len(data)
    message = frames.parse(data)
    assert (message.serial, message.path, message.member) == (9, "/", "Echo")
    assert message.values(typed=False) == ["a", 0x01020304]
    assert decode("u", b"\1\2\3\4", (), order=BIG, typed=False) == [0x01020304]


@given(st.binary(max_size=60), _TYPES)
def test_broken_bodies_are_noticed_and_nothing_else(data: bytes, kind: tuple[str, Any]) -> None:
    with contextlib.suppress(Malformed):
        _decode(kind[0], data)


@given(st.binary(max_size=80))
def test_broken_headers_are_noticed_and_nothing_else(data: bytes) -> None:
    head = b"l\1\0\1" + struct.pack("<III", 0, 1, len(data))
    with contextlib.suppress(Malformed):
        frames.parse(head + data + bytes(-len(data) & 7))


@pytest.mark.parametrize("start", [b"x\1\0\1", b"l\1\0\2"])
def test_a_stream_out_of_step_is_noticed(start: bytes) -> None:
    with pytest.raises(Malformed):
        frames.size_of(bytearray(start + bytes(12)))


def test_a_message_that_is_too_long_is_noticed() -> None:
    head = bytearray(b"l\1\0\1" + struct.pack("<III", 1 << 28, 1, 0))
    with pytest.raises(Malformed, match="bytes"):
        frames.size_of(head)


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
        ("s", ["\udc80"]),
        ("u", [-1]),
        ("u", [1 << 32]),
        ("u", ["5"]),
        ("b", [1]),
        ("y", [256]),
        ("d", ["x"]),
        ("ay", ["text"]),
        ("as", ["text"]),
        ("as", [{"a": 1}]),
        ("a{ss}", [["a"]]),
        ("(ss)", ["ab"]),
        ("o", ["no/path"]),
        ("o", ["/trailing/"]),
        ("g", ["("]),
        ("g", ["a" * 256]),
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
        encode(signature, body, [])


def test_descriptors_become_indexes_and_come_back_as_descriptors() -> None:
    fds: list[int] = []
    data = encode("hv", [7, Typed("ah", [8, 9])], fds)
    assert fds == [7, 8, 9]
    assert _decode("u", data[:4]) == [0]
    assert _decode("hv", data, 17, 18, 19, typed=False) == [17, [18, 19]]


def test_a_descriptor_that_did_not_come_is_noticed() -> None:
    with pytest.raises(Malformed, match="descriptor 1 did not come with the message"):
        _decode("h", b"\1\0\0\0", 5)


def test_a_tuple_may_stand_for_a_structure_and_a_plain_pair_for_a_typed_value() -> None:
    data = encode("(sa(sv))", [("a", [("b", ("u", 1))])], [])
    assert _decode("(sa(sv))", data) == [["a", [["b", Typed("u", 1)]]]]


@pytest.mark.parametrize(
    "header",
    [
        {"destination": "not a name"},
        {"destination": "a.b", "member": "no.dots"},
        {"interface": "nodots"},
        {"path": "relative"},
        {"error_name": "x"},
        {"signature": "("},
        {"body": bytes(1 << 27)},
    ],
)
def test_a_header_that_the_daemon_would_not_take_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Unsendable):
        frames.build(Kind.METHOD_CALL, 1, **header)


def test_a_stranger_gets_so_many_variants_and_no_longer_types() -> None:
    def sent(count: int, signature: str, value: Any) -> bytes:
        return bytes(encode("a{sv}", [{str(n): Typed(signature, value) for n in range(count)}], []))

    [options] = _decode("a{sv}", sent(256, "as", ["a"]))
    assert len(options) == 256
    with pytest.raises(Malformed, match="more than 256 variants"):
        _decode("a{sv}", sent(257, "as", ["a"]))
    longest = f"({'i' * 30})"
    [options] = _decode("a{sv}", sent(1, longest, [0] * 30))
    assert options["0"].signature == longest
    with pytest.raises(Malformed, match="a variant of signature"):
        _decode("a{sv}", sent(1, f"({'i' * 31})", [0] * 31))
    # Those whom we asked may tell what they like.
    assert len(_decode("a{sv}", sent(500, f"({'i' * 31})", [0] * 31), typed=False)[0]) == 500


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_field_that_nobody_knows_is_passed_over(order: str) -> None:
    known = bytearray(b"\3\1s\0" + struct.pack(order + "I", 4) + b"Tick\0")
    known += bytes(-len(known) & 7)
    # Field 10: a structure of a string and of no arrays of variants.
    unknown = bytearray(b"\x0a\6(saav)\0")
    unknown += bytes(-len(unknown) & 7)
    unknown += struct.pack(order + "I", 1) + b"x\0"
    unknown += bytes(-len(unknown) & 3) + struct.pack(order + "I", 0)
    fields = bytes(known + unknown + bytes(-len(unknown) & 7)) + b"\2\1s\0"
    fields += struct.pack(order + "I", 3) + b"a.b\0"
    start = b"l" if order == "<" else b"B"
    data = start + b"\4\0\1" + struct.pack(order + "III", 0, 1, len(fields)) + fields
    message = frames.parse(data + bytes(-len(fields) & 7))
    assert (message.member, message.interface) == ("Tick", "a.b")
