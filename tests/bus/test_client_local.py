"""LocalClient and jobletctl against the daemon's own edge on a private bus."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from joblet.bus.connection import Connection
from joblet.bus.export import Exporter
from joblet.bus.frames import Message
from joblet.client import local
from joblet.client.api import STDERR, STDOUT, Attachments, JobQuery, LogPiece, LogRequest
from joblet.client.local import DESTINATION, NO_REPLY, LocalClient
from joblet.errors import RemoteError, Unreachable
from joblet.model.job import JobSpec, JobState, Reason, Remote
from joblet.records import logindex
from tests.fakes.edge import Edge, LoggingJobs

CHECKOUT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0

Open = Callable[[], Awaitable[Connection]]
Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
async def daemon(connect: Open, tmp_path: Path) -> AsyncIterator[Edge]:
    if os.geteuid() != 0:
        pytest.skip("needs root, whom no polkit has to be asked about")
    jobs = LoggingJobs(tmp_path)
    made = Edge(connect, jobs)
    await made.start()
    yield made
    await made.stop()
    jobs.release()


@pytest.fixture
async def client(bus: Any) -> AsyncIterator[LocalClient]:
    async with LocalClient.connect(bus.address) as connected:
        yield connected


async def test_a_spec_arrives_as_it_was_sent(daemon: Edge, client: LocalClient) -> None:
    spec = JobSpec(
        command="sh",
        args=("-c", "", "ü\n"),
        name="n",
        environment={"A": "1", "EMPTY": ""},
        timeout_usec=1_000_000,
        stop_grace_usec=2_000_000,
        start_at_usec=1_600_000_000_000_000,
        max_cpu=150,
        max_memory=1 << 30,
        max_tasks=6,
        network="none",
        init=True,
    )
    job_id = await client.run(spec)
    assert daemon.jobs.jobs[job_id].spec == spec


async def test_the_least_spec_is_completed_by_the_daemon(daemon: Edge, client: LocalClient) -> None:
    job_id = await client.run(JobSpec(command="true"))
    assert daemon.jobs.jobs[job_id].spec == JobSpec(command="true")


async def test_an_update_arrives_as_it_was_sent(daemon: Edge, client: LocalClient) -> None:
    job = daemon.jobs.put(owner_uid=0)
    limits = {"max_cpu": 0, "cpu_cores": (0, 1, 3), "max_io_bps": 1 << 20, "io_weight": 5}
    assert await client.update(job.id[:8], limits) == job.id
    spec = daemon.jobs.jobs[job.id].spec
    assert {name: getattr(spec, name) for name in limits} == limits


async def test_status_has_public_and_private_halves(daemon: Edge, client: LocalClient) -> None:
    spec = JobSpec(command="c", args=("a",), environment={"K": "V"}, max_cpu=7)
    job = daemon.jobs.put(owner_uid=0, spec=spec)
    daemon.jobs.start(job.id)
    found = await client.status(job.id[:8])
    assert (found.id, found.state, found.owner_uid) == (job.id, JobState.RUNNING, 0)
    assert found.submitted_usec == job.submitted_usec
    assert found.started_usec is not None
    assert (found.command, found.args, found.environment) == ("c", ("a",), {"K": "V"})
    assert (found.max_cpu, found.init, found.exit_code) == (7, False, None)
    assert found.unit == f"joblet-{job.id}.scope"


async def test_a_list_entry_is_the_same_as_the_status(daemon: Edge, client: LocalClient) -> None:
    job = daemon.jobs.put(owner_uid=0)
    daemon.jobs.start(job.id)
    daemon.jobs.end(job.id, JobState.FAILED, Reason.OOM, 137)
    page = await client.list_jobs(JobQuery())
    assert page.jobs == [await client.status(job.id)]
    assert page.jobs[0].reason is Reason.OOM
    assert page.next == ""


async def test_a_list_is_paged_and_filtered(daemon: Edge, client: LocalClient) -> None:
    mine = [daemon.jobs.put(owner_uid=0).id for _ in range(5)]
    daemon.jobs.put(owner_uid=4711)
    daemon.jobs.start(mine[0])
    first = await client.list_jobs(JobQuery(mine=True, limit=3))
    second = await client.list_jobs(JobQuery(mine=True, limit=3, cursor=first.next))
    assert [job.id for job in (*first.jobs, *second.jobs)] == mine[::-1]
    assert (bool(first.next), second.next) == (True, "")
    running = await client.list_jobs(JobQuery(states=[JobState.RUNNING, JobState.FAILED]))
    assert [job.id for job in running.jobs] == [mine[0]]
    assert len((await client.list_jobs(JobQuery())).jobs) == 6


async def test_verbs_give_the_whole_id(daemon: Edge, client: LocalClient) -> None:
    running, waiting = (daemon.jobs.put(owner_uid=0).id for _ in range(2))
    daemon.jobs.start(running)
    assert await client.stop(running[:8]) == running
    assert await client.cancel(waiting[:8]) == waiting
    assert await client.delete(running[:8]) == running
    daemon.jobs.put(owner_uid=0)
    daemon.jobs.put(owner_uid=4711)
    assert await client.delete_all() == (1, 1)
    assert await client.delete_all(everybody=True) == (0, 2)


@pytest.mark.parametrize(
    ("verb", "code"),
    [("status", "NoSuchJob"), ("delete", "NoSuchJob"), ("wait", "NoSuchJob")],
)
@pytest.mark.usefixtures("daemon")
async def test_a_refusal_keeps_its_name_and_sentence(
    client: LocalClient, verb: str, code: str
) -> None:
    with pytest.raises(RemoteError, match="there is no job 'abcd'") as caught:
        await getattr(client, verb)("abcd")
    assert caught.value.code == code


async def test_wait_ends_with_the_job(daemon: Edge, client: LocalClient, until: Until) -> None:
    job = daemon.jobs.put(owner_uid=0)
    waiting = asyncio.ensure_future(client.wait(job.id))
    await until(lambda: daemon.jobs.waiters)
    daemon.jobs.start(job.id)
    daemon.jobs.end(job.id, JobState.FAILED, Reason.EXIT, 3)
    async with asyncio.timeout(DEADLINE_S):
        ended = await waiting
    assert (ended.state, ended.exit_code, ended.reason) == (JobState.FAILED, 3, Reason.EXIT)


async def test_wait_with_a_time_gives_the_live_job(daemon: Edge, client: LocalClient) -> None:
    job = daemon.jobs.put(owner_uid=0)
    async with asyncio.timeout(DEADLINE_S):
        found = await client.wait(job.id, timeout_usec=10_000)
    assert found.state is JobState.PENDING


async def test_wait_outlives_a_restart_of_the_daemon(
    daemon: Edge, client: LocalClient, until: Until
) -> None:
    job = daemon.jobs.put(owner_uid=0)
    waiting = asyncio.ensure_future(client.wait(job.id))
    await until(lambda: daemon.jobs.waiters)
    await daemon.stop()
    daemon.jobs.start(job.id)
    daemon.jobs.end(job.id, JobState.COMPLETED, Reason.EXIT, 0)
    await daemon.start()
    async with asyncio.timeout(DEADLINE_S):
        assert (await waiting).state is JobState.COMPLETED


async def test_wait_gives_up_on_a_daemon_that_does_not_come_back(
    daemon: Edge, connect: Open, until: Until
) -> None:
    client = LocalClient(await connect(), restart_patience_s=0.1)
    job = daemon.jobs.put(owner_uid=0)
    waiting = asyncio.ensure_future(client.wait(job.id))
    await until(lambda: daemon.jobs.waiters)
    await daemon.stop()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(Unreachable, match="jobletd is not running and could not be started"):
            await waiting


async def test_wait_gives_up_at_once_when_the_bus_is_gone(
    daemon: Edge, client: LocalClient, until: Until, bus: Any
) -> None:
    job = daemon.jobs.put(owner_uid=0)
    waiting = asyncio.ensure_future(client.wait(job.id))
    await until(lambda: daemon.jobs.waiters)
    bus.kill()
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(Unreachable, match="connection to the bus is closed"):
            await waiting


async def stopping(connect: Open) -> list[str]:
    """A daemon that is about to end keeps the name; the methods it was asked for come here."""
    connection = await connect()
    asked: list[str] = []

    def serve(call: Message) -> None:
        asked.append(call.member)
        connection.reply_error(call, NO_REPLY, "jobletd is stopping")

    connection.serve(serve)
    await connection.request_name(DESTINATION)
    return asked


async def test_a_question_to_a_daemon_that_ends_goes_to_the_next(
    daemon: Edge, connect: Open, client: LocalClient
) -> None:
    """It has ended its calls already and has the name still, as long as it closes its files."""
    job = daemon.jobs.put(owner_uid=0)
    old = await connect()
    await daemon.stop()
    async with Exporter.on(old):
        await old.request_name(DESTINATION)
    asking = [asyncio.ensure_future(client.status(job.id)) for _ in range(3)]
    # It is the fourth who is refused, and a change is not asked for again.
    with pytest.raises(RemoteError, match="jobletd is stopping"):
        await client.stop(job.id)
    assert not any(one.done() for one in asking)
    await old.close()
    await daemon.start()
    async with asyncio.timeout(DEADLINE_S):
        assert [(await one).id for one in asking] == [job.id] * 3


@pytest.mark.parametrize(("verb", "times"), [("status", 3), ("stop", 1), ("delete", 1)])
async def test_a_change_is_asked_for_once_and_a_question_not_for_ever(
    connect: Open,
    client: LocalClient,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    times: int,
) -> None:
    monkeypatch.setattr(local, "_AGAIN_S", (0.0, 0.0))
    asked = await stopping(connect)
    with pytest.raises(RemoteError, match="jobletd is stopping"):
        await getattr(client, verb)("abcd")
    assert len(asked) == times


async def test_without_a_daemon_the_sentence_says_so(client: LocalClient) -> None:
    with pytest.raises(Unreachable, match="jobletd is not running and could not be started"):
        await client.status("abcd")


async def test_without_a_bus_the_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="there is no system bus to reach jobletd on"):
        async with LocalClient.connect(f"unix:path={tmp_path}/none"):
            pass


async def test_a_log_is_read_and_followed_from_descriptors(
    daemon: Edge, client: LocalClient
) -> None:
    job = daemon.jobs.put(owner_uid=0)
    daemon.jobs.writer.write(b"history\n", 1)
    open_before = len(os.listdir("/proc/self/fd"))
    async with asyncio.timeout(DEADLINE_S):
        async with aclosing(client.log(job.id, LogRequest())) as found:
            assert await anext(found) == LogPiece(STDOUT, 1, b"history\n")
            waiting = asyncio.ensure_future(anext(found))
            await asyncio.sleep(0)
            # the daemon is not needed for what follows
            await daemon.stop()
            daemon.jobs.writer.write(b"live\n", 2, logindex.STDERR)
            assert await waiting == LogPiece(STDERR, 2, b"live\n")
            daemon.jobs.writer.seal()
            assert [piece async for piece in found] == []
    assert len(os.listdir("/proc/self/fd")) <= open_before


async def test_a_log_of_another_format_is_an_error_of_ours(
    daemon: Edge, client: LocalClient
) -> None:
    job = daemon.jobs.put(owner_uid=0)
    os.pwrite(daemon.jobs.writer.idx_fd, b"JLIX\xff\xff", 0)
    with pytest.raises(RemoteError, match="a log that this client cannot read .*version 65535"):
        async with aclosing(client.log(job.id, LogRequest())) as found:
            await anext(found)


async def ctl(address: str, *args: str) -> tuple[int, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jobletctl",
        *args,
        env={
            **os.environ,
            "PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}",
            "DBUS_SYSTEM_BUS_ADDRESS": address,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out, err


async def test_jobletctl_speaks_to_the_daemon_of_the_system_bus(daemon: Edge, bus: Any) -> None:
    status, out, err = await ctl(bus.address, "job", "run", "-e", "K=V", "echo", "a b")
    assert (status, err) == (0, b"")
    job_id = out.decode().strip()
    assert daemon.jobs.jobs[job_id].spec.args == ("a b",)
    status, out, err = await ctl(bus.address, "--json", "job", "list")
    assert (status, err, json.loads(out)[0]["id"]) == (0, b"", job_id)
    daemon.jobs.writer.write(b"out\xff\n", 1)
    daemon.jobs.writer.write(b"err\n", 2, logindex.STDERR)
    daemon.jobs.writer.seal()
    assert await ctl(bus.address, "job", "log", job_id) == (0, b"out\xff\n", b"err\n")
    status, out, err = await ctl(bus.address, "job", "stop", job_id[:8])
    assert (status, out.split()[:2]) == (0, [job_id.encode(), b"CANCELED"])
    status, out, err = await ctl(bus.address, "job", "stop", job_id)
    assert (status, out) == (1, b"")
    assert err.startswith(b"jobletctl: cannot cancel job ")
    status, out, err = await ctl(bus.address, "job", "wait", job_id)
    assert status == daemon.jobs.jobs[job_id].exit_code


async def test_an_explanation_tells_what_the_daemon_told(daemon: Edge, client: LocalClient) -> None:
    attached = Attachments(secrets={"TOKEN": "hunter2"})
    told = await client.explain(JobSpec(command="true", max_tasks=5), attached)
    assert (told.state, told.unit, told.spec["max_tasks"]) == (
        JobState.PENDING,
        "joblet-0.scope",
        5,
    )
    assert told.properties["AllowedCPUs"] == b"\x03"
    assert told.steps == ("set TOKEN=***",)
    assert not daemon.jobs.jobs


async def test_usage_and_version(daemon: Edge, client: LocalClient) -> None:
    job = daemon.jobs.start(daemon.jobs.put(owner_uid=0).id)
    report = await client.usage()
    assert (report.host.hostname, report.host.version, report.host.running_jobs) == ("host", "1", 1)
    [used] = report.jobs
    assert (used.id, used.args, used.cpu_usec, used.memory_bytes) == (
        job.id,
        ("secret",),
        1000,
        None,
    )
    assert await client.version() == "1"


async def test_events_are_the_life_of_a_job_and_outlive_the_daemon(
    daemon: Edge, client: LocalClient, until: Until
) -> None:
    heard: list[tuple[str, str, object]] = []

    async def listen() -> None:
        async with aclosing(client.events()) as events:
            async for event in events:
                heard.append((event.event, event.id, event.exit_code))

    def heard_of_a_new_one() -> bool:
        # nothing else tells when the subscription is there
        daemon.jobs.put(owner_uid=0)
        return bool(heard)

    task = asyncio.create_task(listen())
    await until(heard_of_a_new_one)
    await daemon.stop()
    await daemon.start()
    job = daemon.jobs.put(owner_uid=0)
    lived = [("new", job.id, None), ("state", job.id, None), ("finished", job.id, 3)]
    daemon.jobs.start(job.id)
    await until(lambda: lived[1] in heard)
    daemon.jobs.end(job.id, JobState.FAILED, Reason.EXIT, 3)
    await until(lambda: lived[2] in heard)
    assert [event for event in heard if event[1] == job.id] == lived
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_events_of_a_daemon_that_cannot_be_had(client: LocalClient) -> None:
    with pytest.raises(Unreachable, match="jobletd is not running"):
        await anext(client.events())


async def test_many_statuses_are_asked_for_at_once(daemon: Edge, client: LocalClient) -> None:
    first, second = daemon.jobs.put(owner_uid=0), daemon.jobs.put(owner_uid=7)
    found = await client.statuses([second.id, "ffffffff", first.id[:8]] * 100)
    assert len(found) == 300
    assert found[0] == await client.status(second.id)
    assert found[299] == await client.status(first.id)
    missing = found[1]
    assert isinstance(missing, RemoteError)
    assert (missing.code, missing.grpc_status) == ("NoSuchJob", "NOT_FOUND")
    assert await client.statuses([]) == []


async def test_only_the_bridge_asks_for_somebody_else(daemon: Edge, client: LocalClient) -> None:
    attached = Attachments(remote=Remote("CN=x", "admin"))
    with pytest.raises(RemoteError, match=r"^not allowed to name a remote owner"):
        await client.run(JobSpec(command="true"), attached)
    assert not daemon.jobs.jobs


async def test_more_calls_than_the_bus_allows_wait_for_their_turn(
    daemon: Edge, client: LocalClient
) -> None:
    ids = [daemon.jobs.put(owner_uid=0).id for _ in range(200)]
    waits = [asyncio.ensure_future(client.wait(job_id, timeout_usec=200_000)) for job_id in ids]
    async with asyncio.timeout(DEADLINE_S):
        found = await asyncio.gather(*waits)
    assert [status.id for status in found] == ids
