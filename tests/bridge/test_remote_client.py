"""RemoteClient against a bridge around a host in memory, over mutual TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from joblet.client.api import GAP, STDERR, STDOUT, Attachments, JobQuery, LogPiece, LogRequest
from joblet.client.nodes import Node
from joblet.client.remote import RemoteClient
from joblet.errors import JobletError, NotAllowed, RemoteError, Unreachable, UploadRefused
from joblet.model.job import JobSpec, Remote
from joblet.model.states import JobState
from tests.bridge.authority import Authority, Pair
from tests.bridge.conftest import PATIENCE_S, Ground, Start, until
from tests.fakes.client import ended, job, job_id

TRUE = JobSpec(command="true")
ADA = "CN=ada,OU=admin,O=Joblet"


def node(ground: Ground, pair: Pair, *, port: int | None = None, ca: bytes = b"") -> Node:
    return Node(
        "lab",
        f"127.0.0.1:{ground.ports[0] if port is None else port}",
        cert=pair.certificate.decode(),
        key=pair.key.decode(),
        ca=(ca or ground.authority.pem).decode(),
    )


@asynccontextmanager
async def user(ground: Ground, unit: str = "admin", name: str = "ada") -> AsyncIterator[Any]:
    """A client with a certificate of this unit."""
    async with RemoteClient.connect(node(ground, ground.authority.issue(name, unit))) as client:
        yield client


async def failure(awaitable: Any) -> JobletError:
    with pytest.raises(JobletError) as raised:
        async with asyncio.timeout(PATIENCE_S):
            await awaitable
    return raised.value


def _readable(pipe: int) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])


def contents(stream: int) -> bytes:
    with open(stream, "rb") as file:
        return file.read()


async def test_a_job_is_run_for_the_holder_of_the_certificate(ground: Ground) -> None:
    spec = replace(TRUE, args=("", "x"), cpu_cores=(0, 2), max_memory=1 << 40)
    async with user(ground) as client:
        assert await client.run(spec, Attachments(secrets={"TOKEN": "hush"})) == job_id(1)
    assert ground.host.specs == [spec]
    [attached] = ground.host.attached
    assert attached.secrets == {"TOKEN": "hush"}
    assert attached.remote == Remote(ADA, "admin")


async def test_files_of_any_size_come_through_as_a_stream(ground: Ground) -> None:
    data = os.urandom(3 << 20)
    stream = os.memfd_create("tar")
    os.write(stream, data)
    os.lseek(stream, 0, os.SEEK_SET)
    async with user(ground) as client:
        await client.run(TRUE, Attachments(tar=stream))
    os.close(stream)
    assert ground.host.uploads == [data]


async def test_an_upload_that_is_refused_ends_before_all_of_it_is_sent(ground: Ground) -> None:
    ground.host.reads = 1000
    ground.host.failures["upload"] = UploadRefused("../x", "leads out of the archive")
    reading, writing = os.pipe()
    os.write(writing, bytes(2000))
    try:
        async with user(ground) as client:
            # Nobody closes the other end: an answer can come from the refusal alone.
            sending = asyncio.ensure_future(client.run(TRUE, Attachments(tar=reading)))
            await until(lambda: sending.done() or ground.host.uploads)
            os.close(writing)
            err = await failure(sending)
    finally:
        os.close(reading)
    assert isinstance(err, RemoteError)
    assert (err.code, err.node) == ("UploadRefused", "lab")
    assert "archive entry '../x'" in str(err)


async def test_a_client_that_goes_away_in_the_middle_of_an_upload_leaves_no_job(
    ground: Ground,
) -> None:
    received: list[bytes] = []

    async def run(_spec: JobSpec, attached: Attachments) -> str:
        # A message to jobletd takes a copy of the descriptor along.
        stream = os.dup(attached.tar or -1)
        await asyncio.to_thread(lambda: received.append(contents(stream)))
        raise UploadRefused("x", "the archive ends too early")

    ground.host.run = run  # type: ignore[method-assign, assignment]
    reading, writing = os.pipe()
    os.write(writing, b"half an archive")
    try:
        async with user(ground) as client:
            sending = asyncio.ensure_future(client.run(TRUE, Attachments(tar=reading)))
            await until(lambda: not _readable(reading))
            sending.cancel()
            await asyncio.wait([sending])
        # What jobletd makes of half an archive is its own test: it is told that there is no more.
        await until(lambda: received)
    finally:
        os.close(reading)
        os.close(writing)
    assert b"half an archive".startswith(received[0])


async def test_files_come_back_as_a_stream(ground: Ground) -> None:
    data = os.urandom(3 << 20)
    ground.host.archives["out"] = data
    async with user(ground) as client:
        stream = await client.files(job_id(1), "out")
        assert await asyncio.to_thread(contents, stream) == data
        err = await failure(client.files(job_id(1), "nothing"))
    assert (err.code, str(err)) == ("NoSuchPath", "there is no path 'nothing'")


async def test_who_stops_reading_files_holds_nobody_up(ground: Ground) -> None:
    ground.host.archives["out"] = bytes(3 << 20)
    async with user(ground) as client:
        os.close(await client.files(job_id(1), "out"))
        assert await client.version() == "0.0.1"


async def test_a_status_and_a_list_say_what_the_host_says(ground: Ground) -> None:
    known = ended(1, 3, command="sh", args=(), environment={}, detail="x", log_bytes=5)
    jobs = [known, *(job(number) for number in range(2, 8))]
    ground.host.jobs = {one.id: one for one in jobs}
    async with user(ground) as client:
        assert await client.status("00000001") == known
        found = await client.statuses([one.id for one in jobs] * 50 + ["ffff"])
        assert found[:-1] == jobs * 50
        assert isinstance(found[-1], RemoteError)
        page = await client.list_jobs(JobQuery(limit=5))
        rest = await client.list_jobs(JobQuery(limit=5, cursor=page.next))
        assert [*page.jobs, *rest.jobs] == jobs[::-1]
        assert rest.next == ""
        states = (JobState.FAILED,)
        assert (await client.list_jobs(JobQuery(states=states))).jobs == [known]


async def test_the_jobs_of_a_remote_user_are_those_of_the_same_name(ground: Ground) -> None:
    ground.host.jobs = {
        one.id: one
        for one in (
            ended(1, remote_subject=ADA),
            ended(2, remote_subject="CN=bob,OU=admin,O=Joblet"),
            ended(3),
            job(4, remote_subject=ADA),
        )
    }
    async with user(ground) as client:
        mine = await client.list_jobs(JobQuery(mine=True))
        assert [one.id for one in mine.jobs] == [job_id(4), job_id(1)]
        assert await client.delete_all() == (1, 1)
        assert sorted(ground.host.jobs) == [job_id(2), job_id(3), job_id(4)]
        assert await client.delete_all(everybody=True) == (2, 1)


async def test_changes_name_the_job_by_its_whole_id(ground: Ground) -> None:
    ground.host.jobs = {one.id: one for one in (job(1), job(2, JobState.SCHEDULED), ended(3))}
    async with user(ground) as client:
        limits = {"max_memory": 0, "cpu_cores": (1, 2)}
        assert await client.update("00000001", limits) == job_id(1)
        assert ground.host.calls[-1] == ("update", ("00000001", limits))
        assert await client.stop("00000001") == job_id(1)
        assert (await client.wait(job_id(1))).state is JobState.STOPPED
        assert await client.cancel("00000002") == job_id(2)
        assert await client.delete("00000003") == job_id(3)


async def test_a_wait_with_a_time_gives_the_job_as_it_is_then(ground: Ground) -> None:
    ground.host.jobs[job_id(1)] = job(1)
    async with user(ground) as client:
        assert await client.wait(job_id(1), timeout_usec=1) == job(1)
        ground.host.endings[job_id(1)] = ended(1, 7)
        assert await client.wait(job_id(1)) == ended(1, 7)


async def test_a_log_comes_with_streams_times_and_gaps(ground: Ground) -> None:
    ground.host.jobs[job_id(1)] = ended(1)
    pieces = [
        LogPiece(GAP, 0, b"", 9, after=9),
        LogPiece(STDOUT, 5, b"\0\xff", after=11),
        LogPiece(STDERR, 6, b"x", after=12),
    ]
    ground.host.logs[job_id(1)] = pieces
    request = LogRequest(follow=False, tail_lines=3, since_usec=4, stream=STDERR)
    async with user(ground) as client, aclosing(client.log("00000001", request)) as log:
        assert [piece async for piece in log] == pieces
    assert ("log", request) in ground.host.calls


async def test_events_and_usage_and_version_and_explanations(ground: Ground) -> None:
    from joblet.client.looks import NEW, JobEvent

    event = JobEvent(event=NEW, id=job_id(1), time_usec=5)
    ground.host.happenings = [event]
    async with user(ground) as client:
        async with aclosing(client.events()) as events:
            assert await anext(events) == event
        assert await client.usage() == ground.host.reports[0]
        assert await client.version() == "0.0.1"
        told = await client.explain(TRUE, Attachments(secrets={"A": "b"}))
        assert told == await ground.host.explain(TRUE)
        assert list(told.properties) == list((await ground.host.explain(TRUE)).properties)


@pytest.mark.parametrize(
    ("err", "code"),
    [
        (NotAllowed("run jobs"), "NotAllowed"),
        (RemoteError("org.joblet1.Error.Exhausted", "the queue is full"), "Exhausted"),
        (
            RemoteError("org.freedesktop.DBus.Error.NoReply", "no answer"),
            "org.freedesktop.DBus.Error.NoReply",
        ),
        (Unreachable("jobletd is not running"), "Unreachable"),
        (RemoteError("org.joblet1.Error.Internal", "an error, id 7"), "Internal"),
    ],
    ids=str,
)
async def test_an_error_keeps_its_name_its_sentence_and_its_status(
    ground: Ground, err: JobletError, code: str
) -> None:
    ground.host.failures["run"] = err
    async with user(ground) as client:
        met = await failure(client.run(TRUE))
    assert isinstance(met, RemoteError)
    assert (met.code, str(met), met.node) == (code, str(err), "lab")
    assert met.exit_status == err.exit_status


async def test_a_role_that_may_not_is_told_so(ground: Ground) -> None:
    async with user(ground, "reader") as client:
        assert (await client.list_jobs(JobQuery())).jobs == []
        err = await failure(client.run(TRUE))
    assert err.code == "NotAllowed"
    assert "role viewer is not allowed to perform operation run_job" in str(err)


# Connections


async def test_nobody_there_is_one_sentence(ground: Ground) -> None:
    pair = ground.authority.issue("ada", "admin")
    async with RemoteClient.connect(node(ground, pair, port=1)) as client:
        err = await failure(client.version())
    assert isinstance(err, Unreachable)
    assert "node 'lab' (127.0.0.1:1) refuses the connection; is joblet-bridge running" in str(err)


async def test_a_host_that_never_answers_is_given_up(ground: Ground) -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone.append(writer)

    gone: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    pair = ground.authority.issue("ada", "admin")
    with pytest.raises(Unreachable, match="does not answer"):
        async with RemoteClient.connect(node(ground, pair, port=port), connect_s=0.2):
            pass
    for writer in gone:
        writer.close()
    server.close()


@pytest.mark.parametrize("fault", ["other CA", "expired", "foreign"])
async def test_certificates_that_do_not_fit_are_told(ground: Ground, fault: str) -> None:
    other = Authority()
    match fault:
        case "other CA":
            told = node(ground, ground.authority.issue("ada", "admin"), ca=other.pem)
        case "expired":
            told = node(ground, ground.authority.issue("ada", "admin", expired=True))
        case _:
            told = node(ground, other.issue("ada", "admin"))
    async with RemoteClient.connect(told) as client:
        err = await failure(client.run(TRUE))
    assert isinstance(err, Unreachable)
    assert "certificate" in str(err)
    assert "node 'lab'" in str(err)
    assert ground.host.specs == []


async def _until_refused(client: RemoteClient) -> None:
    while True:
        await client.version()
        await asyncio.sleep(0.01)


async def test_a_revoked_certificate_is_told(ground: Ground) -> None:
    pair = ground.authority.issue("ada", "admin")
    ground.authority.write_server(ground.config_folder / "pki/bridge", pair)
    async with RemoteClient.connect(node(ground, pair)) as client:
        # The bridge looks at its files once a second.
        err = await failure(_until_refused(client))
    assert "revoked" in str(err)
    assert err.code == "NotAllowed"


async def test_a_bridge_without_these_calls_says_what_to_do(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    from joblet.client import remote

    old = {
        name: method._replace(service="joblet2.Jobs") for name, method in remote._METHODS.items()
    }
    monkeypatch.setattr(remote, "_METHODS", old)
    async with user(ground) as client:
        err = await failure(client.version())
    assert err.grpc_status == "UNIMPLEMENTED"
    assert "node 'lab'" in str(err)
    assert "upgrade Joblet on that host" in str(err)


# Going on after a loss


async def restarted(start: Start, ground: Ground) -> None:
    """The bridge of this ground ends, and another one serves at its port."""
    await ground.end()
    again = await start(listeners=(f"127.0.0.1:{ground.ports[0]}",), host=ground.host)
    assert again.ports == ground.ports


async def test_a_log_goes_on_where_it_was_after_a_lost_connection(start: Start) -> None:
    ground = await start(stop_grace_usec=0)
    ground.host.jobs[job_id(1)] = job(1)
    ground.host.logs[job_id(1)] = [
        LogPiece(STDOUT, 5, b"one", after=3),
        LogPiece(GAP, 5, b"", 4, after=3),
    ]
    async with user(ground) as client, aclosing(client.log("00000001", LogRequest())) as log:
        async with asyncio.timeout(PATIENCE_S):
            assert (await anext(log)).data == b"one"
            assert (await anext(log)).lost_bytes == 4
            ground.host.jobs[job_id(1)] = ended(1)
            ground.host.logs[job_id(1)] = [
                LogPiece(GAP, 5, b"", 4, after=3),  # as a reader tells it that begins at 3
                LogPiece(STDERR, 6, b"two", after=6),
            ]
            resumed = asyncio.ensure_future(anext(log))
            await restarted(start, ground)
            assert await resumed == LogPiece(STDERR, 6, b"two")
            assert [piece async for piece in log] == []
    assert ("log", LogRequest(offset=3)) in ground.host.calls


async def test_a_wait_goes_on_after_a_lost_connection(start: Start) -> None:
    ground = await start(stop_grace_usec=0)
    ground.host.jobs[job_id(1)] = job(1)
    async with user(ground) as client, asyncio.timeout(PATIENCE_S):
        await client.status(job_id(1))
        waiting = asyncio.ensure_future(client.wait("00000001"))
        await until(lambda: any(verb == "wait" for verb, _ in ground.host.calls))
        ground.host.endings[job_id(1)] = ended(1, 5)
        await restarted(start, ground)
        assert await waiting == ended(1, 5)


async def test_a_loss_that_lasts_is_told(start: Start) -> None:
    ground = await start(stop_grace_usec=0)
    ground.host.jobs[job_id(1)] = job(1)
    told = node(ground, ground.authority.issue("ada", "admin"))
    async with RemoteClient.connect(told, lost_patience_s=0.2) as client:
        await client.status(job_id(1))
        waiting = asyncio.ensure_future(client.wait("00000001"))
        await until(lambda: any(verb == "wait" for verb, _ in ground.host.calls))
        await ground.end()
        err = await failure(waiting)
    assert isinstance(err, Unreachable)
    assert "node 'lab'" in str(err)


async def test_a_change_that_lost_its_answer_is_not_sent_again(start: Start) -> None:
    ground = await start(stop_grace_usec=0)
    held = asyncio.Event()

    async def run(spec: JobSpec, attached: Attachments) -> str:
        held.set()
        return await asyncio.Event().wait() and ""

    ground.host.run = run  # type: ignore[method-assign, assignment]
    async with user(ground) as client:
        await client.version()
        running = asyncio.ensure_future(client.run(TRUE))
        await held.wait()
        await ground.end()
        err = await failure(running)
    assert isinstance(err, Unreachable)
    assert "it may have been carried out nevertheless" in str(err)


async def test_events_end_with_the_connection(start: Start) -> None:
    ground = await start(stop_grace_usec=0)
    async with user(ground) as client, aclosing(client.events()) as events:
        coming = asyncio.ensure_future(anext(events))
        await until(lambda: ("events end", None) in ground.host.calls)
        await ground.end()
        err = await failure(coming)
    assert isinstance(err, Unreachable)


def shake_hands(listening: socket.socket, settings: ssl.SSLContext, versions: list[str]) -> None:
    """With whoever comes, until nobody can any more; with which versions of TLS."""
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            shaken = settings.wrap_socket(connection, server_side=True)
            versions.append(shaken.version() or "")
            shaken.close()


@pytest.mark.parametrize(
    ("newest", "met"), [(ssl.TLSVersion.TLSv1_2, []), (ssl.TLSVersion.TLSv1_3, ["TLSv1.3"])]
)
async def test_nothing_below_tls_1_3_is_spoken(
    ground: Ground, newest: ssl.TLSVersion, met: list[str]
) -> None:
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    settings.maximum_version = newest
    settings.load_cert_chain(ground.config_folder / "pki/bridge/server.pem")
    settings.set_alpn_protocols(["h2"])
    versions: list[str] = []
    pair = ground.authority.issue("ada", "admin")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.ensure_future(
            asyncio.to_thread(shake_hands, listening, settings, versions)
        )
        told = node(ground, pair, port=listening.getsockname()[1])
        # The one ends in the handshake, the other one where a bridge would have gone on.
        with pytest.raises(Unreachable):
            async with RemoteClient.connect(told, connect_s=1) as client:
                await client.version()
        listening.shutdown(socket.SHUT_RDWR)
        await serving
    assert versions[:1] == met
