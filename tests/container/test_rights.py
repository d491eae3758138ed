"""What each kind of user may do on a real machine: by the bus, by polkit, and by jobletd."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.container.caller import MANAGER, Call, Variant, ask, run_job
from tests.container.jobs import Jobs
from tests.container.machine import Machine

YES, NO = 0, 1  # pkcheck(1)


@pytest.mark.parametrize(
    ("user", "action", "answer"),
    [
        ("member", "run-job", YES),
        ("member", "manage-own", YES),
        ("member", "manage-all", NO),
        ("member", "admin", NO),
        ("outsider", "run-job", NO),
        ("outsider", "manage-own", YES),
        ("outsider", "manage-all", NO),
        ("outsider", "admin", NO),
        (65534, "run-job", NO),
        (65534, "manage-own", YES),
        (65534, "manage-all", NO),
        (65534, "admin", NO),
    ],
)
def test_polkit_answers_a_caller_without_a_session(
    machine: Machine, user: str | int, action: str, answer: int
) -> None:
    check = f'exec pkcheck --action-id org.joblet1.{action} --process "$$"'
    assert machine.run(["sh", "-c", check], user=user, check=False).returncode == answer


@pytest.mark.parametrize("user", ["member", "outsider", 65534])
def test_bus_stops_what_the_policy_does_not_name(machine: Machine, user: str | int) -> None:
    call = ["busctl", "call", "org.joblet1", "/org/joblet1", "org.joblet1.Manager", "Reload"]
    refused = machine.run(call, user=user, check=False)
    assert refused.returncode != 0
    assert "Access denied" in refused.stderr


@pytest.mark.parametrize("user", ["member", "outsider", 65534])
def test_nobody_else_becomes_the_service(machine: Machine, user: str | int) -> None:
    call = ["busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName"]
    refused = machine.run([*call, "su", "org.joblet1", "0"], user=user, check=False)
    assert refused.returncode != 0
    assert "Access denied" in refused.stderr


# Every method, by the real bus, polkit and jobletd.

INTERFACES = Path(__file__).parents[2] / "dbus" / "interfaces"
MONITOR = "org.joblet1.Monitor"
PROPERTIES = "org.freedesktop.DBus.Properties"
PRIVATE = {"command", "args", "environment", "timeout_usec", "max_memory", "network", "init"}
HIDDEN = "a word that only its owner may read"
OK, NOT_ALLOWED = "", "NotAllowed"
BUS_REFUSES = "org.freedesktop.DBus.Error.AccessDenied"


def spec(*command: str, **more: Variant) -> dict[str, Variant]:
    return {
        "command": Variant("s", command[0]),
        "args": Variant("as", list(command[1:])),
        "environment": Variant("a{ss}", {"HIDDEN": HIDDEN}),
        **more,
    }


class Standing:
    """A member's jobs, one in each kind of state."""

    def __init__(self, machine: Machine) -> None:
        jobs = Jobs(machine, "member")
        later = Variant("t", (time.time_ns() // 1000) + 3600 * 1_000_000)
        calls = [
            run_job(spec("sleep", "1000")),
            run_job(spec("true", start_at_usec=later)),
            run_job(spec("sh", "-c", "echo a line; touch result")),
        ]
        answers = ask(machine, calls, "member")
        assert [answer.error for answer in answers] == [OK] * 3
        self.running, self.scheduled, self.ended = (answer.body[0] for answer in answers)
        jobs.wait_running(self.running)
        jobs.wait(self.ended)
        self.path = "/org/joblet1/job/" + self.running.replace("-", "_")
        self.scheduled_path = "/org/joblet1/job/" + self.scheduled.replace("-", "_")

    def calls(self) -> dict[str, Call]:
        """Every method of the contract, in an order in which its owner may call them all."""
        made = self._calls()
        contract = set()
        for file in INTERFACES.glob("*.xml"):
            for interface in ElementTree.parse(file).iter("interface"):  # noqa: S314
                owner = interface.get("name", "").rpartition(".")[2]
                prefix = "" if owner == "Manager" else f"{owner}."
                contract |= {prefix + str(one.get("name")) for one in interface.iter("method")}
        assert contract <= {name.split(" ")[0] for name in made}, "a method without a row here"
        return made

    def _calls(self) -> dict[str, Call]:
        none: dict[str, Variant] = {}
        everybody = {"all": Variant("b", True)}
        fewer = {"max_tasks": Variant("t", 50)}
        job = "org.joblet1.Job"
        return {
            "GetJob": Call("GetJob", "s", [self.running]),
            "GetJobsEncoded": Call("GetJobsEncoded", "as", [[self.running]]),
            "ListJobs": Call("ListJobs", "a{sv}", [none]),
            "ListJobsEncoded": Call("ListJobsEncoded", "a{sv}", [none]),
            "ListUsage": Call("ListUsage", "a{sv}", [none]),
            "WaitJob": Call("WaitJob", "st", [self.running, 1]),
            "Job.Wait": Call("Wait", "t", [1], job, self.path),
            "OpenLog": Call("OpenLog", "sa{sv}", [self.ended, none]),
            "ReadLog": Call("ReadLog", "stt", [self.ended, 0, 100]),
            "Monitor.GetJobMetrics": Call("GetJobMetrics", "sa{sv}", [self.ended, none], MONITOR),
            "Monitor.GetStatus": Call("GetStatus", "a{sv}", [none], MONITOR),
            "GetFiles": Call("GetFiles", "ssa{sv}", [self.ended, "", none]),
            "ExplainJob": Call("ExplainJob", "a{sv}", [spec("sleep", "1000")]),
            # Not one that ends by itself: whoever deletes all ended jobs would take it along.
            "RunJob": run_job(spec("sleep", "1000")),
            "Job.Update": Call("Update", "a{sv}", [fewer], job, self.path),
            "UpdateJob": Call("UpdateJob", "sa{sv}", [self.running, fewer]),
            "Job.Cancel": Call("Cancel", "", [], job, self.scheduled_path),
            "CancelJob": Call("CancelJob", "s", [self.scheduled]),
            "DeleteJob": Call("DeleteJob", "s", [self.ended]),
            "DeleteAllJobs all": Call("DeleteAllJobs", "a{sv}", [everybody]),
            "Job.Stop": Call("Stop", "a{sv}", [none], job, self.path),
            "StopJob": Call("StopJob", "sa{sv}", [self.running, none]),
            "DeleteAllJobs": Call("DeleteAllJobs", "a{sv}", [none]),
            "Get": Call("Get", "ss", [MANAGER, "Version"], PROPERTIES),
            "GetAll": Call("GetAll", "s", [MANAGER], PROPERTIES),
            "Introspect": Call("Introspect", "", [], "org.freedesktop.DBus.Introspectable"),
            "Ping": Call("Ping", "", [], "org.freedesktop.DBus.Peer"),
            "Set": Call("Set", "ssv", [MANAGER, "Version", Variant("s", "mine")], PROPERTIES),
            "GetManagedObjects": Call(
                "GetManagedObjects", "", [], "org.freedesktop.DBus.ObjectManager"
            ),
        }


OPEN = {
    "GetJob",
    "GetJobsEncoded",
    "ListJobs",
    "ListJobsEncoded",
    "ListUsage",
    "WaitJob",
    "Job.Wait",
    "Monitor.GetStatus",
    "Get",
    "GetAll",
    "Introspect",
    "Ping",
    # of one's own jobs, of which there are none
    "DeleteAllJobs",
}
NOBODY = {"Set", "GetManagedObjects"}


@pytest.fixture
def standing(machine: Machine) -> Iterator[Standing]:
    jobs = Standing(machine)
    yield jobs
    root = Jobs(machine)
    # What the test has ended it may have deleted too.
    for job in {jobs.running, jobs.scheduled} & set(root.ids()):
        if "reason" not in root.status(job):
            root.stop(job)
        root.wait(job)
    root.call("DeleteAllJobs", "a{sv}", 1, "all", "b", "true")


def _end(jobs: Jobs, job: str) -> None:
    jobs.stop(job)
    jobs.wait(job)


@pytest.mark.parametrize("user", ["colleague", "outsider", 65534])
def test_others_get_what_is_open_to_all_and_nothing_else(
    machine: Machine, standing: Standing, user: str | int
) -> None:
    calls = standing.calls()
    answers = dict(zip(calls, ask(machine, list(calls.values()), user), strict=True))
    allowed = OPEN | ({"RunJob", "ExplainJob"} if user == "colleague" else set())
    for name, answer in answers.items():
        wanted = OK if name in allowed else BUS_REFUSES if name in NOBODY else NOT_ALLOWED
        assert answer.error == wanted, f"{name}: {answer}"
        # What one asks about oneself comes back as it was asked.
        assert name == "ExplainJob" or HIDDEN not in json.dumps(answer.body), name
    [seen] = answers["GetJob"].body
    assert seen["id"] == standing.running
    assert not PRIVATE & seen.keys()
    [waited] = answers["WaitJob"].body
    assert not PRIVATE & waited.keys()
    # The refused changes changed nothing.
    root = Jobs(machine)
    assert root.status(standing.running)["state"] == "RUNNING"
    assert root.status(standing.scheduled)["state"] == "SCHEDULED"
    assert root.log(standing.ended) == "a line\n"
    if user == "colleague":
        _end(root, answers["RunJob"].body[0])


def test_owner_may_do_everything_with_the_own_jobs_but_not_with_those_of_others(
    machine: Machine, standing: Standing
) -> None:
    of_root = Jobs(machine).run("sleep", "1000")
    calls = standing.calls()
    calls["StopJob of root's"] = Call("StopJob", "sa{sv}", [of_root, {}])
    answers = dict(zip(calls, ask(machine, list(calls.values()), "member"), strict=True))
    refused = {name: answer.error for name, answer in answers.items() if answer.error}
    # What is canceled or stopped by one way is so by the other; a stop may be asked for twice.
    assert refused.pop("StopJob", "WrongState") == "WrongState"
    assert refused == {
        "CancelJob": "WrongState",
        "DeleteAllJobs all": NOT_ALLOWED,
        "StopJob of root's": NOT_ALLOWED,
        **dict.fromkeys(NOBODY, BUS_REFUSES),
    }
    [seen] = answers["GetJob"].body
    assert seen.keys() >= PRIVATE
    assert seen["environment"] == {"HIDDEN": HIDDEN}
    assert bytes(answers["ReadLog"].body[0]) == b"a line\n"
    root = Jobs(machine)
    _end(root, answers["RunJob"].body[0])
    assert root.status(of_root)["state"] == "RUNNING"
    _end(root, of_root)


def test_root_may_do_everything(machine: Machine, standing: Standing) -> None:
    calls = standing.calls()
    answers = dict(zip(calls, ask(machine, list(calls.values())), strict=True))
    refused = {name: answer.error for name, answer in answers.items() if answer.error}
    # Set: Version is read-only; GetManagedObjects: there is none; the rest was done the other way.
    assert refused.pop("StopJob", "WrongState") == "WrongState"
    assert refused.keys() == {"CancelJob", *NOBODY}
    assert refused["CancelJob"] == "WrongState"
    assert answers["GetJob"].body[0]["environment"] == {"HIDDEN": HIDDEN}
    _end(Jobs(machine), answers["RunJob"].body[0])
