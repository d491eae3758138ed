"""The packages on a booted Debian: install, upgrade and downgrade under jobs, remove, purge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.container.machine import Machine
from tests.package import build, scenario
from tests.package.conftest import Debs

JOBS = 20


def test_installed_means_usable(machine: Machine, debs: Debs) -> None:
    scenario.install(machine, debs.present)
    scenario.is_enabled(machine)
    scenario.is_usable(machine)
    machine.run(["useradd", "--create-home", "--groups", "joblet", "packager"])
    try:
        scenario.is_usable(machine, user="packager")
    finally:
        machine.run(["userdel", "--remove", "packager"])


@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
def test_running_jobs_do_not_notice_another_version(machine: Machine, debs: Debs, way: str) -> None:
    old, new = (debs.present, debs.next) if way == "upgrade" else (debs.next, debs.present)
    scenario.install(machine, old)
    jobs = scenario.start_jobs(machine, JOBS)
    later = machine.run(["jobletctl", "job", "run", "--schedule=2h", "--", "true"]).stdout.strip()
    supervisors = scenario.supervisors(machine)
    before = scenario.version_of_the_daemon(machine)

    scenario.change_version(machine, new)

    after = scenario.version_of_the_daemon(machine)
    versions = [build.version(), build.version("+1")]
    assert [before, after] == (versions if way == "upgrade" else versions[::-1])
    assert [scenario.look(machine, job.id) for job in jobs] == jobs
    assert scenario.supervisors(machine) == supervisors
    assert {scenario.status(machine, job.id)["state"] for job in jobs} == {"RUNNING"}
    assert scenario.status(machine, later)["state"] == "SCHEDULED"
    for job in jobs:
        scenario.end(machine, job)
    scenario.is_usable(machine)


def test_jobs_go_on_when_the_same_version_is_installed_again(machine: Machine, debs: Debs) -> None:
    scenario.install(machine, debs.present)
    (job,) = scenario.start_jobs(machine, 1)
    machine.run(["sh", "-c", f"dpkg --install {debs.present}/*.deb"])
    assert scenario.look(machine, job.id) == job
    scenario.end(machine, job)


def test_removal_ends_what_runs_and_keeps_what_is_known(
    machine: Machine, debs: Debs, settings: Callable[[str], None]
) -> None:
    scenario.install(machine, debs.present)
    settings("[jobs]\nmax_running = 3\n")
    running = scenario.start_jobs(machine, 3)
    waiting = machine.run(["jobletctl", "job", "run", "--", "echo", "late"]).stdout.strip()
    assert scenario.status(machine, waiting)["state"] == "PENDING"

    scenario.remove(machine)

    left = scenario.everything(machine)
    assert not [line for line in left if line.endswith(".scope") or "/libexec/joblet" in line]
    assert not machine.run(["pgrep", "--full", "joblet-init|jobletd"], check=False).stdout
    scenario.install(machine, debs.present)
    assert machine.read_file("/etc/joblet/joblet.toml") == "[jobs]\nmax_running = 3\n"
    for job in running:
        known = scenario.status(machine, job.id)
        assert (known["state"], known["reason"], known["exit_code"]) == ("STOPPED", "stopped", 7)
        assert scenario.log(machine, job.id) == "up\nbye\n"
    machine.run(["jobletctl", "job", "wait", waiting])
    assert scenario.log(machine, waiting) == "late\n"


def test_purge_leaves_nothing(machine: Machine, debs: Debs) -> None:
    before = scenario.everything(machine)
    scenario.install(machine, debs.present)
    scenario.is_usable(machine)
    scenario.start_jobs(machine, 3)
    machine.run(["jobletctl", "job", "run", "--schedule=2h", "--", "true"])
    machine.write_file("/etc/joblet/joblet.toml.d/10-mine.toml", "[jobs]\nmax_running = 3\n")
    assert scenario.everything(machine) != before

    scenario.remove(machine, purge=True)

    assert scenario.everything(machine) - before == set()
    assert machine.run(["systemctl", "is-system-running"]).stdout.strip() == "running"


def test_removal_of_the_service_alone_leaves_a_client_that_says_so(
    machine: Machine, debs: Debs
) -> None:
    scenario.install(machine, debs.present)
    machine.run(["apt-get", "remove", "--yes", "joblet"])
    refused = machine.run(["jobletctl", "job", "list"], check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("jobletctl: ")
    assert len(refused.stderr.splitlines()) == 1
