"""The bars of Joblet against its peers on this machine, as root: a table, and JSON for machines.

    make bench                                          (in a throw-away container)
    python3 -m tests.bench.run --output DIR             (wherever Joblet is installed)

Everybody runs in every round, in an order that turns with the rounds, so that what else the
machine does meets all alike. A missed bar is a line of the table, not a failure; a job or a peer
that fails is one. The jobs `true` stay in the store, as they would on any host.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from joblet.paths import Paths
from tests.bench import bars, memory, output, spawner
from tests.bench.contenders import Missing, Peer, peers
from tests.bench.joblet_jobs import NAME, Joblet
from tests.bench.report import Row, listing, table
from tests.bench.samples import EVERYBODY, Batch, Series, percentile, with_cpu

CONCURRENCY = (1, 8)
PARALLEL = CONCURRENCY[-1]
WARM_UP = 40
SLEEPERS = 100
SYNCS = 20
# What one contender leaves for PID 1 to do is not to be charged to the next.
SETTLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured in one run."""

    host: dict[str, object]
    found: list[Peer]
    missing: list[Missing]
    jobs: dict[int, dict[str, Series]]
    storage: Series
    phases: dict[str, list[float]]
    memory: memory.Memory
    output: list[output.Duel]

    @property
    def rows(self) -> list[Row]:
        """Bar by bar."""
        return [
            *bars.latency(self.jobs[1], self.storage),
            *bars.tail(self.jobs, PARALLEL),
            *bars.rate(self.jobs),
            *bars.memory(self.memory),
            *bars.output(self.output),
        ]

    def cpu(self, name: str) -> dict[str, dict[str, float]]:
        """Processor time per job of a contender in ms: by part, then by concurrency."""
        parts: dict[str, dict[str, float]] = {}
        for concurrency, contenders in self.jobs.items():
            for part, ms in contenders[name].cpu_ms_each().items():
                parts.setdefault(part, {})[f"x{concurrency}"] = ms
        return parts

    def steps(self) -> dict[str, dict[str, float]]:
        """Where the time of a serial job went, in ms."""
        return {
            step: {f"p{percent}": 1000 * percentile(seconds, percent) for percent in (50, 90, 99)}
            for step, seconds in self.phases.items()
        }


def main() -> int:
    """Measure, print, write down."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.run")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=20, help="of bars 1 to 3")
    parser.add_argument("--batch", type=int, default=50, help="jobs per round and contender")
    parser.add_argument("--output-rounds", type=int, default=4, help="of bar 7")
    parser.add_argument("--output-share", type=float, default=1.0, help="of bar 7's bytes")
    options = parser.parse_args()
    results = _measure(options)
    text = _text(results)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench.txt").write_text(text)
    (options.output / "bench.json").write_text(json.dumps(_document(results)) + "\n")
    sys.stdout.write(text)
    return 0


def _measure(options: argparse.Namespace) -> Results:
    host = _host()
    with tempfile.TemporaryDirectory(dir="/run") as scratch, Joblet() as joblet:
        found, missing = peers(Path(scratch))
        joblet.batch(WARM_UP, PARALLEL)
        weighed = memory.weigh(joblet, SLEEPERS)
        joblet.phases.clear()
        jobs, storage = _jobs(joblet, found, options.rounds, options.batch)
        duels = [output.Duel(writer) for writer in output.writers(options.output_share)]
        for _ in range(options.output_rounds):
            for duel in duels:
                output.fight(duel, joblet)
        phases = joblet.phases
    host["load at the end"] = os.getloadavg()[0]
    return Results(host, found, missing, jobs, storage, phases, weighed, duels)


def _jobs(
    joblet: Joblet, found: list[Peer], rounds: int, batch: int
) -> tuple[dict[int, dict[str, Series]], Series]:
    """Everybody's batches of `true`, and what one write to the store's disk costs meanwhile."""
    names = (f"joblet-bench-{number}" for number in range(sys.maxsize))
    contenders: dict[str, Callable[[int], Batch]] = {NAME: lambda at: joblet.batch(batch, at)}
    for peer in found:
        contenders[peer.name] = _spawning(peer, names, batch)
    results = {at: {name: Series() for name in contenders} for at in CONCURRENCY}
    storage = Series()
    order = list(contenders)
    for _ in range(rounds):
        storage.batches.append(_sync(SYNCS))
        for concurrency in CONCURRENCY:
            for name in order:
                measured = with_cpu(partial(contenders[name], concurrency))
                results[concurrency][name].batches.append(measured)
                time.sleep(SETTLE_SECONDS)
        order = [*order[1:], order[0]]
    return results, storage


def _spawning(peer: Peer, names: Iterator[str], batch: int) -> Callable[[int], Batch]:
    return lambda at: spawner.run([peer.command(next(names)) for _ in range(batch)], at)


def _sync(count: int) -> Batch:
    seconds = []
    with tempfile.TemporaryFile(dir=Paths().state) as file:
        for _ in range(count):
            begin = time.perf_counter()
            os.write(file.fileno(), bytes(4096))
            os.fdatasync(file.fileno())
            seconds.append(time.perf_counter() - begin)
    return Batch(seconds, sum(seconds))


def _text(results: Results) -> str:
    facts = [f"{name}: {value}" for name, value in results.host.items()]
    facts += [f"{peer.name}: {peer.note}" for peer in results.found]
    facts += [f"{peer.name}: not measured: {peer.why}" for peer in results.missing]
    everybody = {
        name: results.cpu(name)[EVERYBODY] for name in (NAME, *(p.name for p in results.found))
    }
    parts = [
        "\n".join(facts),
        table(results.rows),
        listing(f"{NAME} x1: where the time of a job goes, ms", results.steps()),
        listing(f"{NAME}: processor time per job, ms", results.cpu(NAME)),
        listing("processor time per job, whole machine, ms", everybody),
        listing(f"{NAME}: processes and private memory", results.memory.by_part()),
    ]
    return "\n\n".join(parts) + "\n"


def _document(results: Results) -> dict[str, object]:
    return {
        "version": 1,
        "host": results.host,
        "peers": {peer.name: peer.note for peer in results.found},
        "missing": {peer.name: peer.why for peer in results.missing},
        "bars": [asdict(row) for row in results.rows],
        "phases_ms": results.steps(),
        "samples": {
            "jobs": {
                str(concurrency): {name: asdict(series) for name, series in contenders.items()}
                for concurrency, contenders in results.jobs.items()
            },
            "storage": asdict(results.storage),
            "memory": asdict(results.memory),
            "output": [asdict(duel) for duel in results.output],
        },
    }


def _host() -> dict[str, object]:
    systemd = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True)
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()
    return {
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "systemd": systemd.stdout.split()[1],
        "python": platform.python_version(),
        "controllers": " ".join(controllers) or "none: limits are set and not enforced",
        "load at the start": os.getloadavg()[0],
    }


if __name__ == "__main__":
    sys.exit(main())
