"""gRPC by hand, for what no gRPC library would send: frames of HTTP/2 over a TLS connection."""

from __future__ import annotations

import asyncio
import ssl
import struct
from pathlib import Path

from tests.bridge.authority import SERVER_NAME, Authority, Pair

_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def beginning() -> bytes:
    """What a client begins with."""
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, b"")


def call(stream: int, path: bytes, message: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A whole call; `more` are header fields of it."""
    fields = (
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", path),
        (b":authority", b"joblet"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    )
    # Literal, neither indexed nor compressed (RFC 7541, 6.2.2).
    head = b"".join(
        b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value for name, value in fields
    )
    body = b"\0" + struct.pack(">I", len(message)) + message
    return _frame(_HEADERS, _END_HEADERS, stream, head) + _frame(_DATA, _END_STREAM, stream, body)


async def connected(authority: Authority, pair: Pair, port: int, folder: Path) -> Streams:
    """A connection with a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem.decode())
    (folder / "raw.pem").write_bytes(pair.certificate + pair.key)
    context.load_cert_chain(folder / "raw.pem")
    context.set_alpn_protocols(["h2"])
    return await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
