"""Secret values on this host: encrypted by systemd-creds, else in a file that a reboot takes."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from joblet.errors import HostFailure
from joblet.host.secrets import Secrets
from joblet.host.systemd import Systemd
from joblet.paths import Paths
from tests.fakes.daemon import open_descriptors
from tests.fakes.manager import FakeManager, Script

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
VALUES = {"TOKEN": "s3cret – ü", "EMPTY": "", "LINES": "a\nb"}
BROKEN = Script("failed", "exit-code", 203)


def cipher(properties: dict[str, Any]) -> None:
    """What systemd-creds does with its two descriptors, more or less."""
    given = properties["StandardInputFileDescriptor"]
    os.write(
        properties["StandardOutputFileDescriptor"],
        bytes(byte ^ 0x55 for byte in os.pread(given, 1 << 20, 0)),
    )


@pytest.fixture
def manager() -> FakeManager:
    return FakeManager(choose=lambda _properties: Script(acts=cipher))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(state=str(tmp_path / "state"), run=str(tmp_path / "run"))


@pytest.fixture
async def systemd(manager: FakeManager) -> AsyncIterator[Systemd]:
    before = open_descriptors()
    systemd = Systemd(manager)  # type: ignore[arg-type]
    async with systemd.listening():
        yield systemd
    assert open_descriptors() == before
    assert manager.kept == {}


def kept(directory: str, name: str = JOB) -> bytes:
    """What is in a file that only root can read, in a directory that only root can enter."""
    path = Path(directory, name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    return path.read_bytes()


def put(directory: str, name: str) -> None:
    Path(directory, name).write_text("s3cret")


def files(paths: Paths) -> list[str]:
    return [
        path.relative_to(Path(paths.state).parent).as_posix()
        for path in Path(paths.state).parent.rglob("*")
        if path.is_file()
    ]


async def test_on_disk_they_are_encrypted_and_another_daemon_can_read_them(
    manager: FakeManager, systemd: Systemd, paths: Paths
) -> None:
    await Secrets(systemd, paths).keep(JOB, VALUES)
    assert files(paths) == [f"state/secrets/{JOB}"]
    assert b"s3cret" not in kept(paths.secrets)
    assert await Secrets(systemd, paths).get(JOB) == VALUES
    for unit, properties in manager.started.items():
        assert unit.startswith(f"joblet-secrets-{JOB}-")
        assert "s3cret" not in repr(properties)
    [encrypt, decrypt] = (given["ExecStart"][0][1] for given in manager.started.values())
    name = f"--name=joblet-{JOB}"
    program = "/usr/bin/systemd-creds"
    assert encrypt == [program, name, "--with-key=host", "encrypt", "-", "-"]
    assert decrypt == [program, name, "decrypt", "-", "-"]


async def test_the_same_daemon_need_not_decrypt(
    manager: FakeManager, systemd: Systemd, paths: Paths
) -> None:
    secrets = Secrets(systemd, paths)
    await secrets.keep(JOB, VALUES)
    manager.choose = lambda _properties: BROKEN
    assert await secrets.get(JOB) == VALUES


async def test_where_they_cannot_be_encrypted_they_are_in_run_alone(
    manager: FakeManager, systemd: Systemd, paths: Paths, caplog: pytest.LogCaptureFixture
) -> None:
    manager.choose = lambda _properties: BROKEN
    await Secrets(systemd, paths).keep(JOB, VALUES)
    assert files(paths) == [f"run/secrets/{JOB}"]
    assert json.loads(kept(paths.run_secrets)) == VALUES
    assert await Secrets(systemd, paths).get(JOB) == VALUES
    [record] = caplog.records
    assert "will not outlive a reboot" in record.getMessage()
    assert "s3cret" not in record.getMessage()


async def test_a_reboot_takes_what_is_in_run(systemd: Systemd, paths: Paths) -> None:
    assert await Secrets(systemd, paths).get(JOB) is None


async def test_what_cannot_be_decrypted_is_a_failure_and_not_lost(
    manager: FakeManager, systemd: Systemd, paths: Paths
) -> None:
    await Secrets(systemd, paths).keep(JOB, VALUES)
    manager.choose = lambda _properties: BROKEN
    with pytest.raises(HostFailure, match="systemd-creds decrypt"):
        await Secrets(systemd, paths).get(JOB)
    assert files(paths) == [f"state/secrets/{JOB}"]


async def test_dropped_they_are_nowhere(systemd: Systemd, paths: Paths) -> None:
    secrets = Secrets(systemd, paths)
    await secrets.keep(JOB, VALUES)
    secrets.drop(JOB)
    secrets.drop(JOB)
    assert files(paths) == []
    assert secrets.list_ids() == set()
    assert await secrets.get(JOB) is None


@pytest.mark.parametrize("directory", ["secrets", "run_secrets"])
async def test_one_that_was_half_written_is_found_and_dropped(
    systemd: Systemd, paths: Paths, directory: str
) -> None:
    secrets = Secrets(systemd, paths)
    put(getattr(paths, directory), f"{JOB}.new")
    assert await secrets.get(JOB) is None
    assert secrets.list_ids() == {JOB}
    secrets.drop(JOB)
    assert files(paths) == []


async def test_what_is_no_job_s_is_left_alone(systemd: Systemd, paths: Paths) -> None:
    secrets = Secrets(systemd, paths)
    put(paths.secrets, "README")
    assert secrets.list_ids() == set()


async def test_a_value_of_the_greatest_size_passes(systemd: Systemd, paths: Paths) -> None:
    values = {f"V{number}": "x" * 120_000 for number in range(8)}
    await Secrets(systemd, paths).keep(JOB, values)
    assert await Secrets(systemd, paths).get(JOB) == values
