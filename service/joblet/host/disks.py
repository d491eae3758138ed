"""Which block device and file system is under a path, and what it can do for limits.

Read from sysfs(5) and proc(5).

A device is named as /dev/block/MAJOR:MINOR: systemd takes the number from such a path without
looking at it, and goes on by itself from a partition to its disk and through a mapping with a
single origin. It is not asked to find the device of a path, since all it does when there is none is
to warn, and the limit is then silently not there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from joblet.host.machine import CGROUP_ROOT

SYS = "/sys"
MOUNTS = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device by its number, or why there is none in one clause."""

    number: str | None
    missing: str = ""

    @property
    def path(self) -> str | None:
        """The device as systemd takes it."""
        return None if self.number is None else f"/dev/block/{self.number}"


def under(path: str, *, mounts: str = MOUNTS, sys: str = SYS) -> Disk:
    """The block device that holds the nearest existing directory of a path."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    device = os.stat(path).st_dev
    if os.major(device):
        number = f"{os.major(device)}:{os.minor(device)}"
        return _below_loop(number, mounts, sys) or Disk(number)
    kind, source, _ = _mount_of(os.path.realpath(path), mounts)
    if kind == "btrfs":
        return _under_btrfs(source, sys)
    return Disk(None, f"{path} is on {kind}, which has none")


def distinct(*disks: Disk) -> list[str]:
    """The devices that there are, each once."""
    return list(dict.fromkeys(disk.path for disk in disks if disk.path is not None))


def weighs_io(disk: Disk, *, cgroups: str = CGROUP_ROOT, sys: str = SYS) -> bool:
    """Whether io.weight or io.bfq.weight has an effect on this device.

    The file alone says nothing: without the bfq scheduler or a cost model in force (io.cost.qos)
    the kernel takes the number and does nothing with it.
    """
    if disk.number is None:
        return False
    device, whole = _whole(disk.number, sys)
    if "[bfq]" in _text(f"{device}/queue/scheduler"):
        return True
    return any(
        line.startswith(f"{whole} ") and "enable=1" in line.split()
        for line in _text(f"{cgroups}/io.cost.qos").splitlines()
    )


@cache
def _whole(number: str, sys: str) -> tuple[str, str]:
    """Directory and number of the disk that a device is, or is a part of."""
    device = os.path.realpath(f"{sys}/dev/block/{number}")
    if os.path.exists(f"{device}/partition"):
        device = os.path.dirname(device)
    return device, _text(f"{device}/dev").strip()


def has_project_quota(path: str, *, mounts: str = MOUNTS) -> bool:
    """Whether the file system of a path enforces project quotas (ext4 prjquota, xfs pquota)."""
    options = _mount_of(os.path.realpath(path), mounts).options
    return bool({"prjquota", "pquota"} & set(options.split(",")))


def source_of(path: str, *, mounts: str = MOUNTS) -> str:
    """What is mounted at, or nearest above, a path: a device, or a word of its kind."""
    return _mount_of(os.path.realpath(path), mounts).source


def _below_loop(number: str, mounts: str, sys: str) -> Disk | None:
    """The disk that holds the image of a loop device with direct IO; None for any other device.

    Such a loop hands each request on in the name of whoever made it, so a limit on both devices
    would be kept twice, and half of it would be left.
    """
    loop = f"{sys}/dev/block/{number}/loop"
    image = _text(f"{loop}/backing_file").strip()
    if _text(f"{loop}/dio").strip() != "1" or not os.path.exists(image):
        return None
    disk = under(image, mounts=mounts, sys=sys)
    return disk if disk.number is not None else None


def _under_btrfs(source: str, sys: str) -> Disk:
    name = _kernel_name(source, sys)
    number = _text(f"{sys}/class/block/{name}/dev").strip()
    if not number:
        return Disk(None, f"the device {source} is not known to sysfs")
    for uuid in os.listdir(f"{sys}/fs/btrfs"):
        members = f"{sys}/fs/btrfs/{uuid}/devices"
        if os.path.isdir(members):
            names = os.listdir(members)
            if name in names and len(names) > 1:
                return Disk(None, f"a btrfs over {len(names)} devices has no single one")
    return Disk(number)


def _kernel_name(source: str, sys: str) -> str:
    name = os.path.basename(source)
    if os.path.dirname(source) != "/dev/mapper":
        return name
    # Our own /dev is private, so the link there cannot be followed.
    for candidate in os.listdir(f"{sys}/class/block"):
        if _text(f"{sys}/class/block/{candidate}/dm/name").strip() == name:
            return candidate
    return name


class _Mount(NamedTuple):
    kind: str
    source: str
    options: str  # of the file system, not of the mount


def _mount_of(path: str, mounts: str) -> _Mount:
    """What is mounted at, or nearest above, a path (proc_pid_mountinfo(5))."""
    best, found = -1, _Mount("an unknown file system", "", "")
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            front, _, back = line.partition(" - ")
            point = _unescaped(front.split()[4])
            kind, source, options = back.split()[:3]
            prefix = point.rstrip("/") + "/"
            # of several at one place the last is on top
            if (path + "/").startswith(prefix) and len(prefix) >= best:
                best, found = len(prefix), _Mount(kind, _unescaped(source), options)
    return found


def _unescaped(word: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, char)
    return word


def _text(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except OSError:
        # not such a device, or no such controller
        return ""
