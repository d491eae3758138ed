"""joblet-bridge as installed: existing clients over mutual TLS, its rights, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.bridge.authority import Authority
from tests.container import sdk
from tests.container.jobs import Jobs, kill, main_pid, unit
from tests.container.machine import Machine
from tests.grounds.cache import NoGround

BRIDGE = "joblet-bridge.service"
PORT = 50051
PKI = "/etc/joblet/pki/bridge"

SESSION = """
run = lambda script, **more: client.jobs.run_job(command="sh", args=["-c", script], **more)
first = run("echo out; echo err >&2; exit 3", name="my first job", environment={"A": "1"})
result["first"] = first["job_uuid"]
result["log"] = b"".join(client.jobs.get_job_logs(first["job_uuid"])).decode()
status = client.jobs.get_job_status(first["job_uuid"][:8])
result["status"] = [status["status"], status["exit_code"], status["network"], status["environment"]]
long = run("echo begun; sleep 1000")["job_uuid"]
log = iter(client.jobs.get_job_logs(long))
result["live"] = next(log).decode()
result["listed"] = sorted(j["status"] for j in client.jobs.list_jobs())
result["stop"] = client.jobs.stop_job(long)["status"]
result["end of log"] = [chunk.decode() for chunk in log]
in_an_hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
later = run("true", schedule=in_an_hour)
result["later"] = later["status"]
result["cancel"] = client.jobs.cancel_job(later["job_uuid"])["status"]
deleted = client.jobs.delete_job(long)
result["delete"] = [deleted["success"], deleted["message"]]
try:
    client.jobs.get_job_status(long)
except Exception as error:
    result["gone"] = str(error)
result["rest"] = client.jobs.delete_all_jobs()["deleted_count"]
result["left"] = len(client.jobs.list_jobs())
"""


METRICS = """
result["healthy"] = client.health_check()
status = client.monitoring.get_system_status()
result["status"] = [status["available"], status["host"]["hostname"], status["cpu"]["cores"]]
result["groups"] = sorted(status)
result["load"] = len(status["cpu"]["load_average"])
stream = client.monitoring.stream_system_metrics(interval_seconds=1)
result["stream"] = [sorted(next(stream)) for _ in range(2)]
read = [getattr(client.jobs, name, None) for name in ("get_job_metrics", "stream_job_metrics")]
result["metrics"] = [
    [one.get("cpu_percent", one.get("cpu_usage")) for one in ask(job)] for ask in read if ask
]
"""


class Bridge(NamedTuple):
    """The bridge of the machine, and who signs for its clients."""

    machine: Machine
    authority: Authority
    folder: Path

    def session(self, version: str, program: str, unit_name: str = "developer") -> Any:
        """A program of an SDK release, as somebody of this unit."""
        pair = self.authority.issue("ada", unit_name)
        return sdk.session(
            self.machine, version, program, self.folder, self.authority, pair, port=PORT
        )


@pytest.fixture(scope="module")
def bridge(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """Certificates in place, the service started."""
    folder = tmp_path_factory.mktemp("bridge")
    authority = Authority()
    authority.write_server(folder / "pki")
    machine.run(["install", "-d", "-m", "700", "/etc/joblet/pki"])
    machine.run(["install", "-d", "-m", "750", "-g", "joblet-bridge", PKI])
    for file in (folder / "pki").iterdir():
        machine.write_file(f"{PKI}/{file.name}", file.read_bytes(), mode=0o640)
        machine.run(["chgrp", "joblet-bridge", f"{PKI}/{file.name}"])
    machine.run(["systemctl", "start", BRIDGE])
    yield Bridge(machine, authority, folder)
    machine.run(["systemctl", "stop", BRIDGE])
    machine.run(["rm", "-r", "/etc/joblet/pki"])


@pytest.mark.parametrize("version", sdk.VERSIONS)
def test_the_sdk_of_every_wire_works_unmodified(bridge: Bridge, version: str) -> None:
    try:
        sdk.installed(version)
    except NoGround as missing:
        pytest.skip(str(missing))
    seen = bridge.session(version, SESSION)
    first = seen.pop("first")
    assert sorted(seen.pop("log").splitlines()) == ["err", "out"]
    assert seen.pop("gone")
    assert seen == {
        "status": ["FAILED", 3, "none", {"A": "1"}],
        "live": "begun\n",
        "listed": ["FAILED", "RUNNING"],
        "stop": "STOPPED",
        "end of log": [],
        "later": "SCHEDULED",
        "cancel": "CANCELED",
        "delete": [True, "Job deleted successfully"],
        "rest": 2,
        "left": 0,
    }
    assert first not in Jobs(bridge.machine).ids()


@pytest.mark.parametrize("version", sdk.VERSIONS)
def test_the_sdk_of_every_wire_reads_metrics_and_status(bridge: Bridge, version: str) -> None:
    try:
        sdk.installed(version)
    except NoGround as missing:
        pytest.skip(str(missing))
    jobs = Jobs(bridge.machine)
    job = jobs.run("bash", "-c", "for ((i = 0; i < 300000; i++)); do :; done")
    total_usec = jobs.wait(job)["cpu_usec"]
    seen = bridge.session(version, f"job = {job!r}\n{METRICS}", "viewer")
    assert seen["healthy"] is True
    hostname = bridge.machine.run(["hostname"]).stdout.strip()
    assert seen["status"][:2] == [True, hostname]
    assert seen["status"][2] >= 1
    assert seen["load"] == 3
    groups = {"host", "cpu", "memory", "disks", "io", "processes", "cloud", "timestamp"}
    assert groups <= set(seen["groups"])
    assert all(groups <= set(metrics) for metrics in seen["stream"])
    # The oldest one asks another service of the reference for them.
    assert len(seen["metrics"]) == {"2.0.2": 0, "2.1.1": 1, "2.2.0": 1}.get(version, 2)
    for percents in seen["metrics"]:
        assert percents
        assert max(percents) > 1
    assert total_usec > 0
    jobs.call("DeleteJob", "s", job)


def test_a_job_has_its_remote_owner(bridge: Bridge) -> None:
    program = 'result["id"] = client.jobs.run_job(command="true")["job_uuid"]'
    job = bridge.session(sdk.VERSIONS[-1], program)["id"]
    jobs = Jobs(bridge.machine)
    status = jobs.wait(job)
    owner = int(bridge.machine.run(["id", "-u", "joblet-bridge"]).stdout)
    assert status["owner_uid"] == owner
    assert status["remote_subject"] == "CN=ada,OU=developer,O=Joblet"
    assert status["remote_role"] == "developer"
    shown = bridge.machine.run(["jobletctl", "job", "status", job]).stdout
    assert "CN=ada,OU=developer,O=Joblet (developer)" in shown
    jobs.call("DeleteJob", "s", job)


@pytest.mark.journal_allows(r"RunJob by .* refused")
def test_a_reader_reads_and_changes_nothing(bridge: Bridge) -> None:
    program = """
