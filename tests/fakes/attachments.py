"""WorkFiles and SecretStore in memory: what travels with a job and is kept outside of its row."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from joblet.core.ports import SecretStore, WorkFiles
from joblet.errors import NotFound
from joblet.model.run import Caller, Upload
from tests.fakes.files import Shelf
from tests.fakes.store import Died


class FakeWorkFiles(WorkFiles):
    """Uploads fill the shelf; `fails` is raised by the next one, `hold` stops it."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.fails: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.fills: list[tuple[str, Upload, Caller, int, tuple[int, int] | None]] = []

    async def fill(
        self,
        job_id: str,
        upload: Upload,
        caller: Caller,
        *,
        owner_id: int,
        quota: tuple[int, int] | None,
    ) -> None:
        self.fills.append((job_id, upload, caller, owner_id, quota))
        self.shelf.full.add(job_id)
        if self.hold is not None:
            await self.hold.wait()
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure

    async def pack(self, job_id: str, path: str) -> int:
        if job_id not in self.shelf.work or path == "missing":
            raise NotFound("path", path)
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


class FakeSecretStore(SecretStore):
    """What is kept survives daemons; a reboot takes it where `durable` is off."""

    def __init__(self, vault: dict[str, Mapping[str, str]]) -> None:
        self.vault = vault
        self.dead = False
        self.fails: Exception | None = None

    async def keep(self, job_id: str, secrets: Mapping[str, str]) -> None:
        self._check()
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure
        self.vault[job_id] = dict(secrets)

    async def get(self, job_id: str) -> Mapping[str, str] | None:
        self._check()
        return self.vault.get(job_id)

    def drop(self, job_id: str) -> None:
        self._check()
        self.vault.pop(job_id, None)

    def list_ids(self) -> set[str]:
        self._check()
        return set(self.vault)

    def _check(self) -> None:
        if self.dead:
            raise Died
