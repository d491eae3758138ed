"""JobService over real mutual TLS, as clients of every time use it."""

from __future__ import annotations

import asyncio
import os
import tarfile
from dataclasses import replace
from typing import Any

import grpc
import pytest

from joblet.bridge.servicers import jobs as servicer
from joblet.bridge.waits import WAITING_MAX
from joblet.client.api import BOTH, GAP, Attachments, JobStatus, LogPiece
from joblet.errors import HostFailure, InvalidSpec, RemoteError, Unreachable
from joblet.model.job import JobSpec, JobState, Reason, Remote
from joblet.rpc.pb import joblet_pb2 as pb
from tests.bridge.conftest import PATIENCE_S, Ground
from tests.fakes.client import NOW_USEC, ended, job, job_id

NOWHERE = "ffffffff-0000-4000-8000-000000000000"


def put(ground: Ground, *jobs: JobStatus) -> None:
    ground.host.jobs |= {one.id: one for one in jobs}


async def test_a_job_is_run_for_the_holder_of_the_certificate(ground: Ground) -> None:
    ground.host.endings[job_id(1)] = ended(1, 3, finished_usec=NOW_USEC)
    ada = ground.user("developer", "ada, the first")
    answer = await ada("RunJob", pb.RunJobRequest(command="sh", args=["-c", "exit 3"]))
    assert (answer.job_uuid, answer.status, answer.exit_code) == (job_id(1), "FAILED", 3)
    assert answer.command == "sh"
    assert answer.end_time == "2025-11-22T08:26:40Z"
    assert ground.host.specs == [JobSpec(command="sh", args=("-c", "exit 3"))]
    [attached] = ground.host.attached
    owner = Remote(r"CN=ada\, the first,OU=developer,O=Joblet", "developer")
    assert attached == Attachments(remote=owner)


async def test_a_job_that_does_not_begin_is_accepted_all_the_same(ground: Ground) -> None:
    answer = await ground.user()("RunJob", pb.RunJobRequest(command="true"))
    assert (answer.job_uuid, answer.status) == (job_id(1), "PENDING")


async def test_no_news_of_an_accepted_job_is_no_error(ground: Ground) -> None:
    """A client that is told of an error would send the job a second time."""
    ground.host.failures["wait"] = Unreachable("gone")
    answer = await ground.user()("RunJob", pb.RunJobRequest(command="true"))
    assert (answer.job_uuid, answer.status) == (job_id(1), "PENDING")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InvalidSpec("max_cpu", "too much"), "INVALID_ARGUMENT", "invalid request: max_cpu: too"),
        (HostFailure("store", 28), "UNAVAILABLE", "job run failed: store: No space left"),
        (
            RemoteError("org.joblet1.Error.Exhausted", "full"),
            "RESOURCE_EXHAUSTED",
            "job run failed: full",
        ),
        (
            RemoteError("org.freedesktop.DBus.Error.NoReply", "silence"),
            "UNKNOWN",
            "job run failed: silence",
        ),
    ],
)
async def test_why_a_job_is_not_run_is_said_in_known_words(
    ground: Ground, error: Exception, code: str, text: str
) -> None:
    ground.host.failures["run"] = error  # type: ignore[assignment]
    status, details = await ground.user().refused("RunJob", pb.RunJobRequest(command="true"))
    assert status == code
    assert details.startswith(text)


async def test_what_has_no_form_is_refused_before_jobletd_hears_of_it(ground: Ground) -> None:
    request = pb.RunJobRequest(command="true", timeout="soon")
    code, details = await ground.user().refused("RunJob", request)
    assert code == "INVALID_ARGUMENT"
    assert details.startswith("invalid request: timeout: expected a duration")
    assert ground.host.calls == []


