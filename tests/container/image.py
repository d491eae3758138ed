"""The Debian root of the container ground: its recipe, and the cache that keeps what it made.

A tarball per recipe, named after a hash of it, in $JOBLET_CACHE (default
/var/cache/joblet-tests), so every checkout on a machine shares it. Making one takes under a
minute and needs root, mmdebstrap and a Debian mirror ($JOBLET_DEBIAN_MIRROR). Booting what it
holds is left to machine.py.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

SUITE = "trixie"
MIRROR = os.environ.get("JOBLET_DEBIAN_MIRROR", "http://deb.debian.org/debian")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

PACKAGES = (
    # the system
    "systemd",
    "systemd-sysv",
    "dbus",
    "polkitd",
    "util-linux",
    "passwd",
    # what the package depends on
    "python3",
    "python3-dbus-next",
    "python3-pystemd",
    "python3-click",
    # what tests and benchmarks run, or look with
    "bubblewrap",
    "crun",
    "runc",
    "strace",
    "procps",
    "psmisc",
    "iproute2",
    "xz-utils",
    "python3-psutil",
)
# Nothing reads them in the container, and every session unpacks the image.
LEFT_OUT = ("doc", "man", "info", "locale")
# They fail, prompt or wake up in a container, and say nothing about Joblet.
MASKED = (
    "systemd-modules-load.service",
    "systemd-firstboot.service",
    "console-getty.service",
    "getty.target",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-tmpfiles-clean.timer",
)


class NoGround(Exception):
    """This machine cannot give the ground; the sentence says what is missing."""


def cache_directory() -> Path:
    """Where images and running machines are kept, made if need be."""
    directory = Path(os.environ.get("JOBLET_CACHE", "/var/cache/joblet-tests"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def command_line(target: str) -> list[str]:
    """The whole recipe: one mmdebstrap call."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        f"--keyring={KEYRING}",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        '--aptopt=APT::Install-Recommends "false"',
        f'--customize-hook=chroot "$1" systemctl mask {" ".join(MASKED)}',
        '--customize-hook=rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
        '--customize-hook=ln -sf /proc/mounts "$1"/etc/mtab',
        SUITE,
        target,
        MIRROR,
    ]


def image() -> Path:
    """The tarball of the present recipe, made if it is not in the cache. Raises NoGround."""
    missing = [tool for tool in ("mmdebstrap", "tar") if shutil.which(tool) is None]
    if missing:
        raise NoGround(f"{missing[0]} is not installed")
    cache = cache_directory()
    recipe = hashlib.sha256(json.dumps(command_line("")).encode()).hexdigest()[:12]
    tarball = cache / f"{SUITE}-{recipe}.tar"
    # Two sessions that start together make it once.
    with open(cache / f".{tarball.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tarball.exists():
            _make(tarball)
    return tarball


def unpack(tarball: Path, root: Path) -> None:
    """A fresh root at a path that does not exist yet."""
    root.mkdir(mode=0o755)
    subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", tarball], check=True)


def _make(tarball: Path) -> None:
    unfinished = tarball.with_suffix(".unfinished.tar")
    made = subprocess.run(
        command_line(str(unfinished)), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if made.returncode != 0:
        unfinished.unlink(missing_ok=True)
        raise NoGround(f"mmdebstrap failed:\n{made.stderr[-4000:]}")
    unfinished.rename(tarball)
