"""HTTPS: resources over real TLS, live logs, who is let in, and what everything else ends in."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
import os
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from joblet.bridge.credentials import Credentials
from joblet.bridge.https import server as https
from joblet.bridge.lookups import Lookups
from joblet.bridge.ownership import Ownership
from joblet.bridge.waits import Waits
from joblet.client.api import GAP, STDERR, STDOUT, LogPiece, LogRequest
from joblet.client.follow import Watches, pieces
from joblet.config import BridgeConfig, ConfigError
from joblet.errors import Unreachable
from joblet.model.states import JobState, Reason
from tests.bridge.authority import SERVER_NAME, Authority, Pair
from tests.bridge.conftest import PATIENCE_S, Start
from tests.fakes.client import FakeClient, ended, job, job_id
from tests.fakes.logwriter import LogWriter

MS = 1_000_000
Event = dict[str, Any]


class Files(FakeClient):
    """A host whose first job has a log in files, as written by a supervisor."""

    def __init__(self, folder: Path) -> None:
        super().__init__([job(1)])
        names = [folder / "log", folder / "log.idx"]
        self.fds = [os.open(name, os.O_RDWR | os.O_CREAT, 0o644) for name in names]
        self.writer = LogWriter(*self.fds)
        self.watches = Watches()
        self.reading = 0

    async def log(self, job: str, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        self.reading += 1
        try:
            log_fd, index_fd = self.fds
            async with aclosing(pieces(log_fd, index_fd, request, self.watches)) as found:
                async for piece in found:
                    yield piece
        finally:
            self.reading -= 1

    def end(self, exit_code: int = 0) -> None:
        """The job ends, and its log with it."""
        self.endings[job_id(1)] = ended(1, exit_code)
        self.writer.seal()


class Site(NamedTuple):
    """An HTTPS listener with what is behind and before it."""

    host: Files
    authority: Authority
    port: int
    pki: Path
    session: Callable[..., aiohttp.ClientSession]
    end: Callable[[], Any]

    def user(self, unit: str = "viewer", name: str = "ada") -> aiohttp.ClientSession:
        """Somebody with a certificate of this unit."""
        return self.session(self.authority.issue(name, unit))


Open = Callable[..., Any]


def client_context(authority: Authority, pair: Pair | None, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority.pem.decode())
    if pair is not None:
        (folder / "client.pem").write_bytes(pair.certificate + pair.key)
        context.load_cert_chain(folder / "client.pem")
    return context


@pytest.fixture
async def open_site(authority: Authority, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a site with these settings; closed after the test, its clients first."""
    async with AsyncExitStack() as stack:

        async def open_one(*, heartbeat_s: float = 3600.0, **given: Any) -> Site:
            host = Files(tmp_path)
            pki = tmp_path / "pki"
            authority.write_server(pki)
            config = BridgeConfig(
                **{"https_listeners": ("127.0.0.1:0",), "stop_grace_usec": 1_000_000, **given}
            )
            lookups = Lookups(host)
            stack.push_async_callback(lookups.close)
            waits = Waits(host, lookups)
            stack.push_async_callback(waits.close)
            serving = await stack.enter_async_context(AsyncExitStack())
            [port] = await serving.enter_async_context(
                https.serving(
                    config,
                    Credentials(str(pki)),
                    host,
                    waits,
                    Ownership(lookups, own_jobs_only=config.own_jobs_only),
                    heartbeat_s=heartbeat_s,
                )
            )

            def session(pair: Pair | None) -> aiohttp.ClientSession:
                made = aiohttp.ClientSession(
                    f"https://127.0.0.1:{port}",
                    connector=aiohttp.TCPConnector(ssl=client_context(authority, pair, tmp_path)),
                    timeout=aiohttp.ClientTimeout(PATIENCE_S),
                    read_bufsize=4 << 20,
                )
                stack.push_async_callback(made.close)
                return made

            return Site(host, authority, port, pki, session, serving.aclose)

        yield open_one


@pytest.fixture
async def site(open_site: Open) -> Site:
    found: Site = await open_site()
    return found


