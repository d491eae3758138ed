"""Sockets and handshakes of HTTPS: TLS 1.3 only, with client certificates; one line per refusal.

Connections are accepted here and not by the event loop's own server, for two reasons: each one
begins with the certificates of that moment, as with gRPC, and who was refused is known.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from joblet.bridge.credentials import Credentials, CredentialSet
from joblet.bridge.tls import HANDSHAKE_S
from joblet.config import ConfigError

log = logging.getLogger(__name__)

_BACKLOG = 512
# Who opens connections and says nothing can keep so many others waiting.
_HANDSHAKES_MAX = 256
# After an accept that failed, as when all descriptors are taken: trying at once would only spin.
_PAUSE_S = 1.0
# Each connection has a buffer of its own for what its client sends, which is little; asyncio makes
# it 256 KiB, and a thousand quiet followers would take 320 MB instead of 73 (seen with 3.11).
_RECEIVE_BUFFER = 16 << 10
# A peer whose machine has gone is noticed after a minute without any traffic.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


def use_small_buffers() -> None:
    """For this whole process: no other connection of it is TLS of asyncio's."""
    sslproto.SSLProtocol.max_size = _RECEIVE_BUFFER


class Listener:
    """One listening socket; lives from open to close()."""

    def __init__(
        self,
        text: str,
        credentials: Credentials,
        protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        """Take the port. Raises ConfigError."""
        self._socket = _listen(text)
        self._credentials = credentials
        self._protocol = protocol
        self._given = credentials.current()
        try:
            self._context = server_context(self._given)
        except ssl.SSLError as err:
            self._socket.close()
            raise ConfigError(f"certificates that cannot be used for HTTPS: {err}") from err
        self._room = asyncio.Semaphore(_HANDSHAKES_MAX)
        self._greeting: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    @property
    def port(self) -> int:
        """The port that it has, of any that it asked for."""
        return int(self._socket.getsockname()[1])

    async def close(self) -> None:
        """Take no more connections; those that are there stay."""
        tasks = [self._accepting, *self._greeting]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._socket.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                connection, peer = await loop.sock_accept(self._socket)
            except OSError as err:
                self._room.release()
                log.error("cannot take a connection: %s", err)
                await asyncio.sleep(_PAUSE_S)
                continue
            task = asyncio.create_task(self._greet(connection, peer_name(peer)))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket, peer: str) -> None:
        """The handshake; after it the protocol has the connection."""
        loop = asyncio.get_running_loop()
        try:
            for level, option, value in _KEEPALIVE:
                connection.setsockopt(level, option, value)
            await loop.connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._current(),
                ssl_handshake_timeout=HANDSHAKE_S,
            )
        except ssl.SSLError as err:
            log.warning("handshake with %s failed: %s", peer, err)
        except OSError as err:
            # It went away, or said nothing: a scan of ports, a check of whether this one is open.
            log.info("handshake with %s did not come to its end: %s", peer, err)
        finally:
            self._room.release()

    def _current(self) -> ssl.SSLContext:
        self._credentials.changed()
        given = self._credentials.current()
        if given is not self._given:
            self._given = given
            try:
                self._context = server_context(given)
            except ssl.SSLError as err:
                # They parse, and OpenSSL has its own mind: a key that is too short, for one.
                log.error("new certificates are not used for HTTPS, the old ones stay: %s", err)
        return self._context


def peer_name(address: tuple[str, int]) -> str:
    """An address as lines of the journal have it."""
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def server_context(given: CredentialSet) -> ssl.SSLContext:
    """What connections of this set of certificates begin with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    # With a ticket a client comes back without a look at its certificate.
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cadata=given.roots.decode("ascii"))
    with _file_of(given.key + given.chain) as path:
        context.load_cert_chain(path)
    return context


@contextmanager
def _file_of(data: bytes) -> Iterator[str]:
    """A path for a library that reads files only; it is in memory and nobody else's."""
    descriptor = os.memfd_create("joblet-bridge", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _listen(text: str) -> socket.socket:
    key = "bridge.https_listeners"
    host, colon, port = text.strip().rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ConfigError(f"{key}: '{text}' is not an address, a colon and a port")
    host = host.removeprefix("[").removesuffix("]")
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104  # a host without IPv6; all addresses are what was asked for
    try:
        family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        made = socket.create_server(
            (str(address[0]), int(port)),
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=host == "::",
        )
    except OSError as err:
        raise ConfigError(f"{key}: cannot listen on {text}: {err.strerror}") from err
    made.setblocking(False)
    return made
