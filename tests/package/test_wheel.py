"""The wheel: the client side, whole and alone, on a machine that has no systemd."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.package.build import CHECKOUT, version

# What the wheel asks for, and what it is called when it is imported.
REQUIRED = {
    "click": "click",
    "cryptography": "cryptography",
    "dbus-next": "dbus_next",
    "PyYAML": "yaml",
    "grpcio": "grpc",
    "protobuf": "google",
}
PARTS = {"cryptography": ("_cffi_backend",)}
CLIENT = {"archive", "bus", "client", "model", "records", "rpc"}
# Imports everything that the wheel has, and says what came along.
IMPORT_ALL = """
import pkgutil, sys
import joblet, jobletctl
for package in (joblet, jobletctl):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
from joblet.bus import interfaces
print(interfaces.find("org.joblet1.Manager"))
print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [CHECKOUT / "packaging/wheel", target],
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "SOURCE_DATE_EPOCH": "1700000000"},
        check=True,
    )
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and of this one only what the wheel asks for."""
    home = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", f"--python={home}/bin/python", "install", "--quiet"]
        + ["--no-index", "--no-deps", str(wheel)],
        check=True,
    )
    (packages,) = home.glob("lib/python*/site-packages")
    for name in REQUIRED.values():
        for part in (name, *PARTS.get(name, ())):
            found = importlib.util.find_spec(part)
            assert found is not None
            if found.origin is None:
                # Without an __init__.py, as several packages share the name.
                places = map(Path, found.submodule_search_locations or ())
                origin = next(place for place in places if (place / "protobuf").is_dir())
            else:
                origin = Path(found.origin)
                origin = origin.parent if origin.name == "__init__.py" else origin
            (packages / origin.name).symlink_to(origin)
    return home


def run(home: Path, *command: str) -> str:
    done = subprocess.run(
        [home / "bin" / command[0], *command[1:]],
        env={"PATH": "/usr/bin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={home}/none"},
        cwd=home,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_has_the_client_side_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    parts = {name.split("/")[1] for name in names if name.startswith("joblet/")}
    assert {part for part in parts if not part.endswith(".py")} <= CLIENT
    assert {"bus", "client", "model", "records", "rpc", "errors.py", "config.py"} <= parts
    assert "jobletctl/commands/job.py" in names


def test_wheel_asks_for_what_the_client_imports(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    # what an extra asks for is for those who want the extra
    asked = set(re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", "\n".join(lines), re.MULTILINE))
    assert asked == set(REQUIRED)
    assert f"Version: {version()}" in lines


def test_help_of_the_installed_wheel(installed: Path) -> None:
    assert run(installed, "jobletctl", "--help").startswith("Usage: jobletctl")
    assert "--max-memory" in run(installed, "jobletctl", "job", "run", "--help")
    assert run(installed, "rnx", "--help").startswith("Usage: rnx")
    assert "--max-memory" in run(installed, "rnx", "job", "run", "--help")


def test_every_module_of_the_wheel_can_be_imported(installed: Path) -> None:
    contract, modules = run(installed, "python", "-c", IMPORT_ALL).splitlines()
    assert contract == str(installed / "share/dbus-1/interfaces/org.joblet1.Manager.xml")
    wanted = {"jobletctl.commands.job", "joblet.client.local", "joblet.client.remote"}
    assert wanted <= set(modules.split())
    assert not {name for name in modules.split() if name.startswith("pystemd")}


@pytest.mark.parametrize("program", ["jobletctl", "rnx"])
def test_installed_wheel_says_what_is_missing(installed: Path, program: str) -> None:
    done = subprocess.run(
        [installed / "bin" / program, "job", "list"],
        env={
            "PATH": "/usr/bin:/bin",
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={installed}/none",
            "HOME": str(installed),
        },
        cwd=installed,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