async def fetched(user: aiohttp.ClientSession, path: str) -> Any:
    """A JSON body that must be there."""
    async with user.get(path) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/json"
        return await response.json()


async def refused(
    user: aiohttp.ClientSession, path: str, *, verb: str = "GET", **more: Any
) -> tuple[int, str, str]:
    """Status, code and sentence of a request that must fail."""
    async with user.request(verb, path, **more) as response:
        assert response.content_type == "application/json"
        body = await response.json()
        assert list(body) == ["error"]
        assert sorted(body["error"]) == ["code", "message"]
        return response.status, body["error"]["code"], body["error"]["message"]


async def block(response: aiohttp.ClientResponse) -> list[str]:
    """The lines up to an empty one; none at the end of the stream."""
    lines: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while (line := (await response.content.readline()).decode().rstrip("\n")) or not lines:
            if not line:
                return lines
            lines.append(line)
    return lines


async def event(response: aiohttp.ClientResponse) -> Event | None:
    """The next event; None at the end of the stream."""
    while lines := await block(response):
        if lines[0].startswith(("retry: ", ":")):
            continue
        fields = dict(line.split(": ", 1) for line in lines)
        data = json.loads(fields["data"])
        return {"id": int(fields.get("id", -1)), "event": fields["event"], **data}
    return None