result["jobs"] = client.jobs.list_jobs()
try:
    client.jobs.run_job(command="true")
except Exception as error:
    result["refused"] = str(error)
"""
    cursor = bridge.machine.journal_cursor()
    seen = bridge.session(sdk.VERSIONS[-1], program, "viewer")
    assert seen["jobs"] == []
    assert "role viewer is not allowed to perform operation run_job" in seen["refused"]
    said = [str(entry["MESSAGE"]) for entry in bridge.machine.journal(after=cursor, unit=BRIDGE)]
    assert sum("refused: role viewer" in line for line in said) == 1


def test_the_bridge_is_nobody(bridge: Bridge) -> None:
    pid = main_pid(bridge.machine, BRIDGE)
    status = bridge.machine.read_file(f"/proc/{pid}/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    owner = bridge.machine.run(["id", "-u", "joblet-bridge"]).stdout.strip()
    assert facts["Uid"].split() == [owner] * 4
    for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"):
        assert int(facts[kind], 16) == 0, kind
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"] == "2"


@pytest.mark.journal_allows(r"joblet-bridge\.service: (Main process exited|Failed with result)")
def test_a_killed_bridge_loses_no_job_and_comes_back(bridge: Bridge) -> None:
    started = bridge.session(
        sdk.VERSIONS[-1],
        'result["id"] = client.jobs.run_job(command="sh", args=["-c", "echo one; sleep 1000"])'
        '["job_uuid"]',
    )["id"]
    kill(bridge.machine, BRIDGE)
    seen = bridge.session(
        sdk.VERSIONS[-1],
        f"""
log = iter(client.jobs.get_job_logs({started!r}))
result["log"] = next(log).decode()
result["stop"] = client.jobs.stop_job({started!r})["status"]
result["more"] = [chunk.decode() for chunk in log]
client.jobs.delete_all_jobs()
""",
    )
    assert seen == {"log": "one\n", "stop": "STOPPED", "more": []}


@pytest.mark.journal_allows(r"server\.pem: Permission denied", r"joblet-bridge\.service[: ]")
def test_a_bridge_that_cannot_read_its_key_says_so_and_stays_down(bridge: Bridge) -> None:
    machine = bridge.machine
    machine.run(["systemctl", "stop", BRIDGE])
    cursor = machine.journal_cursor()
    machine.run(["chmod", "600", f"{PKI}/server.pem"])
    assert machine.run(["systemctl", "start", BRIDGE], check=False).returncode != 0
    assert unit(machine, BRIDGE, "ExecMainStatus", "NRestarts") == {
        "ExecMainStatus": "78",
        "NRestarts": "0",
    }
    said = "".join(str(entry["MESSAGE"]) for entry in machine.journal(after=cursor, unit=BRIDGE))
    assert f"read {PKI}/server.pem: Permission denied" in said
    machine.run(["chmod", "640", f"{PKI}/server.pem"])
    machine.run(["systemctl", "start", BRIDGE])
