"""Every record that two programs share: it comes back, it grows, it refuses what it is not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.init import plan, report
from joblet.records import exit as exit_record
from joblet.records import poke, run, spawn
from joblet.records.exit import ExitRecord
from joblet.records.framing import BadRecord, Item, pack, unpack
from joblet.records.run import Process, RunRecord
from joblet.records.spawn import Failed, Message, Spawned, Started
from tests.unit.records.samples import JOB_ID, a_plan, a_run_record, an_exit_record, facts

WORD = st.integers(0, 2**64 - 1)
MAYBE = st.one_of(st.none(), WORD)
BYTES = st.binary(max_size=200)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
ID = st.uuids(version=4).map(str)


def made(kind: Callable[[], Any], fields: dict[str, Any]) -> Any:
    record = kind()
    for name, value in fields.items():
        setattr(record, name, value)
    return record


EXITS = st.fixed_dictionaries(
    {
        **dict.fromkeys(
            (
                "started_ns",
                "exit_status",
                "signal",
                "term_seen_ns",
                "cpu_usec",
                "memory_peak_bytes",
                "io_read_bytes",
                "io_write_bytes",
            ),
            MAYBE,
        ),
        **dict.fromkeys(
            ("finished_ns", "setup_errno", "oom_kills", "log_bytes", "log_dropped_bytes"), WORD
        ),
        **dict.fromkeys(("setup_step", "setup_path", "setup_detail"), BYTES),
        **dict.fromkeys(("gate_closed", "status_lost"), st.booleans()),
    }
).map(lambda fields: made(ExitRecord, fields))
PROCESSES = st.builds(Process, WORD, WORD)
RUNS = st.fixed_dictionaries(
    {
        **dict.fromkeys(("supervisor", "anchor", "first"), PROCESSES),
        "descriptors": st.lists(st.integers(0, 2**20), max_size=8).map(tuple),
        "log_cap_bytes": WORD,
        "poke_path": BYTES,
        "started_ns": MAYBE,
        "term_seen_ns": MAYBE,
    }
).map(lambda fields: made(RunRecord, fields))
MESSAGES = st.one_of(
    st.builds(spawn.Spawn, ID, WORD, BYTES),
    st.builds(Spawned, ID, WORD, WORD),
    st.builds(Started, ID, WORD),
    st.builds(Failed, ID, TEXT, WORD, TEXT, TEXT, st.booleans()),
)


@given(EXITS)
def test_an_exit_record_comes_back_as_it_was(record: ExitRecord) -> None:
    assert facts(exit_record.decode(record.encode())) == facts(record)


@given(RUNS)
def test_a_run_record_comes_back_as_it_was(record: RunRecord) -> None:
    assert facts(run.decode(record.encode())) == facts(record)


@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    data = message.encode()
    back = spawn.decode(data)
    assert type(back) is type(message)
    assert facts(back) == facts(message)


@given(ID)
def test_a_poke_comes_back_and_fits(job_id: str) -> None:
    data = poke.encode(job_id)
    assert poke.decode(data) == job_id
    assert len(data) <= poke.SIZE_MAX


def test_the_largest_messages_fit_their_packets() -> None:
    failed = Failed(JOB_ID, "s" * 64, 2**31, "p" * 4096, "d" * 1100, True)
    assert len(failed.encode()) <= spawn.SIZE_MAX
    error = OSError(2**31, "d" * 5000, "\udcff" * 5000)
    assert len(report.failed(b"s" * 64, error)) <= report.SIZE_MAX


# The plan.


def operands(kinds: str) -> st.SearchStrategy[tuple[bytes | int, ...]]:
    text = st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"-"))
    fixed = [text if kind == "b" else WORD for kind in kinds.rstrip("*")]
    more = st.lists(text, max_size=5 if kinds.endswith("*") else 0)
    return st.tuples(st.tuples(*fixed), more).map(lambda both: (*both[0], *both[1]))


STEPS = st.sampled_from(sorted(plan.STEPS)).flatmap(
    lambda name: operands(plan.STEPS[name]).map(lambda all_: plan.step(name.decode(), *all_))
)
PLANS = st.tuples(
    st.lists(STEPS.filter(lambda step: step.name != b"exec"), max_size=20),
    operands(plan.STEPS[b"exec"]).map(lambda all_: plan.step("exec", *all_)),
).map(lambda both: [*both[0], both[1]])


@given(PLANS)
def test_a_plan_comes_back_as_it_was(steps: list[plan.Step]) -> None:
    assert plan.decode(plan.encode(steps)) == steps


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("nonsense", ()),
        ("hostname", ()),
        ("hostname", ("a", "b")),
        ("hostname", (1,)),
        ("namespaces", ("1",)),
        ("hostname", ("a\0b",)),
        ("exec", ("true", 1)),
        ("environment", ("A=1\0B=2",)),
    ],
)
def test_a_wrong_step_cannot_be_made(name: str, wrong: tuple[str | int, ...]) -> None:
    with pytest.raises(BadRecord):
        plan.step(name, *wrong)


@pytest.mark.parametrize(
    "items",
    [
        [],
        [0],
        [None],
        [b"exec"],
        [1, b"exec"],
        [1, b"exec", 5, b"true"],
        [1, b"exec", b"1", b"true"],
        [1, b"exec", None, b"true"],
        [2, b"exec", 1, b"true"],
        [1, b"exec", 1, b"true", b"more"],
        [1, b"hostname", 1, b"a"],
        [2, b"exec", 1, b"true", b"hostname", 1, b"a"],
        [1, b"nonsense", 0],
        [1, 7, 0],
        [10**12, b"exec", -2, b"true"],
        [2, b"exec", -1],
        [-1, b"exec", 1, b"true"],
        [10**40, b"exec", 1, b"true"],
    ],
)
def test_what_is_not_a_plan_is_refused(items: list[Item]) -> None:
    with pytest.raises(BadRecord):
        plan.decode(pack(plan.MAGIC, plan.VERSION, items))


# What a first process reports.


def test_reports_come_back_as_they_were() -> None:
    assert report.Report(report.executing(7)).time_ns == 7
    assert report.Report(report.gate_closed()).kind == report.GATE_CLOSED
    told = report.Report(report.failed(b"bind", PermissionError(13, "no", "/usr")))
    assert (told.kind, told.step, told.errno, told.path) == (report.FAILED, b"bind", 13, b"/usr")
    told = report.Report(report.failed(b"bind", KeyError("x")))
    assert (told.errno, told.detail) == (0, b"KeyError: 'x'")


# All of them alike.

WHOLE: dict[str, tuple[Callable[[bytes], object], bytes, bytes]] = {
    # name: (decode, magic, a whole record)
    "exit": (exit_record.decode, exit_record.MAGIC, an_exit_record().encode()),
    "run": (run.decode, run.MAGIC, a_run_record().encode()),
    "spawn": (spawn.decode, spawn.MAGIC, spawn.Spawn(JOB_ID, 1, b"/run/poke").encode()),
    "spawned": (spawn.decode, spawn.MAGIC, Spawned(JOB_ID, 1, 2).encode()),
    "started": (spawn.decode, spawn.MAGIC, Started(JOB_ID, 1).encode()),
    "failed": (spawn.decode, spawn.MAGIC, Failed(JOB_ID, "a", 1, "b", "c", True).encode()),
    "poke": (poke.decode, poke.MAGIC, poke.encode(JOB_ID)),
    "plan": (plan.decode, plan.MAGIC, plan.encode(a_plan())),
    "report": (report.Report, report.MAGIC, report.wants_ids(1 << 30, 65_536)),
}
each_format = pytest.mark.parametrize(("decode", "magic", "whole"), WHOLE.values(), ids=WHOLE)
Decode = Callable[[bytes], object]


@each_format
def test_every_truncation_is_refused(decode: Decode, magic: bytes, whole: bytes) -> None:
    decode(whole)
    for end in range(len(whole)):
        with pytest.raises(BadRecord):
            decode(whole[:end])


@each_format
@given(st.data())
def test_damaged_bytes_are_read_or_refused(
    decode: Decode, magic: bytes, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadRecord):
        decode(bytes(damaged))


@each_format
@given(
    st.lists(st.one_of(st.none(), BYTES, st.integers(-(2**65), 2**65)), max_size=25),
    st.sampled_from([1, 2, 3, 4]),
)
def test_any_items_in_a_good_frame_are_read_or_refused(
    decode: Decode, magic: bytes, whole: bytes, items: list[Item], kind: int
) -> None:
    for some in (items, [kind, *items]):
        with contextlib.suppress(BadRecord):
            decode(pack(magic, 1, some))


@each_format
@given(BYTES)
def test_random_bytes_are_refused(decode: Decode, magic: bytes, whole: bytes, data: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(data)


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "plan"])
def test_a_newer_writer_that_adds_a_field_is_understood(name: str) -> None:
    decode, magic, whole = WHOLE[name]
    version, items = unpack(whole, magic, (1,))
    grown = pack(magic, version, [*items, *[None] * 20, b"new", 1])
    old, new = decode(whole), decode(grown)
    assert (facts(old) == facts(new)) if hasattr(old, "__slots__") else old == new


@pytest.mark.parametrize("numbers", [b"a", b"1" * 5000, b"1,,2", b",", b"1,-2", b"1 ,2", b"\xff"])
def test_descriptors_that_are_none_are_refused(numbers: bytes) -> None:
    with pytest.raises(BadRecord):
        run.decode(pack(run.MAGIC, run.VERSION, [1, 2, 3, 4, 5, 6, numbers]))
