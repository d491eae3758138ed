"""Rows of jobs: core.ports.JobStore over the database.

Owns the mapping of a Job to its row and back, and the queries; when to write what is core's
business. The identity of a job, its owner and submission are written once, by `insert`; `save`
writes what changes in a life, and `respecify` the specification besides.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from errno import EIO

from joblet import failpoints
from joblet.errors import AlreadyExists, HostFailure
from joblet.model.job import Accounting, Job, JobFilter, JobSpec, JobState, Reason, Remote
from joblet.store.database import Database, Value

SPEC_VERSION = 1

_ONCE = (
    "seq",
    "id",
    "name",
    "owner_uid",
    "remote_subject",
    "remote_role",
    "submitted_usec",
    "spec",
)
_CHANGING = (
    "state",
    "due_usec",
    "started_usec",
    "finished_usec",
    "reason",
    "exit_code",
    "detail",
    "stop_reason",
    "stop_requested_usec",
    "shard",
    "boot_id",
    "cpu_usec",
    "memory_peak_bytes",
    "io_read_bytes",
    "io_write_bytes",
    "log_bytes",
    "log_dropped_bytes",
    "first_id",
    "project",
)
_COLUMNS = ", ".join(_ONCE + _CHANGING)
_INSERT = f"INSERT INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * len(_ONCE + _CHANGING))})"  # noqa: S608
# By both: a save that mixes up two jobs must change neither.
_SAVE = f"UPDATE jobs SET {', '.join(f'{c} = ?' for c in _CHANGING)} WHERE seq = ? AND id = ?"  # noqa: S608
_RESPECIFY = f"UPDATE jobs SET {', '.join(f'{c} = ?' for c in (*_CHANGING, 'spec'))} WHERE seq = ? AND id = ?"  # noqa: S608, E501
_DELETE = "DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
_GET = f"SELECT {_COLUMNS} FROM jobs WHERE id = ?"  # noqa: S608
_FIND = "SELECT id FROM jobs WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
_EXISTING = "SELECT id FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
_LAST_SEQ = "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'"
_MAX_SEQ = 2**63 - 1
_PROJECTS = "SELECT id, project FROM jobs WHERE project IS NOT NULL"
_KEPT = (
    "SELECT id FROM jobs WHERE project IS NOT NULL AND finished_usec < ? "
    "ORDER BY finished_usec LIMIT ?"
)

_SPEC_FIELDS = tuple(field.name for field in fields(JobSpec))
_UNFINISHED = tuple(state for state in JobState if not state.terminal)


class SqlJobStore:
    """The jobs of one open database. Soft saves not yet committed are part of every answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unsaved: dict[str, Job] = {}

    async def insert(self, job: Job) -> None:
        """Add a new row, durably. Raises AlreadyExists."""
        _pass("store.before-insert")
        row = (
            job.seq,
            job.id,
            job.spec.name,
            job.owner_uid,
            None if job.remote is None else job.remote.subject,
            None if job.remote is None else job.remote.role,
            job.submitted_usec,
            encode_spec(job.spec),
            *_changing(job),
        )
        try:
            await self._database.write(_INSERT, row)
        except sqlite3.IntegrityError as err:
            if err.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE":
                raise AlreadyExists("job", job.id) from err
            if err.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY":
                raise AlreadyExists("job number", str(job.seq)) from err
            raise
        _pass("store.after-insert")

    async def save(self, job: Job, *, durable: bool) -> None:
        """Write what changed. Not durable: returns at once, written with the next commit."""
        row = (*_changing(job), job.seq, job.id)
        if durable:
            await self._database.write(_SAVE, row, key=job.id)
        else:
            self._database.write_soon(_SAVE, row, key=job.id, done=lambda: self._saved(job))
            self._unsaved[job.id] = job

    async def respecify(self, job: Job) -> None:
        """Write what changed and the specification, durably."""
        row = (*_changing(job), encode_spec(job.spec), job.seq, job.id)
        await self._database.write(_RESPECIFY, row, key=job.id)

    async def delete(self, job_ids: Sequence[str]) -> None:
        """Remove rows, durably. An id without a row is no error."""
        for job_id in job_ids:
            self._database.forget(job_id)
            self._unsaved.pop(job_id, None)
        if job_ids:
            await self._database.write(_DELETE, (json.dumps(list(job_ids)),))

    async def get(self, job_id: str) -> Job | None:
        """One job by its whole id."""
        unsaved = self._unsaved.get(job_id)
        found = await self._jobs(_GET, (job_id,))
        if not found:
            return None
        return unsaved or found[0]

    async def find_prefix(self, prefix: str, limit: int) -> list[str]:
        """Up to `limit` ids that begin with prefix, in order."""
        # Ids are of 0-9, a-f and '-': what begins with the prefix sorts before prefix + 'g'.
        return await self._ids(_FIND, (prefix, prefix + "g", limit))

    async def page(self, wanted: JobFilter, *, before_seq: int | None, limit: int) -> list[Job]:
        """Up to `limit` jobs, newest first, with seq below before_seq."""
        unsaved = dict(self._unsaved)
        before = _MAX_SEQ if before_seq is None else before_seq
        # Each unsaved job may turn out not to belong to the page any more.
        query, values = page_query(wanted, before, limit + len(unsaved))
        merged = _merge(
            await self._jobs(query, values),
            [job for job in unsaved.values() if job.seq < before and _matches(job, wanted)],
            unsaved,
        )
        return sorted(merged, key=lambda job: job.seq, reverse=True)[:limit]

    async def existing(self, job_ids: Sequence[str]) -> set[str]:
        """Which of these ids have a row."""
        return set(await self._ids(_EXISTING, (json.dumps(list(job_ids)),)))

    async def unfinished(self) -> list[Job]:
        """All jobs not in a terminal state, oldest first."""
        unsaved = dict(self._unsaved)
        query, values = _in_states(_UNFINISHED)
        merged = _merge(
            await self._jobs(query, values),
            [job for job in unsaved.values() if not job.state.terminal],
            unsaved,
        )
        return sorted(merged, key=lambda job: job.seq)

    async def projects(self) -> dict[str, int]:
        """The project id of every kept work directory, by job."""
        return await self._database.read(
            lambda connection: dict(connection.execute(_PROJECTS).fetchall())
        )

    async def kept(self, *, finished_before_usec: int, limit: int) -> list[str]:
        """Up to `limit` ended jobs whose work directory is kept, the first to end first."""
        return await self._ids(_KEPT, (finished_before_usec, limit))

    async def last_seq(self) -> int:
        """The highest seq ever given out, also to a job that was deleted since; 0 for none."""
        row = await self._database.read(lambda connection: connection.execute(_LAST_SEQ).fetchone())
        return int(row[0]) if row is not None else 0

    def _saved(self, job: Job) -> None:
        if self._unsaved.get(job.id) is job:
            del self._unsaved[job.id]

    async def _ids(self, query: str, values: Sequence[Value]) -> list[str]:
        return await self._database.read(
            lambda connection: [job_id for (job_id,) in connection.execute(query, values)]
        )

    async def _jobs(self, query: str, values: Sequence[Value]) -> list[Job]:
        # Rows become jobs in the reading thread: a long page must not hold the event loop up.
        return await self._database.read(
            lambda connection: [_job(*row) for row in connection.execute(query, values)]
        )


