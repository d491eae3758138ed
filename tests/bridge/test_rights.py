"""The table role x RPC, called over real TLS; and certificates of every shape."""

from __future__ import annotations

import logging

import grpc
import pytest

from joblet.bridge.roles import JOB_FIELDS, OPERATIONS
from joblet.client.looks import NEW, JobEvent, JobUsage, UsageReport
from joblet.rpc import methods
from joblet.rpc.pb import joblet1_pb2 as native
from joblet.rpc.pb import joblet_pb2 as pb
from tests.bridge.conftest import ENDLESS, Ground, Remote, Start
from tests.fakes.client import HOST, ended, job, job_id
from tests.fakes.hoststatus import STATUS

# Reflection, which is off unless it is asked for, has its own test in test_server.py.
EVERY = [*methods.EVERY]
# R reader, D developer, M maintainer, A admin: written out, and not computed from the code.
TABLE = """
RunJob                             - D M A
GetJobStatus                       R D M A
ListJobs                           R D M A
StopJob                            - D M A
CancelJob                          - D M A
DeleteJob                          - D M A
DeleteAllJobs                      - D M A
GetJobLogs                         R D M A
StreamJobMetrics                   R D M A
GetJobMetrics                      R D M A
GetJobMetricsHistory               R D M A
GetJobMetricsSummary               R D M A
StreamJobTelematics                R D M A
GetJobTelematics                   R D M A
StreamJobVisibility                R D M A
GetJobVisibility                   R D M A
StreamJobTelemetry                 R D M A
GetJobTelemetry                    R D M A
RunWorkflow                        - D M A
GetWorkflowStatus                  R D M A
ListWorkflows                      R D M A
GetWorkflowJobs                    R D M A
CreateNetwork                      - - M A
ListNetworks                       R D M A
RemoveNetwork                      - - - A
CreateVolume                       - - M A
ListVolumes                        R D M A
RemoveVolume                       - - - A
GetSystemStatus                    R D M A
StreamSystemMetrics                R D M A
ListRuntimes                       R D M A
GetRuntimeInfo                     R D M A
TestRuntime                        - D M A
RemoveRuntime                      - - - A
InstallRuntimeFromGithub           - - M A
InstallRuntimeFromLocal            - - M A
StreamingInstallRuntimeFromGithub  - - M A
StreamingInstallRuntimeFromLocal   - - M A
ValidateRuntimeSpec                R D M A
BuildRuntime                       - - M A
ValidateRuntimeYAML                - - M A
Run                                - D M A
Explain                            - D M A
Get                                R D M A
List                               R D M A
Wait                               R D M A
Stop                               - D M A
Cancel                             - D M A
Delete                             - D M A
DeleteAll                          - D M A
Update                             - D M A
Log                                R D M A
Files                              - D M A
Events                             R D M A
Usage                              R D M A
Metrics                            R D M A
HostStatus                         R D M A
Version                            R D M A
Check                              R D M A
Watch                              R D M A
"""
ALLOWED = {line.split()[0]: line.split()[1:] for line in TABLE.strip().splitlines()}
LETTERS = {"reader": "R", "viewer": "R", "developer": "D", "maintainer": "M", "admin": "A"}


# What an empty message, or the one below, is enough for.
SATISFIED = (
    "HostStatus",
    "GetSystemStatus",
    "RunJob",
    "ListJobs",
    "DeleteAllJobs",
    "Check",
    "Get",
    "DeleteAll",
    "Usage",
    "Version",
)
NOBODY = "ffffffff"
UNSATISFIED = {
    **dict.fromkeys(("Stop", "Cancel", "Delete"), native.Job(id=NOBODY)),
    "Wait": native.WaitRequest(job=NOBODY),
    "Update": native.UpdateRequest(job=NOBODY),
    "Log": native.LogRequest(job=NOBODY),
    "Metrics": native.MetricsRequest(job=NOBODY),
    "Files": native.FilesRequest(job=NOBODY),
    "Explain": native.RunRequest(spec=native.Spec(cpu_cores="none")),
}


def test_the_table_has_every_method_of_the_contract() -> None:
    assert set(ALLOWED) == {method.name for method in EVERY}
    served = [*EVERY, *methods.REFLECTION]
    assert set(OPERATIONS) == {f"{method.service}/{method.name}" for method in served}


