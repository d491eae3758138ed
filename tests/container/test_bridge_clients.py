"""Clients of every kind, many at once, and clients and bridges that die in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.container import node
from tests.container.jobs import Jobs, kill, main_pid
from tests.container.machine import Machine
from tests.container.served import BRIDGE, Served, served
from tests.grounds.cache import NoGround

UPLOAD = 128 << 20
CROWD = 100
# An answer to RunJob waits a little for the start, which may take longer while many are served.
SLOW_STARTS = pytest.mark.journal_allows(r"accepted, and no news of its start")


@pytest.fixture(scope="module")
def bridge(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(machine, tmp_path_factory.mktemp("served")) as made:
        yield made


NODE = """
const job = "JobService";
const run = (script, more = {}) =>
  call(job, "RunJob", { command: "sh", args: ["-c", script], ...more });
const first = await run("echo out; echo err >&2; exit 3",
  { name: "my job", environment: { A: "1" }, secret_environment: { TOKEN: "hush" } });
result.log = Buffer.concat((await all(job, "GetJobLogs", { uuid: first.job_uuid }))
  .map((chunk) => chunk.payload)).toString().trim().split("\\n").sort();
const status = await call(job, "GetJobStatus", { uuid: first.job_uuid.slice(0, 8) });
result.status = [status.status, status.exit_code, status.name, status.environment,
  status.secret_environment];
const long = (await run("echo begun; sleep 1000")).job_uuid;
const log = stream(job, "GetJobLogs", { uuid: long });
result.live = await new Promise((resolve) =>
  log.once("data", (chunk) => resolve(chunk.payload.toString())));
const ended = new Promise((resolve) => log.once("end", () => resolve("end")));
result.listed = (await call(job, "ListJobs")).jobs.map((one) => one.status).sort();
result.stop = (await call(job, "StopJob", { uuid: long })).status;
result.stream = await ended;
const later = await run("true", { schedule: new Date(Date.now() + 3600000).toISOString() });
result.cancel = (await call(job, "CancelJob", { uuid: later.job_uuid })).status;
result.delete = await call(job, "DeleteJob", { uuid: long });
result.gone = await refused(all(job, "GetJobLogs", { uuid: long }));
result.wrong = await refused(call(job, "RunJob", { command: "" }));
result.upload = (await all(job, "GetJobLogs", { uuid: (await run("cat file",
  { uploads: [{ path: "file", content: Buffer.from("hello"), mode: 0o644 }] })).job_uuid }))
  .map((chunk) => chunk.payload.toString()).join("");
