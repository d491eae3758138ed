"""Values of secret variables, kept from the submission of a job until its end.

On disk they are encrypted by systemd-creds(1) with the key of this host, which lies in
/var/lib/systemd/credential.secret for root alone; so they outlive a reboot and mean nothing on
another machine. The TPM has no part in it: it would take seconds, and every reboot of a host whose
firmware was upgraded would lose them. Where systemd-creds is missing or fails they are in a file of
a root-only tmpfs directory instead, and a reboot loses them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
from collections.abc import Mapping
from secrets import token_hex

from joblet.bus.connection import Typed
from joblet.errors import HostFailure
from joblet.host.systemd import Systemd
from joblet.model.ids import is_job_id
from joblet.paths import Paths

log = logging.getLogger(__name__)

PROGRAM = "/usr/bin/systemd-creds"
# It takes milliseconds.
_DEADLINE_S = 30.0
_UNFINISHED = ".new"


class Secrets:
    """The SecretStore port of core."""

    def __init__(self, systemd: Systemd, paths: Paths) -> None:
        self._systemd = systemd
        self._encrypted = paths.secrets
        self._plain = paths.run_secrets
        self._numbers = itertools.count()
        # A killed daemon's unit may still be there under its name.
        self._token = token_hex(4)
        self._known: dict[str, Mapping[str, str]] = {}
        for directory in (self._encrypted, self._plain):
            os.makedirs(directory, mode=0o700, exist_ok=True)

    async def keep(self, job_id: str, secrets: Mapping[str, str]) -> None:
        """Keep them as durably as this host can. Raises HostFailure."""
        plain = json.dumps(dict(secrets)).encode()
        try:
            sealed = await self._convert(job_id, "encrypt", plain)
        except HostFailure as err:
            log.warning("%s: its secrets will not outlive a reboot: %s", job_id, err)
            _write(self._plain, job_id, plain)
        else:
            _write(self._encrypted, job_id, sealed)
        self._known[job_id] = dict(secrets)

    async def get(self, job_id: str) -> Mapping[str, str] | None:
        """What was kept, or None if it is lost. Raises HostFailure."""
        known = self._known.get(job_id)
        if known is not None:
            return known
        plain = _read(self._plain, job_id)
        if plain is None:
            sealed = _read(self._encrypted, job_id)
            if sealed is None:
                return None
            plain = await self._convert(job_id, "decrypt", sealed)
        values: dict[str, str] = json.loads(plain)
        self._known[job_id] = values
        return values

    def drop(self, job_id: str) -> None:
        """Forget them. Idempotent."""
        self._known.pop(job_id, None)
        for directory in (self._plain, self._encrypted):
            for path in (f"{directory}/{job_id}", f"{directory}/{job_id}{_UNFINISHED}"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def list_ids(self) -> set[str]:
        """Jobs that have some."""
        found: set[str] = set()
        for directory in (self._plain, self._encrypted):
            # Also one that a killed daemon had begun to write.
            found.update(name.removesuffix(_UNFINISHED) for name in os.listdir(directory))
        return {name for name in found if is_job_id(name)}

    async def _convert(self, job_id: str, verb: str, data: bytes) -> bytes:
        """Through memory files only: nothing of it is in an argument, a property or a pipe."""
        given, taken = _memory(data), _memory(b"")
        try:
            key = ["--with-key=host"] if verb == "encrypt" else []
            command = [PROGRAM, f"--name=joblet-{job_id}", *key, verb, "-", "-"]
            properties = {
                "Description": Typed("s", f"Joblet secrets of job {job_id}"),
                "Slice": Typed("s", "joblet.slice"),
                "Type": Typed("s", "oneshot"),
                "ExecStart": Typed("a(sasb)", [(PROGRAM, command, False)]),
                "StandardInputFileDescriptor": Typed("h", given),
                "StandardOutputFileDescriptor": Typed("h", taken),
                # It tells at each start that the key lies on an unencrypted disk.
                "StandardError": Typed("s", "null"),
                "LimitCORE": Typed("t", 0),
                "NoNewPrivileges": Typed("b", True),
                "PrivateNetwork": Typed("b", True),
                "PrivateTmp": Typed("b", True),
                "ProtectHome": Typed("s", "yes"),
                "TimeoutStartUSec": Typed("t", int(_DEADLINE_S * 1_000_000)),
            }
            unit = f"joblet-secrets-{job_id}-{self._token}-{next(self._numbers)}.service"
            outcome = await self._systemd.run_service(unit, properties, deadline_s=_DEADLINE_S)
            if not outcome.done:
                how = f"{outcome.result}, exit status {outcome.exit_status}"
                raise HostFailure(f"systemd-creds {verb}", 0, how)
            return os.pread(taken, os.fstat(taken).st_size, 0)
        finally:
            os.close(given)
            os.close(taken)


def _memory(data: bytes) -> int:
    fd = os.memfd_create("joblet-secrets", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _write(directory: str, job_id: str, data: bytes) -> None:
    """Whole or not at all, and on the disk when this returns."""
    path = f"{directory}/{job_id}"
    try:
        fd = os.open(
            path + _UNFINISHED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.rename(path + _UNFINISHED, path)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as err:
        raise HostFailure("secrets", err.errno or 0, path) from err


def _read(directory: str, job_id: str) -> bytes | None:
    try:
        with open(f"{directory}/{job_id}", "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as err:
        raise HostFailure("secrets", err.errno or 0, job_id) from err
