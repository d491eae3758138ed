"""The Debian packages of this checkout for tests: built once for the same content, and kept.

`packages("+1")` are those of the next version: the same files, another number. They are made by
packaging/deb, as `make deb` does, and kept beside the images of the container ground.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.grounds.cache import cache_directory

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = ("joblet", "jobletctl", "python3-joblet")
# What packaging/deb takes.
SOURCES = (
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "service",
    "jobletctl",
    "dbus",
    "units",
    "packaging",
    "docs",
    "examples",
)
_EPOCH = "1700000000"
_VERSION = re.compile(r'^version = "(\d+)\.(\d+)\.(\d+)"$', re.MULTILINE)


def version(change: str = "") -> str:
    """The version of pyproject.toml, or the next one."""
    found = _VERSION.search((CHECKOUT / "pyproject.toml").read_text())
    assert found is not None
    major, minor, patch = map(int, found.groups())
    return f"{major}.{minor}.{patch + (change == '+1')}"


def packages(change: str = "") -> list[Path]:
    """The three packages."""
    cache = cache_directory() / "packages"
    cache.mkdir(exist_ok=True)
    wanted = version(change)
    folder = cache / f"{_content()}-{wanted}"
    with open(cache / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as work:
                build(Path(work), wanted)
                (Path(work) / "checkout/dist").rename(folder)
    return [folder / f"{name}_{wanted}_all.deb" for name in NAMES]


def build(work: Path, wanted: str) -> list[Path]:
    """Build in a copy below `work`; what came out."""
    copy = work / "checkout"
    copy.mkdir()
    for name in SOURCES:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    project = copy / "pyproject.toml"
    project.write_text(_VERSION.sub(f'version = "{wanted}"', project.read_text()))
    done = subprocess.run(
        [copy / "packaging/deb"],
        env=os.environ | {"SOURCE_DATE_EPOCH": _EPOCH, "DEB_BUILD_OPTIONS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted((copy / "dist").iterdir())


def _content() -> str:
    digest = hashlib.sha256()
    for path in sorted(_files()):
        digest.update(f"{path.relative_to(CHECKOUT)} {path.stat().st_mode:o}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for name in SOURCES:
        source = CHECKOUT / name
        found = source.rglob("*") if source.is_dir() else [source]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)