result.rest = (await call(job, "DeleteAllJobs")).deleted_count;
"""


def test_grpc_js_with_the_proto_loaded_at_run_time(bridge: Served) -> None:
    try:
        node.installed()
    except NoGround as missing:
        pytest.skip(str(missing))
    # It lists and counts all jobs that there are.
    Jobs(bridge.machine).call("DeleteAllJobs", "a{sv}", 1, "all", "b", "true")
    seen = node.session(bridge, NODE, bridge.authority.issue("ui", "developer"))
    deleted = seen.pop("delete")
    assert (deleted["success"], deleted["message"]) == (True, "Job deleted successfully")
    assert seen == {
        "log": ["err", "out"],
        "status": ["FAILED", 3, "my_job", {"A": "1"}, {"TOKEN": "***"}],
        "live": "begun\n",
        "listed": ["FAILED", "RUNNING"],
        "stop": "STOPPED",
        "stream": "end",
        "cancel": "CANCELED",
        "gone": "NOT_FOUND",
        "wrong": "INVALID_ARGUMENT",
        "upload": "hello",
        "rest": 3,
    }


def test_a_whole_message_of_uploads(bridge: Served) -> None:
    """All that one message of 128 MiB holds, in several files; and one byte more is refused."""
    program = """
    import hashlib, os
    limit = int(words[0])
    data = os.urandom(1 << 20) * 16
    uploads = [pb.FileUpload(path=f"f{number}", content=data) for number in range(7)]
    script = "cat f0 f1 f2 f3 f4 f5 f6 rest | sha256sum"
    request = shell(script, uploads=uploads)
    request.uploads.add(path="rest", content=data)
    rest = data[: len(data) - (request.ByteSize() - limit)]
    request.uploads[7].content = rest
    assert request.ByteSize() == limit, request.ByteSize()
    job = (await visit.call("RunJob", request)).job_uuid
    result["said"] = (await visit.text(job)).split()[0]
    result["expected"] = hashlib.sha256(data * 7 + rest).hexdigest()
    request.args[1] += "\\n"
    result["more"] = await visit.code("RunJob", request)
    await visit.call("DeleteJob", pb.DeleteJobRequest(uuid=job))
    """
    seen = bridge.visit(program, bridge.authority.issue("ada", "developer"), str(UPLOAD))
    assert seen["said"] == seen["expected"]
    assert seen["more"] == "RESOURCE_EXHAUSTED"
    assert bridge.temporary_files() == []


@SLOW_STARTS
def test_a_hundred_clients_at_once(bridge: Served) -> None:
    """Each on a connection of its own, half of them following over HTTPS; all get their own."""
    before = bridge.descriptors()
    program = """
    async def client(number):
        channel = visit.new_channel()
        try:
            script = f"for i in 1 2 3 4 5; do echo {number}-$i; done; exit {number % 7}"
            job = (await visit.call("RunJob", shell(script), channel)).job_uuid
            if number % 2:
                said = await visit.text(job, channel)
            else:
                said = b"".join([data async for kind, _, data in visit.events(job)
                                 if kind == "stdout"]).decode()
            status = await visit.call("GetJobStatus", pb.GetJobStatusRequest(uuid=job), channel)
            await visit.call("DeleteJob", pb.DeleteJobRequest(uuid=job), channel)
            expected = "".join(f"{number}-{i}\\n" for i in range(1, 6))
            return said == expected and status.exit_code == number % 7
        finally:
            await channel.close()

    answers = await asyncio.gather(*(client(number) for number in range(int(words[0]))))
    result["right"] = sum(answers)
    result["left"] = len((await visit.call("ListJobs")).jobs)
    """
    seen = bridge.visit(program, bridge.authority.issue("ada", "developer"), str(CROWD))
    assert seen == {"right": CROWD, "left": 0}
    bridge.wait_closed(before)


def test_a_client_killed_in_mid_upload_leaves_nothing(bridge: Served) -> None:
    """The bridge is held still, so that the kill hits the middle for sure."""
    before = bridge.descriptors()
    pid = main_pid(bridge.machine, BRIDGE)
    visit = bridge.start(
        """
        await visit.call("ListJobs")
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        uploads = [pb.FileUpload(path="f", content=bytes(100 << 20))]
        await visit.call("RunJob", shell("true", uploads=uploads))
        """,
        bridge.authority.issue("ada", "developer"),
    )
    assert visit.stdout is not None
    assert visit.stdin is not None
    assert visit.stdout.readline() == "connected\n"
    bridge.machine.run(["kill", "-STOP", str(pid)])
    try:
        visit.stdin.write("\n")
        visit.stdin.flush()
        bridge.machine.wait_for(lambda: _unread(bridge) > 1 << 16, "a part of the message")
        visit.send_signal(signal.SIGKILL)
        visit.communicate()
    finally:
        bridge.machine.run(["kill", "-CONT", str(pid)])
    bridge.wait_closed(before)
    assert bridge.temporary_files() == []
    assert Jobs(bridge.machine).ids() == []


def _unread(bridge: Served) -> int:
    """Bytes that wait in the sockets of the bridge's port."""
    shown = bridge.machine.run(["ss", "-Htn", "state", "established", "sport = :50051"]).stdout
    return sum(int(line.split()[0]) for line in shown.splitlines())


def test_clients_killed_in_mid_stream_leave_nothing(bridge: Served) -> None:
    jobs = Jobs(bridge.machine)
    before = bridge.descriptors()
    ada = bridge.authority.issue("ada", "developer")
    job = jobs.shell("trap 'exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done")
    visits = [bridge.start(program, ada, job) for program in (FOLLOW_GRPC, FOLLOW_HTTPS)]
    for visit in visits:
        assert visit.stdout is not None
        assert visit.stdout.readline() == "begun\n"
    assert bridge.descriptors() > before + 1
    for visit in visits:
        visit.send_signal(signal.SIGKILL)
        visit.communicate()
    bridge.wait_closed(before)
    assert jobs.status(job)["state"] == "RUNNING"
    jobs.stop(job)
    jobs.wait(job)
    jobs.call("DeleteJob", "s", job)


