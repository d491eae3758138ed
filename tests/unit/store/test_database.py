"""The database beneath the rows: commits, failures, migrations, reading beside writing."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from joblet import failpoints
from joblet.errors import HostFailure
from joblet.store.database import Database
from joblet.store.migrations import StoreError, bundled, migrate

ADD = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"
DEADLINE_SECONDS = 60
Arm = Callable[[str], int]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    database = await Database.open(str(path))
    try:
        yield database
    finally:
        await database.close()


async def stored(database: Database) -> dict[str, int]:
    rows = await database.read(
        lambda connection: connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
    )
    return dict(rows)


def soft(database: Database, name: str, value: int) -> asyncio.Event:
    """A soft write of one row of which only the last value is kept; set when it is stored."""
    done = asyncio.Event()
    database.write_soon(ADD, (name, value), key=name, done=done.set)
    return done


async def soon(done: asyncio.Event) -> None:
    await asyncio.wait_for(done.wait(), DEADLINE_SECONDS)


def commits(path: Path) -> int:
    """Transactions in the write-ahead log, counted in the file itself (sqlite.org/fileformat)."""
    data = Path(f"{path}-wal").read_bytes()
    (page,) = struct.unpack_from(">I", data, 8)
    frames = range(32, len(data), page + 24)
    return sum(struct.unpack_from(">I", data, at + 4) != (0,) for at in frames)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else can commit meanwhile."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """The write-ahead log cannot grow meanwhile."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores SIGXFSZ: a write beyond the limit is an error, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def damage(path: Path, how: str) -> None:
    """Make the file something else, or cut it short."""
    data = path.read_bytes()
    path.write_bytes(b"no database at all, " * 500 if how == "foreign" else data[:5000])


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arm:
    directory = tmp_path / "failpoints"
    directory.mkdir()
    monkeypatch.setattr(failpoints, "_DIRECTORY", str(directory))

    def arm(name: str) -> int:
        return (directory / name).write_text("error")

    return arm


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "joblet.sqlite"


async def test_a_durable_write_is_there_after_a_new_start(path: Path) -> None:
    async with opened(path) as database:
        await database.write(ADD, ("a", 1))
        assert await stored(database) == {"a": 1}
    async with opened(path) as database:
        assert await stored(database) == {"a": 1}


