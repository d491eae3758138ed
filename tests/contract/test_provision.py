"""What a stranger meets first: tests/provision and packaging/deb where nothing is prepared."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def fake(directory: Path, name: str, script: str) -> None:
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def provision(
    fakes: Path, *words: str, apt: str = "", architecture: str = "amd64"
) -> subprocess.CompletedProcess[str]:
    """Run in an empty checkout, by a machine that has no package, as who `id` says."""
    script = fakes / "checkout/tests/provision"
    script.parent.mkdir(parents=True)
    script.write_bytes((CHECKOUT / "tests/provision").read_bytes())
    fake(fakes, "dpkg", f"echo {architecture}")
    fake(fakes, "dpkg-query", "exit 1")
    fake(fakes, "apt-get", f"echo $1 >>{fakes}/asked; echo Unpacking; {apt}")
    return subprocess.run(
        ["bash", script, *words],
        env={"PATH": f"{fakes}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_two_commands_say_at_once_that_they_need_root(tmp_path: Path, command: str) -> None:
    fake(tmp_path, "id", "echo 1000")
    done = provision(tmp_path, command)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"make {command}: only root can boot machines; try: sudo make {command}\n"
    )
    assert f"\n\ttests/provision {command}\n" in (CHECKOUT / "Makefile").read_text()


def test_what_others_need_is_root_for_the_packages_alone(tmp_path: Path) -> None:
    fake(tmp_path, "id", "echo 1000")
    done = provision(tmp_path)
    assert done.returncode == 1
    assert "sudo tests/provision (python3 mmdebstrap " in done.stderr
    assert not (tmp_path / "asked").exists()


def test_errors_of_apt_are_seen_and_its_progress_is_not(tmp_path: Path) -> None:
    fake(tmp_path, "id", "echo 0")
    done = provision(
        tmp_path, "demo", apt='[ "$1" = update ] || { echo E: no room >&2; exit 100; }'
    )
    assert done.returncode == 100
    assert (tmp_path / "asked").read_text() == "update\ninstall\n"
    assert "apt installs python3 mmdebstrap " in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == "E: no room\n"


def test_another_kind_of_host_is_told_before_anything_is_installed(tmp_path: Path) -> None:
    fake(tmp_path, "id", "echo 0")
    done = provision(tmp_path, "demo", architecture="arm64")
    assert done.returncode == 1
    assert done.stderr == (
        "tests/provision: the machines of the tests need a host with Debian 13 or 12 for amd64\n"
    )
    assert not (tmp_path / "asked").exists()


def test_building_packages_names_the_tools_that_are_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [CHECKOUT / "packaging/deb", tmp_path / "dist"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "packaging/deb: dpkg-buildpackage is missing; "
        "try: sudo apt install dpkg-dev debhelper dh-python\n"
    )
    assert not (tmp_path / "dist").exists()
