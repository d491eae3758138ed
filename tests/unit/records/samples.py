"""One record of each kind, with every field set, for the tests of the formats."""

from __future__ import annotations

from joblet.init import plan
from joblet.records.exit import ExitRecord
from joblet.records.metrics import FIELDS, MetricsRecord
from joblet.records.run import Process, RunRecord

JOB_ID = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"


def an_exit_record() -> ExitRecord:
    record = ExitRecord()
    record.started_ns = 1_700_000_000_000_000_001
    record.finished_ns = 1_700_000_003_000_000_002
    record.exit_status = 3
    record.signal = 9
    record.term_seen_ns = 1_700_000_002_000_000_000
    record.gate_closed = True
    record.status_lost = True
    record.setup_step = b"bind"
    record.setup_errno = 13
    record.setup_path = b"/usr/\xff"
    record.setup_detail = b"why"
    record.oom_kills = 2
    record.cpu_usec = 4
    record.memory_peak_bytes = 5
    record.io_read_bytes = 6
    record.io_write_bytes = 7
    record.log_bytes = 8
    record.log_dropped_bytes = 9
    return record


def a_run_record() -> RunRecord:
    record = RunRecord()
    record.supervisor = Process(10, 1000)
    record.anchor = Process(11, 1001)
    record.first = Process(12, 1002)
    record.descriptors = (5, 6, 7, 8, 9, 10)
    record.log_cap_bytes = 1 << 30
    record.poke_path = b"/run/joblet/poke.sock"
    record.started_ns = 1_700_000_000_000_000_001
    record.term_seen_ns = 1_700_000_002_000_000_000
    return record


def a_metrics_record() -> MetricsRecord:
    # those of the first writer
    values = {name: number for number, name in enumerate(FIELDS[:52], 100)}
    return MetricsRecord(7, 1_700_000_000_000_000, values, ((8 << 32, 1, 2, 3, 4, 5, 6),))


def a_plan() -> list[plan.Step]:
    return [
        plan.step("namespaces", plan.CLONE_NEWNS | plan.CLONE_NEWNET),
        plan.step("file", "etc/hosts", 0o644, b"with a \0 inside\n"),
        plan.step("environment"),
        plan.step("exec", "sh", "sh", "-c", "exit 3"),
    ]


def facts(record: object) -> dict[str, object]:
    """The fields of a record, for comparing."""
    found: dict[str, object] = {}
    for name in type(record).__slots__:  # type: ignore[attr-defined]
        value = getattr(record, name)
        nested = hasattr(value, "__slots__") and not isinstance(value, bytes | str | tuple)
        found[name] = facts(value) if nested else value
    return found
