"""What packaging/install puts where, and what systemd-sysusers and systemd-tmpfiles make of it."""

from __future__ import annotations

import stat
import tomllib

import pytest

from tests.container.ground import CHECKOUT
from tests.container.machine import Machine


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/usr/libexec/joblet/joblet-init", 0o100755),
        ("/usr/libexec/joblet/jobletd", 0o100755),
        ("/usr/bin/jobletctl", 0o100755),
        ("/usr/lib/python3/dist-packages/joblet/__init__.py", 0o100644),
        ("/usr/lib/systemd/system/jobletd.service", 0o100644),
        ("/usr/share/dbus-1/system.d/org.joblet1.conf", 0o100644),
        ("/usr/share/dbus-1/system-services/org.joblet1.service", 0o100644),
        ("/usr/share/dbus-1/interfaces/org.joblet1.Manager.xml", 0o100644),
        ("/usr/share/polkit-1/actions/org.joblet1.policy", 0o100644),
        ("/usr/share/polkit-1/rules.d/50-joblet.rules", 0o100644),
        ("/etc/joblet/joblet.toml", 0o100644),
        ("/run/joblet", 0o040755),
        ("/run/joblet/jobs", 0o040700),
        ("/run/joblet/root", 0o040700),
        ("/var/lib/joblet", 0o040700),
        ("/var/log/joblet", 0o040700),
        ("/run/joblet/init.sock", 0o140600),
        ("/run/joblet/poke.sock", 0o140600),
    ],
)
def test_file_is_there_and_belongs_to_root(machine: Machine, path: str, mode: int) -> None:
    found = machine.path(path).stat()
    assert (oct(found.st_mode), found.st_uid, found.st_gid) == (oct(mode), 0, 0)


def test_every_module_of_the_checkout_is_installed_and_compiled(machine: Machine) -> None:
    packages = machine.path("/usr/lib/python3/dist-packages")
    wanted = {
        str(file.relative_to(base))
        for base, name in ((CHECKOUT / "service", "joblet"), (CHECKOUT, "jobletctl"))
        for file in (base / name).rglob("*.py")
    }
    installed = {
        str(file.relative_to(packages))
        for name in ("joblet", "jobletctl")
        for file in (packages / name).rglob("*.py")
    }
    assert installed == wanted
    compiled = {
        f"{file.parent.parent.relative_to(packages)}/{file.name.partition('.')[0]}.py"
        for name in ("joblet", "jobletctl")
        for file in (packages / name).rglob("*.pyc")
    }
    assert compiled == wanted


def test_installation_knows_its_version(machine: Machine) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    said = machine.run(["/usr/libexec/joblet/jobletd", "--version"]).stdout
    assert said.strip() == project["version"]


def test_nothing_that_is_installed_can_be_changed_by_others(machine: Machine) -> None:
    for top in ("/usr/lib/python3/dist-packages/joblet", "/usr/libexec/joblet", "/etc/joblet"):
        for path in machine.path(top).rglob("*"):
            found = path.lstat()
            assert found.st_uid == 0, path
            assert not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_id_ranges_of_jobs_are_announced(machine: Machine) -> None:
    for name in ("/etc/subuid", "/etc/subgid"):
        assert "joblet:1073741824:536870912" in machine.read_file(name).splitlines()


def test_group_joblet_has_only_who_was_put_there(machine: Machine) -> None:
    assert (
        machine.run(["getent", "group", "joblet"]).stdout.strip().split(":")[3]
        == "member,colleague"
    )
