"""Facts of this host that change rarely: boot id, root layout, CPUs, memory, controllers, ids.

Block devices are in disks.py.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from dataclasses import dataclass

from joblet.model.limits import parse_cpus

CGROUP_ROOT = "/sys/fs/cgroup"
JOBS_SLICE = "joblet.slice/joblet-jobs.slice"

# What of the host's /etc a job may see: how to find libraries, names of services and protocols,
# certificate roots, the time zone. Accounts, host names and everything else are the job's own.
ETC_ALLOW_LIST = (
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "ld.so.cache",
    "mime.types",
    "pki",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
# Program directories of the root; on a merged-/usr host all but usr are links into it.
_ROOT_DIRECTORIES = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True, slots=True)
class Layout:
    """How the host's read-only directories look."""

    links: tuple[tuple[str, str], ...]  # name in the root, target
    directories: tuple[str, ...]  # names in the root
    etc: tuple[str, ...]  # names below /etc that exist
    localtime: str | None = None  # where /etc/localtime points to, if that is below /usr


def boot_id() -> str:
    """The id of this boot (random(4), /proc/sys/kernel/random/boot_id)."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def layout(root: str = "/") -> Layout:
    """Look at the host's root."""
    links, directories = [], []
    for name in _ROOT_DIRECTORIES:
        path = os.path.join(root, name)
        if os.path.islink(path):
            links.append((name, os.readlink(path)))
        elif os.path.isdir(path):
            directories.append(name)
    etc = tuple(name for name in ETC_ALLOW_LIST if os.path.exists(f"{root}/etc/{name}"))
    return Layout(tuple(links), tuple(directories), etc, _localtime(root))


def _localtime(root: str) -> str | None:
    try:
        target = os.readlink(f"{root}/etc/localtime")
    except OSError:
        # not there, or a copy: the job's clock shows UTC then
        return None
    resolved = os.path.normpath(os.path.join("/etc", target))
    return resolved if resolved.startswith("/usr/") else None


def usable_cpus(cgroups: str = CGROUP_ROOT) -> frozenset[int]:
    """CPUs that are online and that a job's scope can have."""
    cpus = frozenset(os.sched_getaffinity(0))
    with contextlib.suppress(OSError):
        cpus = _cpus_in("/sys/devices/system/cpu/online")
    # A slice has the file only where somebody asked for the controller; then its parent's holds.
    for parent in (JOBS_SLICE, os.path.dirname(JOBS_SLICE), ""):
        try:
            return cpus & _cpus_in(f"{cgroups}/{parent}/cpuset.cpus.effective")
        except FileNotFoundError:
            continue
    return cpus


def _cpus_in(file: str) -> frozenset[int]:
    with open(file, encoding="ascii") as stream:
        return frozenset(parse_cpus(stream.read()))


def memory_bytes() -> int:
    """The host's memory, without swap."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def task_count() -> int:
    """How many processes and threads this kernel can number (proc(5))."""
    counts = []
    for name in ("pid_max", "threads-max"):
        with open(f"/proc/sys/kernel/{name}", encoding="ascii") as file:
            counts.append(int(file.read()))
    return min(counts)


def bridge_uid(user: str) -> int | None:
    """The account of the bridge; None where there is none. root needs no trust of this kind."""
    try:
        return pwd.getpwnam(user).pw_uid or None
    except KeyError:
        return None


def controllers() -> frozenset[str]:
    """The cgroup v2 controllers that limits can rely on."""
    try:
        with open(f"{CGROUP_ROOT}/cgroup.controllers", encoding="ascii") as file:
            return frozenset(file.read().split())
    except FileNotFoundError:
        return frozenset()
