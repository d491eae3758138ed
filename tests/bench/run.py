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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from joblet import config
from joblet.paths import Paths
from tests.bench import additions, bars, lists, memory, output, scale, spawner, steps
from tests.bench.additions import Addition
from tests.bench.contenders import DOCKER, Missing, Peer, peers
from tests.bench.engines import engines
from tests.bench.joblet_jobs import NAME, Joblet
from tests.bench.report import Row, listing, table
from tests.bench.samples import EVERYBODY, Batch, Series, percentile, with_cpu

PARTS = ("jobs", "lists", "crowds", "memory", "output", "additions", "steps")
CONCURRENCY = (1, 8)
PARALLEL = CONCURRENCY[-1]
# As many as bar 9 lists.
WARM_UP = lists.JOBS
SLEEPERS = 100
LIVE = 1_000
FINISHED = 100_000
SYNCS = 20
# What one contender leaves for PID 1 to do is not to be charged to the next.
SETTLE_SECONDS = 0.1


@dataclass(slots=True)
class Results:
    """All that was measured in one run; what was not asked for stays empty."""

    host: dict[str, object]
    found: list[Peer] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    again: list[str] = field(default_factory=list)  # why a batch of a peer was measured again
    jobs: dict[int, dict[str, Series]] = field(default_factory=dict)
    storage: Series = field(default_factory=Series)
    phases: dict[str, list[float]] = field(default_factory=dict)
    crowds: list[scale.Crowd] = field(default_factory=list)
    memory: memory.Memory | None = None
    daemons: dict[str, float] = field(default_factory=dict)  # of peers: KiB when idle
    output: list[output.Duel] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    starts: dict[str, list[float]] = field(default_factory=dict)  # joblet-init alone, by plan
    listed: dict[str, Series] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """Bar by bar."""
        rows: list[Row] = []
        if self.jobs:
            rows += bars.latency(self.jobs[1], self.storage)
            rows += bars.tail(self.jobs, PARALLEL)
            rows += bars.rate(self.jobs)
        rows += bars.crowds(self.crowds)
        if self.memory is not None:
            rows += bars.memory(self.memory, self.daemons)
        rows += bars.output(self.output)
        if self.listed:
            rows += bars.listed(self.listed)
        return rows

    def cpu(self, name: str) -> dict[str, dict[str, float]]:
        """Processor time per job of a contender in ms: by part, then by concurrency."""
        parts: dict[str, dict[str, float]] = {}
        for concurrency, contenders in self.jobs.items():
            for part, ms in contenders[name].cpu_ms_each().items():
                parts.setdefault(part, {})[f"x{concurrency}"] = ms
        return parts

    def added(self) -> dict[str, dict[str, float]]:
        """What one thing more adds to a job, in ms."""
        return {one.name: one.over(self.additions[0]) for one in self.additions}

    def listings(self) -> dict[str, dict[str, dict[str, float]]]:
        """What has no bar, by title."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        if self.jobs:
            everybody = {
                name: self.cpu(name)[EVERYBODY] for name in (NAME, *(p.name for p in self.found))
            }
            found = {
                f"{NAME} x1: where the time of a job goes, ms": percentiles(self.phases),
                f"{NAME}: processor time per job, ms": self.cpu(NAME),
                "processor time per job, whole machine, ms": everybody,
            }
        for crowd in self.crowds:
            found[f"{NAME} x{PARALLEL}, {crowd.what}: processor time per job, ms"] = crowd.cpu
        if self.memory is not None:
            found[f"{NAME}: processes and private memory"] = self.memory.by_part()
        if self.additions:
            found["one thing more for a job: whole job, and what it adds, ms"] = self.added()
        if self.starts:
            found["joblet-init alone: request to program, ms"] = percentiles(self.starts)
            costs = percentiles(steps.costs(self.starts))
            found["of that, job by job: the cost of its parts, ms"] = costs
        return found


def percentiles(lines: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Seconds by name, as ms."""
    return {
        name: {f"p{percent}": 1000 * percentile(seconds, percent) for percent in (50, 90, 99)}
        for name, seconds in lines.items()
    }


