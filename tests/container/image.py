"""The Debian root of the container ground: its recipe.

What it makes is a tarball in the cache of grounds/cache.py. Making one takes under a minute and
needs root, mmdebstrap and a Debian mirror ($JOBLET_DEBIAN_MIRROR). Booting what it holds is left
to machine.py.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.grounds.cache import DEPENDENCIES, KEYRING, LEFT_OUT, MIRROR, NoGround, cached, demand

SUITE = "trixie"
# The tarball, and a machine or two that are unpacked from it.
ROOM = 1000 << 20

PACKAGES = (
    # the system
    "systemd",
    "systemd-sysv",
    "dbus",
    "polkitd",
    "util-linux",
    "passwd",
    *DEPENDENCIES,
    # what tests and benchmarks run, or look with
    "bubblewrap",
    "crun",
    "runc",
    "strace",
    "curl",
    "procps",
    "psmisc",
    "iproute2",
    "xz-utils",
)
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


def command_line(target: str, more: Sequence[str] = ()) -> list[str]:
    """The whole recipe: one mmdebstrap call. `more` are packages of a variant."""
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        f"--keyring={KEYRING}",
        f"--include={','.join((*PACKAGES, *more))}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        '--aptopt=APT::Install-Recommends "false"',
        f'--customize-hook=chroot "$1" systemctl mask {" ".join(MASKED)}',
        '--customize-hook=rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
        '--customize-hook=ln -sf /proc/mounts "$1"/etc/mtab',
        SUITE,
        target,
        MIRROR,
    ]


def image(more: Sequence[str] = ()) -> Path:
    """The tarball of the present recipe, made if it is not in the cache. Raises NoGround.

    With more packages it is a tarball of its own, so nobody else pays for them.
    """
    demand("mmdebstrap", "tar")

    def make(tarball: Path) -> None:
        _make(command_line(str(tarball), more))

    return cached(SUITE, command_line("", more), make, suffix=".tar", room=ROOM)


def unpack(tarball: Path, root: Path) -> None:
    """A fresh root at a path that does not exist yet."""
    root.mkdir(mode=0o755)
    subprocess.run(["tar", "-C", root, "--numeric-owner", "-xf", tarball], check=True)


def _make(command: list[str]) -> None:
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if made.returncode != 0:
        raise NoGround(f"mmdebstrap failed:\n{made.stderr[-4000:]}")