@pytest.mark.parametrize("unit", [*LETTERS, "ADMIN", "Server", ""])
async def test_each_role_may_call_what_the_table_says(ground: Ground, unit: str) -> None:
    ground.host.jobs[job_id(1)] = job(1)
    ground.host.statuses_of_host = [STATUS]
    letter = LETTERS.get(unit.lower(), "")
    user = ground.user(unit) if unit else ground.connect(ground.authority.issue("nobody"))
    shown = {"reader": "viewer", "Server": "unknown", "": "unknown"}.get(unit, unit.lower())
    for method in EVERY:
        if method.name in ENDLESS and letter:
            continue  # other tests have them
        allowed = letter in ALLOWED[method.name] and bool(letter)
        if allowed and method.name in SATISFIED:
            await user(method.name)
            continue
        code, details = await user.refused(method.name, UNSATISFIED.get(method.name))
        assert (code != "PERMISSION_DENIED") is allowed, method.name
        if not allowed:
            operation, _ = OPERATIONS[f"{method.service}/{method.name}"]
            expected = f"role {shown} is not allowed to perform operation {operation}"
            assert details == expected
    if not letter:
        assert ground.host.calls == []


async def test_of_several_units_the_least_counts(ground: Ground) -> None:
    user = ground.connect(ground.authority.issue("ada", "admin", "viewer"))
    await user("ListJobs")
    assert (await user.refused("DeleteAllJobs"))[0] == "PERMISSION_DENIED"


async def test_a_name_cannot_smuggle_a_role_in(ground: Ground) -> None:
    """In the text of the subject this one looks like a unit."""
    user = ground.connect(ground.authority.issue("x,OU=admin", "reader"))
    assert (await user.refused("DeleteAllJobs"))[0] == "PERMISSION_DENIED"


async def test_the_role_is_judged_before_the_message(ground: Ground) -> None:
    code, _ = await ground.user("reader").refused("RunJob", b"\xff\xff")
    assert code == "PERMISSION_DENIED"
    code, details = await ground.user("developer").refused("RunJob", b"\xff\xff")
    assert code == "INVALID_ARGUMENT"
    assert details.startswith("this is no RunJobRequest")


async def test_a_refusal_is_logged_once_with_who_and_what(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "joblet.bridge"):
        await ground.user("reader", "eve\nnewline").refused("RunJob")
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith(r"RunJob by CN=eve\0Anewline,OU=reader,O=Joblet at ipv4:127.0.0.1:")
    assert line.endswith("refused: role viewer is not allowed to perform operation run_job")


async def test_what_is_not_there_yet_says_so(ground: Ground) -> None:
    user = ground.user()
    for method in EVERY:
        if method.name.startswith(("List", "Create", "Build", "RunW", "GetW")):
            if method.name in ("ListJobs", "List"):
                continue
            code, details = await user.refused(method.name)
            assert code == "UNIMPLEMENTED"
            assert " on this host" in details