FOLLOW_GRPC = """
async for chunk in visit.start("GetJobLogs", pb.GetJobLogsRequest(uuid=words[0])):
    print(chunk.payload.decode(), end="", flush=True)
"""
FOLLOW_HTTPS = """
async for kind, _, data in visit.events(words[0]):
    print(data.decode(), end="", flush=True)
"""

# Runs jobs that count, follows each over both protocols through whatever happens to the bridge, and
# goes on running short jobs meanwhile. Over HTTPS a follower goes on where it was; gRPC has no
# such place, so there it begins anew. Told to end, it stops the jobs and says what everybody saw.
LOAD = """
import aiohttp, grpc

counting = (
    "exec 2>/dev/null; trap 'echo end; exit 0' TERM; i=0; "
    "while :; do i=$((i+1)); echo $i; sleep 0.01; done"
)
jobs = [(await visit.call("RunJob", shell(counting))).job_uuid for _ in range(4)]
seen = {}
accepted = []
ending = asyncio.Event()
broken = set()

async def by_grpc(job, name):
    while True:
        seen[name] = b""
        try:
            async for chunk in visit.start("GetJobLogs", pb.GetJobLogsRequest(uuid=job)):
                seen[name] += chunk.payload
            return
        except grpc.aio.AioRpcError as err:
            assert err.code() is grpc.StatusCode.UNAVAILABLE, err
            broken.add(name)

async def by_https(job, name):
    seen[name], last = b"", ""
    while True:
        try:
            async for kind, last, data in visit.events(job, last):
                if kind == "stdout":
                    seen[name] += data
                if kind == "end":
                    return
        except aiohttp.ClientError:
            pass
        broken.add(name)
        await asyncio.sleep(0.05)

async def runner():
    while not ending.is_set():
        try:
            accepted.append((await visit.call("RunJob", shell("true"))).job_uuid)
        except grpc.aio.AioRpcError as err:
            assert err.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), err
            await asyncio.sleep(0.05)

def names(job):
    return {f"{kind} {job} {number}" for kind in ("grpc", "https") for number in range(3)}

async def grown(size):
    while not all(len(seen.get(name, b"")) > size for job in jobs for name in names(job)):
        await asyncio.sleep(0.01)

tasks = [
    asyncio.ensure_future((by_grpc if name.startswith("grpc") else by_https)(job, name))
    for job in jobs for name in names(job)
]
running = asyncio.ensure_future(runner())
await grown(100)
print("going", flush=True)
await asyncio.to_thread(sys.stdin.readline)
while len(broken) < len(tasks):
    await asyncio.sleep(0.01)
size = max(map(len, seen.values()))
await grown(size)
ending.set()
await running
for job in jobs:
    await visit.call("StopJob", pb.StopJobRequest(uuid=job))
await asyncio.gather(*tasks)
for job in jobs:
    whole = b"".join(
        chunk.payload for chunk in await visit.call("GetJobLogs", pb.GetJobLogsRequest(uuid=job))
    )
    lines = whole.decode().split()
    counted = [str(number) for number in range(1, len(lines))] + ["end"]
    assert lines == counted, [pair for pair in zip(lines, counted) if len(set(pair)) > 1][:9]
    result[job] = {name.split()[0] for name in names(job) if seen[name] != whole} == set()
known = {one.uuid for one in (await visit.call("ListJobs")).jobs}
result["accepted"] = len(accepted) > 0
result["lost"] = [job for job in (*accepted, *jobs) if job not in known]
"""


@SLOW_STARTS
@pytest.mark.journal_allows(r"joblet-bridge\.service: (Main process exited|Failed with result)")
def test_a_bridge_killed_under_load_loses_no_job_and_no_byte(bridge: Served) -> None:
    ada = bridge.authority.issue("ada", "developer")
    visit = bridge.start(LOAD, ada)
    assert visit.stdout is not None
    try:
        assert visit.stdout.readline() == "going\n"
        kill(bridge.machine, BRIDGE)
        said, _ = visit.communicate("\n", timeout=240)
    except subprocess.TimeoutExpired:
        visit.kill()
        visit.communicate()
        raise
    assert visit.returncode == 0
    seen = json.loads(said.splitlines()[-1])
    assert seen.pop("lost") == []
    assert seen.pop("accepted") is True
    assert list(seen.values()) == [True] * 4
    Jobs(bridge.machine).call("DeleteAllJobs", "a{sv}", 1, "all", "b", "true")
