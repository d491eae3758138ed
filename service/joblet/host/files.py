"""Moves files into and out of work directories: each move is a transient service of systemd.

The program is joblet-files. It sees one work directory and nothing else of the jobs, gives up root
for the ids that own what it touches before it reads the first byte, and has no capability, no
network and no way to gain either. So a hostile archive, or a hostile tree, meets a process that
may do no more than the job itself.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence

from joblet.bus.connection import Typed
from joblet.errors import DBUS_ERROR_PREFIX, HostFailure, JobletError, NotFound, RemoteError
from joblet.host.jobplan import work_quota
from joblet.host.systemd import ServiceFailure, Systemd
from joblet.model.run import Caller, Upload
from joblet.paths import LIBEXEC

PROGRAM = f"{LIBEXEC}/joblet-files"
QUOTA_PROGRAM = f"{LIBEXEC}/joblet-quota"
# Hidden below an empty directory: everything else that is there is none of its business.
_HIDDEN = "/run/joblet"
_WORK = f"{_HIDDEN}/work"
# The sender sets the pace; one that sends nothing more must not hold a place for ever.
_MOVE_DEADLINE_S = 6 * 3600
_FOUND_DEADLINE_S = 60


class WorkFiles:
    """The WorkFiles port of core."""

    def __init__(self, systemd: Systemd, work_parent: str) -> None:
        self._systemd = systemd
        self._work_parent = work_parent
        self._numbers = itertools.count()

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
        if upload.tar is not None:
            await self._unpack(job_id, upload.tar, owner_id, quota)
        if upload.directory is not None:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            try:
                try:
                    await self._pack_tree(job_id, upload.directory, writing, caller)
                finally:
                    os.close(writing)
                await self._unpack(job_id, reading, owner_id, quota)
            finally:
                os.close(reading)

    async def _unpack(
        self, job_id: str, stream: int, owner_id: int, quota: tuple[int, int] | None
    ) -> None:
        properties = self._properties(job_id, _as(owner_id), ["unpack"], writable=True)
        properties["Type"] = Typed("s", "oneshot")
        properties["StandardInputFileDescriptor"] = Typed("h", stream)
        if quota is not None:
            # Needs the capability that the move itself must not have.
            project, size = quota
            numbers = map(str, (project, *work_quota(size)))
            command = [QUOTA_PROGRAM, f"{self._work_parent}/{job_id}", *numbers]
            properties["ExecStartPreEx"] = Typed(
                "a(sasas)", [(QUOTA_PROGRAM, command, ["privileged"])]
            )
        await self._run(job_id, properties, _MOVE_DEADLINE_S)

    async def _pack_tree(self, job_id: str, directory: int, stream: int, caller: Caller) -> None:
        # Without a group, the one that nobody's files should have.
        who = ",".join(map(str, (caller.uid, *(caller.groups or (_NOGROUP,)))))
        # Its standard input is the directory, which the caller has opened.
        properties = self._properties(None, who, ["pack", "."], writable=False)
        properties["Type"] = Typed("s", "notify")
        properties["StandardInputFileDescriptor"] = Typed("h", directory)
        properties["StandardOutputFileDescriptor"] = Typed("h", stream)
        await self._run(job_id, properties, _FOUND_DEADLINE_S)

    async def pack(self, job_id: str, path: str) -> int:
        """A path of a work directory as a tar stream; see the port."""
        try:
            owner_id = os.stat(f"{self._work_parent}/{job_id}").st_uid
        except FileNotFoundError as err:
            raise NotFound("file", path) from err
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            properties = self._properties(job_id, _as(owner_id), ["pack", path], writable=False)
            properties["Type"] = Typed("s", "notify")
            properties["StandardOutputFileDescriptor"] = Typed("h", writing)
            await self._run(job_id, properties, _FOUND_DEADLINE_S)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return reading

    async def _run(self, job_id: str, properties: dict[str, Typed], deadline_s: float) -> None:
        unit = f"joblet-files-{job_id}-{next(self._numbers)}.service"
        failure = await self._systemd.run_service(unit, properties, deadline_s=deadline_s)
        if failure is not None:
            raise _refusal(failure)

    def _properties(
        self, job_id: str | None, who: str, words: Sequence[str], *, writable: bool
    ) -> dict[str, Typed]:
        inside = ["--in", _WORK] if job_id is not None else []
        command = [PROGRAM, "--as", who, *inside, *words]
        properties = {
            "Description": Typed("s", f"Joblet files of job {job_id or 'to come'}"),
            "Slice": Typed("s", "joblet.slice"),
            "ExecStart": Typed("a(sasb)", [(PROGRAM, command, False)]),
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
            # No RestrictSUIDSGID: it takes openat2(2) away, by which nothing is followed here.
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
            "RuntimeMaxUSec": Typed("t", _MOVE_DEADLINE_S * 1_000_000),
        }
        if job_id is not None:
            bind = (f"{self._work_parent}/{job_id}", _WORK, False, 0)
            properties["BindPaths" if writable else "BindReadOnlyPaths"] = Typed("a(ssbt)", [bind])
        if writable:
            properties["ReadWritePaths"] = Typed("as", [_WORK])
        return properties


# capabilities(7)
_SETGID, _SETUID = 1 << 6, 1 << 7
_NOGROUP = 65_534


def _as(host_id: int) -> str:
    return f"{host_id},{host_id}"


def _refusal(failure: ServiceFailure) -> JobletError:
    """What joblet-files says of itself, in its own words; else what systemd says of it."""
    try:
        said = json.loads(failure.status_text)
        code, sentence = str(said["error"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        how = f"{failure.result}, exit status {failure.exit_status}"
        return HostFailure("files", 0, how)
    return RemoteError(DBUS_ERROR_PREFIX + code, sentence)
