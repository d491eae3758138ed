"""The bridge of a machine with certificates in place, and visits of it from outside.

A visit is a program of a test that runs as a process of this host in the network of the machine,
with the certificate of somebody. What the program is given is in visitor.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bridge.authority import Authority, Pair
from tests.container.jobs import main_pid
from tests.container.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
BRIDGE = "joblet-bridge.service"
PORT, HTTPS_PORT = 50051, 50053
PKI = "/etc/joblet/pki/bridge"
_SETTINGS = "/etc/joblet/joblet.toml.d/50-served.toml"
DEADLINE_S = 240


@dataclass(frozen=True)
class Served:
    """The bridge of the machine, and who signs for its clients."""

    machine: Machine
    authority: Authority
    folder: Path

    def put_certificates(self, *revoked: Pair) -> None:
        """A new certificate of the server, with these clients revoked."""
        self.authority.write_server(self.folder / "pki", *revoked)
        for file in sorted((self.folder / "pki").iterdir()):
            new = f"{PKI}/.{file.name}"
            self.machine.write_file(new, file.read_bytes(), mode=0o640)
            self.machine.run(["chgrp", "joblet-bridge", new])
            self.machine.run(["mv", new, f"{PKI}/{file.name}"])

    def command(self, program: str, pair: Pair | None, *words: str) -> list[str]:
        """What starts a visit; its body has `visit`, `result` and `words`."""
        who = {
            "ca": self.authority.pem.decode(),
            "cert": None if pair is None else pair.certificate.decode(),
            "key": None if pair is None else pair.key.decode(),
            "port": PORT,
            "https_port": HTTPS_PORT,
        }
        frame = _FRAME.format(body=textwrap.indent(textwrap.dedent(program), "    "))
        python = [sys.executable, "-c", frame, json.dumps(who), *words]
        return ["nsenter", f"--target={self.machine.leader}", "--net", "--", *python]

    def start(self, program: str, pair: Pair | None, *words: str) -> subprocess.Popen[str]:
        """Begin a visit that a test accompanies through its standard streams."""
        return subprocess.Popen(
            self.command(program, pair, *words),
            env=visiting(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def visit(self, program: str, pair: Pair | None, *words: str) -> Any:
        """A whole visit; what the program put into `result`."""
        done = subprocess.run(
            self.command(program, pair, *words),
            env=visiting(),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def descriptors(self) -> int:
        """How many the bridge has open."""
        return len(os.listdir(self.machine.path(f"/proc/{main_pid(self.machine, BRIDGE)}/fd")))

    def wait_closed(self, before: int) -> None:
        """Wait until what was opened for clients since is closed again."""
        # gRPC keeps the socket of one connection that has ended until the next one comes.
        self.machine.wait_for(lambda: self.descriptors() <= before + 1, "connections to be gone")

    def temporary_files(self) -> list[str]:
        """What is in the /tmp of the bridge, and what it holds open of what was there."""
        pid = main_pid(self.machine, BRIDGE)
        named = os.listdir(self.machine.path(f"/proc/{pid}/root/tmp"))
        links = self.machine.run(["sh", "-c", f"readlink /proc/{pid}/fd/* || true"]).stdout
        return [*named, *(link for link in links.splitlines() if link.startswith("/tmp"))]


def visiting() -> dict[str, str]:
    """The environment of a visit."""
    path = f"{CHECKOUT}/service:{CHECKOUT}"
    return os.environ | {"PYTHONPATH": path, "GRPC_VERBOSITY": "NONE"}


@contextmanager
def served(machine: Machine, folder: Path, settings: str = "") -> Iterator[Served]:
    """Certificates in place, the service started with both listeners."""
    https = f'[bridge]\nhttps_listeners = ["[::]:{HTTPS_PORT}"]\n'
    machine.write_file(_SETTINGS, https + settings)
    machine.run(["install", "-d", "-m", "700", "/etc/joblet/pki"])
    machine.run(["install", "-d", "-m", "750", "-g", "joblet-bridge", PKI])
    made = Served(machine, Authority(), folder)
    made.put_certificates()
    machine.run(["systemctl", "start", BRIDGE])
    try:
        yield made
    finally:
        machine.run(["systemctl", "stop", BRIDGE])
        machine.run(["rm", "-r", "/etc/joblet/pki", _SETTINGS])


_FRAME = """
import asyncio, json, sys
from joblet.rpc.pb import joblet_pb2 as pb
from tests.container.visitor import *

async def program(visit, result, words):
{body}

async def main():
    result = {{}}
    async with Visit(**json.loads(sys.argv[1])) as visit:
        await program(visit, result, sys.argv[2:])
    print(json.dumps(result))

asyncio.run(main())
"""
