"""Run as a program: says `ready` when it listens, leaves with 0 when it has heard enough, in order.

Arguments: bus address, sender's unique name, interface, member, how many.
"""

from __future__ import annotations

import asyncio
import sys

from joblet.bus.connection import Connection, MatchRule, Signal


async def main(address: str, sender: str, interface: str, member: str, wanted: str) -> int:
    count = int(wanted)
    heard = 0
    done = asyncio.get_running_loop().create_future()

    def hear(signal: Signal) -> None:
        nonlocal heard
        if signal.body[0] != heard and not done.done():
            done.set_result(1)
        heard += 1
        if heard == count and not done.done():
            done.set_result(0)

    connection = await Connection.open(address)
    async with connection.subscribe(MatchRule(sender, interface, member), hear):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        status: int = await done
    await connection.close()
    return status


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