def page_query(wanted: JobFilter, before: int, limit: int) -> tuple[str, list[Value]]:
    """The statement for a page; it reads no row that is not on the page."""
    if not wanted.states and wanted.owner_uid is None:
        return (
            f"SELECT {_COLUMNS} FROM jobs WHERE seq < ? ORDER BY seq DESC LIMIT ?",  # noqa: S608
            [before, limit],
        )
    # Within one state (of one owner) the index has the rows in order of seq. A single IN over
    # all wanted states would sort every match; this merges a few sorted runs and stops.
    owner = "" if wanted.owner_uid is None else "owner_uid = ? AND "
    runs, values = [], list[Value]()
    for state in sorted(wanted.states or JobState):
        runs.append(f"SELECT seq FROM jobs WHERE {owner}state = ? AND seq < ?")  # noqa: S608
        values += [] if wanted.owner_uid is None else [wanted.owner_uid]
        values += [state.value, before]
    numbers = " UNION ALL ".join(runs)
    query = (
        f"SELECT {_COLUMNS} FROM jobs WHERE seq IN "  # noqa: S608
        f"({numbers} ORDER BY seq DESC LIMIT ?) ORDER BY seq DESC"
    )
    return query, [*values, limit]


def encode_spec(spec: JobSpec) -> str:
    """JSON text with a version; a field that an older text lacks has its default."""
    values = {name: getattr(spec, name) for name in _SPEC_FIELDS}
    values["environment"] = dict(spec.environment)
    return json.dumps({"version": SPEC_VERSION, **values}, separators=(",", ":"))


