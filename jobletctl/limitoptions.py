"""The options for limits, as `job run` and `job update` share them, and what they come to.

An option that is not given is not sent, so the daemon takes its default (or leaves the limit as it
is); 0 asks for no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from joblet.model.limits import USER_MAX, WEIGHT_MAX, WEIGHT_MIN
from jobletctl import paramtypes

Decorated = TypeVar("Decorated", bound=Callable[..., object])

_WEIGHT = paramtypes.number(WEIGHT_MIN, WEIGHT_MAX)
_WEIGHTS = f"{WEIGHT_MIN} to {WEIGHT_MAX}, and 100 is normal"
_COUNT = paramtypes.number(0)

# What can change while a job lives.
_CHANGEABLE = (
    click.option(
        "--max-cpu",
        type=paramtypes.PERCENT,
        help="CPU time in percent: 100 is one whole CPU, 250 two and a half.",
    ),
    click.option("--cpu-weight", type=_WEIGHT, help=f"Share where CPUs are short: {_WEIGHTS}."),
    click.option(
        "--cpu-cores", type=paramtypes.CPUS, help="CPUs to run on, such as 0-3,5; or all."
    ),
    click.option(
        "--max-memory", type=paramtypes.MEMORY, help="Memory, such as 512M or 2G; no swap besides."
    ),
    click.option(
        "--max-io",
        "--max-iobps",
        "max_io_bps",
        type=paramtypes.SIZE,
        help="Bytes per second from disk, and as many to disk, such as 2M.",
    ),
    click.option("--max-iops", type=_COUNT, help="Operations per second, reads and writes each."),
    click.option("--io-weight", type=_WEIGHT, help=f"Share where the disk is busy: {_WEIGHTS}."),
    click.option("--max-tasks", type=_COUNT, help="Processes and threads."),
)
_FIXED = (
    click.option(
        "--timeout",
        "timeout_usec",
        type=paramtypes.DURATION,
        help="End the job when it has run so long: 90s, 1h30m, 2d.",
    ),
    click.option(
        "--stop-grace",
        "stop_grace_usec",
        type=paramtypes.DURATION,
        help="Time between the request to end (SIGTERM) and the kill (SIGKILL).",
    ),
    click.option("--max-work", type=paramtypes.MEMORY, help="Size of /work, on disk."),
    click.option("--max-tmp", type=paramtypes.MEMORY, help="Size of /tmp; it counts as memory."),
    click.option(
        "--max-shm", type=paramtypes.MEMORY, help="Size of /dev/shm; it counts as memory."
    ),
    click.option(
        "--user",
        type=paramtypes.number(0, USER_MAX),
        help=f"The uid inside the job, 0 to {USER_MAX}.",
    ),
)


def changeable(command: Decorated) -> Decorated:
    """The limits that a living job can be given."""
    return _all(command, _CHANGEABLE)


def every(command: Decorated) -> Decorated:
    """Every limit of a new job."""
    return _all(command, _CHANGEABLE + _FIXED)


def given(values: Mapping[str, object]) -> dict[str, object]:
    """The limits that were named on the command line, by their names in a spec."""
    return {name: value for name, value in values.items() if value is not None}


def _all(command: Decorated, options: tuple[Callable[[Decorated], Decorated], ...]) -> Decorated:
    for option in reversed(options):
        command = option(command)
    return command
