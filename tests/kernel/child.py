"""One job under joblet-init's own supervisor, in a throwaway mount namespace; run by sandbox.py.

What is missing is the scope and the daemon: no counters are read, and the poke finds no socket.
argv: a JSON object of the descriptors and what else a spawn request carries.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from joblet.init import blank, supervisor, syscalls
from joblet.init.crew import Birth, Crew
from joblet.records import spawn


def main() -> None:
    """The life of a supervisor with one job."""
    given = json.loads(sys.argv[1])
    syscalls.unshare(0x00020000)  # CLONE_NEWNS
    syscalls.make_private()
    # The mount point that a plan names, without touching that of the host.
    syscalls.mount(b"test-run", b"/run", b"tmpfs", 0, b"size=64k")
    os.makedirs("/run/joblet/root")
    stdout, stdout_end = os.pipe2(os.O_CLOEXEC)
    stderr, stderr_end = os.pipe2(os.O_CLOEXEC)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    held = supervisor.Held(
        stdout, stderr, near.detach(), given["log"], given["index"], given["run_dir"]
    )
    birth = Birth(
        plan=given["plan"],
        work=given["work"],
        gate=given["gate"],
        stdout_end=stdout_end,
        stderr_end=stderr_end,
        anchor_end=far.detach(),
        connection=socket.socket(fileno=given["connection"]),
    )
    request = spawn.Spawn(given["job_id"], given["cap_bytes"], b"/nowhere/poke")
    pokes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    supervisor.run_new(Crew(blank=blank.make(), trace=False), held, birth, request, pokes)
    # As in the zygote: its descriptors are closed by now.
    os._exit(0)


main()
