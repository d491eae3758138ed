"""packaging/install into an empty root: what it keeps, what it replaces, what it adapts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = "usr/lib/python3/dist-packages"


def install(root: Path, **settings: str) -> None:
    subprocess.run(
        [CHECKOUT / "packaging/install"],
        env=os.environ | {"DESTDIR": str(root), **settings},
        check=True,
    )


def test_second_install_keeps_what_a_person_has_set(tmp_path: Path) -> None:
    install(tmp_path)
    settings = tmp_path / "etc/joblet/joblet.toml"
    settings.write_text("[jobs]\nmax_running = 3\n")
    install(tmp_path)
    assert settings.read_text() == "[jobs]\nmax_running = 3\n"


def test_second_install_removes_modules_that_are_gone(tmp_path: Path) -> None:
    install(tmp_path)
    stale = tmp_path / PACKAGES / "joblet/stale.py"
    stale.write_text("")
    install(tmp_path)
    assert not stale.exists()


def test_install_leaves_out_caches_and_tests(tmp_path: Path) -> None:
    install(tmp_path)
    for name in ("joblet", "jobletctl"):
        package = tmp_path / PACKAGES / name
        kinds = {path.suffix for path in package.rglob("*") if path.is_file()}
        assert kinds <= {".py", ".sql", ".json"}


@pytest.mark.parametrize(
    "launcher",
    [
        "usr/libexec/joblet/joblet-init",
        "usr/libexec/joblet/jobletd",
        "usr/libexec/joblet/joblet-files",
        "usr/libexec/joblet/joblet-bridge",
        "usr/bin/jobletctl",
        "usr/bin/rnx",
    ],
)
def test_launcher_finds_the_packages_where_they_were_put(tmp_path: Path, launcher: str) -> None:
    install(tmp_path, PYTHON_DIR="/opt/python")
    assert 'sys.path.append("/opt/python")' in (tmp_path / launcher).read_text()


def test_example_settings_are_the_defaults_and_all_of_them(tmp_path: Path) -> None:
    from joblet.config import KEYS, Config, read

    example = (CHECKOUT / "packaging/etc/joblet.toml").read_text()
    live = tmp_path / "joblet.toml"
    setting = re.compile(r"#[a-z_]+ = ")
    live.write_text(
        "\n".join(line[1:] if setting.match(line) else line for line in example.splitlines())
    )
    found = read(str(live))
    assert found.config == Config()
    assert set(found.origins) == set(KEYS)
