"""joblet-setup: what the host needs once, before the first job; ExecStart of joblet-setup.service.

Announces the pool of id ranges in /etc/subuid and /etc/subgid (subuid(5)), so that nobody else is
given them, and makes the image file of the work directories, which the mount unit beside it mounts
with project quotas. It does nothing where that is done already, or where the host's own file
system has project quotas.

    joblet-setup               before the mount
    joblet-setup direct-io     after it (joblet-direct-io.service)
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import subprocess
import sys

from joblet import config
from joblet.config import AUTO, ConfigError, IdsConfig, WorkConfig
from joblet.errors import HostFailure
from joblet.host import disks
from joblet.model.ids import RANGE_SIZE
from joblet.paths import Paths

log = logging.getLogger("joblet-setup")

EX_CONFIG = 78
_OWNER = "joblet"
_SUBORDINATE_IDS = ("/etc/subuid", "/etc/subgid")
# Of what is free when it is made; the rest of the host needs room too.
_SHARE_OF_FREE = 4
_SIZE_MAX = 64 << 30
_SIZE_MIN = 256 << 20
# Longer than any mkfs of a file of _SIZE_MAX, which writes little.
_MKFS_DEADLINE_S = 300
# linux/loop.h
_LOOP_SET_DIRECT_IO = 0x4C08


def announce(ids: IdsConfig, path: str) -> None:
    """Have the pool in a file of subordinate ids; warns when it is somebody else's already."""
    first, count = ids.first, ids.count * RANGE_SIZE
    wanted = f"{_OWNER}:{first}:{count}"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except FileNotFoundError:
        text = ""
    for line in text.splitlines():
        if line == wanted:
            return
        owner, _, numbers = line.partition(":")
        start, _, size = numbers.partition(":")
        if owner == _OWNER or not (start.isdigit() and size.isdigit()):
            continue
        if int(start) < first + count and first < int(start) + int(size):
            log.warning("%s: '%s' overlaps the id ranges of jobs; move ids.first", path, line)
    with open(path, "a", encoding="utf-8") as file:
        # An editor may have left the last line without an end.
        file.write(("\n" if text and not text.endswith("\n") else "") + wanted + "\n")


def image_size(work: WorkConfig, free: int) -> int:
    """Bytes of the image file; 0 for none. Raises HostFailure when there is no room."""
    if work.image_size != AUTO:
        return work.image_size
    size = min(_SIZE_MAX, free // _SHARE_OF_FREE) & ~0xFFFFF
    if size < _SIZE_MIN:
        raise HostFailure("image of the work directories", errno.ENOSPC, "less than 1 GiB is free")
    return size


def make_image(path: str, size: int) -> None:
    """An ext4 file system with project quotas in a file, whole or not at all. Raises HostFailure.

    Its space is taken from the host now: jobs that fill it find it full, not the host.
    """
    new = path + ".new"
    try:
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
        finally:
            os.close(fd)
        made = subprocess.run(  # noqa: S603
            ["/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-L", "joblet-work"]
            + ["-O", "quota,project", "-E", "quotatype=prjquota,nodiscard,lazy_itable_init=1", new],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_MKFS_DEADLINE_S,
            check=False,
        )
        if made.returncode != 0:
            said = made.stderr.decode(errors="replace").strip()
            raise HostFailure("mkfs.ext4", 0, said)
        with open(new, "rb") as file:
            os.fsync(file.fileno())
        os.rename(new, path)
    except OSError as err:
        raise HostFailure("image of the work directories", err.errno or 0, str(err)) from err
    finally:
        if os.path.exists(new):
            os.unlink(new)


def _prepare(settings: config.Config, paths: Paths) -> None:
    for path in _SUBORDINATE_IDS:
        announce(settings.ids, path)
    image = paths.work_image
    os.makedirs(paths.work, mode=0o700, exist_ok=True)
    if os.path.exists(image) or disks.has_project_quota(paths.work):
        return
    space = os.statvfs(paths.state)
    size = image_size(settings.work, space.f_bavail * space.f_frsize)
    if size:
        make_image(image, size)
        log.info("%s: %d MiB for the work directories of jobs", image, size >> 20)


def direct_io(work: str) -> None:
    """Have the loop device under the work directories pass the page cache of its image by.

    Else what a job writes is in memory twice, both times charged to it, and the second copy cannot
    be given back before the first: a job with little memory is killed for writing a large file.
    """
    device = disks.source_of(work)
    if not device.startswith("/dev/loop"):
        return
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _LOOP_SET_DIRECT_IO, 1)
        finally:
            os.close(fd)
    except OSError as err:
        log.warning("%s: no direct IO, so writes count twice as memory: %s", device, err.strerror)


def main() -> int:
    """Entry point of the launcher that ExecStart names."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    paths = Paths.from_environment()
    try:
        if sys.argv[1:] == ["direct-io"]:
            direct_io(paths.work)
            return 0
        _prepare(config.load(paths.config_file), paths)
    except ConfigError as err:
        log.error("%s", err)
        return EX_CONFIG
    except (HostFailure, OSError) as err:
        log.error("%s", err)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