async def events(user: aiohttp.ClientSession, path: str, last: int | None = None) -> list[Event]:
    """All of a stream that has an end."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    async with user.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        found = []
        while (one := await event(response)) is not None:
            found.append(one)
        return found


def content(found: list[Event], stream: str | None = None) -> bytes:
    """The bytes of the events of a stream, or of both."""
    return b"".join(
        base64.b64decode(one["base64"]) if "base64" in one else one["text"].encode()
        for one in found
        if one["event"] in ((STDOUT, STDERR) if stream is None else (stream,))
    )


LOGS = "/v1/jobs/00000001/logs"


async def test_the_bridge_serves_both_when_it_is_asked_to(start: Start, tmp_path: Path) -> None:
    ground = await start(https_listeners=("127.0.0.1:0", "localhost:0"))
    assert len(set(ground.ports)) == 3
    ground.host.jobs[job_id(1)] = job(1)
    pair = ground.authority.issue("ada", "viewer")
    assert len((await ground.connect(pair)("ListJobs")).jobs) == 1
    context = client_context(ground.authority, pair, tmp_path)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as user:
        for port in ground.ports[1:]:
            found = await fetched(user, f"https://localhost:{port}/v1/jobs")
            assert [one["id"] for one in found["jobs"]] == [job_id(1)]


async def test_without_the_setting_nobody_pays_for_it(start: Start) -> None:
    ground = await start()
    assert len(ground.ports) == 1


async def test_a_host_without_the_library_says_what_is_missing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "joblet.bridge.https.server")
    monkeypatch.delattr("joblet.bridge.https.server")
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(ConfigError, match=r"^bridge\.https_listeners: needs aiohttp"):
        await start(https_listeners=("127.0.0.1:0",))
    assert len((await start()).ports) == 1


async def test_a_quiet_connection_takes_little(site: Site) -> None:
    """asyncio has a name for the size of its buffer, and takes ours."""
    transport = None
    async with site.user().get(LOGS) as response:
        assert await block(response) == ["retry: 1000"]
        assert response.connection is not None
        transport = response.connection.transport
        assert transport is not None
        # The client's side of it is made by the same class.
        assert len(transport._ssl_protocol._ssl_buffer) == 16 << 10


@pytest.mark.parametrize("text", ["", "50053", ":50053", "h:", "h:65536", "h:-1", "h:１", "h:1 v1"])
async def test_a_bad_listener_is_named(start: Start, text: str) -> None:
    with pytest.raises(ConfigError, match=r"^bridge\.https_listeners: "):
        await start(https_listeners=(text,))


async def test_a_port_that_is_taken_is_an_error_that_names_it(site: Site, start: Start) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{site.port}"):
        await start(https_listeners=(f"127.0.0.1:{site.port}",))


async def test_the_description_is_the_committed_one(site: Site) -> None:
    async with site.user().get("/v1/openapi.json") as response:
        committed = Path(https.__file__).with_name("openapi.json").read_bytes()
        assert await response.read() == committed


async def test_a_list_is_given_in_pages(site: Site) -> None:
    site.host.jobs = {job_id(number): ended(number) for number in range(1, 8)}
    site.host.jobs[job_id(8)] = job(8)
    user = site.user()
    seen: list[str] = []
    path = "/v1/jobs?limit=3"
    while True:
        page = await fetched(user, path)
        seen += [one["id"] for one in page["jobs"]]
        if "next" not in page:
            break
        path = f"/v1/jobs?limit=3&cursor={page['next']}"
    assert seen == [job_id(number) for number in range(8, 0, -1)]
    page = await fetched(user, "/v1/jobs?state=RUNNING&state=PENDING")
    assert [one["id"] for one in page["jobs"]] == [job_id(8)]


async def test_a_job_is_told_without_its_secrets(site: Site) -> None:
    site.host.jobs[job_id(1)] = job(1, secrets={"TOKEN": "hush"}, environment={"A": "1"}, path="/x")
    for found in (
        await fetched(site.user(), "/v1/jobs/00000001"),
        (await fetched(site.user(), "/v1/jobs"))["jobs"][0],
    ):
        assert found == {
            "id": job_id(1),
            "name": "",
            "state": "RUNNING",
            "owner_uid": 0,
            "submitted_usec": site.host.jobs[job_id(1)].submitted_usec,
            "environment": {"A": "1"},
            "secrets": {"TOKEN": "***"},
        }


async def test_a_log_is_told_from_its_beginning_to_the_end_of_the_job(site: Site) -> None:
    write = site.host.writer.write
    write(b"before\n", 1_700_000_000 * 10**9 + 5000)
    async with site.user().get(LOGS) as response:
        assert await block(response) == ["retry: 1000"]
        assert await block(response) == [
            "id: 7",
            "event: stdout",
            'data: {"time":"2023-11-14T22:13:20.000005Z","text":"before\\n"}',
        ]
        write(b"oops\n", 2 * MS, 2)
        assert await event(response) == {
            "id": 12,
            "event": "stderr",
            "time": "1970-01-01T00:00:00.002000Z",
            "text": "oops\n",
        }
        site.host.end(3)
        last = {"id": 12, "event": "end", "state": "FAILED", "reason": "exit", "exit_code": 3}
        assert await event(response) == last
        assert await event(response) is None


@pytest.mark.parametrize("state", [state for state in JobState if state.terminal])
async def test_a_stream_ends_on_every_terminal_state(site: Site, state: JobState) -> None:
    """Also with an end that comes while the stream is open."""
    final = job(1, state, reason=Reason.EXIT)
    async with site.user().get(LOGS) as response:
        assert await block(response) == ["retry: 1000"]
        site.host.endings[job_id(1)] = final
        site.host.writer.seal()
        told = await event(response)
        assert told is not None
        assert told["state"] == state
        assert await event(response) is None
    [told] = await events(site.user(), LOGS)
    assert (told["event"], told["state"]) == ("end", state)


async def test_whoever_comes_back_with_any_id_misses_and_repeats_nothing(site: Site) -> None:
    for number in range(30):
        line = b"\xff\xfe %d\n" % number if number % 7 == 0 else f"Zeile {number} ß\n".encode()
        site.host.writer.write(line, number * MS, (1, 2)[number % 3 == 0])
    site.host.end()
    whole = os.pread(site.host.fds[0], 1 << 20, 0)
    user = site.user()
    everything = await events(user, LOGS)
    assert content(everything) == whole
    assert everything[-1]["id"] == len(whole)
    ids = [one["id"] for one in everything]
    assert ids == sorted(ids)
    for position in {0, *ids}:
        rest = await events(user, LOGS, position)
        assert content(rest) == whole[position:]
        assert (rest[-1]["event"], rest[-1]["id"]) == ("end", len(whole))


async def test_a_stream_that_is_cut_again_and_again_is_put_together_whole(site: Site) -> None:
    """A busy writer, and a reader that goes away after every event it has seen."""
    user = site.user()
    writer = site.host.writer
    seen: list[Event] = []
    number = 0
    while number < 60:
        headers = {"Last-Event-ID": str(seen[-1]["id"])} if seen else {}
        async with user.get(LOGS, headers=headers) as response:
            for _ in range(3):
                writer.write(f"line {number} €\n".encode(), number * MS, (1, 2)[number % 5 == 0])
                number += 1
            one = await event(response)
            assert one is not None
            seen.append(one)
    site.host.end()
    seen += await events(user, LOGS, seen[-1]["id"])
    assert content(seen) == os.pread(site.host.fds[0], 1 << 20, 0)


async def test_no_character_is_cut_in_two_and_every_byte_arrives(site: Site) -> None:
    euro = "€".encode()
    writer = site.host.writer
    writer.write(b"a" + euro[:1], 1)
    async with site.user().get(LOGS) as response:
        first = await event(response)
        assert first is not None
        assert (first["text"], first["id"]) == ("a", 1)
        writer.write(euro[1:] + b"b", 2)
        second = await event(response)
        assert second is not None
        assert (second["text"], second["id"]) == ("€b", 5)
        writer.write(euro[:2], 3)
        writer.write(b"other\n", 4, 2)
        third, fourth = await event(response), await event(response)
        assert third is not None
        assert fourth is not None
        assert (base64.b64decode(third["base64"]), third["event"], third["id"]) == (
            euro[:2],
            STDOUT,
            7,
        )
        assert (fourth["text"], fourth["event"]) == ("other\n", STDERR)
        writer.write(euro[:1], 5)
        site.host.end()
        last, end = await event(response), await event(response)
        assert last is not None
        assert end is not None
        assert (base64.b64decode(last["base64"]), last["id"]) == (euro[:1], 14)
        assert (end["event"], end["id"]) == ("end", 14)


async def test_parts_of_a_log(site: Site) -> None:
    for number in range(4):
        site.host.writer.write(b"%d\n" % number, number * MS, (1, 2)[number % 2])
    user = site.user()
    assert content(await events(user, LOGS + "?follow=false")) == b"0\n1\n2\n3\n"
    assert (await events(user, LOGS + "?follow=false"))[-1]["state"] == "RUNNING"
    site.host.end()
    assert content(await events(user, LOGS + "?tail=1")) == b"3\n"
    assert content(await events(user, LOGS + "?stream=stderr")) == b"1\n3\n"
    assert content(await events(user, LOGS + "?tail=1", 4)) == b"2\n3\n"
    # Nobody is told a place that would bring back what is there already.
    assert (await events(user, LOGS + "?tail=0")) == [
        {"id": -1, "event": "end", "state": "COMPLETED", "reason": "exit", "exit_code": 0}
    ]


async def test_a_gap_is_told(site: Site) -> None:
    site.host.writer.write(b"before\n", 1)
    site.host.writer.lose(42, 2)
    site.host.writer.write(b"after\n", 3)
    site.host.end()
    found = await events(site.user(), LOGS)
    assert [(one["event"], one["id"]) for one in found] == [
        (STDOUT, 7),
        (GAP, 7),
        (STDOUT, 13),
        ("end", 13),
    ]
    assert found[1]["lost_bytes"] == 42


async def test_a_quiet_stream_shows_that_it_is_alive(open_site: Open) -> None:
    site = await open_site(heartbeat_s=0.01)
    async with site.user().get(LOGS) as response:
        assert await block(response) == ["retry: 1000"]
        for _ in range(3):
            assert await block(response) == [": heartbeat"]
        site.host.end()
        while (lines := await block(response)) == [": heartbeat"]:
            pass
        assert lines[0] == "event: end"


class Endless(FakeClient):
    """A host whose log has no end and comes as fast as it is taken."""

    PIECE = b"x" * (1 << 18)

    def __init__(self) -> None:
        super().__init__([job(1)])
        self.taken = 0
        self.open = 0

    async def log(self, job: str, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        self.open += 1
        try:
            while True:
                self.taken += 1
                yield LogPiece(STDOUT, 1, self.PIECE, after=self.taken * len(self.PIECE))
                await asyncio.sleep(0)
        finally:
            self.open -= 1


async def condition(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def raw(site: Site, pair: Pair, request: bytes, folder: Path) -> tuple[Any, Any]:
    """A connection on which a request was sent and nothing was read yet."""
    context = client_context(site.authority, pair, folder)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", site.port))
    reader, writer = await asyncio.open_connection(
        sock=plain, ssl=context, server_hostname=SERVER_NAME, limit=4096
    )
    writer.write(request)
    return reader, writer


GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_client_that_reads_nothing_costs_nobody_anything(
    open_site: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await open_site()
    host = Endless()
    monkeypatch.setattr(site.host, "log", host.log)
    pair = site.authority.issue("slow", "viewer")
    _, writer = await raw(site, pair, GET % LOGS.encode(), tmp_path)
    await condition(lambda: host.taken > 0)
    taken = -1
    while taken != host.taken:
        taken = host.taken
        # Others are served; each request is some hundred turns of the loop.
        for _ in range(20):
            await fetched(site.user(), "/v1/jobs")
    # What waits is an event and the buffers of a connection, not the log.
    assert taken * len(host.PIECE) < 16 << 20
    assert host.open == 1
    writer.transport.abort()
    await condition(lambda: host.open == 0)


async def test_a_body_that_nobody_wants_is_not_unpacked(
    open_site: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = await open_site()
    host = Endless()
    monkeypatch.setattr(site.host, "log", host.log)
    pair = site.authority.issue("eve", "viewer")
    body = gzip.compress(bytes(8 << 20))
    head = f"GET {LOGS} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
    request = f"{head}Content-Length: {len(body) + 1}\r\n\r\n".encode() + body
    sizes: list[int] = []
    feed = aiohttp.StreamReader.feed_data

    def fed(reader: aiohttp.StreamReader, data: bytes, size: int = 0) -> None:
        sizes.append(len(data))
        feed(reader, data, size)

    monkeypatch.setattr(aiohttp.StreamReader, "feed_data", fed)
    _, writer = await raw(site, pair, request, tmp_path)
    await condition(lambda: host.taken > 0)
    writer.transport.abort()
    await condition(lambda: host.open == 0)
    assert sizes
    assert sum(sizes) <= len(body)


async def test_a_client_that_goes_away_in_mid_stream_leaves_nothing(
    site: Site, tmp_path: Path
) -> None:
    """A quiet log: nothing is written that would fail."""
    before = len(os.listdir("/proc/self/fd"))
    pair = site.authority.issue("gone", "viewer")
    for _ in range(3):
        reader, writer = await raw(site, pair, GET % LOGS.encode(), tmp_path)
        await reader.readuntil(b"retry: 1000\n\n")
        assert site.host.reading == 1
        writer.transport.abort()
        await condition(lambda: site.host.reading == 0)
    await condition(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_a_stop_ends_streams_so_that_clients_come_back(site: Site) -> None:
    site.host.writer.write(b"history\n", 1)
    async with site.user().get(LOGS) as response:
        assert (await event(response) or {})["id"] == 8
        async with asyncio.timeout(PATIENCE_S):
            ending = asyncio.ensure_future(site.end())
            assert await event(response) is None
            await ending
    assert site.host.reading == 0


async def test_an_error_after_the_beginning_is_the_last_event(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for failure, code in (
        (Unreachable("the bus has gone"), "UNAVAILABLE"),
        (KeyError(), "INTERNAL"),
    ):

        async def failing(*_: object, failure: Exception = failure) -> AsyncIterator[LogPiece]:
            yield LogPiece(STDOUT, 1, b"some\n", after=5)
            raise failure

        monkeypatch.setattr(site.host, "log", failing)
        first, last = await events(site.user(), LOGS)
        assert first["text"] == "some\n"
        assert (last["event"], last["error"]["code"]) == ("error", code)
        assert "KeyError" not in last["error"]["message"]
    assert caplog.text.count("Traceback") == 1


# Who is let in


async def test_each_role_reads(site: Site) -> None:
    for unit in ("reader", "viewer", "developer", "maintainer", "admin"):
        assert await fetched(site.user(unit), "/v1/jobs/00000001")


async def test_who_has_no_role_learns_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    user = site.user("Server", "eve\nnewline")
    caplog.clear()
    for path in ("/v1/openapi.json", "/v1/jobs", "/v1/jobs/00000001", LOGS, "/v2", "/v1/jobs?x=1"):
        status, code, message = await refused(user, path)
        assert (status, code) == (403, "PERMISSION_DENIED")
        assert message.startswith("role unknown is not allowed to perform operation ")
    lines = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(lines) == 6
    assert lines[1].startswith(
        r"GET '/v1/jobs' by CN=eve\0Anewline,OU=Server,O=Joblet at 127.0.0.1:"
    )
    assert site.host.calls == []


async def test_a_developer_with_own_jobs_only(open_site: Open) -> None:
    site = await open_site(own_jobs_only=True)
    mine = "CN=ada,OU=developer,O=Joblet"
    site.host.jobs = {
        job_id(1): ended(1, remote_subject=mine),
        job_id(2): ended(2, remote_subject="CN=bob,OU=developer,O=Joblet"),
        job_id(3): ended(3),
    }
    site.host.writer.seal()
    user = site.user("developer")
    assert [one["id"] for one in (await fetched(user, "/v1/jobs"))["jobs"]] == [job_id(1)]
    assert (await fetched(user, "/v1/jobs/00000001"))["id"] == job_id(1)
    assert len(await events(user, LOGS)) == 1
    for number in (2, 3):
        for path in (f"/v1/jobs/0000000{number}", f"/v1/jobs/0000000{number}/logs"):
            foreign = await refused(user, path)
            missing = await refused(user, path.replace(f"0000000{number}", "00000009"))
            assert foreign[:2] == missing[:2] == (404, "NOT_FOUND")
            assert foreign[2] == missing[2].replace("00000009", f"0000000{number}")
    assert len((await fetched(site.user("viewer"), "/v1/jobs"))["jobs"]) == 3


async def knock(site: Site, pair: Pair | None, folder: Path, **limits: Any) -> None:
    """A handshake, and what comes of it: nothing, or an SSLError for the client."""
    context = client_context(site.authority, pair, folder)
    for name, value in limits.items():
        setattr(context, name, value)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.port, ssl=context, server_hostname=SERVER_NAME
    )
    try:
        # A client of TLS 1.3 hears of a refusal with the first bytes, if it hears of it.
        if not await reader.read(1):
            raise ConnectionResetError
    finally:
        writer.transport.abort()


async def test_who_has_no_good_certificate_is_refused_and_logged_once(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority()
    pairs = [
        None,
        stranger.issue("eve", "admin"),
        site.authority.issue("bob", "admin", expired=True),
    ]
    with caplog.at_level(logging.INFO, "joblet.bridge"):
        for number, pair in enumerate(pairs, 1):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await knock(site, pair, tmp_path)
            await condition(lambda number=number: len(caplog.records) >= number)  # type: ignore[misc]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "peer did not return a certificate" in lines[0]
    assert "certificate verify failed" in lines[1]
    assert "certificate has expired" in lines[2]


async def test_tls_1_2_is_refused_and_logged_once(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pair = site.authority.issue("ada", "admin")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await knock(site, pair, tmp_path, maximum_version=ssl.TLSVersion.TLSv1_2)
    [line] = [record.getMessage() for record in caplog.records if record.name.endswith("listener")]
    assert "unsupported protocol" in line.lower().replace("_", " ")


async def test_plain_text_and_silence_leave_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.INFO, "joblet.bridge"):
        for data in (b"", b"\x16\x03\x01", b"GET /v1/jobs HTTP/1.1\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", site.port)) as plain:
                plain.sendall(data)
        await condition(lambda: len(caplog.records) == 3)
    await condition(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_a_revoked_certificate_is_put_out_of_connections_that_are_there(site: Site) -> None:
    pair = site.authority.issue("bob", "viewer")
    credentials = Credentials(str(site.pki))
    assert not credentials.changed()
    user = site.session(pair)
    assert await fetched(user, "/v1/jobs")
    async with user.get(LOGS) as response:
        assert await block(response) == ["retry: 1000"]
        site.authority.write_server(site.pki, pair)
        # A new connection makes the site look; in a whole bridge it looks by itself every second.
        await fetched(site.user(), "/v1/jobs")
        with pytest.raises(aiohttp.ClientError):
            await block(response)
    status, code, message = await refused(user, "/v1/jobs")
    assert (status, code) == (401, "UNAUTHENTICATED")
    assert message.endswith("is revoked")


async def test_new_certificates_serve_the_next_connection_and_streams_go_on(
    site: Site, tmp_path: Path
) -> None:
    successor = Authority()
    async with site.user().get(LOGS) as response:
        assert await block(response) == ["retry: 1000"]
        successor.write_server(site.pki)
        await condition(lambda: (site.pki / "server.pem").exists())
        context = client_context(successor, successor.issue("new", "viewer"), tmp_path)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as user:
            assert await fetched(user, f"https://127.0.0.1:{site.port}/v1/jobs")
        with pytest.raises(aiohttp.ClientError):
            await fetched(site.user(), "/v1/jobs")
        site.host.writer.write(b"still there\n", 1)
        assert content([await event(response) or {}]) == b"still there\n"


def write_weak_server(site: Site) -> None:
    """A certificate that is in order, with a key that OpenSSL finds too short."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # that is what it is about
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    certificate = site.authority._sign(name, key.public_key())
    encoding = serialization.Encoding.PEM
    shape = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = key.private_bytes(encoding, *shape) + certificate.public_bytes(encoding)
    (site.pki / "new").write_bytes(pem)
    (site.pki / "new").rename(site.pki / "server.pem")


