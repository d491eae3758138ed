#!/usr/bin/python3
"""Run a job over D-Bus, without jobletctl: print what it says, and end as it ended.

    ./run_job.py sh -c 'echo hello; exit 3'

It needs python3-dbus-next, which Joblet itself uses; any other D-Bus library does as well. The
caller is of group joblet, or root. What each call means is in docs/dbus-api.md.
"""

import asyncio
import sys

from dbus_next import BusType, DBusError, Variant
from dbus_next.aio import MessageBus

NAME, PATH, MANAGER = "org.joblet1", "/org/joblet1", "org.joblet1.Manager"


async def run(command: str, *args: str) -> int:
    """Submit a job and stay with it until its end; its exit code."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    introspection = await bus.introspect(NAME, PATH)  # starts the service if need be
    manager = bus.get_proxy_object(NAME, PATH, introspection).get_interface(MANAGER)

    # The match comes before the call: a short job ends before we have read the answer.
    ended: dict[str, asyncio.Future[int]] = {}

    def outcome(job_id: str) -> asyncio.Future[int]:
        return ended.setdefault(job_id, asyncio.get_running_loop().create_future())

    def job_finished(job_id: str, _path: str, state: str, reason: str, exit_code: int) -> None:
        print(f"{job_id}: {state}, {reason}", file=sys.stderr)
        outcome(job_id).set_result(exit_code)

    manager.on_job_finished(job_finished)

    spec = {
        "command": Variant("s", command),
        "args": Variant("as", list(args)),
        "max_memory": Variant("t", 256 << 20),
        "timeout_usec": Variant("t", 60_000_000),
    }
    # From here on the job is durable, whatever happens to us, to the bus or to the daemon.
    job_id, _path = await manager.call_run_job(spec)
    exit_code = await outcome(job_id)

    # The log is complete when a read returns nothing and says that it is sealed. A program that
    # wants the output as it comes takes the descriptors of OpenLog instead.
    offset, sealed = 0, False
    while True:
        data, offset, sealed = await manager.call_read_log(job_id, offset, 1 << 16)
        if sealed and not data:
            break
        sys.stdout.buffer.write(data)
    bus.disconnect()
    return exit_code


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: run_job.py COMMAND [ARGS]...")
    try:
        sys.exit(asyncio.run(run(*sys.argv[1:])))
    except DBusError as err:
        # org.joblet1.Error.InvalidSpec, ...NotAllowed, ...: the text is meant for the user
        sys.exit(f"{err.type}: {err.text}")
