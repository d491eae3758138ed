"""What jobletctl loads before it has anything to say to a daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = {
    "dbus_next",
    "dbus_fast",
    "grpc",
    "asyncio",
    "cryptography",
    "yaml",
    "pyroute2",
    "ctypes",
}
RUN_AND_LIST_MODULES = """
import sys
from jobletctl.__main__ import main
status = main(sys.argv[2:])
with open(sys.argv[1], "w") as listing:
    print(status, *sys.modules, file=listing)
"""


def loaded_by(directory: Path, *args: str) -> tuple[int, set[str]]:
    listing = directory / "modules"
    subprocess.run(
        [sys.executable, "-c", RUN_AND_LIST_MODULES, listing, *args],
        env={
            "PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}",
            "LC_ALL": "C.UTF-8",
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory}/none",
        },
        capture_output=True,
        check=True,
    )
    status, *modules = listing.read_text().split()
    return int(status), set(modules)


@pytest.mark.parametrize(
    ("line", "status", "noun"),
    [
        ("--help", 0, "jobgroup"),
        ("--help", 0, "certs"),
        ("job --help", 0, "job"),
        ("job run --help", 0, "job"),
        ("job log --help", 0, "job"),
        ("job run --timeout=soon true", 2, "job"),
        ("job run --env-file=/nowhere true", 2, "job"),
        ("job run --output=x true", 2, "job"),
        ("job cp --help", 0, "job"),
        ("job cp x y", 2, "job"),
        ("job frobnicate", 2, "job"),
        ("certs --help", 0, "certs"),
        ("certs issue client --help", 0, "certs"),
        ("certs export --help", 0, "certs"),
        ("certs issue client x --role=root", 2, "certs"),
        ("certs issue server --host=no:port", 2, "certs"),
    ],
)
def test_help_and_mistakes_load_nothing_that_is_heavy(
    tmp_path: Path, line: str, status: int, noun: str
) -> None:
    found, modules = loaded_by(tmp_path, *line.split())
    assert found == status
    assert f"jobletctl.commands.{noun}" in modules
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in modules)


def test_a_noun_is_loaded_when_it_is_named(tmp_path: Path) -> None:
    status, modules = loaded_by(tmp_path, "frobnicate")
    assert status == 2
    assert "jobletctl.commands.job" not in modules


def test_jobs_do_not_load_certificates(tmp_path: Path) -> None:
    _status, modules = loaded_by(tmp_path, "job", "list")
    assert "jobletctl.commands.certs" not in modules
    assert "cryptography" not in modules


def test_a_verb_that_needs_the_bus_loads_it(tmp_path: Path) -> None:
    """The other tests look for the right names."""
    status, modules = loaded_by(tmp_path, "job", "list")
    assert status == 1
    assert {"asyncio", "joblet.bus.connection", "joblet.client.local"} <= modules


def test_files_load_what_packs_them_and_only_then(tmp_path: Path) -> None:
    _status, modules = loaded_by(tmp_path, "job", "run", "true")
    assert "joblet.client.transfer" not in modules
    (tmp_path / "f").write_text("")
    _status, modules = loaded_by(tmp_path, "job", "run", f"--upload={tmp_path}/f", "true")
    assert {"joblet.client.transfer", "joblet.archive.pack"} <= modules


def test_a_verb_that_needs_certificates_loads_them(tmp_path: Path) -> None:
    status, modules = loaded_by(tmp_path, "certs", "show", "nobody")
    assert status == 1
    assert {"cryptography", "joblet.pki"} <= modules
    assert "joblet.bus.connection" not in modules
