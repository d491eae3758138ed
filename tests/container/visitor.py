"""What a program has that visits the bridge of a machine: gRPC and HTTPS of one certificate.

Runs outside the machine, in its network; see served.py.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import grpc
import grpc.aio

from joblet.rpc import methods
from joblet.rpc.pb import joblet_pb2 as pb

__all__ = ["Visit", "shell"]

SERVER_NAME = "joblet"
MESSAGE_MAX = 160 << 20
METHODS = {method.name: method for method in (*methods.JOBLET, *methods.HEALTH)}


def shell(script: str, **more: Any) -> pb.RunJobRequest:
    """A request to run a shell script."""
    return pb.RunJobRequest(command="sh", args=["-c", script], **more)


class Visit:
    """One client with one certificate, or none; lives as long as its context."""

    def __init__(
        self, *, ca: str, cert: str | None, key: str | None, port: int, https_port: int
    ) -> None:
        self.port = port
        self.https_port = https_port
        self._ca, self._cert, self._key = ca, cert, key
        self._stack = AsyncExitStack()
        self.channel = self.new_channel()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Visit:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self._stack.aclose()

    def new_channel(self) -> grpc.aio.Channel:
        """A connection of its own, as the SDK makes it."""
        pair = [None if text is None else text.encode() for text in (self._key, self._cert)]
        return grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}",
            grpc.ssl_channel_credentials(self._ca.encode(), *pair),
            options=[
                ("grpc.ssl_target_name_override", SERVER_NAME),
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_send_message_length", MESSAGE_MAX),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_permit_without_calls", 1),
                # Who comes back after a restart does not wait long for the next try.
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 200),
            ],
        )

    def start(self, name: str, request: Any = None, channel: grpc.aio.Channel | None = None) -> Any:
        """Begin a call."""
        method = METHODS[name]
        on = self.channel if channel is None else channel
        kind = on.unary_stream if method.streams else on.unary_unary
        data = (method.request() if request is None else request).SerializeToString()
        return kind(method.path, response_deserializer=method.response.FromString)(data)

    async def call(
        self, name: str, request: Any = None, channel: grpc.aio.Channel | None = None
    ) -> Any:
        """One call to its end."""
        call = self.start(name, request, channel)
        return [one async for one in call] if METHODS[name].streams else await call

    async def code(self, name: str, request: Any = None) -> str:
        """How a call ends, by the name of its status."""
        try:
            await self.call(name, request)
        except grpc.aio.AioRpcError as err:
            return str(err.code().name)
        return "OK"

    async def text(self, job: str, channel: grpc.aio.Channel | None = None) -> str:
        """The whole log of a job, to its end."""
        chunks = await self.call("GetJobLogs", pb.GetJobLogsRequest(uuid=job), channel)
        return b"".join(chunk.payload for chunk in chunks).decode()

    def tls(self, **limits: Any) -> ssl.SSLContext:
        """The client's side of HTTPS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self._ca)
        if self._cert is not None and self._key is not None:
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(self._cert + self._key)
                file.flush()
                context.load_cert_chain(file.name)
        for name, value in limits.items():
            setattr(context, name, value)
        return context

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        """A request over HTTPS; its response, which ends with the visit at the latest."""
        if self._session is None:
            self._session = await self._stack.enter_async_context(
                aiohttp.ClientSession(
                    f"https://127.0.0.1:{self.https_port}",
                    connector=aiohttp.TCPConnector(ssl=self.tls(), limit=0),
                    timeout=aiohttp.ClientTimeout(total=None),
                    read_bufsize=4 << 20,
                )
            )
        session: Any = self._session
        response: aiohttp.ClientResponse = await session.get(path, headers=headers)
        return response

    async def events(self, job: str, last: str = "") -> AsyncIterator[tuple[str, str, bytes]]:
        """Kind, id and bytes of the events of a log; for other kinds than output, its JSON."""
        response = await self.get(f"/v1/jobs/{job}/logs", **{"Last-Event-ID": last})
        assert response.status == 200, await response.text()
        fields: dict[str, str] = {}
        try:
            async for line in response.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                if "event" in fields:
                    yield fields["event"], fields.get("id", last), _bytes(fields["data"])
                fields = {}
        finally:
            response.close()


def _bytes(data: str) -> bytes:
    found = json.loads(data)
    if "base64" in found:
        return base64.b64decode(found["base64"])
    return str(found["text"]).encode() if "text" in found else data.encode()
