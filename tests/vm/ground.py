"""The VM ground: a virtual machine with Joblet from this checkout, for what needs a real kernel.

It offers what the container ground does (`run`, `popen`, `read_file`, `write_file`, `journal`,
`mounts`, `reboot`, `cut_power` and `boot`; see grounds/machine.py) at a twentieth of the speed,
and on top of it what only a machine of its own has: limits that are enforced, two CPUs, disks, a
power that can be cut. For a test, `vm` (conftest.py) is all there is to know.

By hand: `python -m tests.vm.ground [--release 12]` boots one and gives a shell; with `-- COMMAND`
it runs that instead and passes its exit status on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.grounds.cache import NoGround, cache_directory, demand
from tests.vm.image import SUITES, image
from tests.vm.machine import VirtualMachine, sweep

CHECKOUT = Path(__file__).resolve().parents[2]
# What packaging/install reads.
SOURCES = ("packaging", "service", "jobletctl", "units", "dbus", "pyproject.toml")
INSTALL = """\
set -eu
tar -C "$1" -x
"$1"/packaging/install
usermod --append --groups joblet member
# A package manager would have done it: a power cut takes nothing of the installation.
sync
"""


def install(machine: VirtualMachine) -> None:
    """Joblet from this checkout, the way a person installs it."""
    packed = subprocess.run(
        ["tar", "-C", CHECKOUT, "--exclude=__pycache__", "--owner=0", "--group=0", "-c", *SOURCES],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    where = "/usr/src/joblet"
    machine.run(["mkdir", "-p", where])
    machine.run(["sh", "-c", INSTALL, "sh", where], input=packed)


@contextmanager
def ground(
    release: str, prepare: Callable[[VirtualMachine], None] = install
) -> Iterator[VirtualMachine]:
    """A booted machine, removed at the end. Raises NoGround when this host cannot give one.

    `prepare` gets it after its boot.
    """
    if os.geteuid() != 0:
        raise NoGround("the VM ground needs root")
    demand("qemu-system-x86_64", "qemu-img", "ssh", "ssh-keygen", "setpriv")
    booted_from = image(release)
    machines = cache_directory() / "machines"
    sweep(machines)
    with VirtualMachine(machines, booted_from) as machine:
        machine.boot()
        prepare(machine)
        state = machine.run(["systemctl", "is-system-running"], check=False).stdout.strip()
        if state != "running":
            failed = machine.run(["systemctl", "--failed", "--no-legend"]).stdout
            raise AssertionError(f"the machine is {state}: {failed}")
        yield machine


def main() -> int:
    """A machine by hand."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.ground")
    parser.add_argument("--release", choices=list(SUITES), default="13")
    parser.add_argument("command", nargs="*", default=["bash", "-l"])
    options = parser.parse_args()
    with ground(options.release) as machine:
        terminal = sys.stdin.isatty()
        env = {"TERM": os.environ["TERM"]} if terminal and "TERM" in os.environ else {}
        process = machine.popen(
            options.command, env=env, stdin=sys.stdin, stdout=None, stderr=None, terminal=terminal
        )
        return process.wait()


if __name__ == "__main__":
    sys.exit(main())
