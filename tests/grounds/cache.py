"""The cache of the test grounds: what a recipe made is made once on a machine.

A file or directory per recipe in $JOBLET_CACHE (default /var/cache/joblet-tests), named after a
hash of the recipe, so every checkout shares it and a changed recipe makes a new one. An old one
can be deleted at any time. The recipes are in the image.py of each ground.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MIRROR = os.environ.get("JOBLET_DEBIAN_MIRROR", "http://deb.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# What the package depends on, beside the system itself.
DEPENDENCIES = (
    "e2fsprogs",
    "libseccomp2",
    "python3",
    "python3-dbus-next",
    "python3-pystemd",
    "python3-click",
    "python3-cryptography",
    "python3-psutil",
    "python3-yaml",
    # of the bridge
    "python3-grpcio",
    "python3-protobuf",
    "python3-aiohttp",
)
# Nothing reads them in a ground, and every session pays for them.
LEFT_OUT = ("doc", "man", "info", "locale")


class NoGround(Exception):
    """This machine cannot give the ground; the sentence says what is missing."""


def cache_directory() -> Path:
    """Where images and running machines are kept, made if need be."""
    directory = Path(os.environ.get("JOBLET_CACHE", "/var/cache/joblet-tests"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def demand(*tools: str) -> None:
    """Raises NoGround when one of these programs is not installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise NoGround(f"{tool} is not installed")


def demand_room(directory: Path, size: int) -> None:
    """Raises NoGround when the disk of the directory has no room for so many bytes."""
    free = shutil.disk_usage(directory).free
    if free < size:
        raise NoGround(
            f"{directory} needs {size / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are free; "
            "make room, or name a directory on another disk in JOBLET_CACHE"
        )


def cached(
    name: str, recipe: Any, make: Callable[[Path], None], *, suffix: str = "", room: int = 0
) -> Path:
    """What the recipe made; `make` makes it at the path that it is given, if it is not there.

    `room` is what the making takes of the disk, in bytes. Raises NoGround when there is less.
    """
    cache = cache_directory()
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    kept = cache / f"{name}-{digest}{suffix}"
    # Two sessions that start together make it once.
    with open(cache / f".{kept.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            demand_room(cache, room)
            unfinished = cache / f"{name}-{digest}.unfinished{suffix}"
            _remove(unfinished)
            try:
                make(unfinished)
                unfinished.rename(kept)
            finally:
                _remove(unfinished)
    return kept


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
