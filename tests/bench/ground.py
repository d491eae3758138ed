"""The bench on a machine of its own: a container with every peer, or a virtual machine.

    make bench      the whole of run.py at native speed; its container ground has no cgroup
                    controllers, so a limit costs there what asking for it costs
    make bench-vm   what limits, ids and quotas cost on a kernel that enforces them, emulated:
                    its ratios count, not its milliseconds

podman and docker are in an image of their own, so that tests do not pay for them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.disk import disk
from tests.container.ground import CHECKOUT, ground, install
from tests.grounds.cache import cache_directory
from tests.grounds.machine import COMMAND_PATH, BootedMachine
from tests.vm.ground import ground as vm_ground

PEERS = ("podman", "docker.io", "docker-cli")
# The bench starts the daemon that it measures itself, with the options that work there.
_MASKED = ("docker.service", "docker.socket", "containerd.service", "podman.service")
_BENCH = "/usr/local/lib/joblet-bench"
RESULTS = "/var/tmp/joblet-bench"
RUN = ("env", f"PYTHONPATH={_BENCH}", "python3", "-m", "tests.bench.run", "--output", RESULTS)
# What the emulated machine is for, in numbers that it can do.
_VM_OPTIONS = ("--parts", "additions,steps", "--rounds", "6", "--batch", "8")


# A thousand live jobs, and room for those that are measured beside them.
_SETTINGS = """\
[jobs]
max_running = 2000
"""


def prepare(root: Path) -> None:
    """Joblet, and the peers' daemons at rest."""
    install(root)
    drop_in = root / "etc/joblet/joblet.toml.d/bench.toml"
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(_SETTINGS)
    subprocess.run(
        ["systemctl", f"--root={root}", "mask", *_MASKED],
        env={"PATH": COMMAND_PATH},
        check=True,
        capture_output=True,
    )


def main() -> int:
    """Boot, measure, fetch the results; the exit status is that of the bench."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ground")
    parser.add_argument("--vm", action="store_true")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("options", nargs="*", help="of tests.bench.run")
    options = parser.parse_args()
    chosen = options.options or (_VM_OPTIONS if options.vm else ())
    with vm_ground("13") if options.vm else _container() as machine:
        copy_bench(machine)
        status = machine.popen([*RUN, *chosen], stdout=None, stderr=None).wait()
        if status == 0:
            options.output.mkdir(parents=True, exist_ok=True)
            for name in ("bench.txt", "bench.json"):
                (options.output / name).write_text(machine.read_file(f"{RESULTS}/{name}"))
    return status


@contextmanager
def _container() -> Iterator[BootedMachine]:
    with (
        disk(cache_directory() / "bench") as directory,
        ground(prepare, PEERS, directory) as machine,
    ):
        yield machine


def copy_bench(machine: BootedMachine) -> None:
    """What RUN runs, into the machine."""
    for source in sorted((CHECKOUT / "tests/bench").glob("*.py")):
        machine.write_file(f"{_BENCH}/tests/bench/{source.name}", source.read_text())


if __name__ == "__main__":
    sys.exit(main())