def decode_spec(text: str) -> JobSpec:
    """Raises HostFailure for a version or a field that this program does not know."""
    values = json.loads(text)
    version = values.pop("version")
    if version != SPEC_VERSION:
        raise HostFailure("store", EIO, f"a specification of version {version} is not known here")
    if unknown := values.keys() - _SPEC_FIELDS:
        # Of a newer program; a limit or a wall that is passed over would be worse.
        names = ", ".join(sorted(unknown))
        raise HostFailure("store", EIO, f"'{names}' in a specification is not known here")
    values["args"] = tuple(values["args"])
    values["secret_names"] = tuple(values.get("secret_names", ()))
    if values.get("cpu_cores") is not None:
        values["cpu_cores"] = tuple(values["cpu_cores"])
    return JobSpec(**values)


def _in_states(states: Iterable[JobState]) -> tuple[str, list[Value]]:
    names: list[Value] = [state.value for state in states]
    marks = ", ".join("?" * len(names))
    return f"SELECT {_COLUMNS} FROM jobs WHERE state IN ({marks})", names  # noqa: S608


def _matches(job: Job, wanted: JobFilter) -> bool:
    return (not wanted.states or job.state in wanted.states) and (
        wanted.owner_uid is None or job.owner_uid == wanted.owner_uid
    )


def _merge(stored: Iterable[Job], newer: Iterable[Job], unsaved: Mapping[str, Job]) -> list[Job]:
    return [*(job for job in stored if job.id not in unsaved), *newer]


def _changing(job: Job) -> tuple[Value, ...]:
    used = job.accounting
    return (
        job.state.value,
        job.due_usec,
        job.started_usec,
        job.finished_usec,
        None if job.reason is None else job.reason.value,
        job.exit_code,
        # A path in it need not be UTF-8, and a record must not fail for that.
        job.detail.encode("utf-8", "backslashreplace").decode(),
        None if job.stop_reason is None else job.stop_reason.value,
        job.stop_requested_usec,
        job.shard,
        job.boot_id,
        used.cpu_usec,
        used.memory_peak_bytes,
        used.io_read_bytes,
        used.io_write_bytes,
        job.log_bytes,
        job.log_dropped_bytes,
        job.first_id,
        job.project,
    )


def _job(
    seq: int,
    job_id: str,
    _name: str,
    owner_uid: int,
    remote_subject: str | None,
    remote_role: str | None,
    submitted_usec: int,
    spec: str,
    state: str,
    due_usec: int,
    started_usec: int | None,
    finished_usec: int | None,
    reason: str | None,
    exit_code: int | None,
    detail: str,
    stop_reason: str | None,
    stop_requested_usec: int | None,
    shard: int | None,
    boot_id: str,
    cpu_usec: int | None,
    memory_peak_bytes: int | None,
    io_read_bytes: int | None,
    io_write_bytes: int | None,
    log_bytes: int,
    log_dropped_bytes: int,
    first_id: int | None,
    project: int | None,
) -> Job:
    """A row; the parameters are in the order of _ONCE and _CHANGING."""
    return Job(
        id=job_id,
        seq=seq,
        spec=decode_spec(spec),
        owner_uid=owner_uid,
        remote=None if remote_subject is None else Remote(remote_subject, remote_role or ""),
        state=JobState(state),
        submitted_usec=submitted_usec,
        due_usec=due_usec,
        started_usec=started_usec,
        finished_usec=finished_usec,
        reason=None if reason is None else Reason(reason),
        exit_code=exit_code,
        detail=detail,
        stop_reason=None if stop_reason is None else Reason(stop_reason),
        stop_requested_usec=stop_requested_usec,
        shard=shard,
        boot_id=boot_id,
        accounting=Accounting(
            cpu_usec=cpu_usec,
            memory_peak_bytes=memory_peak_bytes,
            io_read_bytes=io_read_bytes,
            io_write_bytes=io_write_bytes,
        ),
        log_bytes=log_bytes,
        log_dropped_bytes=log_dropped_bytes,
        first_id=first_id,
        project=project,
    )


def _pass(failpoint: str) -> None:
    try:
        failpoints.hit(failpoint)
    except OSError as err:
        raise HostFailure("store", err.errno or EIO, str(err)) from err
