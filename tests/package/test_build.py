"""The packages as files: lintian, reproducible, what is in which."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.container import image
from tests.package import build


@pytest.fixture(scope="module")
def built() -> list[Path]:
    missing = [tool for tool in ("dpkg-buildpackage", "dh") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    return build.packages()


def contents(package: Path) -> set[str]:
    done = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True)
    names = subprocess.run(["tar", "-t"], input=done.stdout, check=True, capture_output=True)
    return {
        name.removeprefix(".") for name in names.stdout.decode().split() if not name.endswith("/")
    }


def test_lintian_has_nothing_to_say(built: list[Path]) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", "--pedantic", *built],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_override_is_explained() -> None:
    for path in (build.CHECKOUT / "packaging/debian").glob("*.lintian-overrides"):
        blocks = path.read_text().strip().split("\n\n")
        assert all(block.startswith("# ") for block in blocks), path


def test_same_checkout_gives_the_same_bytes(built: list[Path], tmp_path: Path) -> None:
    again = build.build(tmp_path, build.version())
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_packages_together_are_the_installation(built: list[Path], tmp_path: Path) -> None:
    subprocess.run(
        [build.CHECKOUT / "packaging/install"],
        env={"DESTDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    wanted = {f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*") if path.is_file()}
    pages = {name for name in wanted if name.startswith("/usr/share/man/")}
    per_package = [contents(package) for package in built]
    together = set().union(*per_package)
    added = {
        name for name in together if name.startswith(("/usr/share/doc/", "/usr/share/lintian/"))
    }
    assert together - added == wanted - pages | {f"{page}.gz" for page in pages}
    assert sum(map(len, per_package)) == len(together)


def test_client_needs_nothing_of_the_service(built: list[Path]) -> None:
    shown = subprocess.run(
        ["dpkg-deb", "--field", built[1], "Depends"], check=True, capture_output=True, text=True
    ).stdout
    needed = {word.split()[0] for word in shown.split(", ")}
    assert needed == {"python3-click", "python3-joblet", "python3:any"}


def test_ground_has_what_the_packages_depend_on() -> None:
    text = (build.CHECKOUT / "packaging/debian/control").read_text()
    fields = re.findall(r"^Depends: ((?:.|\n )*)$", text, re.MULTILINE)
    needed = {part.split()[0] for field in fields for part in field.split(",")}
    needed = {name for name in needed if not name.startswith("$")} - set(build.NAMES)
    assert needed <= set(image.PACKAGES)


def test_every_unit_that_can_be_enabled_is_by_the_package() -> None:
    rules = (build.CHECKOUT / "packaging/debian/rules").read_text()
    units = [path for path in (build.CHECKOUT / "units").iterdir() if path.is_file()]
    enabled = {path.name for path in units if "[Install]" in path.read_text()}
    assert sorted(enabled - set(rules.split())) == [], "name them in packaging/debian/rules"


def test_no_script_touches_what_running_jobs_live_on(built: list[Path], tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--control", built[0], tmp_path / "control"], check=True)
    for name in ("preinst", "postinst"):
        script = tmp_path / "control" / name
        text = script.read_text() if script.exists() else ""
        for unit in ("joblet-supervisors.service", "joblet-setup.service", ".mount", ".slice"):
            assert unit not in text
        assert "restart 'joblet-init.socket'" not in text
        assert "stop" not in text
