"""Moves files into and out of work directories: each move is a transient service of systemd.

The program is joblet-files. It sees one work directory and nothing else of the jobs, gives up root
for the ids that own what it touches before it reads the first byte, and has no capability, no
network and no way to gain either. So a hostile archive, or a hostile tree, meets a process that
may do no more than the job itself.

What it refuses it says through sd_notify(3); to the service manager that is a service which did
its work, so that a client's mistake is no failed unit and no error in the journal.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import signal
from collections.abc import Sequence
from urllib.parse import unquote

from joblet.bus.connection import Typed
from joblet.errors import DBUS_ERROR_PREFIX, HostFailure, JobletError, NotFound, RemoteError
from joblet.host.jobplan import work_quota
from joblet.host.systemd import ServiceOutcome, Systemd
from joblet.model.run import Caller, Upload
from joblet.paths import LIBEXEC

PROGRAM = f"{LIBEXEC}/joblet-files"
QUOTA_PROGRAM = f"{LIBEXEC}/joblet-quota"
# Hidden below an empty directory: everything else that is there is none of its business.
_HIDDEN = "/run/joblet"
_WORK = f"{_HIDDEN}/work"
# The directory that a caller has opened comes as standard input, where Python does not take one.
# Named through /proc it is opened anew, with the rights of whom the program has become by then.
_MOVED_AWAY = ("/bin/sh", "-c", 'exec "$0" "$@" 3<&0 </dev/null')
_GIVEN = "/proc/self/fd/3"
# The sender sets the pace; one that sends nothing more must not hold a place for ever.
_MOVE_DEADLINE_S = 6 * 3600
_FOUND_DEADLINE_S = 60
# One that packs for a reader who has gone notices with its next write.
_NOTICE_S = 10
# By what it is for: an upload means nothing without the daemon that waits for it, while a download
# goes on without one.
_UPLOAD = "joblet-upload"
_DOWNLOAD = "joblet-files"


class WorkFiles:
    """The WorkFiles port of core."""

    def __init__(self, systemd: Systemd, work_parent: str) -> None:
        self._systemd = systemd
        self._work_parent = work_parent
        self._numbers = itertools.count()
        # Downloads of an earlier daemon may still be under their names.
        self._token = secrets.token_hex(4)

    async def end_uploads(self) -> None:
        """Stop the uploads that an earlier daemon did not live to see arrive. Raises HostFailure.

        Before any id range is given out: they still run with some.
        """
        await self._systemd.stop_all(f"{_UPLOAD}-*.service")

    async def fill(
        self,
        job_id: str,
        upload: Upload,
        caller: Caller,
        *,
        owner_id: int,
        quota: tuple[int, int] | None,
    ) -> None:
        """Put an upload into a work directory; see the port."""
        if quota is not None:
            await self._bound(job_id, *quota)
        if upload.tar is not None:
            await self._unpack(job_id, upload.tar, owner_id)
        if upload.directory is not None:
            await self._copy_tree(job_id, upload.directory, caller, owner_id)

    async def _copy_tree(
        self,
        job_id: str,
        directory: int,
        caller: Caller,
        owner_id: int,
    ) -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        packing = asyncio.create_task(self._pack_tree(job_id, directory, writing, caller))
        try:
            try:
                await self._unpack(job_id, reading, owner_id)
            finally:
                # Now nobody reads any more, and whoever still packs notices.
                os.close(reading)
        except BaseException as err:
            # Of an archive that ends too early the reason is on the other side, and comes at once.
            await asyncio.wait([packing], timeout=0 if _is_cancelled(err) else _NOTICE_S)
            packing.cancel()
            await asyncio.wait([packing])
            if not packing.cancelled() and not _is_cancelled(err):
                packing.result()
            raise
        await packing

    async def _unpack(self, job_id: str, stream: int, owner_id: int) -> None:
        properties = self._properties(job_id, _as(owner_id), ["unpack"], writable=True)
        properties["Type"] = Typed("s", "oneshot")
        properties["StandardInputFileDescriptor"] = Typed("h", stream)
        await self._run(_UPLOAD, job_id, properties, _MOVE_DEADLINE_S)

    async def _bound(self, job_id: str, project: int, size: int) -> None:
        """Set the quota of a directory that is about to be filled.

        A service of its own: it needs a capability that whoever fills it must not have.
        """
        directory = f"{self._work_parent}/{job_id}"
        command = [QUOTA_PROGRAM, directory, *map(str, (project, *work_quota(size)))]
        properties = {
            "Description": Typed("s", f"Joblet quota of job {job_id}"),
            "Slice": Typed("s", "joblet.slice"),
            "Type": Typed("s", "oneshot"),
            "ExecStart": Typed("a(sasb)", [(command[0], command, False)]),
            "CapabilityBoundingSet": Typed("t", _SYS_ADMIN | _FOWNER | _DAC_READ_SEARCH),
            "NoNewPrivileges": Typed("b", True),
            "ProtectHome": Typed("s", "tmpfs"),
            "PrivateNetwork": Typed("b", True),
            "PrivateTmp": Typed("b", True),
            "RestrictNamespaces": Typed("t", 0),
            "SystemCallArchitectures": Typed("as", ["native"]),
            "TasksMax": Typed("t", 8),
        }
        await self._run(_UPLOAD, job_id, properties, _FOUND_DEADLINE_S)

    async def _pack_tree(self, job_id: str, directory: int, stream: int, caller: Caller) -> None:
        try:
            # Without a group, the one that nobody's files should have.
            who = ",".join(map(str, (caller.uid, *(caller.groups or (_NOGROUP,)))))
            properties = self._properties(None, who, ["--whole", "pack", "."], writable=False)
            properties["Type"] = Typed("s", "oneshot")
            properties["StandardInputFileDescriptor"] = Typed("h", directory)
            properties["StandardOutputFileDescriptor"] = Typed("h", stream)
            await self._run(_UPLOAD, job_id, properties, _MOVE_DEADLINE_S)
        finally:
            os.close(stream)

    async def pack(self, job_id: str, path: str) -> int:
        """A path of a work directory as a tar stream; see the port."""
        try:
            owner_id = os.stat(f"{self._work_parent}/{job_id}").st_uid
        except FileNotFoundError as err:
            raise NotFound("path", path) from err
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            properties = self._properties(job_id, _as(owner_id), ["pack", path], writable=False)
            properties["Type"] = Typed("s", "notify")
            # From when it has found the path; the reader sets the pace.
            properties["RuntimeMaxUSec"] = Typed("t", _MOVE_DEADLINE_S * 1_000_000)
            properties["StandardOutputFileDescriptor"] = Typed("h", writing)
            await self._run(_DOWNLOAD, job_id, properties, _FOUND_DEADLINE_S)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return reading

    async def _run(
        self, kind: str, job_id: str, properties: dict[str, Typed], deadline_s: float
    ) -> None:
        unit = f"{kind}-{job_id}-{self._token}-{next(self._numbers)}.service"
        outcome = await self._systemd.run_service(unit, properties, deadline_s=deadline_s)
        refusal = _refusal(outcome)
        if refusal is not None:
            raise refusal

    def _properties(
        self, job_id: str | None, who: str, words: Sequence[str], *, writable: bool
    ) -> dict[str, Typed]:
        inside = ["--in", _WORK if job_id is not None else _GIVEN]
        command = [PROGRAM, "--as", who, *inside, *words]
        if job_id is None:
            command = [*_MOVED_AWAY, *command]
        properties = {
            "Description": Typed("s", f"Joblet files of job {job_id or 'to come'}"),
            "Slice": Typed("s", "joblet.slice"),
            # As the words are: a path may have a `$` in it.
            "ExecStartEx": Typed("a(sasas)", [(command[0], command, ["no-env-expand"])]),
            "NotifyAccess": Typed("s", "main"),
            # Ended because its caller went away, it has not failed either.
            "SuccessExitStatus": Typed("(aiai)", ([_EXIT_REFUSED], [int(signal.SIGTERM)])),
            "TemporaryFileSystem": Typed("a(ss)", [(_HIDDEN, "mode=0755"), ("/var", "mode=0755")]),
            "ProtectSystem": Typed("s", "strict"),
            "ProtectHome": Typed("s", "tmpfs"),
            "ProtectProc": Typed("s", "invisible"),
            "PrivateTmp": Typed("b", True),
            "PrivateDevices": Typed("b", True),
            "PrivateNetwork": Typed("b", True),
            "PrivateIPC": Typed("b", True),
            "ProtectKernelTunables": Typed("b", True),
            "ProtectKernelModules": Typed("b", True),
            "ProtectKernelLogs": Typed("b", True),
            "ProtectControlGroups": Typed("b", True),
            "ProtectClock": Typed("b", True),
            "ProtectHostname": Typed("b", True),
            "RestrictNamespaces": Typed("t", 0),
            "RestrictRealtime": Typed("b", True),
            # No RestrictSUIDSGID=: it takes away openat2(2), whose flags a filter cannot see. The
            # program drops such bits, and below /work they mean nothing.
            "RestrictAddressFamilies": Typed("(bas)", (True, ["AF_UNIX"])),
            "LockPersonality": Typed("b", True),
            "MemoryDenyWriteExecute": Typed("b", True),
            "SystemCallArchitectures": Typed("as", ["native"]),
            "SystemCallFilter": Typed("(bas)", (True, ["@system-service"])),
            "NoNewPrivileges": Typed("b", True),
            # To become somebody else, which takes away both.
            "CapabilityBoundingSet": Typed("t", _SETGID | _SETUID),
            "TasksMax": Typed("t", 8),
            "UMask": Typed("u", 0o077),
            "TimeoutStartUSec": Typed("t", _MOVE_DEADLINE_S * 1_000_000),
        }
        if job_id is not None:
            bind = (f"{self._work_parent}/{job_id}", _WORK, False, 0)
            properties["BindPaths" if writable else "BindReadOnlyPaths"] = Typed("a(ssbt)", [bind])
        if writable:
            properties["ReadWritePaths"] = Typed("as", [_WORK])
        return properties


# capabilities(7)
_DAC_READ_SEARCH, _FOWNER, _SETGID, _SETUID, _SYS_ADMIN = 1 << 2, 1 << 3, 1 << 6, 1 << 7, 1 << 21
_NOGROUP = 65_534
# EXIT_FAILED of joblet-files
_EXIT_REFUSED = 1


def _is_cancelled(err: BaseException) -> bool:
    return not isinstance(err, JobletError)


def _as(host_id: int) -> str:
    return f"{host_id},{host_id}"


def _refusal(outcome: ServiceOutcome) -> JobletError | None:
    """What joblet-files says of itself, in its own words; else what systemd says of it."""
    said: object = None
    try:
        # %-escapes, because systemd would take backslashes away
        said = json.loads(unquote(outcome.status_text)) if outcome.status_text else {}
    except ValueError:
        # half a sentence of a program that was killed
        said = {}
    if isinstance(said, dict) and {"error", "message"} <= said.keys():
        return RemoteError(DBUS_ERROR_PREFIX + str(said["error"]), str(said["message"]))
    if outcome.done and outcome.exit_status == 0:
        return None
    return HostFailure("files", 0, f"{outcome.result}, exit status {outcome.exit_status}")