async def test_certificates_that_openssl_refuses_do_not_take_the_place_of_good_ones(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    write_weak_server(site)
    for _ in range(2):
        assert await fetched(site.user(), "/v1/jobs")
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert len(lines) == 1
    assert lines[0].startswith("new certificates are not used for HTTPS, the old ones stay: ")
    config = BridgeConfig(https_listeners=("127.0.0.1:0",))
    lookups = Lookups(site.host)
    waits, ownership = Waits(site.host, lookups), Ownership(lookups, own_jobs_only=False)
    with pytest.raises(ConfigError, match="cannot be used for HTTPS"):
        async with https.serving(config, Credentials(str(site.pki)), site.host, waits, ownership):
            pass


async def test_no_session_brings_a_client_back_without_its_certificate(
    site: Site, tmp_path: Path
) -> None:
    """A resumed session would not be verified again."""
    context = client_context(site.authority, site.authority.issue("ada", "admin"), tmp_path)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.port, ssl=context, server_hostname=SERVER_NAME
    )
    writer.write(GET % b"/v1/jobs")
    await reader.readuntil(b"\r\n\r\n")
    secure = writer.get_extra_info("ssl_object")
    assert secure.version() == "TLSv1.3"
    assert secure.session is None or not secure.session.has_ticket
    writer.close()
    await writer.wait_closed()


