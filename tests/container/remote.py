"""A machine that remote users reach, made as an administrator makes it: with `jobletctl certs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.grounds.machine import BootedMachine

PORT = 50051
PKI = "/etc/joblet/pki"


@contextmanager
def reachable(machine: BootedMachine) -> Iterator[None]:
    """The bridge with certificates of a new CA, while the context lasts."""
    machine.run(["jobletctl", "certs", "init"])
    try:
        machine.run(["systemctl", "start", "joblet-bridge"])
        yield
    finally:
        machine.run(["systemctl", "stop", "joblet-bridge"])
        machine.run(["rm", "--recursive", PKI])


def nodes_file(machine: BootedMachine, name: str, role: str, *nodes: str) -> str:
    """What `jobletctl certs export` writes for a new client: the file of nodes."""
    machine.run(["jobletctl", "certs", "issue", "client", name, "--role", role])
    path = f"/root/{name}.yml"
    given = [f"--node={node}" for node in nodes or (f"default=127.0.0.1:{PORT}",)]
    machine.run(["jobletctl", "certs", "export", name, "--output", path, *given])
    try:
        return machine.read_file(path)
    finally:
        machine.run(["rm", path])


@contextmanager
def remote_member(machine: BootedMachine, name: str = "ada") -> Iterator[None]:
    """The user `member` as somebody who has a file of nodes at the usual place."""
    folder = "/home/member/.rnx"
    machine.run(["install", "-d", "-o", "member", "-m", "700", folder])
    try:
        machine.write_file(f"{folder}/rnx-config.yml", nodes_file(machine, name, "developer"))
        machine.run(["chown", "member", f"{folder}/rnx-config.yml"])
        yield
    finally:
        machine.run(["rm", "--recursive", folder])