async def test_a_request_that_changes_is_logged_with_its_sender(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    ground.host.jobs[job_id(1)] = job(1)
    with caplog.at_level(logging.INFO, "joblet.bridge"):
        request = pb.RunJobRequest(command="true", secret_environment={"TOKEN": "hush"})
        await ground.user("developer", "ada")("RunJob", request)
    lines = [record.getMessage() for record in caplog.records]
    assert f"{job_id(2)}: run by CN=ada,OU=developer,O=Joblet (developer)" in lines
    assert "hush" not in caplog.text


# With own_jobs_only, what a developer may with a job of its own and with one of somebody else: as
# before; there is none; only its own of them all; or nothing at all. Written out, too.
OWN_TABLE = """
RunJob                as-before  -
GetJobStatus          as-before  none
ListJobs              own        own
StopJob               as-before  none
CancelJob             as-before  none
DeleteJob             as-before  none
DeleteAllJobs         own        own
GetJobLogs            as-before  none
StreamJobMetrics      as-before  none
GetJobMetrics         as-before  none
GetJobMetricsHistory  as-before  none
GetJobMetricsSummary  as-before  none
StreamJobTelematics   as-before  none
GetJobTelematics      as-before  none
StreamJobVisibility   as-before  none
GetJobVisibility      as-before  none
StreamJobTelemetry    as-before  none
GetJobTelemetry       as-before  none
RunWorkflow           refused    refused
GetWorkflowStatus     refused    refused
ListWorkflows         refused    refused
GetWorkflowJobs       refused    refused
Run                   as-before  -
Explain               as-before  -
Get                   own        own
List                  own        own
Wait                  as-before  none
Stop                  as-before  none
Cancel                as-before  none
Delete                as-before  none
DeleteAll             own        own
Update                as-before  none
Log                   as-before  none
Files                 as-before  none
Metrics               as-before  none
HostStatus            as-before  -
Usage                 own        own
Version               as-before  -
Events                own        own
"""
OWN = {row[0]: row[1:] for row in map(str.split, OWN_TABLE.strip().splitlines())}
OF_JOBS = {one.name: one for one in EVERY if one.service in ("joblet.JobService", "joblet1.Jobs")}
ADA, BOB = (f"CN={name},OU=developer,O=Joblet" for name in ("ada", "bob"))
MINE, THEIRS, LOCAL = 0xA0000001, 0xB0000001, 0xC0000001


def of_three(ground: Ground) -> None:
    """An ended job of ada, one of bob and one of a local user."""
    owners = {MINE: ADA, THEIRS: BOB, LOCAL: None}
    ground.host.jobs = {
        job_id(number): ended(number, remote_subject=owner) for number, owner in owners.items()
    }


def about(name: str, number: int) -> object:
    """A request of this method about a job."""
    method = OF_JOBS[name]
    field = JOB_FIELDS.get(f"{method.service}/{name}")
    if name == "DeleteAll":
        return native.DeleteAllRequest(everybody=True)
    return method.request(**{field: job_id(number)[:8]}) if field else method.request()


async def outcome(user: Remote, name: str, number: int) -> str:
    """The code of a call, "OK" for none."""
    try:
        await user(name, about(name, number))
    except grpc.aio.AioRpcError as err:
        return str(err.code().name)
    return "OK"


def test_the_table_of_own_jobs_has_every_method_about_jobs() -> None:
    assert set(OWN) == set(OF_JOBS)


@pytest.mark.parametrize("name", [name for name in OWN if name not in ENDLESS])
async def test_a_developer_with_own_jobs_only(start: Start, name: str) -> None:
    free, kept = await start(), await start(own_jobs_only=True)
    own, foreign = OWN[name]
    codes = {}
    for ground in (free, kept):
        for number in (MINE, THEIRS, LOCAL):
            of_three(ground)
            codes[ground is kept, number] = await outcome(
                ground.user("developer", "ada"), name, number
            )
            left = set(ground.host.jobs)
            if ground is kept and foreign != "-":
                assert {job_id(THEIRS), job_id(LOCAL)} <= left
    if own in ("as-before", "own"):
        assert codes[True, MINE] == codes[False, MINE]
    else:
        assert codes[True, MINE] == "PERMISSION_DENIED"
    for number in (THEIRS, LOCAL):
        expected = {"none": "NOT_FOUND", "refused": "PERMISSION_DENIED"}
        assert codes[True, number] == expected.get(foreign, codes[False, number])


async def test_a_job_of_somebody_else_is_refused_as_one_that_is_not_there(start: Start) -> None:
    ground = await start(own_jobs_only=True)
    of_three(ground)
    user = ground.user("developer", "ada")
    for name in (name for name, (_, foreign) in OWN.items() if foreign == "none"):
        refused = [await user.refused(name, about(name, number)) for number in (THEIRS, 0xD0000001)]
        details = [sentence.replace("b0000001", "d0000001") for _, sentence in refused]
        assert details[0] == details[1], name
        assert refused[0][0] == refused[1][0] == "NOT_FOUND"
    looked = {verb for verb, _ in ground.host.calls}
    assert looked == {"statuses"}


async def test_the_beginning_of_several_ids_tells_nothing_of_the_jobs_of_others(
    start: Start,
) -> None:
    ground = await start(own_jobs_only=True)
    of_three(ground)
    others = (job(0xC0DE0001), job(0xC0DE0002, remote_subject=ADA))
    ground.host.jobs.update({one.id: one for one in others})
    user = ground.user("developer", "ada")
    status = pb.GetJobStatusRequest(uuid="c0de")
    assert await user.refused("GetJobStatus", status) == ("NOT_FOUND", "job c0de not found")
    answers = (await user("Get", native.References(jobs=["c0de", "c0"]))).answers
    assert [answer.error.code for answer in answers] == ["NoSuchJob", "InvalidSpec"]
    assert (await ground.user().refused("GetJobStatus", status))[0] == "INVALID_ARGUMENT"


async def test_lists_and_bulk_deletion_keep_to_own_jobs(start: Start) -> None:
    ground = await start(own_jobs_only=True)
    of_three(ground)
    ground.host.jobs[job_id(7)] = job(7, remote_subject=ADA)
    user = ground.user("developer", "ada")
    assert {one.uuid for one in (await user("ListJobs")).jobs} == {job_id(MINE), job_id(7)}
    answer = await user("DeleteAllJobs")
    assert (answer.deleted_count, answer.skipped_count) == (1, 1)
    assert set(ground.host.jobs) == {job_id(THEIRS), job_id(LOCAL), job_id(7)}


async def test_our_own_clients_keep_to_own_jobs(start: Start) -> None:
    ground = await start(own_jobs_only=True)
    of_three(ground)
    numbers = (MINE, THEIRS, LOCAL)
    usage = {"name": "", "owner_uid": 0, "command": "x"}
    using = tuple(JobUsage(id=job_id(number), **usage) for number in numbers)  # type: ignore[arg-type]
    ground.host.reports = [UsageReport(1, HOST, using)]
    ground.host.happenings = [
        JobEvent(event=NEW, id=job_id(number), time_usec=1) for number in (THEIRS, LOCAL, MINE)
    ]
    user = ground.user("developer", "ada")
    references = native.References(jobs=[job_id(number)[:8] for number in numbers])
    answers = (await user("Get", references)).answers
    assert [answer.WhichOneof("answer") for answer in answers] == ["status", "error", "error"]
    assert {answer.error.code for answer in answers[1:]} == {"NoSuchJob"}
    assert [one.id for one in (await user("List", native.Query(limit=9))).jobs] == [job_id(MINE)]
    assert [one.id for one in (await user("Usage")).jobs] == [job_id(MINE)]
    assert (await user.start("Events").read()).id == job_id(MINE)
    answer = await user("DeleteAll", native.DeleteAllRequest(everybody=True))
    assert (answer.deleted, answer.skipped) == (1, 0)
    assert set(ground.host.jobs) == {job_id(THEIRS), job_id(LOCAL)}


async def test_what_programs_were_given_is_for_those_who_see_all_jobs(start: Start) -> None:
    for kept in (False, True):
        ground = await start(own_jobs_only=kept)
        ground.host.statuses_of_host = [STATUS]
        user = ground.user("developer", "ada")
        processes = (await user("GetSystemStatus")).processes
        commands = {one.command for one in (*processes.top_by_cpu, *processes.top_by_memory)}
        assert commands
        assert (commands == {""}) is kept
        told = (await user("HostStatus")).json
        assert (b'"command"' in told) is not kept


async def test_a_renewed_certificate_has_the_same_jobs(start: Start) -> None:
    ground = await start(own_jobs_only=True)
    of_three(ground)
    for _ in range(2):
        user = ground.user("developer", "ada")
        assert (await user("GetJobStatus", about("GetJobStatus", MINE))).uuid == job_id(MINE)


@pytest.mark.parametrize("unit", ["viewer", "maintainer", "admin"])
async def test_other_roles_see_all_jobs_with_own_jobs_only(start: Start, unit: str) -> None:
    ground = await start(own_jobs_only=True)
    of_three(ground)
    user = ground.user(unit, "eve")
    assert len((await user("ListJobs")).jobs) == 3
    for number in (MINE, THEIRS, LOCAL):
        await user("GetJobStatus", about("GetJobStatus", number))
    deleted = await outcome(user, "DeleteJob", THEIRS)
    assert deleted == ("PERMISSION_DENIED" if unit == "viewer" else "OK")