# What everything else ends in


async def test_what_is_not_there_says_so(site: Site) -> None:
    site.host.jobs[job_id(2)] = job(2)
    user = site.user()
    for path, status, words in (
        ("/v1/jobs/deadbeef", 404, "there is no job 'deadbeef'"),
        ("/v1/jobs/deadbeef/logs", 404, "there is no job 'deadbeef'"),
        ("/v1/jobs/..%2f..%2fetc", 404, "there is no job"),
        ("/v1/jobs/0000", 400, "'0000' selects several jobs"),
        ("/v1/jobs/0", 400, "job: "),
        ("/v1/jobs/", 404, "there is nothing here"),
        ("/v2/jobs", 404, "there is nothing here"),
        ("/", 404, "there is nothing here"),
        ("/v1/jobs?limit=0", 400, "limit: use a number from 1 to 1000"),
        ("/v1/jobs?state=SLEEPING", 400, "state: use one of PENDING, "),
        (LOGS + "?follow=maybe", 400, "follow: use true or false"),
    ):
        found = await refused(user, path)
        assert found[0] == status, (path, found)
        assert words in found[2], (path, found)
    found = await refused(user, LOGS, headers={"Last-Event-ID": "x"})
    assert (found[0], found[2]) == (400, f"Last-Event-ID: use a number from 0 to {1 << 62}")
    for verb in ("POST", "DELETE", "PUT"):
        status, code, _ = await refused(user, "/v1/jobs/00000001", verb=verb)
        assert (status, code) == (405, "UNIMPLEMENTED")


