"""The gRPC servers of the bridge: one per listener, since a call does not tell where it came in.

Owns ports, limits and the order of starting and stopping. What a call may do is in calls.py and
roles.py, what it does in servicers/.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import grpc.aio

from joblet.bridge.calls import Caller, Gate, Refused
from joblet.bridge.credentials import Credentials
from joblet.bridge.identity import Identities
from joblet.bridge.librarylog import on_one_line
from joblet.bridge.ownership import Ownership
from joblet.bridge.servicers import unavailable
from joblet.bridge.tls import HANDSHAKE_S, server_credentials
from joblet.config import BridgeConfig, ConfigError
from joblet.rpc import methods
from joblet.rpc.dialects import Dialect
from joblet.rpc.methods import Method

log = logging.getLogger(__name__)

# Where gRPC tells of what it cannot read, such as headers that are no text.
_LIBRARY_LOG = logging.getLogger("grpc._cython.cygrpc")
_HEADERS_MAX_BYTES = 16 << 20
# Clients ping every 30 s, also without a call; the library's default calls that an attack and
# drops their quiet log streams. Ours notice a client whose machine has gone.
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class Listener(NamedTuple):
    """Where calls come in, and what the clients there speak."""

    address: str
    dialect: Dialect = Dialect.AUTO


def parse_listener(text: str) -> Listener:
    """Read one item of bridge.listeners. Raises ConfigError."""
    address, _, word = text.partition(" ")
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ConfigError(f"bridge.listeners: '{text}' is not an address, a colon and a port")
    try:
        return Listener(address, Dialect(word.strip() or Dialect.AUTO))
    except ValueError as err:
        known = ", ".join(Dialect)
        raise ConfigError(f"bridge.listeners: '{text}': dialects are {known}") from err


@asynccontextmanager
async def serving(
    config: BridgeConfig,
    credentials: Credentials,
    servicers: Mapping[str, object],
    ownership: Ownership,
) -> AsyncIterator[tuple[int, ...]]:
    """Serve while the context lasts; the ports, in order of the listeners.

    At the end calls in progress have the configured time.

    servicers: an object with a method per RPC, by full name of the service. Raises ConfigError.
    """
    listeners = [parse_listener(text) for text in config.listeners]
    # One reference that is never given back: with the last one the library joins its poller thread
    # from the event loop, which hangs if that thread waits for the loop to read (seen with 1.51
    # and a thousand streams that ended at once).
    grpc.aio.init_grpc_aio()
    on_one_line(_LIBRARY_LOG)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_pass_over_the_gone)
    identities = Identities(credentials)
    running: list[tuple[grpc.aio.Server, Gate]] = []
    ports = []
    try:
        for listener in listeners:
            gate = Gate(identities, ownership, listener.dialect)
            server = grpc.aio.server(options=_options(config))
            served = methods.EVERY + (methods.REFLECTION if config.reflection else ())
            server.add_generic_rpc_handlers(_handlers(gate, servicers, served))
            ports.append(_open(server, listener, credentials))
            await server.start()
            running.append((server, gate))
            log.info("listening on %s (%s)", listener.address, listener.dialect)
        yield tuple(ports)
    finally:
        for _, gate in running:
            gate.close()
        await asyncio.gather(*(server.stop(config.stop_grace_usec / 1e6) for server, _ in running))
        loop.set_exception_handler(before)


def _pass_over_the_gone(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What the loop does about an error that nobody took, but for an answer to a gone client."""
    err = context.get("exception")
    if isinstance(err, grpc.aio.InternalError):
        log.debug("a client was gone before its answer: %s", err)
    else:
        loop.default_exception_handler(context)


def _options(config: BridgeConfig) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", config.max_message),
        ("grpc.max_send_message_length", config.max_message),
        ("grpc.max_metadata_size", _HEADERS_MAX_BYTES),
        ("grpc.max_concurrent_streams", config.max_streams),
        ("grpc.server_handshake_timeout_ms", round(HANDSHAKE_S * 1000)),
        # A second bridge must fail to start, not take half of the calls.
        ("grpc.so_reuseport", 0),
        *_KEEPALIVE,
    ]


def _open(server: grpc.aio.Server, listener: Listener, credentials: Credentials) -> int:
    try:
        port = int(server.add_secure_port(listener.address, server_credentials(credentials)))
    except RuntimeError:
        port = 0
    if not port:
        raise ConfigError(f"bridge.listeners: cannot listen on {listener.address}; is it taken?")
    return port


def _handlers(
    gate: Gate, servicers: Mapping[str, object], served: Sequence[Method]
) -> tuple[Any, ...]:
    by_service: dict[str, dict[str, Any]] = {}
    for method in served:
        function = getattr(servicers.get(method.service), method.attribute, None)
        by_service.setdefault(method.service, {})[method.name] = (
            _unavailable(gate, method)
            if function is None
            else gate.stream(method, function)
            if method.streams
            else gate.taking(method, function)
            if method.takes_stream
            else gate.unary(method, function)
        )
    return tuple(
        grpc.method_handlers_generic_handler(service, handlers)
        for service, handlers in by_service.items()
    )


def _unavailable(gate: Gate, method: Method) -> Any:
    why = unavailable.sentence(method)

    async def refuse(_request: object, _caller: Caller) -> object:
        raise Refused("UNIMPLEMENTED", why)

    async def refuse_stream(_request: object, _caller: Caller) -> Any:
        raise Refused("UNIMPLEMENTED", why)
        yield  # never reached; it makes this a stream

    return gate.stream(method, refuse_stream) if method.streams else gate.unary(method, refuse)
