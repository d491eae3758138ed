"""`job run --dry-run`: what the daemon would do, as text or JSON; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping

from joblet.client.api import (
    NO_ATTACHMENTS,
    Attachments,
    JobletClient,
)
from joblet.client.looks import (
    Explanation,
)
from joblet.model.job import JobSpec, JobState
from joblet.model.limits import print_cpus, print_duration, print_size
from jobletctl import jobview
from jobletctl.cli import App
from jobletctl.connect import with_client

# What systemd takes for "no limit".
_UNLIMITED = (1 << 64) - 1
_SIZES = ("MemoryMax", "MemorySwapMax", "IOReadBandwidthMax", "IOWriteBandwidthMax")


def explain(app: App, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> None:
    """Ask, and show the answer. Raises JobletError, also what `run` would refuse the spec with."""

    async def ask(client: JobletClient) -> Explanation:
        return await client.explain(spec, attached)

    told = with_client(app.connector, ask)
    if app.output.as_json:
        app.output.document(_document(told))
        return
    output = app.output
    when = "at once, or when there is room"
    if told.state is JobState.SCHEDULED:
        when = f"at {jobview.moment_with_zone(told.due_usec)}, or when there is room then"
    output.line(f"Nothing was run. The job would start {when}.")
    output.line("Zeros stand for its id.")
    output.line()
    output.line(f"Scope: {told.unit}")
    for name, value in told.properties.items():
        output.line(f"  {name}={property_text(name, value)}")
    output.line()
    output.line("Steps of its first process:")
    width = len(str(len(told.steps)))
    for number, step in enumerate(told.steps, 1):
        output.line(f"  {number:>{width}}. {step}")


def property_text(name: str, value: object) -> str:
    """A property of a unit in about the words of `systemctl show`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, bytes):
        return print_cpus(_cpus(value))
    if isinstance(value, list):
        return " ".join(_item(name, item) for item in value)
    return _one(name, value)


def _one(name: str, value: object) -> str:
    if not isinstance(value, int):
        return str(value)
    if value == _UNLIMITED:
        return "infinity"
    if name in _SIZES:
        return print_size(value)
    if name.endswith("USec"):
        return print_duration(value)
    return str(value)


def _item(name: str, item: object) -> str:
    if isinstance(item, (list, tuple)):
        return " ".join(_one(name, part) for part in item)
    return str(item)


def _document(told: Explanation) -> dict[str, object]:
    return {
        "state": told.state,
        "due_usec": told.due_usec,
        "spec": dict(told.spec),
        "unit": told.unit,
        "properties": _plain(told.properties),
        "steps": list(told.steps),
    }


def _plain(properties: Mapping[str, object]) -> dict[str, object]:
    """The values as JSON has them; a set of CPUs is a mask to systemd and `0-3,5` to people."""
    return {
        name: print_cpus(_cpus(value)) if isinstance(value, bytes) else value
        for name, value in properties.items()
    }


def _cpus(mask: bytes) -> list[int]:
    number = int.from_bytes(mask, "little")
    return [bit for bit in range(number.bit_length()) if number >> bit & 1]
