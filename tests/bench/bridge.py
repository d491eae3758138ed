"""The bridge against a bare gRPC echo with the same TLS, on loopback: python -m tests.bench.bridge.

Behind the bridge stands jobletd's own edge on a private bus, with jobs in memory; every part is a
process of its own, as installed. Prints a table and, with --output, a JSON file; judges nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

from joblet.rpc import tls
from joblet.rpc.pb import joblet_pb2 as pb
from tests.bridge.authority import SERVER_NAME, Authority, Pair
from tests.bus.conftest import PrivateBus
from tests.fakes.logwriter import LogWriter

CHECKOUT = Path(__file__).resolve().parents[2]
IN_FLIGHT = 64
JOBS = 64


@dataclass(frozen=True)
class Size:
    """How much is measured; a share of it shows that all works, and no figures."""

    calls: int = 4000
    log_bytes: int = 512 << 20
    followers: int = 1000
    idle_s: float = 3.0

    def share(self, share: float) -> Size:
        """So much of everything, and at least one."""
        return Size(
            max(1, int(self.calls * share)),
            max(1, int(self.log_bytes * share)),
            max(1, int(self.followers * share)),
            self.idle_s * share,
        )


EDGE = """
import asyncio, os, sys
from joblet.api.authorize import Authority
from joblet.api.jobs import JobObjects
from joblet.api.manager import ManagerHandler
from joblet.bus.connection import Connection
from joblet.bus.export import Exporter
from joblet.model.job import JobState, Reason
from tests.fakes.jobservice import FakeJobManager

class Jobs(FakeJobManager):
    def open_log(self, job_id):
        names = ("busy", "idle")
        which = names[self.jobs[job_id].state is JobState.RUNNING]
        return tuple(
            os.open(os.path.join(sys.argv[2], which + end), os.O_RDONLY) for end in ("", ".idx")
        )

    async def resolve(self, reference):
        return self.jobs[reference]

async def main():
    connection = await Connection.open(sys.argv[1])
    jobs = Jobs()
    async with Exporter.on(connection) as exporter:
        manager = ManagerHandler(jobs, Authority(connection), exporter, version="1")
        with JobObjects(exporter, manager).shown(jobs, jobs.feed):
            for _ in range(int(sys.argv[3])):
                jobs.start(jobs.put(owner_uid=0).id)
            jobs.end(next(iter(jobs.jobs)), JobState.COMPLETED, Reason.EXIT, 0)
            await connection.request_name("org.joblet1")
            print(*jobs.jobs, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""
ECHO = """
import asyncio, sys
import grpc, grpc.aio
from joblet.bridge.credentials import Credentials
from joblet.bridge.tls import server_credentials
from joblet.rpc.tls import require_tls_1_3

async def echo(data, context):
    return data

async def main():
    folder = sys.argv[1]
    credentials = Credentials(folder)
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),))
    print(server.add_secure_port("127.0.0.1:0", server_credentials(credentials)), flush=True)
    await server.start()
    await server.wait_for_termination()

require_tls_1_3()
asyncio.run(main())
"""
BRIDGE = """
import asyncio, sys
from joblet.bridge.wiring import bridge
from joblet.client.local import LocalClient
from joblet.config import BridgeConfig
from joblet.paths import Paths

async def main():
    here = ("127.0.0.1:0",)
    settings = BridgeConfig(
        listeners=here, https_listeners=here, stop_grace_usec=0, max_streams=2000
    )
    async with LocalClient.connect(sys.argv[1]) as client:
        paths = Paths(config=sys.argv[2])
        async with bridge(settings, paths, client, alive=lambda: True) as ports:
            print(*ports, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def program(text: str, *args: str) -> Iterator[tuple[int, str]]:
    """A process of its own, killed at the end; its pid and the first line it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, *args],
        env=os.environ | {"PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.pid, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def rate(call: Callable[[int], object], calls: int) -> float:
    """Calls per second with IN_FLIGHT of them on their way."""
    left = iter(range(calls))

    async def worker() -> None:
        for number in left:
            await call(number)  # type: ignore[misc]

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))  # warm
    left = iter(range(calls))
    begin = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return calls / (time.perf_counter() - begin)


