"""Files on their way into a job and out of it, for whoever submits or fetches through a client.

An upload is packed by a thread into a pipe whose other end the client sends along with the spec;
a download is unpacked by a thread from the descriptor that the client was given. When both sides
fail, the one that knows the reason is heard. Cancelled, either leaves nothing: no job, and at the
destination no file.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from joblet.archive import pack as packing
from joblet.archive.names import shown
from joblet.archive.pack import Packer, name_of
from joblet.archive.streams import Source
from joblet.archive.unpack import unpack
from joblet.client.api import Attachments, JobletClient
from joblet.client.placing import Place
from joblet.errors import HostFailure, InvalidSpec, JobletError, UploadRefused
from joblet.model.ids import path_in_work
from joblet.model.job import JobSpec

Result = TypeVar("Result")

# Without effect on what it opens: a FIFO would wait for its other end.
_TO_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# How long a cancelled download waits for its thread, which ends at its next read.
_FAREWELL_S = 2.0
_PIECE = 1 << 20
_END_MARK = bytes(1024)


@dataclass(frozen=True, slots=True)
class Given:
    """A file or directory to upload, open; its name in /work, empty for a directory's content."""

    fd: int
    name: bytes


def given_file(path: str) -> Given:
    """A file, under its own name. Raises InvalidSpec, whose `why` is the complaint."""
    name = os.path.basename(os.fsencode(path))
    return Given(_open(path, directory=False), name)


def given_directory(path: str) -> Given:
    """What a directory holds. Raises InvalidSpec, whose `why` is the complaint."""
    return Given(_open(path, directory=True), b"")


def _open(path: str, *, directory: bool) -> int:
    try:
        # Looked at first: opening a device can have an effect.
        _require_kind(path, os.stat(path).st_mode, directory=directory)
        fd = os.open(path, _TO_READ)
    except OSError as err:
        raise InvalidSpec(path, f"cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise InvalidSpec(path, "is no path") from err
    try:
        _require_kind(path, os.fstat(fd).st_mode, directory=directory)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _require_kind(path: str, mode: int, *, directory: bool) -> None:
    if stat.S_ISDIR(mode) and not directory:
        raise InvalidSpec(path, "is a directory")
    if directory and not stat.S_ISDIR(mode):
        raise InvalidSpec(path, "is no directory")
    if not directory and not stat.S_ISREG(mode):
        raise InvalidSpec(path, "is neither a file nor a directory")


class Upload:
    """One submission with files. Owns the descriptors that it is given."""

    def __init__(self, given: Sequence[Given]) -> None:
        self._given = given
        self._reading, self._writing = os.pipe2(os.O_CLOEXEC)
        self._packer = Packer(self._writing, skipped=self._skip)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._pack, daemon=True)
        self.left_out: list[tuple[str, str]] = []
        self.complete = False

    @property
    def sent(self) -> tuple[int, int]:
        """Entries and bytes until now."""
        return self._packer.totals.entries, self._packer.sent

    async def run(self, client: JobletClient, spec: JobSpec, secrets: Mapping[str, str]) -> str:
        """Submit a job with all of it; its whole id. Raises JobletError: then there is no job."""
        self._thread.start()
        try:
            job_id = await client.run(spec, Attachments(secrets=secrets, tar=self._reading))
        except JobletError as err:
            # An archive that ended too early, to the daemon: the reason is here.
            if self._failure is not None:
                raise self._failure from err
            raise
        finally:
            # Nobody reads any more; a thread that still writes notices.
            os.close(self._reading)
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return job_id

    def _pack(self) -> None:
        try:
            for one in self._given:
                self._packer.add(one.fd, one.name)
            self._packer.finish()
            self.complete = True
        except HostFailure as err:
            if err.errno != errno.EPIPE:
                self._failure = err
        except Exception as err:
            self._failure = err
        finally:
            for one in self._given:
                os.close(one.fd)
            # Last: with it the daemon learns that there is no more.
            os.close(self._writing)

    def _skip(self, name: str, why: str) -> None:
        packing.whole(name, why)
        self.left_out.append((name, why))


@dataclass(slots=True)
class Download:
    """One path of a job on its way here."""

    job: str
    path: str
    entries: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    _source: Source | None = None
    _bytes: int = 0

    @property
    def taken(self) -> int:
        """Bytes until now."""
        return self._bytes if self._source is None else self._source.taken

    async def save(self, client: JobletClient, place: Place) -> None:
        """Put it in its place. Raises JobletError: then nothing is there that was not before."""
        name = name_of(os.fsencode(path_in_work(self.path)))
        # As with cp(1), "directory/." is what it holds.
        content = not name or self.path.endswith("/.")
        stream = await client.files(self.job, self.path)
        try:
            with place.receiving() as own:
                await _in_thread(lambda: self._unpack(stream, own, name), stream)
                place.put(own, name, content=content)
        finally:
            os.close(stream)

    def _unpack(self, stream: int, own: int, name: bytes) -> None:
        self._source = Source(stream)
        try:
            totals = unpack(
                self._source,
                own,
                skip_link=lambda entry, why: self.left_out.append((entry, why)),
                place="destination",
                within=name,
            )
        except UploadRefused as err:
            raise JobletError(
                f"the copy of '{shown(os.fsencode(self.path))}' broke off: {err}"
            ) from err
        self.entries = totals.entries

    async def write(self, client: JobletClient, write: Callable[[bytes], None]) -> None:
        """Hand the tar stream on as it is. Raises JobletError when it breaks off."""
        stream = await client.files(self.job, self.path)
        try:
            await _in_thread(lambda: self._relay(stream, write), stream)
        finally:
            os.close(stream)

    def _relay(self, stream: int, write: Callable[[bytes], None]) -> None:
        end = b""
        while piece := os.read(stream, _PIECE):
            write(piece)
            self._bytes += len(piece)
            end = (end + piece)[-len(_END_MARK) :]
        if end != _END_MARK:
            raise self._broke_off("")

    def _broke_off(self, how: str) -> JobletError:
        return JobletError(f"the copy of '{shown(os.fsencode(self.path))}' broke off{how}")


async def _in_thread(work: Callable[[], Result], stream: int) -> Result:
    """Do it in a thread that cannot hold up the end of this program; cancelled, end it first."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, failure: Exception | None) -> None:
        if done.cancelled():
            return
        if failure is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(failure)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as err:
            failure = err
        # A loop that is gone has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        # Its next read finds the end of the stream.
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(nothing, stream, inheritable=False)
        os.close(nothing)
        await asyncio.wait([done], timeout=_FAREWELL_S)
        if done.done():
            done.exception()  # nobody waits for it any more
        raise
