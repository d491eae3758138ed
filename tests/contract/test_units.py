"""Our units before installation: silence from systemd-analyze, and what must not slip in."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
UNITS = sorted(
    path
    for path in (CHECKOUT / "units").iterdir()
    if path.suffix in (".service", ".socket", ".slice", ".mount")
)


def verify(folder: Path) -> str:
    """What systemd-analyze says of every unit in a folder; unknown keys leave its status at 0."""
    # Man pages are looked for in the installed system.
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(folder.iterdir())],
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies whose commands exist without an installation."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in UNITS:
        text = unit.read_text().replace("/usr/libexec/joblet/", f"{CHECKOUT}/packaging/libexec/")
        (folder / unit.name).write_text(text)
    return folder


def test_systemd_analyze_has_nothing_to_say(units: Path) -> None:
    assert verify(units) == ""


def test_systemd_analyze_would_speak_up(units: Path) -> None:
    with open(units / "jobletd.service", "a") as file:
        file.write("[Service]\nProtectSytem=strict\n")
    assert "Unknown key" in verify(units)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_unit_says_what_it_is_and_where_to_read_on(unit: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.read_text())
    assert parsed["Unit"]["Description"].startswith("Joblet")
    assert parsed["Unit"]["Documentation"].startswith("man:")


def test_nothing_empties_the_run_directory_at_a_restart() -> None:
    for unit in UNITS:
        settings = [line for line in unit.read_text().splitlines() if not line.startswith("#")]
        assert not any(line.startswith("RuntimeDirectory=") for line in settings), unit.name


def test_helper_stays_in_the_host_mount_namespace() -> None:
    # Each of these implies a mount namespace (systemd.exec(5)); volumes would not reach jobs.
    implying = (
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateMounts",
        "PrivateNetwork",
        "ProtectKernelTunables",
        "ProtectKernelModules",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "ProtectProc",
        "ProtectHostname",
        "ReadOnlyPaths",
        "ReadWritePaths",
        "InaccessiblePaths",
        "BindPaths",
        "TemporaryFileSystem",
        "RootDirectory",
        "StateDirectory",
    )
    text = (CHECKOUT / "units/joblet-init.service").read_text()
    keys = {line.partition("=")[0] for line in text.splitlines() if not line.startswith("#")}
    assert keys.isdisjoint(implying)


def test_the_bridge_is_hardened_to_the_bone() -> None:
    """It is what strangers speak to. The figure is systemd's own, from 0 to 10."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager"]
        + [str(CHECKOUT / "units/joblet-bridge.service")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert "Overall exposure level" in done.stdout