def private_bytes(pid: int) -> int:
    """Memory that this process alone holds."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(
        int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Private_")
    )


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(
    authority: Authority,
    pair: Pair,
    echo: int,
    port: int,
    pid: int,
    jobs: list[str],
    whole: Size,
) -> dict[str, float]:
    """All figures."""
    figures: dict[str, float] = {}
    async with authority.channel(echo, pair) as bare, authority.channel(port, pair) as ours:
        payload = b"x" * 100
        echoing = bare.unary_unary("/bench.Echo/Echo")
        asking = ours.unary_unary("/joblet.JobService/GetJobStatus")
        requests = [pb.GetJobStatusRequest(uuid=job).SerializeToString() for job in jobs]
        # In turns, so that a busy moment of the machine hits both.
        rates: dict[str, list[float]] = {"echo": [], "status": []}
        for _ in range(3):
            rates["echo"].append(await rate(lambda _: echoing(payload), whole.calls))
            rates["status"].append(
                await rate(lambda number: asking(requests[number % JOBS]), whole.calls)
            )
        figures["echo/s"] = sorted(rates["echo"])[1]
        figures["GetJobStatus/s"] = sorted(rates["status"])[1]
        figures["ratio (bar 0.4)"] = figures["GetJobStatus/s"] / figures["echo/s"]

        reading = ours.unary_stream("/joblet.JobService/GetJobLogs")
        begin, size = time.perf_counter(), 0
        async for chunk in reading(pb.GetJobLogsRequest(uuid=jobs[0]).SerializeToString()):
            size += len(chunk)
        figures["log MB/s (bar 100)"] = size / (time.perf_counter() - begin) / 1e6
        assert size >= whole.log_bytes

        before = private_bytes(pid)
        followers = []
        for _ in range(whole.followers):
            call = reading(pb.GetJobLogsRequest(uuid=jobs[1]).SerializeToString())
            followers.append(call)
            await call.read()
        figures[f"MB for {whole.followers} followers (bar 100)"] = (
            private_bytes(pid) - before
        ) / 1e6
        spent = cpu_s(pid)
        await asyncio.sleep(whole.idle_s)
        figures[f"% CPU for {whole.followers} idle followers"] = (
            (cpu_s(pid) - spent) / whole.idle_s * 100
        )
        for call in followers:
            call.cancel()
    return figures


async def measure_https(
    context: ssl.SSLContext, port: int, pid: int, jobs: list[str], whole: Size
) -> dict[str, float]:
    """The same of the followers over HTTPS, each with a connection of its own."""
    figures: dict[str, float] = {}

    async def follow(job: str) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=SERVER_NAME, limit=4 << 20
        )
        writers.append(writer)
        writer.write(f"GET /v1/jobs/{job}/logs HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"event: stdout\n")
        return reader

    writers: list[asyncio.StreamWriter] = []
    begin = time.perf_counter()
    reader = await follow(jobs[0])
    size = 0
    while b"event: end\n" not in (data := await reader.read(1 << 20)):
        size += len(data)
    figures["log over HTTPS MB/s"] = size / (time.perf_counter() - begin) / 1e6
    before = private_bytes(pid)
    for _ in range(whole.followers):
        await follow(jobs[1])
    figures[f"MB for {whole.followers} HTTPS followers"] = (private_bytes(pid) - before) / 1e6
    spent = cpu_s(pid)
    await asyncio.sleep(whole.idle_s)
    figures[f"% CPU for {whole.followers} idle HTTPS ones"] = (
        (cpu_s(pid) - spent) / whole.idle_s * 100
    )
    for writer in writers:
        writer.transport.abort()
    return figures


def client_context(folder: Path, pair: Pair) -> ssl.SSLContext:
    """Somebody's side of HTTPS."""
    (folder / "client.pem").write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "pki/bridge/ca.crt")
    context.load_cert_chain(folder / "client.pem")
    return context


def main() -> int:
    """Set everything up, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bridge")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of calls, bytes and followers")
    options = parser.parse_args()
    whole = Size().share(options.share)
    tls.require_tls_1_3()
    # As in bridge/server.py: the library may hang when it shuts down by itself.
    grpc.aio.init_grpc_aio()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority()
        authority.write_server(folder / "pki/bridge")
        for name, size, sealed in (("busy", whole.log_bytes, True), ("idle", 6, False)):
            fds = [os.open(folder / f"{name}{end}", os.O_RDWR | os.O_CREAT) for end in ("", ".idx")]
            writer = LogWriter(*fds)
            block = (b"x" * 99 + b"\n") * 10_000
            for position in range(0, size, len(block)):
                writer.write(block[: min(len(block), size - position)], 1 + position)
            if sealed:
                writer.seal()
            for fd in fds:
                os.close(fd)
        bus = PrivateBus(folder)
        stack.callback(bus.kill)
        _, jobs = stack.enter_context(program(EDGE, bus.address, str(folder), str(JOBS)))
        _, echo = stack.enter_context(program(ECHO, str(folder / "pki/bridge")))
        pid, ports = stack.enter_context(program(BRIDGE, bus.address, str(folder)))
        port, https_port = map(int, ports.split())
        pair = authority.issue("bench", "admin")
        figures = asyncio.run(measure(authority, pair, int(echo), port, pid, jobs.split(), whole))
        context = client_context(folder, pair)
        figures |= asyncio.run(measure_https(context, https_port, pid, jobs.split(), whole))
    for name, value in figures.items():
        print(f"{name:36} {value:10.2f}")  # noqa: T201
    print(f"grpc {grpc.__version__}")  # noqa: T201
    if options.output is not None:
        options.output.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
