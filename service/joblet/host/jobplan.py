"""Pure: from a job to its scope's properties and to the plan that joblet-init runs.

This page shows the whole isolation of a job. A scope property is anything that systemd can enforce
on a cgroup; everything else is a step of the plan.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from joblet.host import cgroup
from joblet.host.machine import Layout
from joblet.init import plan
from joblet.init.plan import Step, step
from joblet.model.ids import RANGE_SIZE, shard_slice
from joblet.model.job import Job
from joblet.model.limits import cpu_mask

WORK = "/work"
# jobletd ends a job at its timeout; systemd does it this much later if jobletd is not there.
RUNTIME_MAX_MARGIN_USEC = 500_000
UNLIMITED = (1 << 64) - 1
# Of a new scope these say nothing; TasksMax alone has another default than none.
_NO_LIMIT: tuple[object, ...] = (UNLIMITED, b"", [])

# A temporary file system needs inodes too, each a kilobyte of memory: one for so many bytes.
_BYTES_PER_TMP_INODE = 4096
# On disk an inode is cheaper, but all jobs share them: as many as mkfs.ext4 makes for such a size.
_BYTES_PER_WORK_INODE = 16_384
_INODES_MIN = 1024
_RO = plan.RDONLY | plan.NOSUID | plan.NODEV
_RW = plan.NOSUID | plan.NODEV
_NAMESPACES = plan.CLONE_NEWNS | plan.CLONE_NEWNET | plan.CLONE_NEWIPC | plan.CLONE_NEWUTS

# Linux device numbers, admin-guide/devices.txt
_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
_DEV_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)
# What is writable there is guarded by uid checks that a host id may pass: nothing is writable.
_PROC_READONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
# What tells of the host or of other jobs and is open to every uid; kcore as well, whoever reads.
_PROC_MASKED = (
    "acpi",
    "asound",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
)
# Kept where they are at most: a step never raises a limit. setrlimit(2)
_RLIMITS = (
    (resource.RLIMIT_CORE, 0, 0),
    (resource.RLIMIT_NOFILE, 1024, 524_288),
    (resource.RLIMIT_STACK, 8 << 20, resource.RLIM_INFINITY),
    (resource.RLIMIT_MEMLOCK, 8 << 20, 8 << 20),
    (resource.RLIMIT_MSGQUEUE, 819_200, 819_200),
    (resource.RLIMIT_NICE, 0, 0),
    (resource.RLIMIT_RTPRIO, 0, 0),
)
_UMASK = 0o022
_NOBODY = 65_534


@dataclass(frozen=True, slots=True)
class ScopeProperty:
    """One property of a transient unit, as D-Bus wants it."""

    name: str
    signature: str
    value: object


def scope_properties(job: Job, *, io_devices: Sequence[str]) -> list[ScopeProperty]:
    """Everything about the scope but its processes. Unit properties are public: no command."""
    spec = job.spec
    assert job.shard is not None  # noqa: S101
    title = f"Joblet job {job.id[:8]}" + (f" ({spec.name})" if spec.name else "")
    properties = [
        ScopeProperty("Description", "s", title),
        ScopeProperty("Slice", "s", shard_slice(job.shard)),
        ScopeProperty("TimeoutStopUSec", "t", spec.grace_usec),
        # Off by default, unlike that of memory: without it there is no io.stat to read totals from.
        ScopeProperty("IOAccounting", "b", True),
        # The job is killed as a group by its supervisor, who sees every OOM kill in memory.events.
        # With "kill" the kernel would do it (memory.oom.group) and spare the anchor, whose
        # oom_score_adj is -1000 (oom_kill_memcg_member() in mm/oom_kill.c); but systemd follows up
        # with SIGTERM to the scope at the first event and with SIGKILL at the second
        # (scope_notify_cgroup_oom_event(), 252 as 257), and the kernel counts one event per victim.
        # The anchor then dies before the counters are read, and the cgroup with it. Nor can we set
        # memory.oom.group ourselves: with "continue" systemd writes 0 whenever it realizes the
        # cgroup again, as for a sibling that turns a controller on.
        ScopeProperty("OOMPolicy", "s", "continue"),
        *[
            p
            for p in limit_properties(job, io_devices=io_devices)
            if p.value not in _NO_LIMIT or p.name == "TasksMax"
        ],
    ]
    if spec.timeout_usec:
        properties.append(
            ScopeProperty("RuntimeMaxUSec", "t", spec.timeout_usec + RUNTIME_MAX_MARGIN_USEC)
        )
    return properties


def limit_properties(job: Job, *, io_devices: Sequence[str]) -> list[ScopeProperty]:
    """The limits that can change while a job runs; also those that say: no limit (any more).

    A device is a path that systemd takes the number from (/dev/block/8:1); from there it goes by
    itself to the whole disk and through a mapping with a single origin.
    """
    spec = job.spec

    def per_device(limit: int | None) -> list[tuple[str, int]]:
        return [(device, limit) for device in io_devices] if limit else []

    return [
        ScopeProperty(
            "CPUQuotaPerSecUSec", "t", spec.max_cpu * 10_000 if spec.max_cpu else UNLIMITED
        ),
        ScopeProperty("CPUWeight", "t", spec.cpu_weight or UNLIMITED),
        ScopeProperty("AllowedCPUs", "ay", cpu_mask(spec.cpu_cores or ())),
        ScopeProperty("MemoryMax", "t", spec.max_memory or UNLIMITED),
        # A limit that lets a job go on in swap makes it crawl, and the host with it.
        ScopeProperty("MemorySwapMax", "t", 0 if spec.max_memory else UNLIMITED),
        ScopeProperty("IOReadBandwidthMax", "a(st)", per_device(spec.max_io_bps)),
        ScopeProperty("IOWriteBandwidthMax", "a(st)", per_device(spec.max_io_bps)),
        ScopeProperty("IOReadIOPSMax", "a(st)", per_device(spec.max_iops)),
        ScopeProperty("IOWriteIOPSMax", "a(st)", per_device(spec.max_iops)),
        ScopeProperty("IOWeight", "t", spec.io_weight or UNLIMITED),
        # The anchor counts too.
        ScopeProperty("TasksMax", "t", spec.max_tasks + 1 if spec.max_tasks else UNLIMITED),
    ]


def environment(job: Job, secrets: Mapping[str, str]) -> dict[str, str]:
    """What the job gets; the user's variables win, but for our own."""
    name = _user_name(job.spec.uid)
    return {
        "HOME": WORK,
        "LANG": "C.UTF-8",
        "LOGNAME": name,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PWD": WORK,
        "SHELL": "/bin/sh",
        "USER": name,
        **job.spec.environment,
        **secrets,
        "JOBLET_JOB_ID": job.id,
    }


