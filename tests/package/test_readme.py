"""What README.md says of installing and removing, typed as it stands there, in a fresh Debian."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.container.ground import SETTINGS, bare, ground
from tests.container.machine import Machine
from tests.grounds.cache import NoGround
from tests.grounds.pages import CHECKOUT, blocks
from tests.package import build, scenario

README = CHECKOUT / "README.md"
# What it says is there before, and what its first line installs: as apt finds them there, it needs
# no archive.
PREPARED = "apt install git make"
TOOLS = ("git", "make", "dpkg-dev", "debhelper", "dh-python")
# In /var/tmp: what is built there is not what is left of an installation.
COPY = "/var/tmp/joblet"


def script(section: str) -> str:
    (block,) = (one for one in blocks(README, "sh") if one.section == section)
    return block.text


def type_as_root(machine: Machine, text: str) -> None:
    # apt asks a person where more changes than was named
    prepared = f"export APT_CONFIG=/root/apt.conf DEBIAN_FRONTEND=noninteractive; cd {COPY}\n"
    machine.run(["sh", "-eu"], input=prepared + text)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Booted, with a copy of this checkout."""
    try:
        with ground(bare, TOOLS) as booted:
            copy = booted.path(COPY)
            copy.mkdir()
            for name in (*build.SOURCES, "Makefile"):
                source = CHECKOUT / name
                if source.is_dir():
                    ignored = shutil.ignore_patterns("__pycache__")
                    shutil.copytree(source, copy / name, ignore=ignored)
                else:
                    shutil.copy2(source, copy / name)
            booted.write_file("/root/apt.conf", 'APT::Get::Assume-Yes "true";\n')
            yield booted
    except NoGround as missing:
        pytest.skip(str(missing))


def test_installation_and_removal(machine: Machine) -> None:
    assert f"`{PREPARED}`" in README.read_text()
    type_as_root(machine, PREPARED)
    machine.write_file("/etc/joblet/joblet.toml.d/00-ground.toml", SETTINGS)
    before = scenario.everything(machine)
    machine.run(["useradd", "--create-home", "YOU"])
    try:
        type_as_root(machine, script("Install"))
        scenario.is_usable(machine, user="YOU")
        assert scenario.version_of_the_daemon(machine) == build.version()
        type_as_root(machine, script("Remove"))
    finally:
        machine.run(["userdel", "--remove", "YOU"])
        machine.run(["rm", "--recursive", "--force", f"{COPY}/build", f"{COPY}/dist"])
    assert scenario.everything(machine) - before == set()


def test_tools_that_it_names_for_the_build_are_those_of_the_package() -> None:
    named = script("Install").splitlines()[0].partition("  ")[0].split()
    assert named[:2] == ["apt", "install"]
    assert set(named[2:]) <= set(TOOLS)
    control = (CHECKOUT / "packaging/debian/control").read_text()
    for tool in ("debhelper", "dh-python"):
        assert tool in named
        assert tool in control