async def test_the_file_is_for_its_owner_only(path: Path) -> None:
    async with opened(path) as database:
        await database.write(ADD, ("a", 1))
        names = [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
        assert [name.stat().st_mode & 0o777 for name in names] == [0o600] * 3


async def test_writes_that_wait_for_a_commit_share_the_next_one(path: Path) -> None:
    async with opened(path) as database:
        with locked(path):
            writes = [database.write(ADD, (f"n{n}", n)) for n in range(100)]
            # The first is in the thread and waits for the lock, 99 are behind it.
            before = commits(path)
        await asyncio.gather(*writes)
        assert commits(path) - before == 2
        assert len(await stored(database)) == 100


async def test_a_soft_write_is_stored_without_any_other(path: Path) -> None:
    async with opened(path) as database:
        await soon(soft(database, "a", 1))
        assert await stored(database) == {"a": 1}


async def test_a_soft_write_rides_with_a_durable_one(path: Path) -> None:
    async with opened(path) as database:
        before = commits(path)
        done = soft(database, "a", 1)
        await database.write(ADD, ("b", 2))
        assert done.is_set()
        assert commits(path) - before == 1
        assert await stored(database) == {"a": 1, "b": 2}


async def test_of_soft_writes_with_one_key_the_last_is_stored(path: Path) -> None:
    async with opened(path) as database:
        skipped = soft(database, "a", 1)
        await soon(soft(database, "a", 2))
        rows = await database.read(
            lambda connection: connection.execute("SELECT seq FROM sqlite_sequence").fetchall()
        )
        assert rows == [(2,)]
        assert not skipped.is_set()


async def test_a_durable_write_overtakes_the_soft_one_with_its_key(path: Path) -> None:
    async with opened(path) as database:
        done = soft(database, "a", 1)
        await database.write(ADD, ("a", 2), key="a")
        assert done.is_set()
        assert await stored(database) == {"a": 2}


async def test_a_forgotten_soft_write_is_not_stored(path: Path) -> None:
    async with opened(path) as database:
        soft(database, "a", 1)
        database.forget("a")
        await database.write(ADD, ("b", 2))
        assert await stored(database) == {"b": 2}


async def test_reads_do_not_wait_for_a_commit(path: Path) -> None:
    async with opened(path) as database:
        with locked(path):
            write = database.write(ADD, ("a", 1))
            assert await stored(database) == {}
            assert not write.done()
        await write


async def test_the_reading_connection_cannot_write(path: Path) -> None:
    async with opened(path) as database:
        with pytest.raises(HostFailure) as caught:
            await database.read(lambda connection: connection.execute(ADD, ("a", 1)))
        assert caught.value.errno == errno.EROFS


async def test_a_failed_commit_fails_those_who_wait_for_it_and_nobody_else(
    path: Path, arm: Arm, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with opened(path) as database:
        done = soft(database, "soft", 1)
        with locked(path):
            arm("store.before-commit")
            first = database.write(ADD, ("first", 1))
            second = database.write(ADD, ("second", 2))
        with pytest.raises(HostFailure) as caught:
            await first
        assert (caught.value.step, caught.value.errno) == ("store", errno.EIO)
        await second
        # The soft write was in the failed commit; it went with the next one.
        assert done.is_set()
        assert await stored(database) == {"second": 2, "soft": 1}
    assert "changes are kept" in caplog.text
    assert "writing works again" in caplog.text


async def test_all_writers_of_a_failed_commit_are_told(path: Path) -> None:
    async with opened(path) as database:
        with full_disk(path):
            with locked(path):
                head = database.write("SELECT 1", ())
                rest = [database.write(ADD, (f"n{n}", n)) for n in range(5)]
            await head
            results = await asyncio.gather(*rest, return_exceptions=True)
        assert [type(result) for result in results] == [HostFailure] * 5
        assert await stored(database) == {}


async def test_a_soft_write_that_failed_is_tried_again_by_itself(path: Path, arm: Arm) -> None:
    async with opened(path) as database:
        arm("store.before-commit")
        await soon(soft(database, "a", 1))
        assert await stored(database) == {"a": 1}


async def test_a_soft_write_comes_back_when_the_one_that_overtook_it_failed(
    path: Path, arm: Arm
) -> None:
    async with opened(path) as database:
        done = soft(database, "a", 1)
        arm("store.before-commit")
        with pytest.raises(HostFailure):
            await database.write(ADD, ("a", 2), key="a")
        assert not done.is_set()
        await soon(done)
        assert await stored(database) == {"a": 1}


async def test_a_soft_write_that_failed_never_overwrites_a_newer_one(path: Path, arm: Arm) -> None:
    change = "INSERT INTO kept VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET value = ?1"
    async with opened(path) as database:
        await database.write("CREATE TABLE kept (id INTEGER PRIMARY KEY, value INTEGER)", ())
        for newer_is_durable in (True, False):
            done = asyncio.Event()
            database.write_soon(change, (1,), key="row", done=done.set)
            with locked(path):
                arm("store.before-commit")
                failing = database.write("SELECT 1", ())
                newer = asyncio.Event()
                if newer_is_durable:
                    durable = database.write(change, (2,), key="row")
                else:
                    database.write_soon(change, (2,), key="row", done=newer.set)
            with pytest.raises(HostFailure):
                await failing
            if newer_is_durable:
                await durable
            else:
                await soon(newer)
            await database.write("SELECT 1", ())
            rows = await database.read(
                lambda connection: connection.execute("SELECT value FROM kept").fetchall()
            )
            assert rows == [(2,)]


async def test_an_error_after_the_commit_is_reported_though_the_row_is_there(
    path: Path, arm: Arm
) -> None:
    async with opened(path) as database:
        arm("store.after-commit")
        with pytest.raises(HostFailure):
            await database.write(ADD, ("a", 1))
        assert await stored(database) == {"a": 1}
        await database.write(ADD, ("b", 2))


async def test_a_bad_statement_fails_alone(path: Path) -> None:
    async with opened(path) as database:
        good = database.write(ADD, ("good", 1))
        results = await asyncio.gather(
            database.write("INSERT INTO jobs (id) VALUES (?)", ("x",)),
            database.write(ADD, ("huge", 2**70)),
            database.write(ADD, ("\udcff", 1)),
            database.write("INSERT INTO nowhere VALUES (1)", ()),
            database.write(ADD, ("last", 2)),
            return_exceptions=True,
        )
        await good
        kinds = [type(result) for result in results]
        assert kinds == [
            sqlite3.IntegrityError,
            HostFailure,
            HostFailure,
            HostFailure,
            type(None),
        ]
        assert await stored(database) == {"good": 1, "last": 2}


async def test_a_statement_that_ends_the_transaction_does_not_take_others_along(
    path: Path,
) -> None:
    async with opened(path) as database:
        await database.write(
            "CREATE TRIGGER poison BEFORE INSERT ON jobs "
            "BEGIN SELECT RAISE(ROLLBACK, 'poison'); END",
            (),
        )
        done = soft(database, "soft", 1)
        with locked(path):
            head = database.write(ADD, ("head", 0))
            before = database.write(ADD, ("before", 1))
            poison = database.write(
                "INSERT INTO jobs (id, name, owner_uid, state, submitted_usec, due_usec, detail, "
                "boot_id, log_bytes, log_dropped_bytes, spec) "
                "VALUES ('x', '', 0, '', 0, 0, '', '', 0, 0, '')",
                (),
            )
            after = database.write(ADD, ("after", 2))
        await asyncio.gather(head, before, after)
        with pytest.raises(sqlite3.IntegrityError, match="poison"):
            await poison
        assert done.is_set()
        assert await stored(database) == {"head": 0, "before": 1, "after": 2, "soft": 1}


async def test_a_soft_write_that_can_never_succeed_is_named_and_let_go(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(path) as database:
        done = soft(database, "a", 2**70)
        await soon(done)
        await database.write(ADD, ("b", 1))
        assert await stored(database) == {"b": 1}
    assert "a: this change cannot be stored" in caplog.text


async def test_a_full_disk_fails_writers_and_works_again_with_space(path: Path) -> None:
    async with opened(path) as database:
        await database.write(ADD, ("before", 1))
        done = soft(database, "soft", 2)
        with full_disk(path):
            with pytest.raises(HostFailure) as caught:
                await database.write(ADD, ("x" * 100_000, 3))
            assert caught.value.errno in (errno.ENOSPC, errno.EIO)
            assert not done.is_set()
            assert await stored(database) == {"before": 1}
        await database.write(ADD, ("after", 4))
        assert await stored(database) == {"before": 1, "soft": 2, "after": 4}


async def test_a_writer_that_is_canceled_does_not_disturb_the_others(path: Path) -> None:
    async with opened(path) as database:
        with locked(path):
            gone = database.write(ADD, ("gone", 1))
            other = database.write(ADD, ("other", 2))
            gone.cancel()
        await other
        assert await stored(database) == {"gone": 1, "other": 2}


async def test_closing_writes_what_is_left(path: Path) -> None:
    database = await Database.open(str(path))
    done = soft(database, "soft", 1)
    write = database.write(ADD, ("durable", 2))
    await database.close()
    assert done.is_set()
    assert write.done()
    await database.close()
    with pytest.raises(HostFailure, match="closed"):
        database.write(ADD, ("late", 3))
    with pytest.raises(HostFailure, match="closed"):
        soft(database, "late", 3)
    async with opened(path) as database:
        assert await stored(database) == {"soft": 1, "durable": 2}


async def test_closing_tells_when_it_could_not_write(path: Path, arm: Arm) -> None:
    database = await Database.open(str(path))
    soft(database, "soft", 1)
    arm("store.before-commit")
    with pytest.raises(HostFailure):
        await database.close()


async def test_a_database_of_a_newer_program_is_refused_in_one_sentence(path: Path) -> None:
    async with opened(path):
        pass
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match=r"newer joblet \(schema 99, this one knows \d+\)"):
        await Database.open(str(path))


@pytest.mark.parametrize("how", ["foreign", "torn"])
async def test_a_damaged_file_is_refused_in_one_sentence(path: Path, how: str) -> None:
    async with opened(path) as database:
        await database.write(ADD, ("a", 1))
    damage(path, how)
    with pytest.raises(StoreError, match=r"is damaged \(.*\): restore a copy, or move it away"):
        await Database.open(str(path))


async def test_a_path_that_is_no_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await Database.open(str(tmp_path))
    with pytest.raises(StoreError, match="cannot be opened"):
        await Database.open(str(tmp_path / "nowhere" / "joblet.sqlite"))


def test_migrations_run_once_each_in_order(path: Path) -> None:
    scripts = [*bundled(), "CREATE TABLE extra (x);", "INSERT INTO extra VALUES (1);"]
    connection = sqlite3.connect(path, isolation_level=None)
    migrate(connection, scripts[:-1], str(path))
    migrate(connection, scripts, str(path))
    migrate(connection, scripts, str(path))
    assert connection.execute("SELECT x FROM extra").fetchall() == [(1,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (len(scripts),)
    connection.close()


def test_a_migration_that_fails_leaves_the_version_before_it(path: Path) -> None:
    scripts = [*bundled(), "CREATE TABLE extra (x); INSERT INTO nowhere VALUES (1);"]
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.Error, match="nowhere"):
        migrate(connection, scripts, str(path))
    assert connection.execute("PRAGMA user_version").fetchone() == (len(scripts) - 1,)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert ("extra",) not in tables
    assert ("jobs",) in tables
    connection.close()


CHILD = """
import asyncio, sys
from joblet.store.database import Database

async def main():
    database = await Database.open(sys.argv[1])
    for n in range(3):
        await database.write("INSERT INTO sqlite_sequence VALUES (?, ?)", (f"n{n}", n))
        print(n, flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""


def killed_at(failpoint: str, path: Path, failpoints_directory: Path) -> list[str]:
    """Run the child until the fail-point in its second write kills it; what it promised."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "JOBLET_FAILPOINTS": str(failpoints_directory),
        },
        text=True,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        promised = [child.stdout.readline().strip()]
        (failpoints_directory / failpoint).write_text("crash")
        child.stdin.write("\n")
        child.stdin.flush()
        promised += child.stdout.read().split()
    assert child.returncode == -signal.SIGKILL
    return promised


@pytest.mark.spawns
@pytest.mark.parametrize(
    ("failpoint", "expected"),
    [("store.before-commit", {"n0": 0}), ("store.after-commit", {"n0": 0, "n1": 1})],
)
async def test_a_kill_around_the_commit_loses_nothing_that_was_promised(
    path: Path, tmp_path: Path, failpoint: str, expected: dict[str, int]
) -> None:
    directory = tmp_path / "failpoints"
    directory.mkdir()
    assert killed_at(failpoint, path, directory) == ["0"]
    async with opened(path) as database:
        assert await stored(database) == expected
