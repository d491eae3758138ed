"""Samples of jobs and the state of a host as one JSON text: the form that both transports carry.

What is not known has no key. Read again in client/monitoring.py. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, is_dataclass

from joblet.model.host import HostStatus, ProcessInfo
from joblet.model.metrics import HUNDREDTHS, Sample


def samples_json(samples: Sequence[Sample]) -> bytes:
    """An array of objects with the keys of Monitor.GetJobMetrics."""
    return _json([_row(sample) for sample in samples])


def status_json(status: HostStatus, *, commands: bool) -> bytes:
    """An object with the keys of Monitor.GetStatus.

    commands: with what processes were started with, and by whom, which a host may hide from others
    (hidepid of proc(5)).
    """
    return _json(_known(status, commands=commands))


def _row(sample: Sample) -> dict[str, object]:
    """A sample without what is not known; pressure as a percentage."""
    row: dict[str, object] = {}
    for part in fields(sample):
        value = getattr(sample, part.name)
        if value is None or value is False:
            continue
        if part.name in HUNDREDTHS:
            value /= 100
        elif isinstance(value, float):
            value = round(value, 3)
        elif part.name == "devices":
            value = [asdict(device) for device in value]
        row[part.name] = value
    return row


def _known(value: object, *, commands: bool) -> object:
    if isinstance(value, tuple):
        return [_known(item, commands=commands) for item in value]
    if isinstance(value, float):
        return round(value, 3)
    if not is_dataclass(value):
        return value
    told = {part.name: getattr(value, part.name) for part in fields(value)}
    if isinstance(value, ProcessInfo) and not commands:
        del told["command"], told["user"]
    return {k: _known(v, commands=commands) for k, v in told.items() if v is not None}


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
