"""The handshake: who gets through, what is refused, what is seen of it, and new certificates."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from joblet.bridge import credentials
from joblet.bridge.wiring import bridge
from joblet.client.api import BOTH, LogPiece
from joblet.config import BridgeConfig, ConfigError
from joblet.paths import Paths
from joblet.rpc.pb import joblet_pb2 as pb
from tests.bridge.authority import SERVER_NAME, Authority, Pair
from tests.bridge.conftest import PATIENCE_S, Ground, Remote, Start
from tests.fakes.client import FakeClient, job, job_id
from tests.fakes.reference import version_1

# A bridge in a process of its own: what gRPC says goes to the real standard error.
PROGRAM = """
import asyncio, sys
from joblet.bridge.wiring import bridge
from joblet.client.api import BOTH, LogPiece
from joblet.config import BridgeConfig
from joblet.paths import Paths
from joblet.rpc.pb import joblet_pb2 as pb
from tests.fakes.client import FakeClient

async def main():
    settings = BridgeConfig(listeners=("127.0.0.1:0",), stop_grace_usec=0)
    paths = Paths(config=sys.argv[1])
    async with bridge(settings, paths, FakeClient(), alive=lambda: True) as [port]:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""
CHECKOUT = Path(__file__).resolve().parents[2]


class Alone:
    """A bridge in its own process."""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "stderr"
        with self.errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, folder],
                cwd=CHECKOUT,
                env=os.environ | {"PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def end(self) -> str:
        """Stop it; what it said."""
        _, _ = self._process.communicate(b"", timeout=PATIENCE_S)
        return self.errors.read_text()

    def kill(self) -> None:
        """Whatever happened."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
async def alone(authority: Authority, tmp_path: Path) -> AsyncIterator[Alone]:
    authority.write_server(tmp_path / "pki/bridge")
    made = Alone(tmp_path)
    yield made
    made.kill()


async def refused(authority: Authority, port: int, pair: Pair | None) -> str:
    """The code of a call over a connection that must not come to be."""
    async with authority.channel(port, pair) as channel:
        code, _ = await Remote(channel).refused("ListJobs")
    return code


async def test_who_has_no_good_certificate_is_refused_and_logged_once(
    alone: Alone, authority: Authority
) -> None:
    stranger = Authority()
    strangers = [
        None,
        stranger.issue("eve", "admin"),
        authority.issue("bob", "admin", expired=True),
    ]
    for pair in strangers:
        assert await refused(authority, alone.port, pair) == "UNAVAILABLE"
    async with authority.channel(alone.port, authority.issue("ada", "admin")) as channel:
        await Remote(channel)("ListJobs")
    lines = [line for line in alone.end().splitlines() if "Handshake failed" in line]
    assert len(lines) == len(strangers)
    assert "did not return a certificate" in lines[0].lower().replace("_", " ")


def client_context(
    pair: Pair, config_folder: Path, folder: Path, version: ssl.TLSVersion
) -> ssl.SSLContext:
    """A client of HTTP/2 that speaks this version of TLS and no other."""
    (folder / "client.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(config_folder / "pki/bridge/ca.crt")
    context.load_cert_chain(folder / "client.pem")
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    return context


def handshake(port: int, pair: Pair, folder: Path, version: ssl.TLSVersion) -> str:
    """What TLS version a client gets that takes this one and no other."""
    context = client_context(pair, folder, folder, version)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=SERVER_NAME) as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"
        return str(secure.version())


async def test_tls_1_2_is_refused_and_logged_once(
    alone: Alone, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue("ada", "admin")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(handshake, alone.port, pair, tmp_path, ssl.TLSVersion.TLSv1_2)
    found = await asyncio.to_thread(handshake, alone.port, pair, tmp_path, ssl.TLSVersion.TLSv1_3)
    assert found == "TLSv1.3"
    lines = [line for line in alone.end().splitlines() if "Handshake failed" in line]
    assert len(lines) == 1
    assert "no shared cipher" in lines[0].lower().replace("_", " ")


def read_to_the_end(stranger: socket.socket) -> None:
    """Return when the bridge has ended the connection."""
    stranger.settimeout(PATIENCE_S)
    while stranger.recv(1 << 16):
        pass


async def test_who_connects_and_says_nothing_is_hung_up_on(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("joblet.bridge.server.HANDSHAKE_S", 5.0)
    ground = await start()
    address = ("127.0.0.1", ground.ports[0])
    pair = ground.authority.issue("ada", "admin")
    context = client_context(pair, ground.config_folder, tmp_path, ssl.TLSVersion.TLSv1_3)
    with (
        socket.create_connection(address) as silent,
        socket.create_connection(address) as halfway,
        socket.create_connection(address) as greeted,
        await asyncio.to_thread(context.wrap_socket, greeted, server_hostname=SERVER_NAME) as known,
    ):
        halfway.sendall(b"\x16\x03\x01")
        for stranger in (silent, halfway, known):
            await asyncio.to_thread(read_to_the_end, stranger)
    await ground.user()("ListJobs")


async def test_plain_text_is_not_spoken(ground: Ground) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ground.ports[0]}") as channel:
        code, _ = await Remote(channel).refused("ListJobs")
    assert code == "UNAVAILABLE"


async def test_a_certificate_of_version_1_is_good(ground: Ground) -> None:
    """Existing admin certificates have no extensions at all."""
    ca = (ground.config_folder / "pki/bridge/ca.crt").read_bytes()
    subject = "CN=admin-client,OU=admin,O=Joblet,ST=CA,C=US"
    certificate, key = version_1(ca=ca, ca_key=ground.authority.key_pem(), subject=subject)
    answer = await ground.connect(Pair(certificate, key))("DeleteAllJobs")
    assert answer.success


async def test_new_certificates_serve_new_connections_and_end_no_old_one(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.host.jobs[job_id(1)] = job(1)
    old = ground.user()
    await old("ListJobs")
    successor = Authority()
    with caplog.at_level(logging.INFO, "joblet.bridge"):
        successor.write_server(ground.config_folder / "pki/bridge")
        async with successor.channel(ground.ports[0], successor.issue("ada", "admin")) as channel:
            await Remote(channel)("ListJobs")
        assert (
            await refused(
                ground.authority, ground.ports[0], ground.authority.issue("late", "admin")
            )
            == "UNAVAILABLE"
        )
        await old("ListJobs")
    assert caplog.text.count("new certificates are in use") >= 1


async def test_certificates_that_cannot_be_used_change_nothing(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    (ground.config_folder / "pki/bridge/ca.crt").unlink()
    for _ in range(2):
        await ground.user()("ListJobs")
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "the old ones stay" in errors[0].getMessage()


async def test_a_revoked_certificate_is_refused_without_a_restart(ground: Ground) -> None:
    """On a connection that is there, too; others go on."""
    stolen = ground.authority.issue("eve", "admin")
    thief, ada = ground.connect(stolen), ground.user()
    await thief("ListJobs")
    ground.authority.write_server(ground.config_folder / "pki/bridge", stolen)
    await ada("ListJobs")
    await ground.user()("ListJobs")  # a new connection makes the bridge look at once
    code, details = await thief.refused("ListJobs")
    assert code == "UNAUTHENTICATED"
    assert details.endswith("the certificate of CN=eve,OU=admin,O=Joblet is revoked")
    assert (await ground.connect(stolen).refused("ListJobs"))[0] == "UNAUTHENTICATED"
    await ada("ListJobs")


def held_log(ground: Ground) -> asyncio.Event:
    """A running job, number 1, whose log goes on from "before" to "after" when this is set."""
    ground.host.jobs[job_id(1)] = job(1)
    more = asyncio.Event()

    async def log(_job: str, _request: object) -> object:
        yield LogPiece(BOTH, 0, b"before\n")
        await more.wait()
        yield LogPiece(BOTH, 0, b"after\n")

    ground.host.log = log  # type: ignore[method-assign,assignment]
    return more


async def test_who_came_in_by_an_authority_that_is_taken_away_is_refused(ground: Ground) -> None:
    """On a connection that is there, too, unary calls and streams; others go on."""
    folder = ground.config_folder / "pki/bridge"
    other = Authority("Other-CA")
    (folder / "trusted.crt").write_bytes(other.pem)
    await ground.user()("ListJobs")  # a new connection makes the bridge look at once
    more = held_log(ground)
    guest, ada = ground.connect(other.issue("eve", "admin")), ground.user()
    await guest("ListJobs")
    await ada("ListJobs")
    call = guest.start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert (await call.read()).payload == b"before\n"

    (folder / "trusted.crt").unlink()
    await ground.user()("ListJobs")
    code, details = await guest.refused("ListJobs")
    assert code == "UNAUTHENTICATED"
    assert details.endswith("who signed the certificate of CN=eve,OU=admin,O=Joblet is not trusted")
    more.set()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    await ada("ListJobs")


async def test_a_stream_gives_a_revoked_certificate_not_a_byte_more(ground: Ground) -> None:
    more = held_log(ground)
    stolen = ground.authority.issue("eve", "viewer")
    call = ground.connect(stolen).start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert (await call.read()).payload == b"before\n"
    ground.authority.write_server(ground.config_folder / "pki/bridge", stolen)
    await ground.user()("ListJobs")
    more.set()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_certificate_that_expires_is_refused_on_connections_that_are_there(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = timedelta(0)
    monkeypatch.setattr(credentials, "_now", lambda: datetime.now(UTC) + later)
    ground = await start()
    more = held_log(ground)
    user = ground.user("viewer", "eve")
    call = user.start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert (await call.read()).payload == b"before\n"
    later = timedelta(days=36_500)
    more.set()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    code, details = await user.refused("ListJobs")
    assert code == "UNAUTHENTICATED"
    assert details.endswith("the certificate of CN=eve,OU=viewer,O=Joblet has expired")


@pytest.mark.parametrize("file", ["ca.crt", "server.pem", "crl.pem"])
async def test_a_bridge_does_not_start_without_its_certificates(
    authority: Authority, tmp_path: Path, file: str
) -> None:
    authority.write_server(tmp_path / "pki/bridge")
    (tmp_path / "pki/bridge" / file).unlink()
    settings, paths = BridgeConfig(listeners=("127.0.0.1:0",)), Paths(config=str(tmp_path))
    with pytest.raises(ConfigError, match=f"{file}: No such file"):
        async with bridge(settings, paths, FakeClient(), alive=lambda: True):
            pass
