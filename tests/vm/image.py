"""The disks of the virtual machines: their recipe per Debian release, and the cache of results.

An image is a directory in the cache of grounds/cache.py, named after a hash of the recipe: a root
file system on a sparse disk, and the kernel and initrd to boot it with. Making one takes half a
minute and needs root, mmdebstrap, mkfs.ext4 and a Debian mirror; nothing is mounted on the host.
The guest is stock Debian where Joblet can tell the difference, and lean where it cannot, because
an emulated processor pays twenty times for everything. Booting it is left to machine.py,
installing Joblet to ground.py.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.grounds.cache import DEPENDENCIES, KEYRING, LEFT_OUT, MIRROR, NoGround, cached, demand

SUITES = {"13": "trixie", "12": "bookworm"}
# What the file systems claim to hold; the files on the host are sparse.
ROOT_SIZE = "6G"
# Of the host's disk, while one is made: the tree, the image of it, and what a machine writes later.
ROOM = 1500 << 20
PACKAGES = (
    # the system
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "systemd-sysv",
    "udev",
    "kmod",
    "dbus",
    "polkitd",
    "util-linux",
    "passwd",
    "openssh-server",
    *DEPENDENCIES,
    # what tests run, or look with
    "iproute2",
    "procps",
    "strace",
    "xz-utils",
)
# They wake up in the middle of a test or wait for a terminal, and say nothing about Joblet.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "serial-getty@ttyS0.service",
    "systemd-tmpfiles-clean.timer",
)
# On the console when multi-user.target has been reached.
READY = "the ground is ready"
# The guest learns the session's key from its kernel command line.
KEY_WORD = "ground.key="
# Before the packages: the initrd is made once, with the modules of the disk and nothing else.
EARLY_FILES = {
    "etc/initramfs-tools/conf.d/ground": "MODULES=list\nCOMPRESS=gzip\n",
    "usr/share/initramfs-tools/modules.d/ground": "virtio_pci\nvirtio_blk\next4\n",
}
FILES = {
    # nothing waits for udev to find the disk that the kernel has mounted already
    "etc/fstab": "",
    "etc/hostname": "ground\n",
    "etc/hosts": "127.0.0.1 localhost ground\n::1 localhost\n",
    # systemd gives every copy of the image an id of its own
    "etc/machine-id": "",
    "etc/systemd/network/ground.network": """\
[Match]
Driver=virtio_net

[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no
""",
    # no PAM: a session of a user would cost seconds and put commands into scopes of its own
    "etc/ssh/sshd_config.d/ground.conf": """\
AuthorizedKeysCommand /usr/local/libexec/ground-key
AuthorizedKeysCommandUser root
MaxSessions 1000
PrintMotd no
UseDNS no
UsePAM no
""",
    "usr/local/libexec/ground-key": f"""\
#!/bin/sh
exec sed -n 's/.*{KEY_WORD}\\([^ ]*\\).*/ssh-ed25519 \\1/p' /proc/cmdline
""",
    "etc/systemd/system/ground-ready.service": f"""\
[Unit]
Description=Tell the host that the boot has come to its end
After=ssh.service systemd-networkd.service dbus.service

[Service]
Type=oneshot
ExecStart=/bin/echo {READY}
StandardOutput=tty
TTYPath=/dev/ttyS0

[Install]
WantedBy=multi-user.target
""",
}
PREPARE = f"""\
set -eu
chmod 755 /usr/local/libexec/ground-key
systemctl mask --quiet {" ".join(MASKED)}
systemctl enable --quiet systemd-networkd.service ground-ready.service ssh.service
systemctl disable --quiet systemd-networkd-wait-online.service
useradd --create-home --shell /bin/sh member
useradd --create-home --shell /bin/sh outsider
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/apt /var/lib/dbus/machine-id
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a boot needs; never written to after it was made."""

    disk: Path
    kernel: Path
    initrd: Path


def image(release: str) -> Image:
    """The image of a Debian release ("13"), made if it is not in the cache. Raises NoGround."""
    demand("mmdebstrap", "mkfs.ext4", "chroot")
    recipe = [_mmdebstrap(release, ""), EARLY_FILES, FILES, PREPARE, _mkfs("", "")]
    name = f"{SUITES[release]}-vm"
    made = cached(name, recipe, lambda target: _make(release, target), room=ROOM)
    return _image(made)


def _image(directory: Path) -> Image:
    return Image(directory / "disk", directory / "kernel", directory / "initrd")


def _mmdebstrap(release: str, root: str) -> list[str]:
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        f"--keyring={KEYRING}",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT),
        '--aptopt=APT::Install-Recommends "false"',
        '--essential-hook=cp -r "$EARLY"/. "$1"',
        SUITES[release],
        root,
        MIRROR,
    ]


def _mkfs(root: str, disk: str) -> list[str]:
    # Nothing is left to be initialised by the guest's kernel while a test measures its disk.
    now = "lazy_itable_init=0,lazy_journal_init=0"
    return ["mkfs.ext4", "-q", "-E", now, "-d", root, disk, ROOT_SIZE]


def _make(release: str, target: Path) -> None:
    with TemporaryDirectory(dir=target.parent) as scratch:
        early, root = Path(scratch) / "early", Path(scratch) / "root"
        _write(early, EARLY_FILES)
        _checked(_mmdebstrap(release, str(root)), EARLY=str(early))
        _write(root, FILES)
        _checked(["chroot", root, "sh", "-c", PREPARE])
        target.mkdir()
        made = _image(target)
        for link, kept in (("vmlinuz", made.kernel), ("initrd.img", made.initrd)):
            (found,) = (root / "boot").glob(f"{link}-*")
            shutil.move(found, kept)
        _checked(_mkfs(str(root), str(made.disk)))


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _checked(command: Sequence[Path | str], **env: str) -> None:
    done = subprocess.run(
        command,
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise NoGround(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
