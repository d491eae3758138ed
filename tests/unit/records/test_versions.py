"""Stored records of every version that was ever written are read by today's code.

tests/data/records holds one file for each version of each format; they never change. When a
version is new, JOBLET_WRITE_SAMPLES=1 writes the file that is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from joblet.init import plan, report
from joblet.records import exit as exit_record
from joblet.records import logindex, metrics, poke, run, spawn
from joblet.records.spawn import Failed, Spawned, Started
from tests.unit.records.samples import (
    JOB_ID,
    a_metrics_record,
    a_plan,
    a_run_record,
    an_exit_record,
    facts,
)

STORED = Path(__file__).parents[2] / "data" / "records"


def an_index() -> bytes:
    header = logindex.Header(10, 1, 3, 99, True).encode()
    return (
        header
        + logindex.encode_entry(0, 5, logindex.STDOUT)
        + logindex.encode_entry(50, 6, logindex.GAP, 3)
        + logindex.encode_entry(50, 7, logindex.STDERR)
    )


def read_index(data: bytes) -> object:
    entries = list(logindex.decode_entries(data[logindex.HEADER_SIZE :]))
    return facts(logindex.decode_header(data)), entries


def read_metrics(data: bytes) -> object:
    metrics.check_header(data)
    return [facts(record) for _, record in metrics.records(data)]


def read_report(data: bytes) -> object:
    return facts(report.Report(data))


def read_message(data: bytes) -> object:
    return facts(spawn.decode(data))


# name: (today's version, how today's writer writes it, how today's reader reads it)
FORMATS: dict[str, tuple[int, Callable[[], bytes], Callable[[bytes], object]]] = {
    "exit": (
        exit_record.VERSION,
        lambda: an_exit_record().encode(),
        lambda data: facts(exit_record.decode(data)),
    ),
    "run": (run.VERSION, lambda: a_run_record().encode(), lambda data: facts(run.decode(data))),
    "spawn": (
        spawn.VERSION,
        lambda: spawn.Spawn(JOB_ID, 1 << 30, b"/run/joblet/poke.sock").encode(),
        read_message,
    ),
    "spawned": (spawn.VERSION, lambda: Spawned(JOB_ID, 11, 12).encode(), read_message),
    "started": (spawn.VERSION, lambda: Started(JOB_ID, 1_700_000_000).encode(), read_message),
    "failed": (
        spawn.VERSION,
        lambda: Failed(JOB_ID, "bind", 13, "/usr", "why", True).encode(),
        read_message,
    ),
    "poke": (poke.VERSION, lambda: poke.encode(JOB_ID), poke.decode),
    "plan": (plan.VERSION, lambda: plan.encode(a_plan()), plan.decode),
    "report": (
        report.VERSION,
        lambda: report.failed(b"bind", PermissionError(13, "no", "/usr")),
        read_report,
    ),
    "index": (logindex.VERSION, an_index, read_index),
    "metrics": (
        metrics.VERSION,
        lambda: metrics.HEADER + a_metrics_record().encode(),
        read_metrics,
    ),
}
SAMPLES = [
    pytest.param(name, version, id=f"{name} {version}")
    for name, (newest, _, _) in FORMATS.items()
    for version in range(1, newest + 1)
]


@pytest.mark.parametrize(("name", "version"), SAMPLES)
def test_every_version_is_read_by_todays_code(name: str, version: int) -> None:
    newest, write, read = FORMATS[name]
    file = STORED / f"{name}.{version}"
    if version == newest and not file.exists() and os.environ.get("JOBLET_WRITE_SAMPLES") == "1":
        file.write_bytes(write())
    # Every field of a sample is set, so whatever it misses today it would miss in an upgrade.
    assert read(file.read_bytes()) == read(write())


def test_nothing_else_is_stored() -> None:
    known = {
        f"{name}.{v}" for name, (newest, _, _) in FORMATS.items() for v in range(1, newest + 1)
    }
    assert {file.name for file in STORED.iterdir()} == known


def test_every_format_of_the_leaf_has_samples() -> None:
    folder = Path(logindex.__file__).parent
    versioned = {file.stem for file in folder.glob("*.py") if "\nVERSION =" in file.read_text()}
    assert versioned == {"exit", "run", "spawn", "poke", "logindex", "metrics"}
    assert {"exit", "run", "spawn", "poke", "index"} <= FORMATS.keys()
