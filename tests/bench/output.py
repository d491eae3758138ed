"""Bar 7: one writer's output into a job's log, and the same writer into `cat > file`.

Sizes stay below the default cap of a log, so that every byte is kept. Both files lie on the file
system of the logs.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from joblet.paths import Paths
from tests.bench.contenders import ENVIRONMENT
from tests.bench.joblet_jobs import Joblet


@dataclass(frozen=True, slots=True)
class Writer:
    """So many writes of one size."""

    name: str
    block_bytes: int
    blocks: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.block_bytes * self.blocks

    @property
    def command(self) -> list[str]:
        """One read and one write per block."""
        sizes = [f"bs={self.block_bytes}", f"count={self.blocks}"]
        return ["dd", "if=/dev/zero", *sizes, "status=none"]


@dataclass(frozen=True, slots=True)
class Duel:
    """The seconds of a writer into a log and into a file, one each per round."""

    writer: Writer
    log: list[float] = field(default_factory=list)
    file: list[float] = field(default_factory=list)


def writers(share: float) -> list[Writer]:
    """Those of the bar, with this share of their usual number of writes."""
    return [
        Writer("64 KiB writes", 1 << 16, max(1, int((768 << 20 >> 16) * share))),
        Writer("100-byte writes", 100, max(1, int(5_000_000 * share))),
    ]


def fight(duel: Duel, joblet: Joblet) -> None:
    """One round; who begins takes turns."""
    log_first = len(duel.log) % 2 == 0
    for into_log in (log_first, not log_first):
        if into_log:
            duel.log.append(joblet.output(duel.writer.command, duel.writer.size))
        else:
            duel.file.append(_into_file(duel.writer))


def _into_file(writer: Writer) -> float:
    with tempfile.TemporaryDirectory(dir=Path(Paths().logs).parent) as folder:
        target = Path(folder) / "output"
        script = f"{' '.join(writer.command)} | cat >{target}"
        begin = time.perf_counter()
        subprocess.run(["sh", "-c", script], env=ENVIRONMENT, check=True)
        seconds = time.perf_counter() - begin
        if target.stat().st_size != writer.size:
            raise RuntimeError(f"{script} wrote {target.stat().st_size} bytes")
    return seconds
