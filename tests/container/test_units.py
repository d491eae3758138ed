"""Our units as the systemd of the container sees them: accepted silently, started, hardened."""

from __future__ import annotations

import pytest

from tests.container.jobs import Jobs, scope_of
from tests.container.machine import Machine

UNITS = (
    "jobletd.service",
    "jobletd.socket",
    "joblet-init.service",
    "joblet-init.socket",
    "joblet-supervisors.service",
    "joblet.slice",
    "joblet-jobs.slice",
)


PEER = ("org.freedesktop.DBus.Peer",)


def properties(machine: Machine, unit: str, *names: str) -> dict[str, str]:
    shown = machine.run(["systemctl", "show", unit, f"--property={','.join(names)}"]).stdout
    return dict(line.split("=", 1) for line in shown.splitlines())


def test_systemd_has_nothing_to_say_about_our_units(machine: Machine) -> None:
    said = machine.run(["systemd-analyze", "verify", "--man=no", *UNITS])
    assert (said.stdout, said.stderr) == ("", "")


@pytest.mark.parametrize("unit", ["jobletd.service", "joblet-init.service"])
def test_exposure_is_on_record(machine: Machine, figures: list[str], unit: str) -> None:
    said = machine.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
    overall = next(line for line in said.splitlines() if "Overall exposure" in line)
    figures.append(overall.strip("→ "))


def test_exposure_of_the_daemon_is_low(machine: Machine) -> None:
    machine.run(["systemd-analyze", "security", "--threshold=22", "--no-pager", "jobletd.service"])


@pytest.mark.parametrize(
    ("unit", "listen"),
    [
        ("jobletd.socket", "/run/joblet/poke.sock (Datagram)"),
        ("joblet-init.socket", "/run/joblet/init.sock (SequentialPacket)"),
    ],
)
def test_socket_is_open_from_the_boot_on(machine: Machine, unit: str, listen: str) -> None:
    seen = properties(machine, unit, "ActiveState", "Listen")
    assert seen == {"ActiveState": "active", "Listen": listen}


def test_supervisors_have_a_delegated_cgroup_without_limits(machine: Machine) -> None:
    seen = properties(
        machine,
        "joblet-supervisors.service",
        "ActiveState",
        "SubState",
        "Delegate",
        "TasksMax",
        "OOMPolicy",
    )
    assert seen == {
        "ActiveState": "active",
        "SubState": "exited",
        "Delegate": "yes",
        "TasksMax": "infinity",
        "OOMPolicy": "continue",
    }


def test_supervisors_cannot_be_stopped_by_hand(machine: Machine) -> None:
    refused = machine.run(["systemctl", "stop", "joblet-supervisors.service"], check=False)
    assert refused.returncode != 0
    assert "Operation refused" in refused.stderr


def status_of(machine: Machine, unit: str) -> dict[str, str]:
    """/proc/PID/status of a unit's main process."""
    pid = properties(machine, unit, "MainPID")["MainPID"]
    lines = machine.read_file(f"/proc/{pid}/status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_helper_is_warm_before_the_first_job(machine: Machine) -> None:
    assert properties(machine, "joblet-init.service", "SubState") == {"SubState": "running"}


def test_helper_passes_no_filter_on_to_jobs(machine: Machine) -> None:
    status = status_of(machine, "joblet-init.service")
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("0", "1")


def test_helper_shares_the_mounts_of_the_host(machine: Machine) -> None:
    pid = properties(machine, "joblet-init.service", "MainPID")["MainPID"]
    seen = machine.run(["stat", "-L", "-c", "%i", "/proc/1/ns/mnt", f"/proc/{pid}/ns/mnt"]).stdout
    assert len(set(seen.split())) == 1


def test_daemon_has_the_capabilities_it_needs_and_no_others(machine: Machine) -> None:
    status = status_of(machine, "jobletd.service")
    # CHOWN, DAC_OVERRIDE, FOWNER, KILL: bits 0, 1, 3, 5 of capabilities(7)
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0b101011
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")


def test_call_on_the_bus_starts_the_daemon(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "jobletd.service", "jobletd.socket"])
    machine.run(["busctl", "call", "org.joblet1", "/org/joblet1", *PEER, "Ping"], user="outsider")
    assert properties(machine, "jobletd.service", "ActiveState") == {"ActiveState": "active"}
    assert properties(machine, "jobletd.socket", "ActiveState") == {"ActiveState": "active"}