class PlanMaker:
    """Makes the steps from the fork to the user's program; what all jobs share is made once."""

    def __init__(
        self, layout: Layout, work_parent: str, *, work_quota: bool, system_calls: bytes
    ) -> None:
        self._system_calls = step("filter", system_calls)
        self._work_parent = work_parent
        self._work_quota = work_quota
        self._root = [*_root_steps(layout), *_etc_steps(layout)]
        self._devices = [*_dev_steps(), *_proc_steps()]
        self._until_gate = [
            step("sealed", "dev"),
            step("sealed", "."),
            step("pivot"),
            *[step("rlimit", *limit) for limit in _RLIMITS],
            step("reset", _UMASK),
            # Not before its scope stands, with all its limits; so little is left to do behind it.
            step("gate"),
        ]

    def steps(self, job: Job, secrets: Mapping[str, str]) -> list[Step]:
        """The plan of one job, the values of its secret variables included."""
        spec, name = job.spec, _hostname(job)
        assert job.first_id is not None  # noqa: S101
        hosts = f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 {name}\n"
        return [
            step("namespaces", _NAMESPACES),
            step("hostname", name),
            step("loopback"),
            *self._root,
            step("file", "etc/hosts", 0o644, hosts),
            step("file", "etc/hostname", 0o644, name + "\n"),
            *_account_steps(spec.uid),
            *(_quota_steps(job) if self._work_quota else []),
            step("work", f"{self._work_parent}/{job.id}", "work", _RW),
            step("tmpfs", "tmp", _RW, _tmpfs_options(spec.max_tmp or 0)),
            *self._devices,
            step("tmpfs", "dev/shm", _RW, _tmpfs_options(spec.max_shm or 0)),
            *self._until_gate,
            step("scope", cgroup.place(job)),
            step("cgroup-namespace"),
            # Last, so that everything above belongs to the host's user namespace.
            step("user-namespace", job.first_id, RANGE_SIZE),
            step("identity", spec.uid, spec.uid),
            step("chdir", WORK),
            step(
                "environment", *[f"{k}={v}" for k, v in sorted(environment(job, secrets).items())]
            ),
            *([step("init")] if spec.init else []),
            # The last, since it forbids what most of the others do.
            self._system_calls,
            step("exec", spec.command, spec.command, *spec.args),
        ]


