"""One SQLite file: opened and migrated, written by one thread, read by another.

Writes are single statements. Those that arrive while a commit is under way share the next one, so
under load a sync of the disk serves many. A write is durable (its await returns after the
commit) or soft: soft ones ride with the next commit or go alone after 50 ms at most, a later one
with the same key takes the place of an earlier one, and one that fails is kept and tried again.

All bookkeeping happens in the event loop; the writing thread gets a whole batch and gives it
back. What the statements mean is for the modules beside this one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from joblet import failpoints
from joblet.errors import HostFailure
from joblet.store.migrations import StoreError, bundled, migrate
from joblet.store.worker import Worker

_log = logging.getLogger(__name__)

T = TypeVar("T")
Value = str | int | None

# How long a soft write may wait for a commit to ride with.
_SOFT_DELAY_SECONDS = 0.05
# After a failure: a full disk does not get better by asking 20 times a second.
_RETRY_SECONDS = 1.0
# Another process (a backup, an administrator's sqlite3) may hold the lock for a moment.
_BUSY_SECONDS = 5.0

_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_TOOBIG: errno.E2BIG,
    sqlite3.SQLITE_CONSTRAINT: errno.EINVAL,
}
# Asking again gives the same answer.
_HOPELESS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    ValueError,
)


class _Write:
    """One statement on its way: who waits for it, or whom to tell, and what became of it."""

    __slots__ = ("absorbed", "done", "error", "key", "parameters", "statement", "waiter")

    def __init__(
        self,
        statement: str,
        parameters: Sequence[Value],
        key: str,
        *,
        waiter: asyncio.Future[None] | None = None,
        done: Callable[[], None] | None = None,
    ) -> None:
        self.statement = statement
        self.parameters = parameters
        self.key = key
        self.waiter = waiter
        self.done = done
        # The soft write that a durable one made superfluous; it comes back if that one fails.
        self.absorbed: _Write | None = None
        self.error: Exception | None = None


class Database:
    """The open file. Belongs to the event loop that opened it; `close` writes what is left."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = Worker("store-writer")
        self._reader = Worker("store-reader")
        self._write_connection: sqlite3.Connection
        self._read_connection: sqlite3.Connection
        self._queued: list[_Write] = []
        self._soft: dict[str, _Write] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._overdue = False
        self._busy = False
        self._failing = False
        self._closed = False

    @classmethod
    async def open(cls, path: str) -> Database:
        """Make or open the file and bring its schema up to date. Raises StoreError."""
        database = cls()
        try:
            database._write_connection = await database._writer.submit(partial(_connect, path))
            database._read_connection = await database._reader.submit(
                partial(_connect_to_read, path)
            )
        except (sqlite3.Error, OSError) as err:
            database._stop()
            raise StoreError(_unusable(path, err)) from err
        except BaseException:
            database._stop()
            raise
        return database

    def write(
        self, statement: str, parameters: Sequence[Value], *, key: str = ""
    ) -> asyncio.Future[None]:
        """A durable write; done when it is committed. With key, it overtakes the soft one.

        Fails with sqlite3.IntegrityError for a violated constraint, else with HostFailure.
        """
        self._check_open()
        waiter: asyncio.Future[None] = self._loop.create_future()
        write = _Write(statement, parameters, key, waiter=waiter)
        if key:
            write.absorbed = self._soft.pop(key, None)
        self._queued.append(write)
        self._send()
        return waiter

    def write_soon(
        self, statement: str, parameters: Sequence[Value], *, key: str, done: Callable[[], None]
    ) -> None:
        """A soft write. `done` is called when it, or a durable one that overtook it, is stored."""
        self._check_open()
        self._soft[key] = _Write(statement, parameters, key, done=done)
        self._flush_in(_SOFT_DELAY_SECONDS)

    def forget(self, key: str) -> None:
        """Drop the soft write with this key: its row is about to go."""
        self._soft.pop(key, None)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query in the reading thread; it sees all that was committed. Raises HostFailure."""
        self._check_open()
        try:
            return await self._reader.submit(partial(query, self._read_connection))
        except sqlite3.Error as err:
            raise _host_failure(err) from err

    async def close(self) -> None:
        """Commit what is left, then let go of the file. Raises HostFailure if it could not."""
        if self._closed:
            return
        # Whatever still waits is in front of this one or rides with it.
        last = self.write("SELECT 1", ())
        self._closed = True
        try:
            await last
        finally:
            if self._timer is not None:
                self._timer.cancel()
            # The reader first: the last connection to go folds the write-ahead log in.
            await self._reader.submit(self._read_connection.close)
            await self._writer.submit(self._write_connection.close)
            self._stop()

    def _check_open(self) -> None:
        if self._closed:
            raise HostFailure("store", errno.ESHUTDOWN, "the database is closed")

    def _stop(self) -> None:
        self._writer.stop()
        self._reader.stop()

    def _flush_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._overdue = True
        self._send()

    def _send(self) -> None:
        """Give the writing thread all there is, if it is free and somebody cannot wait."""
        if self._busy or not (self._queued or (self._soft and self._overdue)):
            return
        batch = [*self._queued, *self._soft.values()]
        self._queued = []
        self._soft = {}
        self._overdue = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._busy = True
        self._writer.send(
            partial(_commit, self._write_connection, batch), partial(self._settle, batch)
        )

    def _settle(self, batch: list[_Write], broken: Exception | None) -> None:
        """Tell everybody what became of a batch, when the next one is on its way."""
        self._busy = False
        for write in batch:
            write.error = write.error or broken
        stored = [write for write in batch if write.error is None]
        failed = [write for write in batch if write.error is not None]
        self._keep(failed)
        self._send()
        for write in stored:
            _confirm(write)
        for write in failed:
            if write.error is not None and write.waiter is not None and not write.waiter.done():
                write.waiter.set_exception(_for_waiter(write.error))

    def _keep(self, failed: list[_Write]) -> None:
        """Put the soft writes that failed back, unless something newer stands in their place."""
        kept: dict[str, _Write] = {}
        for write in failed:
            if write.waiter is None and isinstance(write.error, _HOPELESS):
                _log.error("%s: this change cannot be stored: %s", write.key, write.error)
                _confirm(write)
            elif (soft := write.absorbed or write).waiter is None:
                kept[soft.key] = soft
        for write in self._queued:
            if write.key in kept:
                write.absorbed = write.absorbed or kept[write.key]
                del kept[write.key]
        if kept and not self._failing:
            _log.warning("store: %s; changes are kept and tried again", failed[0].error)
        elif self._failing and not failed:
            _log.info("store: writing works again")
        self._failing = bool(kept)
        for key, write in kept.items():
            write.error = None
            self._soft.setdefault(key, write)
        if kept:
            self._flush_in(_RETRY_SECONDS)


def _commit(connection: sqlite3.Connection, batch: list[_Write]) -> None:
    """One transaction; each write that failed has its error noted. Runs in the writing thread."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for write in batch:
            try:
                connection.execute(write.statement, write.parameters)
            except (sqlite3.Error, OverflowError, ValueError) as err:
                write.error = err
                if not connection.in_transaction:
                    break
        else:
            failpoints.hit("store.before-commit")
            connection.execute("COMMIT")
            failpoints.hit("store.after-commit")
            return
    except (sqlite3.Error, OSError) as err:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for write in batch:
            write.error = write.error or err
        return
    # SQLite gave the whole transaction up for one statement: the others go one by one.
    for write in batch:
        if write.error is None:
            _commit(connection, [write])


def _confirm(write: _Write) -> None:
    for stored in (write.absorbed, write):
        if stored is not None and stored.done is not None:
            stored.done()
    if write.waiter is not None and not write.waiter.done():
        write.waiter.set_result(None)


def _for_waiter(error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        return error
    failure = _host_failure(error)
    failure.__cause__ = error
    return failure


def _host_failure(error: Exception) -> HostFailure:
    if isinstance(error, OSError):
        return HostFailure("store", error.errno or errno.EIO, str(error))
    if isinstance(error, sqlite3.Error):
        # The low byte is the error, the rest says where it happened.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
        return HostFailure("store", _ERRNO.get(code, errno.EIO), str(error))
    return HostFailure("store", errno.EINVAL, str(error))


def _connect(path: str) -> sqlite3.Connection:
    # Specifications hold what is nobody else's business; SQLite gives -wal and -shm the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{path}: this file system cannot hold a write-ahead log")
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, bundled(), path)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(path: str) -> sqlite3.Connection:
    address = f"{Path(path).absolute().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _unusable(path: str, error: Exception) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path} is damaged ({error}): restore a copy, or move it away to begin anew"
    return f"{path} cannot be opened: {error}"