async def test_a_host_that_does_not_answer_is_told_as_such(site: Site) -> None:
    site.host.failures["list"] = Unreachable("jobletd is not running")
    found = await refused(site.user(), "/v1/jobs")
    assert found == (503, "UNAVAILABLE", "jobletd is not running")


async def test_a_bug_of_ours_is_a_number_for_the_client_and_a_traceback_for_us(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.host.failures["list"] = ZeroDivisionError("secret inside")  # type: ignore[assignment]
    status, code, message = await refused(site.user(), "/v1/jobs")
    assert (status, code) == (500, "INTERNAL")
    assert message.startswith("internal error ")
    assert "secret" not in message
    assert message.split()[2].rstrip(";") in caplog.text
    assert caplog.text.count("ZeroDivisionError: secret inside") == 1


async def test_answers_say_little_of_what_they_are_made_with(site: Site) -> None:
    async with site.user().get("/v1/jobs") as response:
        assert response.headers["Server"] == "joblet-bridge"
        assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\nnonsense\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_in_one_line(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    pair = site.authority.issue("ada", "viewer")
    reader, writer = await raw(site, pair, request_, tmp_path)
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.readline()
        rest = await reader.read(1 << 16)
    assert answer.split()[1] == b"400"
    assert b"Traceback" not in rest
    assert caplog.text.count("Traceback") == 0
    assert [one.levelname for one in caplog.records if one.levelno > logging.INFO] in (
        [],
        ["WARNING"],
    )
    writer.close()
    assert await fetched(site.user(), "/v1/jobs")


WORDS = st.binary(min_size=1, max_size=20).map(lambda data: quote(data, safe="")) | st.text(
    min_size=1, max_size=20
).map(lambda text: quote(text, safe="", errors="replace"))
PATHS = st.one_of(
    st.sampled_from(["/v1/jobs", "/v1/jobs/00000001", "/v1/openapi.json", LOGS + "?follow=false"]),
    st.lists(WORDS, max_size=4).map(lambda words: "/" + "/".join(words or ["-"])),
    WORDS.map(lambda word: f"/v1/jobs/{word}"),
    st.builds(lambda a, b: f"{LOGS}?follow=false&{a}={b}", WORDS, WORDS),
    st.builds(
        lambda a, b: f"/v1/jobs?{a}={b}", st.sampled_from(["limit", "state", "cursor"]), WORDS
    ),
)
LAST_IDS = st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


async def test_no_request_is_our_bug(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.host.writer.write(b"some\n", 1)
    drawn: list[tuple[str, str | None]] = []

    @settings(
        max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(PATHS, LAST_IDS)
    def draw(path: str, last: str | None) -> None:
        drawn.append((path, last))

    draw()
    user = site.user()
    bugs = []
    for path, last in drawn:
        headers = {} if last is None else {"Last-Event-ID": last}
        url = URL(path, encoded=True)
        async with user.get(url, headers=headers) as response:
            body = await response.read()
            if response.status >= 500 or b"Traceback" in body:
                bugs.append((path, last, body))
    assert bugs == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