@pytest.mark.journal_allows("a datagram that is no poke")
def test_news_of_a_job_starts_the_daemon(machine: Machine) -> None:
    machine.run(["systemctl", "stop", "jobletd.service"])
    send = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
    send += "; s.sendto(b'', '/run/joblet/poke.sock')"
    machine.run(["python3", "-c", send])
    machine.wait_for(lambda: answers(machine), "the daemon")


@pytest.mark.journal_allows(r"jobletd\.service: (Main process exited|Failed with result)")
def test_killed_daemon_comes_back(machine: Machine) -> None:
    before = properties(machine, "jobletd.service", "MainPID")
    machine.run(["systemctl", "kill", "--signal=KILL", "jobletd.service"])
    machine.wait_for(lambda: answers(machine), "the daemon")
    assert properties(machine, "jobletd.service", "MainPID") != before


@pytest.mark.journal_allows(r"jobletd: .*joblet\.toml", r"jobletd\.service: ", "Failed to start")
def test_daemon_with_bad_settings_waits_for_a_person(machine: Machine) -> None:
    settings = machine.read_file("/etc/joblet/joblet.toml")
    try:
        machine.write_file("/etc/joblet/joblet.toml", "[jobs]\nmax_runing = 3\n")
        assert machine.run(["systemctl", "restart", "jobletd.service"], check=False).returncode != 0
        seen = properties(machine, "jobletd.service", "ActiveState", "ExecMainStatus", "NRestarts")
        assert seen == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    finally:
        machine.write_file("/etc/joblet/joblet.toml", settings)
        machine.run(["systemctl", "restart", "jobletd.service"])


def test_jobs_are_ordered_after_those_who_record_their_end(machine: Machine) -> None:
    """Through their slice: an order of each scope would be news of both services every time."""
    services = {"jobletd.service", "joblet-supervisors.service"}
    jobs = Jobs(machine)
    jobs.done("true")  # the slices are there now, and in order
    watch = ["dbus-monitor", "--system", "--profile", "member=PropertiesChanged"]
    monitor = machine.popen(watch, stderr=None)
    try:
        assert monitor.stdout is not None
        monitor.stdout.readline()  # its heading: it listens
        job = jobs.shell("sleep 600")
        jobs.wait_running(job)
        scope, shard = scope_of(job), properties(machine, scope_of(job), "Slice")["Slice"]
        ordered = {
            unit: set(properties(machine, unit, "After")["After"].split())
            for unit in (scope, shard, "joblet-jobs.slice")
        }
        jobs.stop(job)
    finally:
        monitor.terminate()
        told, _ = monitor.communicate()
    assert shard in ordered[scope]
    assert "joblet-jobs.slice" in ordered[shard]
    assert services <= ordered["joblet-jobs.slice"]
    assert f"/{scope.replace('-', '_2d').replace('.', '_2e')}\t".encode() in told
    for unit in services:
        assert f"/{unit.replace('-', '_2d').replace('.', '_2e')}\t".encode() not in told


def test_machine_reboots_into_a_working_daemon(machine: Machine) -> None:
    machine.reboot()
    machine.wait_for(lambda: answers(machine), "the daemon")
    assert machine.run(["systemctl", "is-system-running"]).stdout.strip() == "running"


def answers(machine: Machine) -> bool:
    """Whether the daemon itself answers, without being started by the question."""
    ping = ["busctl", "--auto-start=no", "call", "org.joblet1", "/org/joblet1", *PEER, "Ping"]
    return machine.run(ping, check=False).returncode == 0
