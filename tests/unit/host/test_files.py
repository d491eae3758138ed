"""How files are moved: what each transient service may do, and what it says comes back as it is."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from joblet.errors import HostFailure, JobletError, NotFound
from joblet.host.files import WorkFiles
from joblet.host.systemd import Systemd
from joblet.model.run import Caller, Upload
from tests.fakes.daemon import open_descriptors
from tests.fakes.manager import FakeManager, Script

JOB = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
GOLDEN = Path(__file__).parents[2] / "data" / "files"
OWNER = 1_073_742_824
MEMBER = Caller(1000, (1000, 27))
FINE = Script(says='{"entries": 1, "bytes": 2, "skipped": 0}')


def told(code: str, sentence: str, **more: Any) -> Script:
    said = json.dumps({"error": code, "message": sentence})
    return Script(says=said, exit_status=1, **more)


@pytest.fixture
def manager() -> FakeManager:
    return FakeManager()


@pytest.fixture
async def mover(manager: FakeManager, tmp_path: Path) -> AsyncIterator[WorkFiles]:
    (tmp_path / JOB).mkdir()
    before = open_descriptors()
    systemd = Systemd(manager)  # type: ignore[arg-type]
    async with systemd.listening():
        yield WorkFiles(systemd, str(tmp_path))
    assert open_descriptors() == before
    assert manager.running == {}


async def fill(mover: WorkFiles, upload: Upload, quota: tuple[int, int] | None = None) -> None:
    await mover.fill(JOB, upload, MEMBER, owner_id=OWNER, quota=quota)


def as_text(properties: dict[str, Any], work_parent: Path) -> str:
    lines = (f"{name}={value!r}" for name, value in sorted(properties.items()))
    shown = "\n".join(lines) + "\n"
    return shown.replace(str(work_parent), "/var/lib/joblet/work")


@pytest.mark.parametrize("case", ["quota", "unpack", "pack_tree", "pack"])
async def test_services_have_these_properties_and_no_others(
    manager: FakeManager, mover: WorkFiles, tmp_path: Path, case: str
) -> None:
    manager.scripts = [FINE, FINE]
    if case in ("quota", "unpack"):
        await fill(mover, Upload(tar=7), (12, 5 << 20))
    elif case == "pack_tree":
        await fill(mover, Upload(directory=7))
    else:
        os.chown(tmp_path / JOB, OWNER, OWNER)
        os.close(await mover.pack(JOB, "out/$HOME"))
    wanted = GOLDEN / f"{case}.txt"
    found = [as_text(given, tmp_path) for given in manager.started.values()]
    word = {"quota": "joblet-quota", "unpack": "'unpack'"}.get(case, "'pack'")
    [shown] = [one for one in found if word in one]
    shown = "".join(
        line
        for line in shown.splitlines(keepends=True)
        # numbers that differ from run to run
        if not line.startswith(("StandardOutputFileDescriptor", "StandardInputFileDescriptor"))
    )
    assert shown == wanted.read_text()


async def test_nothing_is_unpacked_where_the_quota_cannot_be_set(
    manager: FakeManager, mover: WorkFiles
) -> None:
    manager.scripts = [Script("failed", "exit-code", 1), FINE]
    with pytest.raises(HostFailure):
        await fill(mover, Upload(tar=7), (12, 5 << 20))
    assert len(manager.started) == 1


async def test_units_are_named_by_purpose_and_job(manager: FakeManager, mover: WorkFiles) -> None:
    manager.scripts = [FINE] * 4
    await fill(mover, Upload(tar=7))
    await fill(mover, Upload(directory=7))
    os.close(await mover.pack(JOB, ""))
    names = list(manager.started)
    assert len(names) == 4
    assert all(name.startswith(f"joblet-upload-{JOB}-") for name in names[:3])
    assert names[3].startswith(f"joblet-files-{JOB}-")


async def test_a_refusal_comes_back_in_the_words_of_the_program(
    manager: FakeManager, mover: WorkFiles
) -> None:
    sentence = "archive entry '../x': its name goes up with '..'"
    manager.scripts = [told("UploadRefused", sentence)]
    with pytest.raises(JobletError) as refused:
        await fill(mover, Upload(tar=7))
    assert (refused.value.code, str(refused.value)) == ("UploadRefused", sentence)
    assert refused.value.dbus_name == "org.joblet1.Error.UploadRefused"


async def test_a_path_that_is_not_there_comes_back_and_no_descriptor(
    manager: FakeManager, mover: WorkFiles
) -> None:
    manager.scripts = [told("NoSuchPath", "there is no path 'x'")]
    with pytest.raises(JobletError) as refused:
        await mover.pack(JOB, "x")
    assert refused.value.code == "NoSuchPath"
    with pytest.raises(NotFound) as missing:
        await mover.pack("another", "x")
    assert missing.value.code == "NoSuchPath"


@pytest.mark.parametrize(
    "script",
    [
        Script("failed", "oom-kill", 9),
        Script("failed", "exit-code", 70, says="{"),
        Script("done", "success", 1),
        Script("canceled"),
    ],
)
async def test_an_end_without_words_is_a_failure_of_the_host(
    manager: FakeManager, mover: WorkFiles, script: Script
) -> None:
    manager.scripts = [script]
    with pytest.raises(HostFailure, match=f"{script.why}, exit status {script.exit_status}"):
        await fill(mover, Upload(tar=7))


async def test_of_a_tree_the_reason_is_that_of_whoever_reads_it(
    manager: FakeManager, mover: WorkFiles
) -> None:
    """The unpacking side sees no more than an archive that ends too early."""
    scripts = {
        "pack": told("UploadRefused", "archive entry 'x': it may not be read"),
        "unpack": told("UploadRefused", "the archive ends too early"),
    }
    manager.choose = lambda properties: scripts[
        "unpack" if "'unpack'" in repr(properties["ExecStartEx"]) else "pack"
    ]
    with pytest.raises(JobletError, match="may not be read"):
        await fill(mover, Upload(directory=7))
    scripts["pack"] = FINE
    with pytest.raises(JobletError, match="too early"):
        await fill(mover, Upload(directory=7))


async def test_an_upload_that_is_cancelled_stops_both_of_its_services(
    manager: FakeManager, mover: WorkFiles
) -> None:
    manager.scripts = [Script(result=""), Script(result="")]
    task = asyncio.create_task(fill(mover, Upload(directory=7)))
    while len(manager.running) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (manager.running, manager.kept) == ({}, {})


async def test_uploads_of_an_earlier_daemon_are_ended_and_its_downloads_are_not(
    manager: FakeManager, mover: WorkFiles
) -> None:
    for unit in ("joblet-upload-1.service", "joblet-files-1.service"):
        manager.kept[unit] = Script(result="")
        manager.running[unit] = f"/job/of/{unit}"
    await mover.end_uploads()
    assert manager.running.keys() == {"joblet-files-1.service"}
    manager.running.clear()
