"""The table role x RPC, called over real TLS; and certificates of every shape."""

from __future__ import annotations

import logging

import pytest

from joblet.bridge.roles import OPERATIONS
from joblet.rpc import methods
from joblet.rpc.pb import joblet1_pb2 as native
from joblet.rpc.pb import joblet_pb2 as pb
from tests.bridge.conftest import ENDLESS, Ground
from tests.fakes.client import job, job_id
from tests.fakes.hoststatus import STATUS

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
    assert set(OPERATIONS) == {f"{method.service}/{method.name}" for method in EVERY}


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
