"""What README.md says of installing and removing, on a machine without Joblet."""

from __future__ import annotations

from pathlib import Path

from tests.container.machine import Machine
from tests.grounds.pages import CHECKOUT, blocks
from tests.package import build, scenario
from tests.package.conftest import Debs

README = CHECKOUT / "README.md"


def script(section: str) -> str:
    (block,) = (one for one in blocks(README, "sh") if one.section == section)
    # apt asks a person
    return f"export DEBIAN_FRONTEND=noninteractive\n{block.text.replace('apt ', 'apt-get --yes ')}"


def test_installation_and_removal(machine: Machine, debs: Debs) -> None:
    before = scenario.everything(machine)
    install = script("Install")
    # `make deb` has been run, by tests/package/build.py; apt and usermod are run here
    built, _, rest = install.partition("make deb")
    assert (CHECKOUT / "Makefile").read_text().count("\ndeb:  ##") == 1
    rest = rest.partition("\n")[2]
    machine.run(["ln", "-s", debs.present, "/root/dist"])
    machine.run(["useradd", "--create-home", "YOU"])
    try:
        machine.run(["sh", "-euc", f"cd /root\n{built}{rest}"])
        scenario.is_usable(machine, user="YOU")
        assert scenario.version_of_the_daemon(machine) == build.version()
        machine.run(["sh", "-euc", script("Remove")])
    finally:
        machine.run(["userdel", "--remove", "YOU"])
        machine.run(["rm", "/root/dist"])
    assert scenario.everything(machine) - before == set()


def test_tools_that_it_names_for_the_build_are_those_of_the_package() -> None:
    named = script("Install").partition("needs ")[2].partition("\n")[0]
    control = (CHECKOUT / "packaging/debian/control").read_text()
    assert Path(build.CHECKOUT / "packaging/deb").exists()
    for tool in ("debhelper", "dh-python"):
        assert tool in named
        assert tool in control
