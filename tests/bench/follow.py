"""Bar 8, a byte written to a byte at a follower: python -m tests.bench.follow, as root.

A job in a container writes the time, in one write per line and with pauses as programs have them;
whoever follows it compares that with its own. The whole way is in the figure: the job's pipe, its
supervisor, the log, inotify and the follower, with the bridge and its TLS where they are part of
it. Beside them a reader at the other end of a plain pipe, which is what the machine itself costs.
Followers come in turns, each with a job of its own. Prints a table and, with --output, a JSON file;
judges nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import NamedTuple

from tests.bench.report import Row, table
from tests.bench.samples import percentile
from tests.bridge.authority import Pair
from tests.container.ground import ground
from tests.container.jobs import Jobs
from tests.container.served import Served, served

LINES = 1000
ROUNDS = 3

# The clock is one for all processes of a machine, in every namespace that a job has.
WRITER = """
import os, random, sys, time
random.seed(8)
os.write(1, b"0\\n")
while not os.path.exists("go"):
    time.sleep(0.001)
for _ in range(int(sys.argv[1])):
    time.sleep(random.uniform(0.001, 0.008))
    os.write(1, b"%d\\n" % time.monotonic_ns())
"""
# The first line says that somebody follows: what was written before is history, and of no use here.
TAKE = """
import json, os, sys, time
taken, rest = [], b""

def take(data):
    global rest
    now = time.monotonic_ns()
    *lines, rest = (rest + data).split(b"\\n")
    if b"0" in lines:
        lines.remove(b"0")
        open(go, "w").close()
    taken.extend((now - int(line)) / 1e6 for line in lines)
"""
PIPE = """
import subprocess, tempfile
folder = tempfile.TemporaryDirectory()
os.chdir(folder.name)
go = "go"
writer = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdout=subprocess.PIPE)
while data := os.read(writer.stdout.fileno(), 1 << 18):
    take(data)
print(json.dumps(taken))
"""
BUS = """
import asyncio
from joblet.client.api import LogRequest
from joblet.client.local import LocalClient

go = sys.argv[2]

async def main():
    async with LocalClient.connect() as client:
        async for piece in client.log(sys.argv[1], LogRequest(merged=True)):
            take(piece.data)

asyncio.run(main())
print(json.dumps(taken))
"""
GRPC = """
go = words[1]
async for chunk in visit.start("GetJobLogs", pb.GetJobLogsRequest(uuid=words[0])):
    take(chunk.payload)
result["taken"] = taken
"""
SSE = """
go = words[1]
async for kind, _, data in visit.events(words[0]):
    if kind == "stdout":
        take(data)
result["taken"] = taken
"""


class Follower(NamedTuple):
    """One way to follow; `most_ms` is the bar for the 95th percentile, if there is one."""

    name: str
    most_ms: float | None


FOLLOWERS = (
    Follower("a plain pipe", None),
    Follower("D-Bus, its descriptor", 5.0),
    Follower("gRPC", 15.0),
    Follower("HTTPS, events", 15.0),
)


def follow(bridge: Served, pair: Pair, follower: Follower, lines: int) -> list[float]:
    """Milliseconds of one job's lines."""
    machine = bridge.machine
    if follower is FOLLOWERS[0]:
        done = machine.run(["python3", "-c", TAKE + PIPE, str(lines), WRITER])
        return list(json.loads(done.stdout))
    jobs = Jobs(machine)
    job = jobs.run("python3", "-c", WRITER, str(lines))
    go = f"/var/lib/joblet/work/{job}/go"
    taken: list[float]
    if follower is FOLLOWERS[1]:
        done = machine.run(["python3", "-c", TAKE + BUS, job, go])
        taken = json.loads(done.stdout)
    else:
        # A function of a visit has its own names: `take` gets them where the frame puts them.
        program = textwrap.dedent(TAKE).replace("global", "nonlocal")
        program += GRPC if follower is FOLLOWERS[2] else SSE
        taken = bridge.visit(program, pair, job, str(machine.path(go)))["taken"]
    status = jobs.wait(job)
    if status["exit_code"] != 0 or len(taken) != lines:
        raise RuntimeError(f"{follower.name}: {len(taken)} of {lines} lines, {status}")
    jobs.call("DeleteJob", "s", job)
    return taken


def row(follower: Follower, taken: list[float]) -> Row:
    """A line of the table; the ratio is the 95th percentile to what the bar allows."""
    ratio = None if follower.most_ms is None else percentile(taken, 95) / follower.most_ms
    return Row(
        bar=8,
        what=follower.name,
        n=len(taken),
        p50=percentile(taken, 50),
        p90=percentile(taken, 90),
        p99=percentile(taken, 99),
        unit="ms",
        ratio=ratio,
        wanted="" if follower.most_ms is None else f"p95 <= {follower.most_ms:.0f} ms",
        met=None if ratio is None else ratio <= 1,
    )


def main() -> int:
    """Set everything up, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.follow")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    taken: dict[str, list[float]] = {follower.name: [] for follower in FOLLOWERS}
    with (
        tempfile.TemporaryDirectory() as folder,
        ground() as machine,
        served(machine, Path(folder)) as bridge,
    ):
        pair = bridge.authority.issue("bench", "admin")
        # In turns, so that a busy moment of the machine hits all.
        for _ in range(options.rounds):
            for follower in FOLLOWERS:
                taken[follower.name] += follow(bridge, pair, follower, options.lines)
    print(table([row(one, taken[one.name]) for one in FOLLOWERS]))  # noqa: T201
    if options.output is not None:
        options.output.write_text(json.dumps(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