def encode(steps: list[Step]) -> bytes:
    """The plan as it travels. Raises BadRecord."""
    return plan.encode(steps)


def _hostname(job: Job) -> str:
    return f"job-{job.id[:8]}"


def _root_steps(layout: Layout) -> list[Step]:
    return [
        step("root", plan.MOUNT_POINT, "size=512k,nr_inodes=256,mode=755"),
        *[step("directory", name, 0o755) for name in ("etc", "var", "run", "home", "root", "opt")],
        step("directory", "volumes", 0o755),
        step("symlink", "/tmp", "var/tmp"),  # noqa: S108
        step("symlink", "/run", "var/run"),
        *[step("symlink", target, name) for name, target in layout.links],
        *[step("bind", f"/{name}", name, _RO) for name in layout.directories],
    ]


def _user_name(uid: int) -> str:
    return {0: "root", _NOBODY: "nobody"}.get(uid, "job")


@cache
def _account_steps(uid: int) -> tuple[Step, ...]:
    passwd = {
        0: "root:x:0:0:root:/root:/usr/sbin/nologin",
        _NOBODY: f"nobody:x:{_NOBODY}:{_NOBODY}:nobody:/nonexistent:/usr/sbin/nologin",
    }
    group = {0: "root:x:0:", _NOBODY: f"nogroup:x:{_NOBODY}:"}
    name = _user_name(uid)
    passwd[uid] = f"{name}:x:{uid}:{uid}:{name}:{WORK}:/bin/sh"
    group.setdefault(uid, f"{name}:x:{uid}:")
    return (
        step("file", "etc/passwd", 0o644, "\n".join(passwd.values()) + "\n"),
        step("file", "etc/group", 0o644, "\n".join(group.values()) + "\n"),
    )


def _quota_steps(job: Job) -> list[Step]:
    assert job.project is not None  # noqa: S101
    return [step("quota", job.project, *work_quota(job.spec.max_work or 0))]


def work_quota(size: int) -> tuple[int, int]:
    """A work directory's limits for so many bytes: KiB, inodes; 0 is no limit."""
    if not size:
        return 0, 0
    return -(-size // 1024), max(_INODES_MIN, size // _BYTES_PER_WORK_INODE)


def _tmpfs_options(size: int) -> str:
    # 0 is no limit to tmpfs as well
    inodes = max(_INODES_MIN, size // _BYTES_PER_TMP_INODE) if size else 0
    return f"size={size},nr_inodes={inodes},mode=1777"


def _etc_steps(layout: Layout) -> list[Step]:
    parents = sorted({name.split("/")[0] for name in layout.etc if "/" in name})
    return [
        step("file", "etc/resolv.conf", 0o644, ""),
        step("file", "etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\n"),
        *[step("directory", f"etc/{name}", 0o755) for name in parents],
        *[step("bind", f"/etc/{name}", f"etc/{name}", _RO) for name in layout.etc],
        *([step("symlink", layout.localtime, "etc/localtime")] if layout.localtime else []),
    ]


def _dev_steps() -> list[Step]:
    return [
        # no nodev here, and only here: it holds the device nodes
        step("tmpfs", "dev", plan.NOSUID | plan.NOEXEC, "size=64k,mode=755"),
        *[step("device", f"dev/{name}", major, minor) for name, major, minor in _DEVICES],
        *[step("symlink", target, f"dev/{name}") for target, name in _DEV_LINKS],
        step("devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620"),
    ]


def _proc_steps() -> list[Step]:
    return [
        step("proc", "proc"),
        *[step("readonly", f"proc/{name}") for name in _PROC_READONLY],
        *[step("masked", f"proc/{name}") for name in _PROC_MASKED],
    ]
