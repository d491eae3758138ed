"""Whole D-Bus messages: headers to bytes and back, and the cutting of a stream into messages.

A received body stays bytes until somebody wants its values, so what nobody handles costs little.
The fields of a header that repeat (names, members, signatures) are encoded once and remembered.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import Any

from joblet.bus.decode import BIG, LITTLE, decode, skip_variant
from joblet.bus.library import (
    assert_bus_name_valid,
    assert_interface_name_valid,
    assert_member_name_valid,
)
from joblet.bus.values import Malformed, Unsendable, is_path, parts

HEADER_BYTES = 16
# The daemon's own limit for a message on the system bus, and that of the specification.
MESSAGE_MAX_BYTES = 1 << 27
_PROTOCOL = 1
_ORDERS = {ord("l"): LITTLE, ord("B"): BIG}
_FIXED = struct.Struct("<BBBBIII")
_U32 = struct.Struct("<I")
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL = 1, 2, 3, 4, 5
_DESTINATION, _SENDER, _SIGNATURE, _UNIX_FDS = 6, 7, 8, 9


class Kind(IntEnum):
    """The types of messages."""

    METHOD_CALL = 1
    METHOD_RETURN = 2
    ERROR = 3
    SIGNAL = 4


class Flag(IntFlag):
    """The flags of messages."""

    NO_REPLY_EXPECTED = 1
    NO_AUTOSTART = 2
    ALLOW_INTERACTIVE_AUTHORIZATION = 4


class Message:
    """A received message; `fds` are open and whoever handles the message closes them."""

    __slots__ = (
        "_body",
        "_order",
        "error_name",
        "fds",
        "fds_expected",
        "flags",
        "interface",
        "kind",
        "member",
        "path",
        "reply_serial",
        "sender",
        "serial",
        "signature",
    )

    def __init__(self, kind: int, flags: int, serial: int, order: str, body: bytes) -> None:
        self.kind = kind
        self.flags = flags
        self.serial = serial
        self.path = ""
        self.interface: str | None = None
        self.member = ""
        self.error_name = ""
        self.reply_serial = 0
        self.sender = ""
        self.signature = ""
        self.fds: list[int] = []
        self.fds_expected = 0
        self._order = order
        self._body = body

    @property
    def body_size(self) -> int:
        """Bytes of the body."""
        return len(self._body)

    def values(self, *, typed: bool) -> list[Any]:
        """The body, variants as Typed pairs or plain. Raises Malformed."""
        return decode(self.signature, self._body, self.fds, order=self._order, typed=typed)


def size_of(buffer: bytearray) -> int:
    """Bytes of the message that begins in buffer; 0 while that cannot be known.

    Raises Malformed when no message begins there.
    """
    if len(buffer) < HEADER_BYTES:
        return 0
    order = _ORDERS.get(buffer[0])
    if order is None or buffer[3] != _PROTOCOL:
        raise Malformed("this is not the D-Bus protocol")
    body, _, fields = struct.unpack_from(order + "III", buffer, 4)
    size: int = HEADER_BYTES + fields + (-fields & 7) + body
    if size > MESSAGE_MAX_BYTES:
        raise Malformed(f"a message of {size} bytes")
    return size


def parse(data: bytes) -> Message:
    """One whole message, its descriptors not yet attached. Raises Malformed."""
    order = _ORDERS[data[0]]
    body_size, serial, fields_size = struct.unpack_from(order + "III", data, 4)
    message = Message(data[1], data[2], serial, order, data[len(data) - body_size :])
    try:
        _parse_fields(message, data, HEADER_BYTES + fields_size, order)
    except (struct.error, LookupError, ValueError, RecursionError) as err:
        raise Malformed(f"a bad header: {err}") from err
    return message


def _parse_fields(message: Message, data: bytes, end: int, order: str) -> None:
    u32 = struct.Struct(order + "I").unpack_from
    offset = HEADER_BYTES
    while offset < end:
        code, signature_size = data[offset], data[offset + 1]
        kind = data[offset + 2 : offset + 2 + signature_size]
        offset += 3 + signature_size
        value: Any
        if kind in (b"s", b"o"):
            offset += -offset & 3
            start = offset + 4
            offset = start + u32(data, offset)[0] + 1
            value = data[start : offset - 1].decode()
        elif kind == b"g":
            start = offset + 1
            offset = start + data[offset] + 1
            value = data[start : offset - 1].decode()
        elif kind == b"u":
            offset += -offset & 3
            value = u32(data, offset)[0]
            offset += 4
        elif code in _ATTRIBUTES:
            raise Malformed(f"a header field of type {kind!r}")
        else:
            # Specified: unknown fields are ignored. dbus-daemon removes them, dbus-broker does not.
            value, offset = skip_variant(data, offset - 2 - signature_size, order)
        name = _ATTRIBUTES.get(code)
        if name is not None:
            setattr(message, name, value)
        offset += -offset & 7


_ATTRIBUTES = {
    _PATH: "path",
    _INTERFACE: "interface",
    _MEMBER: "member",
    _ERROR_NAME: "error_name",
    _REPLY_SERIAL: "reply_serial",
    _SENDER: "sender",
    _SIGNATURE: "signature",
    _UNIX_FDS: "fds_expected",
}


def build(
    kind: Kind,
    serial: int,
    *,
    flags: int = 0,
    path: str = "",
    interface: str = "",
    member: str = "",
    error_name: str = "",
    reply_serial: int = 0,
    destination: str = "",
    signature: str = "",
    body: bytes | bytearray = b"",
    fds: Sequence[int] = (),
) -> bytes:
    """The bytes of a message to send. Raises Unsendable."""
    fields = bytearray()
    last = 0
    for code, value in (
        (_PATH, path),
        (_INTERFACE, interface),
        (_MEMBER, member),
        (_ERROR_NAME, error_name),
        (_DESTINATION, destination),
        (_SIGNATURE, signature),
    ):
        if value:
            field, last = _text_field(code, value)
            fields += field
    for code, number in ((_REPLY_SERIAL, reply_serial), (_UNIX_FDS, len(fds))):
        if number:
            fields += bytes((code, 1, 117, 0)) + _U32.pack(number)  # 117 is "u"
            last = 0
    size = HEADER_BYTES + len(fields) + len(body)
    if size > MESSAGE_MAX_BYTES:
        raise Unsendable(f"a message of {size} bytes")
    head = _FIXED.pack(
        ord("l"), kind, flags, _PROTOCOL, len(body), serial & 0xFFFFFFFF, len(fields) - last
    )
    return b"".join((head, fields, body))


@lru_cache(maxsize=2048)
def _text_field(code: int, value: str) -> tuple[bytes, int]:
    """A header field padded to 8 bytes, and how many of them are padding. Raises Unsendable."""
    try:
        if code == _DESTINATION:
            assert_bus_name_valid(value)
        elif code == _MEMBER:
            assert_member_name_valid(value)
        elif code in (_INTERFACE, _ERROR_NAME):
            assert_interface_name_valid(value)
    except TypeError as err:
        raise Unsendable(str(err)) from err
    if code == _PATH and not is_path(value):
        raise Unsendable(f"not an object path: {value!r}")
    data = value.encode()
    if code == _SIGNATURE:
        parts(value)
        field = bytes((code, 1, ord("g"), 0, len(data))) + data + b"\0"
    else:
        kind = ord("o") if code == _PATH else ord("s")
        field = bytes((code, 1, kind, 0)) + _U32.pack(len(data)) + data + b"\0"
    padding = -len(field) & 7
    return field + bytes(padding), padding
