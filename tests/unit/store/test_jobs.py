"""Rows of jobs: nothing of a job is lost on the way, and no question reads what it need not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joblet import failpoints
from joblet.core.ports import JobStore
from joblet.errors import AlreadyExists, HostFailure
from joblet.model.ids import new_job_id
from joblet.model.job import Accounting, Job, JobFilter, JobSpec, JobState, Reason, Remote
from joblet.store import jobs
from joblet.store.database import Database
from joblet.store.jobs import SqlJobStore, decode_spec, encode_spec, page_query

INT64 = st.integers(-(2**63), 2**63 - 1)
OPTIONAL = st.none() | INT64
# A text in a specification may even hold what is not UTF-8.
ANY_TEXT = st.text(st.characters(), max_size=20)
TEXT = st.text(max_size=20)
SPECS = st.builds(
    JobSpec,
    command=ANY_TEXT,
    args=st.lists(ANY_TEXT, max_size=4).map(tuple),
    name=TEXT,
    environment=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3),
    timeout_usec=OPTIONAL,
    stop_grace_usec=OPTIONAL,
    start_at_usec=OPTIONAL,
    max_cpu=OPTIONAL,
    cpu_weight=OPTIONAL,
    cpu_cores=st.none() | st.lists(st.integers(0, 99), max_size=4).map(tuple),
    max_memory=OPTIONAL,
    max_io_bps=OPTIONAL,
    max_iops=OPTIONAL,
    io_weight=OPTIONAL,
    max_tasks=OPTIONAL,
    max_work=OPTIONAL,
    max_tmp=OPTIONAL,
    max_shm=OPTIONAL,
    user=OPTIONAL,
    network=TEXT,
    init=st.booleans(),
)
CHANGES = st.fixed_dictionaries(
    {
        "state": st.sampled_from(JobState),
        "due_usec": INT64,
        "started_usec": OPTIONAL,
        "finished_usec": OPTIONAL,
        "reason": st.none() | st.sampled_from(Reason),
        "exit_code": OPTIONAL,
        "detail": TEXT,
        "stop_reason": st.none() | st.sampled_from(Reason),
        "stop_requested_usec": OPTIONAL,
        "shard": OPTIONAL,
        "boot_id": TEXT,
        "accounting": st.builds(
            Accounting,
            cpu_usec=OPTIONAL,
            memory_peak_bytes=OPTIONAL,
            io_read_bytes=OPTIONAL,
            io_write_bytes=OPTIONAL,
        ),
        "log_bytes": INT64,
        "log_dropped_bytes": INT64,
    }
)
IDENTITY = st.fixed_dictionaries(
    {
        "remote": st.none() | st.builds(Remote, TEXT, TEXT),
        "id": st.uuids(version=4).map(str),
        "seq": st.integers(1, 2**63 - 2),
        "spec": SPECS,
        "owner_uid": st.integers(0, 2**32 - 1),
        "submitted_usec": INT64,
    }
)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqlJobStore]:
    database = await Database.open(str(path))
    try:
        yield SqlJobStore(database)
    finally:
        await database.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlJobStore]:
    async with opened(tmp_path / "joblet.sqlite") as store:
        yield store


def a_job(seq: int, state: JobState = JobState.PENDING, owner_uid: int = 0) -> Job:
    return Job(
        id=new_job_id(),
        seq=seq,
        spec=JobSpec(command="true"),
        owner_uid=owner_uid,
        state=state,
        submitted_usec=seq,
        due_usec=seq,
    )


async def everything(store: JobStore) -> list[Job]:
    return await store.page(JobFilter(), before_seq=None, limit=1000)


@settings(max_examples=30, deadline=None)
@given(IDENTITY, CHANGES, CHANGES, st.booleans())
def test_every_field_of_a_job_comes_back_after_insert_and_after_save(
    identity: dict[str, object],
    first: dict[str, object],
    second: dict[str, object],
    durable: bool,
) -> None:
    async def run(path: Path) -> None:
        job = Job(**identity, **first)  # type: ignore[arg-type]
        changed = Job(**identity, **second)  # type: ignore[arg-type]
        async with opened(path) as store:
            await store.insert(job)
            assert await store.get(job.id) == job
            await store.save(changed, durable=durable)
            assert await store.get(job.id) == changed
            assert await everything(store) == [changed]
        async with opened(path) as store:
            assert await store.get(job.id) == changed
            assert await everything(store) == [changed]

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "joblet.sqlite"))


def test_what_is_stored_lists_every_field_of_a_job() -> None:
    told_apart = {"spec", "accounting", "remote"}
    of_remote = {"remote_subject", "remote_role"}
    columns = {*jobs._ONCE, *jobs._CHANGING}
    of_accounting = set(Accounting.__dataclass_fields__)
    assert columns - {"name", "spec"} == (
        set(Job.__dataclass_fields__) - told_apart | of_accounting | of_remote
    )


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from(JobState), st.integers(0, 2)),
        st.tuples(st.just("soft"), st.sampled_from(JobState), st.integers(0, 30)),
        st.tuples(st.just("durable"), st.sampled_from(JobState), st.integers(0, 30)),
        st.tuples(st.just("delete"), st.just(JobState.PENDING), st.integers(0, 30)),
    ),
    max_size=30,
)
FILTERS = st.builds(
    JobFilter,
    states=st.frozensets(st.sampled_from(JobState), max_size=3),
    owner_uid=st.none() | st.integers(0, 2),
)


@settings(max_examples=30, deadline=None)
@given(ACTIONS, st.lists(st.tuples(FILTERS, st.integers(1, 12), st.none() | st.integers(0, 32))))
def test_every_answer_counts_all_writes_before_it_stored_or_not(
    actions: list[tuple[str, JobState, int]],
    pages: list[tuple[JobFilter, int, int | None]],
) -> None:
    async def run(path: Path) -> None:
        model: dict[str, Job] = {}
        async with opened(path) as store:
            seq = 0
            for verb, state, number in actions:
                chosen = list(model.values())[number % len(model)] if model else None
                if verb == "insert":
                    seq += 1
                    job = a_job(seq, state, number)
                    await store.insert(job)
                    model[job.id] = job
                elif verb == "delete" and chosen is not None:
                    await store.delete([chosen.id])
                    del model[chosen.id]
                elif chosen is not None:
                    changed = replace(chosen, state=state)
                    await store.save(changed, durable=verb == "durable")
                    model[changed.id] = changed
            newest_first = sorted(model.values(), key=lambda job: job.seq, reverse=True)
            for wanted, limit, before in pages:
                assert (
                    await store.page(wanted, before_seq=before, limit=limit)
                    == [
                        job
                        for job in newest_first
                        if (not wanted.states or job.state in wanted.states)
                        and wanted.owner_uid in (None, job.owner_uid)
                        and (before is None or job.seq < before)
                    ][:limit]
                )
            assert await store.unfinished() == [
                job for job in reversed(newest_first) if not job.state.terminal
            ]
            for job in newest_first:
                assert await store.get(job.id) == job
            assert await store.last_seq() == seq

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "joblet.sqlite"))


async def test_an_id_is_taken_once(store: SqlJobStore) -> None:
    job = a_job(1)
    await store.insert(job)
    with pytest.raises(AlreadyExists, match=job.id):
        await store.insert(replace(job, seq=2))
    with pytest.raises(AlreadyExists, match="job number '1'"):
        await store.insert(a_job(1))
    assert await everything(store) == [job]


async def test_a_save_that_mixes_up_two_jobs_changes_neither(store: SqlJobStore) -> None:
    one, two = a_job(1), a_job(2)
    await store.insert(one)
    await store.insert(two)
    await store.save(replace(one, seq=2, state=JobState.RUNNING), durable=True)
    assert await everything(store) == [two, one]


async def test_a_respecified_job_has_its_new_specification_at_once(store: SqlJobStore) -> None:
    job = a_job(1)
    await store.insert(job)
    await store.save(replace(job, exit_code=1), durable=False)
    changed = replace(job, spec=replace(job.spec, max_memory=7, revision=1), exit_code=2)
    await store.respecify(changed)
    assert await store.get(job.id) == changed
    assert await store.page(JobFilter(), before_seq=None, limit=5) == [changed]


async def test_a_save_leaves_identity_and_specification_alone(store: SqlJobStore) -> None:
    job = a_job(1)
    await store.insert(job)
    other = replace(job, spec=JobSpec(command="false"), owner_uid=7, submitted_usec=9, exit_code=3)
    await store.save(other, durable=True)
    assert await store.get(job.id) == replace(job, exit_code=3)


async def test_a_detail_that_is_not_utf_8_is_kept_readable(store: SqlJobStore) -> None:
    job = a_job(1)
    await store.insert(job)
    await store.save(replace(job, detail="no such file: b\udcff"), durable=True)
    found = await store.get(job.id)
    assert found is not None
    assert found.detail == r"no such file: b\udcff"


async def test_the_last_number_survives_the_deletion_of_its_job_and_a_restart(
    tmp_path: Path,
) -> None:
    path = tmp_path / "joblet.sqlite"
    async with opened(path) as store:
        assert await store.last_seq() == 0
        first, second = a_job(1), a_job(41)
        await store.insert(first)
        await store.insert(second)
        await store.delete([second.id])
        assert await store.last_seq() == 41
        await store.delete([first.id])
    async with opened(path) as store:
        assert await everything(store) == []
        assert await store.last_seq() == 41


async def test_deleting_takes_many_unknown_and_unsaved_jobs(store: SqlJobStore) -> None:
    many = [a_job(seq) for seq in range(1, 40)]
    for job in many:
        await store.insert(job)
    await store.save(replace(many[0], state=JobState.RUNNING), durable=False)
    await store.delete([*(job.id for job in many[:-1]), new_job_id(), "no id at all"])
    assert await store.existing([job.id for job in many]) == {many[-1].id}
    assert await everything(store) == [many[-1]]
    assert await store.get(many[0].id) is None
    await store.delete([])


async def test_a_prefix_finds_the_ids_that_begin_with_it_in_order(store: SqlJobStore) -> None:
    tails = ["0abc", "f000", "ffff"]
    ids = [
        f"{head}-{tail}-4000-8000-000000000000"
        for head in ("aaaaaaaa", "aaaaaaab")
        for tail in tails
    ]
    for seq, job_id in enumerate(reversed(ids), 1):
        await store.insert(replace(a_job(seq), id=job_id))
    assert await store.find_prefix("aaaa", 10) == ids
    assert await store.find_prefix("aaaa", 2) == ids[:2]
    assert await store.find_prefix("aaaaaaab", 10) == ids[3:]
    assert await store.find_prefix("aaaaaaab-f", 10) == ids[4:]
    assert await store.find_prefix(ids[5], 10) == [ids[5]]
    assert await store.find_prefix("aaab", 10) == []


@pytest.mark.parametrize("failpoint", ["store.before-insert", "store.after-insert"])
async def test_an_error_at_insert_is_a_host_failure(
    store: SqlJobStore, failpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_DIRECTORY", str(tmp_path))
    (tmp_path / failpoint).write_text("error")
    job = a_job(1)
    with pytest.raises(HostFailure, match=failpoint):
        await store.insert(job)
    assert await everything(store) == ([job] if failpoint == "store.after-insert" else [])


async def test_a_soft_save_that_could_not_be_written_is_still_in_the_answers(
    store: SqlJobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failpoints, "_DIRECTORY", str(tmp_path))
    job = a_job(1)
    await store.insert(job)
    running = replace(job, state=JobState.RUNNING)
    await store.save(running, durable=False)
    (tmp_path / "store.before-commit").write_text("error")
    with pytest.raises(HostFailure):
        await store.save(replace(job, state=JobState.COMPLETED), durable=True)
    assert await store.get(job.id) == running
    assert await store.unfinished() == [running]
    await store.save(replace(job, state=JobState.COMPLETED), durable=True)
    assert await store.unfinished() == []


def test_a_specification_of_another_version_is_refused() -> None:
    text = encode_spec(JobSpec(command="true")).replace('"version":1', '"version":2')
    with pytest.raises(HostFailure, match="version 2"):
        decode_spec(text)


def test_a_field_of_a_newer_program_is_refused_and_not_passed_over() -> None:
    text = encode_spec(JobSpec(command="true")).replace('"name":""', '"name":"","wall":1')
    with pytest.raises(HostFailure, match="'wall'"):
        decode_spec(text)


def test_a_specification_of_version_1_is_read_and_lacking_fields_have_their_defaults() -> None:
    text = (
        '{"version":1,"command":"sh","args":["-c","x"],"environment":{"A":"b"},'
        '"start_at_usec":null,"init":true}'
    )
    assert decode_spec(text) == JobSpec(
        command="sh", args=("-c", "x"), environment={"A": "b"}, init=True
    )


STATES = frozenset(JobState)
PAGES = [
    JobFilter(),
    JobFilter(owner_uid=1000),
    JobFilter(states=frozenset({JobState.RUNNING})),
    JobFilter(states=STATES),
    JobFilter(states=STATES, owner_uid=1000),
]


async def plan(path: Path, statement: str, values: Sequence[object]) -> list[str]:
    async with opened(path):
        pass
    connection = sqlite3.connect(path)
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    connection.close()
    return [detail for _, _, _, detail in rows]


@pytest.mark.parametrize("wanted", PAGES, ids=str)
async def test_a_page_is_read_in_order_from_indexes_without_sorting(
    wanted: JobFilter, tmp_path: Path
) -> None:
    steps = await plan(tmp_path / "joblet.sqlite", *page_query(wanted, 2**62, 100))
    touching = [step for step in steps if " jobs" in step]
    assert touching
    assert all(step.startswith("SEARCH jobs USING") for step in touching)
    assert all("rowid<?" in step or "(rowid=?)" in step for step in touching)
    assert not [step for step in steps if "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (jobs._GET, ["x"]),
        (jobs._FIND, ["a", "b", 1]),
        (jobs._SAVE, [None] * (len(jobs._CHANGING) + 2)),
        (jobs._DELETE, ["[]"]),
        (jobs._EXISTING, ["[]"]),
        jobs._in_states(jobs._UNFINISHED),
    ],
)
async def test_no_statement_walks_through_all_jobs(
    statement: str, values: Sequence[object], tmp_path: Path
) -> None:
    steps = await plan(tmp_path / "joblet.sqlite", statement, values)
    touching = [step for step in steps if " jobs" in step]
    assert touching
    assert all(step.startswith("SEARCH jobs USING") for step in touching)
    assert not [step for step in steps if "TEMP B-TREE" in step]
