"""The container ground: a booted Debian with Joblet from this checkout, for tests and benches.

For a test, `machine` (conftest.py) is all there is to know; it is one Machine per session, so
whoever changes it puts it back:

    def test_something(machine: Machine) -> None: done = machine.run(["jobletctl", "job", "list"],
    user="member") assert done.stdout == ...                     # a failing command has failed
    the test already machine.wait_for(lambda: ..., "what should come true")

- `machine.run(command, user=, env=, input=, check=, text=, timeout=)` and `machine.popen(...)`:
  see machine.py. Users: root (default), `member` and `colleague` (of group joblet),
  `outsider` (of no group), any bare uid.
- `machine.read_file`, `write_file`, `path`: files, /run and /tmp included.
- `machine.journal(after=cursor)`, `mounts()`, `reboot()`, `cut_power()` and `boot()`.
- Limits are accepted and not enforced here (no cgroup controllers): joblet.toml says so.
- Every test ends with a look at the journal and at what is left over (tidiness.py). What a test
  provokes on purpose it declares: `@pytest.mark.journal_allows(r"jobletd.service: Main process
  exited")`.

By hand: `python -m tests.container.ground` boots one and gives a shell; with `-- COMMAND` it runs
that instead and passes its exit status on; `--copy HOST:INSIDE` before, `--fetch INSIDE:HOST`
after. `--package NAME` adds Debian packages, in an image of its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.container.image import image, unpack
from tests.container.machine import Machine, sweep
from tests.grounds.cache import NoGround, cache_directory, demand
from tests.grounds.machine import COMMAND_PATH

CHECKOUT = Path(__file__).resolve().parents[2]
SETTINGS = """\
# The test ground has no cgroup controllers.
[limits]
unenforced = "accept"

# No loop devices either.
[work]
image_size = 0
"""
# What the package's own scripts do on a system that is not running, and the users of the tests.
UNITS = ("jobletd.service", "jobletd.socket", "joblet-init.socket")
PREPARE = """\
set -eu
systemd-sysusers joblet.conf
cd /usr/lib/python3/dist-packages
python3 -m compileall -q joblet jobletctl
useradd --create-home --groups joblet member
useradd --create-home --groups joblet colleague
useradd --create-home outsider
"""


def install(root: Path) -> None:
    """Joblet from this checkout into an unpacked root that is not running."""
    _checked([CHECKOUT / "packaging/install"], DESTDIR=str(root))
    (root / "etc/joblet/joblet.toml").write_text(SETTINGS)
    bare(root)
    _checked(["systemctl", f"--root={root}", "enable", *UNITS])
    _checked(["chroot", root, "sh", "-c", PREPARE])


def bare(root: Path) -> None:
    """What every machine needs; alone, it gives one without Joblet."""
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")


@contextmanager
def ground(
    prepare: Callable[[Path], None] = install,
    packages: Sequence[str] = (),
    machines: Path | None = None,
) -> Iterator[Machine]:
    """A booted machine, removed at the end. Raises NoGround when this host cannot give one.

    `prepare` gets the unpacked root before its boot; `packages` are there besides the usual ones;
    `machines` is where it lies, else in the cache.
    """
    if os.geteuid() != 0:
        raise NoGround("the container ground needs root")
    demand("systemd-nspawn", "nsenter")
    tarball = image(packages)
    machines = machines or cache_directory() / "machines"
    sweep(machines)
    with Machine(machines) as machine:
        unpack(tarball, machine.root)
        prepare(machine.root)
        machine.boot()
        state = machine.wait_for(lambda: _state(machine), "the state of the system")
        if state != "running":
            failed = machine.run(["systemctl", "--failed", "--no-legend"]).stdout
            raise AssertionError(f"the machine is {state}: {failed}")
        yield machine


def _state(machine: Machine) -> str:
    """Empty while its manager does not answer yet."""
    return str(machine.run(["systemctl", "is-system-running"], check=False).stdout).strip()


def _checked(command: Sequence[Path | str], **env: str) -> None:
    done = subprocess.run(
        command, env={"PATH": COMMAND_PATH, **env}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")


def main() -> int:
    """A machine by hand."""
    parser = argparse.ArgumentParser(prog="python -m tests.container.ground")
    parser.add_argument("--copy", action="append", default=[], metavar="HOST:INSIDE")
    parser.add_argument("--fetch", action="append", default=[], metavar="INSIDE:HOST")
    parser.add_argument("--package", action="append", default=[], metavar="NAME")
    parser.add_argument("command", nargs="*", default=["bash", "-l"])
    options = parser.parse_args()
    with ground(packages=options.package) as machine:
        for pair in options.copy:
            source, _, target = pair.partition(":")
            _copy(Path(source), machine.path(target))
        process = machine.popen(options.command, stdin=sys.stdin, stdout=None, stderr=None)
        status = process.wait()
        for pair in options.fetch:
            source, _, target = pair.partition(":")
            if machine.path(source).exists():
                _copy(machine.path(source), Path(target))
    return status


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