async def test_uploads_arrive_as_a_tar_stream(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    run = ground.host.run

    async def unpack(spec: JobSpec, attached: Attachments) -> str:
        assert attached.tar is not None
        with (
            os.fdopen(os.dup(attached.tar), "rb") as file,
            tarfile.open(fileobj=file) as archive,
        ):
            for entry in archive:
                content = archive.extractfile(entry)
                data = content.read() if content else None
                seen.append((entry.name, entry.isdir(), oct(entry.mode), entry.uid, data))
        return await run(spec, attached)

    monkeypatch.setattr(ground.host, "run", unpack)
    before = len(os.listdir("/proc/self/fd"))
    uploads = [
        pb.FileUpload(path="dir", is_directory=True, mode=0o20000000700),
        pb.FileUpload(path="dir/ü" + "x" * 200, content=b"\0\xff" * 5, mode=0o4755),
        pb.FileUpload(path="../../etc/passwd", content=b"for jobletd to judge"),
    ]
    await ground.user()("RunJob", pb.RunJobRequest(command="true", uploads=uploads))
    assert seen == [
        ("dir", True, "0o700", 0, None),
        ("dir/ü" + "x" * 200, False, "0o755", 0, b"\0\xff" * 5),
        ("../../etc/passwd", False, "0o644", 0, b"for jobletd to judge"),
    ]
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the connection's two ends


async def test_an_upload_without_a_path_is_named(ground: Ground) -> None:
    request = pb.RunJobRequest(command="true", uploads=[pb.FileUpload(content=b"x")])
    code, details = await ground.user().refused("RunJob", request)
    assert code == "INVALID_ARGUMENT"
    assert details.startswith("invalid request: uploads[0]: needs a path")


async def test_a_request_of_128_mib_is_one_message(ground: Ground) -> None:
    content = bytes(1 << 20)
    uploads = [pb.FileUpload(path=f"f{number}", content=content) for number in range(127)]
    answer = await ground.user()("RunJob", pb.RunJobRequest(command="true", uploads=uploads))
    assert answer.job_uuid == job_id(1)


async def test_status_takes_a_short_id_and_masks_secrets(ground: Ground) -> None:
    put(
        ground,
        job(1, command="sh", secrets={"TOKEN": "***"}, environment={"A": "1"}, network="none"),
    )
    answer = await ground.user("reader")("GetJobStatus", pb.GetJobStatusRequest(uuid="0000"))
    assert answer.uuid == job_id(1)
    assert answer.secret_environment == {"TOKEN": "***"}
    assert answer.environment == {"A": "1"}
    assert answer.network == "none"


@pytest.mark.parametrize("uuid", [NOWHERE, "nonexistent-job", "x\0y z", "ü" * 500])
async def test_a_job_that_is_not_there_is_not_found_whatever_its_form(
    ground: Ground, uuid: str
) -> None:
    user = ground.user()
    code, details = await user.refused("GetJobStatus", pb.GetJobStatusRequest(uuid=uuid))
    assert code == "NOT_FOUND"
    assert details.startswith(f"job {uuid}"[:500])
    code, details = await user.refused("GetJobLogs", pb.GetJobLogsRequest(uuid=uuid))
    assert code == "NOT_FOUND"
    assert details.startswith(f"job not found: {uuid}"[:500])
    for name in ("StopJob", "CancelJob", "DeleteJob"):
        request = getattr(pb, f"{name}Request")(uuid=uuid)
        assert (await user.refused(name, request))[0] == "NOT_FOUND"


@pytest.mark.parametrize("uuid", ["", "abc"])
async def test_too_short_an_id_is_a_mistake(ground: Ground, uuid: str) -> None:
    put(ground, job(1))
    user = ground.user()
    for name in ("GetJobStatus", "GetJobLogs", "StopJob", "CancelJob", "DeleteJob"):
        request = getattr(pb, f"{name}Request")(uuid=uuid)
        assert (await user.refused(name, request))[0] == "INVALID_ARGUMENT"
    assert ground.host.calls == []


async def test_of_many_who_ask_at_once_each_gets_its_own_answer(ground: Ground) -> None:
    put(ground, *(job(number, name=f"n{number}") for number in range(1, 9)))
    user = ground.user()
    wanted = [job_id(number % 9) for number in range(90)]
    answers = await asyncio.gather(
        *(user("GetJobStatus", pb.GetJobStatusRequest(uuid=uuid)) for uuid in wanted),
        return_exceptions=True,
    )
    for uuid, answer in zip(wanted, answers, strict=True):
        if uuid == job_id(0):
            assert isinstance(answer, grpc.aio.AioRpcError)
            assert answer.code() is grpc.StatusCode.NOT_FOUND
        else:
            assert isinstance(answer, pb.GetJobStatusResponse)
            assert answer.uuid == uuid


async def test_the_list_has_all_jobs_by_creation(ground: Ground) -> None:
    put(
        ground,
        *(ended(number, submitted_usec=NOW_USEC - number) for number in range(1, 1501)),
        *(replace(job(number), submitted_usec=NOW_USEC - number) for number in range(1501, 2001)),
    )
    answer = await ground.user("viewer")("ListJobs")
    assert [one.uuid for one in answer.jobs] == [job_id(number) for number in range(2000, 0, -1)]


async def test_a_list_that_does_not_fit_keeps_what_lives_and_says_so(ground: Ground) -> None:
    big: dict[str, Any] = {"environment": {"A": "x" * 2000}}
    put(ground, *(ended(number, **big) for number in range(1, 1001)), job(1001, **big))
    put(ground, *(ended(number, args=("y" * 5000,), **big) for number in range(1002, 1500)))
    call = ground.user().start("ListJobs")
    answer = await call
    assert 3_000_000 < answer.ByteSize() < 3_600_000
    assert job_id(1001) in {one.uuid for one in answer.jobs}
    assert dict(tuple(await call.trailing_metadata())) == {"joblet-truncated": "1"}


async def test_a_stop_answers_when_the_job_has_ended(ground: Ground) -> None:
    put(ground, job(1))
    ground.host.endings[job_id(1)] = ended(1, 143, state=JobState.STOPPED, finished_usec=NOW_USEC)
    answer = await ground.user("developer")("StopJob", pb.StopJobRequest(uuid="00000001"))
    assert answer == pb.StopJobResponse(
        uuid=job_id(1), status="STOPPED", end_time="2025-11-22T08:26:40Z", exit_code=143
    )


async def test_a_stop_that_takes_its_time_says_so(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "STOP_PATIENCE_S", 0.01)
    put(ground, job(1))

    async def never(_job: str, *, timeout_usec: int = 0) -> JobStatus:
        return job(1)

    monkeypatch.setattr(ground.host, "wait", never)
    answer = await ground.user()("StopJob", pb.StopJobRequest(uuid=job_id(1)))
    assert answer == pb.StopJobResponse(uuid=job_id(1), status="STOPPING")


async def test_many_stops_leave_room_for_other_calls(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus lets the bridge have 128 calls without an answer."""
    monkeypatch.setattr(servicer, "STOP_PATIENCE_S", 0.2)
    jobs = [job(number) for number in range(1, 4 * WAITING_MAX)]
    put(ground, *jobs)
    waiting: set[str] = set()
    most = 0

    async def wait(one: str, *, timeout_usec: int = 0) -> JobStatus:
        nonlocal most
        waiting.add(one)
        most = max(most, len(waiting))
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(ground.host, "wait", wait)
    user = ground.user()
    answers = await asyncio.gather(
        *(user("StopJob", pb.StopJobRequest(uuid=one.id)) for one in jobs)
    )
    assert {answer.status for answer in answers} == {"STOPPING"}
    assert most == WAITING_MAX


async def test_a_stop_that_is_recorded_is_no_error_when_the_daemon_goes(ground: Ground) -> None:
    put(ground, job(1))
    ground.host.failures["wait"] = Unreachable("gone")
    answer = await ground.user()("StopJob", pb.StopJobRequest(uuid=job_id(1)))
    assert answer.status == "STOPPING"


async def test_cancel_is_for_what_has_not_begun(ground: Ground) -> None:
    put(ground, job(1, JobState.SCHEDULED), job(2))
    user = ground.user()
    answer = await user("CancelJob", pb.CancelJobRequest(uuid="00000001"))
    assert answer == pb.CancelJobResponse(uuid=job_id(1), status="CANCELED")
    code, details = await user.refused("CancelJob", pb.CancelJobRequest(uuid="00000002"))
    assert code == "FAILED_PRECONDITION"
    assert details.startswith("job cancel failed: cannot cancel job")


async def test_delete_takes_what_has_ended(ground: Ground) -> None:
    put(ground, ended(1), job(2), ended(3), ended(4))
    user = ground.user()
    answer = await user("DeleteJob", pb.DeleteJobRequest(uuid="00000001"))
    assert answer.success
    assert answer.uuid == job_id(1)
    code, details = await user.refused("DeleteJob", pb.DeleteJobRequest(uuid="00000002"))
    assert code == "FAILED_PRECONDITION"
    assert details.startswith("job deletion failed: cannot delete job")
    answer = await user("DeleteAllJobs")
    assert (answer.success, answer.deleted_count, answer.skipped_count) == (True, 2, 1)
    assert ("delete_all", True) in ground.host.calls


async def test_a_log_comes_whole_and_ends_with_the_job(ground: Ground) -> None:
    put(ground, ended(1))
    ground.host.logs[job_id(1)] = [LogPiece(BOTH, 0, b"one\n\xc3"), LogPiece(BOTH, 0, b"\xbctwo")]
    chunks = await ground.user("reader")("GetJobLogs", pb.GetJobLogsRequest(uuid="00000001"))
    assert [chunk.payload for chunk in chunks] == [b"one\n", b"\xc3\xbctwo"]


async def test_bytes_that_are_gone_are_told_at_the_end(ground: Ground) -> None:
    put(ground, ended(1))
    ground.host.logs[job_id(1)] = [LogPiece(GAP, 0, b"", 7), LogPiece(BOTH, 0, b"rest")]
    call = ground.user().start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert [chunk.payload async for chunk in call] == [b"rest"]
    assert dict(tuple(await call.trailing_metadata())) == {"joblet-lost-bytes": "7"}


@pytest.mark.parametrize("state", [state for state in JobState if state.terminal])
async def test_a_log_ends_on_every_terminal_state(ground: Ground, state: JobState) -> None:
    put(ground, replace(ended(1), state=state, reason=Reason.EXIT))
    assert await ground.user()("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1))) == []


async def test_the_end_of_a_log_is_not_told_before_that_of_the_job(ground: Ground) -> None:
    put(ground, job(1))
    recorded, asked = asyncio.Event(), asyncio.Event()

    async def sealed(_job: str, _request: object) -> object:
        yield LogPiece(BOTH, 0, b"all\n")

    async def wait(_job: str, *, timeout_usec: int = 0) -> JobStatus:
        asked.set()
        await recorded.wait()
        return ended(1)

    ground.host.log = sealed  # type: ignore[method-assign,assignment]
    ground.host.wait = wait  # type: ignore[method-assign,assignment]
    call = ground.user().start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert (await call.read()).payload == b"all\n"
    end = asyncio.ensure_future(call.read())
    async with asyncio.timeout(PATIENCE_S):
        await asked.wait()
        assert not end.done()
        recorded.set()
        assert await end is grpc.aio.EOF


async def test_a_client_that_leaves_ends_the_work_for_it(ground: Ground) -> None:
    put(ground, job(1))
    left = asyncio.Event()

    async def endless(_job: str, _request: object) -> object:
        try:
            yield LogPiece(BOTH, 0, b"first\n")
            await asyncio.Event().wait()
        finally:
            left.set()

    ground.host.log = endless  # type: ignore[method-assign,assignment]
    call = ground.user().start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    assert (await call.read()).payload == b"first\n"
    call.cancel()
    async with asyncio.timeout(PATIENCE_S):
        await left.wait()


async def test_a_client_that_does_not_read_is_not_written_to(ground: Ground) -> None:
    put(ground, job(1))
    given = 0

    async def torrent(_job: str, _request: object) -> object:
        nonlocal given
        while True:
            given += 1 << 18
            yield LogPiece(BOTH, 0, b"x" * (1 << 18))
            await asyncio.sleep(0)

    ground.host.log = torrent  # type: ignore[method-assign,assignment]
    user = ground.user()
    slow = user.start("GetJobLogs", pb.GetJobLogsRequest(uuid=job_id(1)))
    await slow.read()
    seen = -1
    # Another client of the same bridge has its turn all the while.
    while seen != given:
        seen = given
        for _ in range(20):
            await user("GetJobStatus", pb.GetJobStatusRequest(uuid=job_id(1)))
    assert given < 64 << 20
    slow.cancel()
