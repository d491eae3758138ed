"""What is kept of a machine when a test failed: enough to understand it without a second run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.grounds.machine import BootedMachine

# What jobs wrote, and the file system of it, would be gigabytes.
_NOT_WORK = ("--exclude=./work", "--exclude=./work.img")
_COMMANDS = {
    # of every boot: what a test saw go wrong may have happened before it went down
    "journal.txt": ["journalctl", "--no-pager", "--output=short-precise"],
    "units.txt": ["systemctl", "list-units", "--all", "--no-pager", "--full"],
    "failed.txt": ["systemctl", "--failed", "--no-pager", "--full"],
    "status.txt": ["systemctl", "status", "--no-pager", "--full", "joblet*", "*joblet-jobs*"],
    "processes.txt": ["systemd-cgls", "--all", "--full", "--no-pager"],
    "files.txt": ["ls", "-laR", "/run/joblet", "/var/lib/joblet", "/var/log/joblet"],
    "store.tar": ["tar", "-cf", "-", "-C", "/var/lib/joblet", *_NOT_WORK, "."],
    "run.tar": ["tar", "-cf", "-", "-C", "/run/joblet", "."],
}


def collect(machine: BootedMachine, test: str) -> Path:
    """Write the evidence of one test to a folder below $JOBLET_EVIDENCE, and say where."""
    base = Path(os.environ.get("JOBLET_EVIDENCE", ".cache/evidence")).absolute()
    folder = base / re.sub(r"[^\w.-]+", "_", test)
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in _COMMANDS.items():
        try:
            done = machine.run(command, check=False, text=False)
            (folder / name).write_bytes(done.stdout)
            if done.returncode != 0:
                (folder / f"{name}.error").write_bytes(done.stderr)
        except (OSError, subprocess.TimeoutExpired) as err:
            (folder / f"{name}.error").write_text(f"{command}: {err}\n")
    (folder / "mounts.txt").write_text("\n".join(machine.mounts()) + "\n")
    shutil.copy(machine.directory / "console", folder / "console.txt")
    return folder
