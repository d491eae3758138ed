"""The Python SDK of PyPI, unmodified, as a client outside the machine.

Its releases are installed on first use, below $JOBLET_CACHE, from the registry that pip is set up
for. A session runs with the network of the container and everything else of the host.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.bridge.authority import Authority, Pair
from tests.container.machine import Machine
from tests.grounds.cache import NoGround, cache_directory
from tests.grounds.machine import COMMAND_PATH

REQUIREMENTS = Path(__file__).resolve().parents[1] / "sdk-requirements.txt"
# One for each wire that was ever spoken with TLS: interfaces 1.0.6, 2.3.0, 2.4.0, 2.5.4, 2.5.5.
VERSIONS = ("2.0.2", "2.1.1", "2.2.0", "2.3.1", "2.5.1")
DEADLINE_S = 120


def installed(version: str) -> tuple[Path, Path]:
    """A Python with what the SDK needs, and the folder of one release. Raises NoGround."""
    root = cache_directory() / "sdk"
    root.mkdir(exist_ok=True)
    python, release = root / "venv/bin/python", root / version
    with open(root / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = root / "venv/requirements", REQUIREMENTS.read_text()
        if not stamp.exists() or stamp.read_text() != wanted:
            _checked([sys.executable, "-m", "venv", "--clear", str(root / "venv")])
            _checked([str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS)])
            stamp.write_text(wanted)
        if not release.exists():
            part = release.with_suffix(".part")
            package = f"joblet-sdk-python=={version}"
            install = ["install", "-q", "--no-deps", "--upgrade", "--target", str(part), package]
            _checked([str(python), "-m", "pip", *install])
            part.rename(release)
    return python, release


def session(
    machine: Machine,
    version: str,
    program: str,
    folder: Path,
    authority: Authority,
    pair: Pair,
    *,
    port: int,
) -> Any:
    """Run a program with `client` of this release; what it puts into `result`."""
    python, release = installed(version)
    settings = {
        "version": "3.0",
        "nodes": {
            "default": {
                "address": f"127.0.0.1:{port}",
                "persistAddress": "127.0.0.1:1",
                "cert": pair.certificate.decode(),
                "key": pair.key.decode(),
                "ca": authority.pem.decode(),
            }
        },
    }
    # JSON is YAML.
    (folder / "rnx-config.yml").write_text(json.dumps(settings))
    done = subprocess.run(
        ["nsenter", f"--target={machine.leader}", "--net", "--", python, "-c", _FRAME, program],
        env={
            "PATH": COMMAND_PATH,
            "HOME": str(folder),
            "PYTHONPATH": str(release),
            "RNX_CONFIG_PATH": str(folder / "rnx-config.yml"),
            "GRPC_VERBOSITY": "ERROR",
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


_FRAME = """
import json, sys, time
from joblet import JobletClient
result = {}
with JobletClient() as client:
    exec(sys.argv[1])
print(json.dumps(result))
"""


def _checked(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoGround(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")