def main() -> int:
    """Measure, print, write down."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.run")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"of {','.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=10, help="of bars 1 to 3")
    parser.add_argument("--batch", type=int, default=100, help="jobs per round and contender")
    parser.add_argument("--crowd-rounds", type=int, default=10, help="of bar 4")
    parser.add_argument("--output-rounds", type=int, default=4, help="of bar 7")
    parser.add_argument("--output-share", type=float, default=1.0, help="of bar 7's bytes")
    parser.add_argument("--added-rounds", type=int, default=8, help="of what one thing more adds")
    parser.add_argument("--starts", type=int, default=300, help="of joblet-init alone, each plan")
    parser.add_argument("--list-rounds", type=int, default=40, help="of bar 9")
    options = parser.parse_args()
    results = _measure(options)
    text = _text(results)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench.txt").write_text(text)
    (options.output / "bench.json").write_text(json.dumps(_document(results)) + "\n")
    sys.stdout.write(text)
    return 0


def _parts(text: str) -> Sequence[str]:
    wanted = text.split(",")
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return wanted


def _measure(options: argparse.Namespace) -> Results:
    results = Results(_host())
    wanted = options.parts
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/run")))
        joblet = stack.enter_context(Joblet())
        joblet.batch(WARM_UP, PARALLEL)
        if "memory" in wanted:
            results.memory = memory.weigh(joblet, SLEEPERS)
        # Before the daemon of a peer is there, and after others have left theirs.
        if "additions" in wanted:
            results.additions = additions.measure(
                joblet, CONCURRENCY, options.added_rounds, options.batch
            )
        if "steps" in wanted:
            results.starts = steps.measure(options.starts)
        if "output" in wanted:
            results.output = [output.Duel(one) for one in output.writers(options.output_share)]
            for _ in range(options.output_rounds):
                for duel in results.output:
                    output.fight(duel, joblet)
        if "lists" in wanted:
            results.listed = lists.measure(options.list_rounds)
        if "crowds" in wanted:
            results.crowds = scale.measure(
                joblet,
                _live(),
                FINISHED,
                rounds=options.crowd_rounds,
                batch=options.batch,
                parallel=PARALLEL,
            )
        if "jobs" in wanted:
            _meet_peers(results, stack, scratch)
            joblet.phases.clear()
            results.jobs, results.storage = _jobs(
                joblet, results.found, options.rounds, options.batch, results.again
            )
            results.phases = joblet.phases
    results.host["load at the end"] = os.getloadavg()[0]
    return results


def _live() -> int:
    """As many living jobs as leave room for those that are measured."""
    return min(LIVE, config.read(Paths().config_file).config.jobs.max_running - PARALLEL)


def _meet_peers(results: Results, stack: ExitStack, scratch: Path) -> None:
    results.found, results.missing = peers(scratch)
    there = stack.enter_context(engines(scratch))
    results.found += there.found
    results.missing += there.missing
    if there.docker_cgroup is not None:
        results.daemons[f"{DOCKER}: dockerd, containerd"] = memory.pss_of(there.docker_cgroup)


def _jobs(
    joblet: Joblet, found: list[Peer], rounds: int, batch: int, again: list[str]
) -> tuple[dict[int, dict[str, Series]], Series]:
    """Everybody's batches of `true`, and what one write to the store's disk costs meanwhile."""
    names = (f"peer-{number}" for number in range(sys.maxsize))
    contenders = {NAME: lambda batch, at: joblet.batch(max(batch, at), at)}
    for peer in found:
        contenders[peer.name] = _spawning(peer, names)
    results = {at: {name: Series() for name in contenders} for at in CONCURRENCY}
    storage = Series()
    order = list(contenders)
    for _ in range(rounds):
        storage.batches.append(_sync(SYNCS))
        for concurrency in CONCURRENCY:
            for name in order:
                # The bars speak of warm starts, and the others have just had the caches.
                contenders[name](0, concurrency)
                measure = partial(contenders[name], batch, concurrency)
                measured = with_cpu(measure) if name == NAME else once_more(measure, again)
                results[concurrency][name].batches.append(measured)
                time.sleep(SETTLE_SECONDS)
        order = [*order[1:], order[0]]
    return results, storage


def once_more(measure: Callable[[], Batch], again: list[str]) -> Batch:
    """A batch of a peer, a second time if one of it fails: runc trips over its own binary at times.

    Raises RuntimeError when it fails again; why it was needed is added to the list.
    """
    try:
        return with_cpu(measure)
    except RuntimeError as err:
        again.append(str(err))
        return with_cpu(measure)


def _spawning(peer: Peer, names: Iterator[str]) -> Callable[[int, int], Batch]:
    def run(batch: int, concurrency: int) -> Batch:
        # Those that do fewer still do as many as can be under way.
        count = max(round(batch * peer.share), concurrency)
        return spawner.run([peer.command(next(names)) for _ in range(count)], concurrency)

    return run


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
    facts += [f"measured again: {why}" for why in results.again]
    parts = ["\n".join(facts)]
    if results.rows:
        parts.append(table(results.rows))
    parts += [listing(title, lines) for title, lines in results.listings().items()]
    return "\n\n".join(parts) + "\n"


def _document(results: Results) -> dict[str, object]:
    return {
        "version": 2,
        "host": results.host,
        "peers": {peer.name: peer.note for peer in results.found},
        "missing": {peer.name: peer.why for peer in results.missing},
        "again": results.again,
        "bars": [asdict(row) for row in results.rows],
        "listings": results.listings(),
        "samples": {
            "jobs": {
                str(concurrency): {name: asdict(series) for name, series in contenders.items()}
                for concurrency, contenders in results.jobs.items()
            },
            "storage": asdict(results.storage),
            "crowds": [asdict(crowd) for crowd in results.crowds],
            "memory": None if results.memory is None else asdict(results.memory),
            "output": [asdict(duel) for duel in results.output],
            "additions": {
                one.name: {str(at): asdict(series) for at, series in one.series.items()}
                for one in results.additions
            },
            "starts": results.starts,
            "listed": {name: asdict(series) for name, series in results.listed.items()},
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
