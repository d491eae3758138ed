"""Whether a spec can be carried out on this host, and what it comes to: before anything exists.

A limit that is left out takes the configured default; every limit is then checked against the
ceilings and against what the host has. What cannot be kept is refused with the reason and the way
out, never ignored. Pure: the facts are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from joblet.config import Config
from joblet.errors import InvalidSpec
from joblet.model.job import JobSpec
from joblet.model.limits import WEIGHT_DEFAULT, Limits, print_cpus, print_duration, print_size


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What limits can rely on."""

    cpus: frozenset[int]  # online, and given to our slices
    controllers: frozenset[str]  # cgroup v2 controllers
    memory_bytes: int
    tasks: int  # processes and threads that the kernel can number
    io_device: str | None  # what is under /work, as a path for systemd
    io_missing: str = ""  # why there is none, in one clause
    weighs_io: bool = False  # whether anything looks at IO weights on that device
    work_quota: bool = False  # the file system of /work has project quotas
    accept_unenforced: bool = False


# Controllers by limit; what is not here is kept without cgroups.
_CONTROLLERS = {
    "max_cpu": "cpu",
    "cpu_weight": "cpu",
    "cpu_cores": "cpuset",
    "max_memory": "memory",
    "max_io_bps": "io",
    "max_iops": "io",
    "io_weight": "io",
    "max_tasks": "pids",
}
_WEIGHTS = ("cpu_weight", "io_weight")
_TMPFS = ("max_tmp", "max_shm")
# A left-out /tmp and /dev/shm live in the job's memory: together they leave it half.
_TMPFS_SHARE = 4
_PRINTED: Mapping[str, Callable[[Any], str]] = {
    "max_cpu": lambda value: f"{value} %",
    "cpu_cores": print_cpus,
    "max_memory": print_size,
    "max_io_bps": print_size,
    "timeout_usec": print_duration,
    "stop_grace_usec": print_duration,
    "max_work": print_size,
    "max_tmp": print_size,
    "max_shm": print_size,
}


def settle(spec: JobSpec, config: Config, host: HostFacts) -> JobSpec:
    """The spec with every limit settled. Raises InvalidSpec."""
    values = {f.name: _value(f.name, getattr(spec, f.name), config) for f in fields(Limits)}
    if values["max_memory"]:
        for name in _TMPFS:
            if getattr(spec, name) is None:
                share = values["max_memory"] // _TMPFS_SHARE
                values[name] = min(values[name] or share, share)
    user = config.defaults.user if spec.user is None else spec.user
    settled = replace(spec, **values, user=user)
    _check(settled, [f.name for f in fields(Limits)], config, host)
    _check_tmpfs(settled)
    return settled


def change(
    spec: JobSpec, changes: Mapping[str, object], config: Config, host: HostFacts
) -> JobSpec:
    """A settled spec with other limits; what stays is not judged again. Raises InvalidSpec."""
    changed = replace(spec, **changes, revision=spec.revision + 1)  # type: ignore[arg-type]
    _check(changed, changes, config, host)
    return changed


def _value(name: str, given: Any, config: Config) -> Any:
    if given is not None:
        return given
    default, ceiling = getattr(config.defaults, name), getattr(config.ceilings, name)
    if name in _WEIGHTS and not default and ceiling >= WEIGHT_DEFAULT:
        return default
    if name == "stop_grace_usec":
        # a default of none is a grace of none
        return default
    return default or ceiling


def _check(spec: JobSpec, names: Iterable[str], config: Config, host: HostFacts) -> None:
    for name in names:
        value = getattr(spec, name)
        _check_ceiling(name, value, getattr(config.ceilings, name))
        if not value:
            continue
        controller = _CONTROLLERS.get(name)
        if controller and controller not in host.controllers and not host.accept_unenforced:
            raise InvalidSpec(
                name,
                f"this host has no '{controller}' controller to enforce it; leave it out, or set "
                'limits.unenforced = "accept" in joblet.toml',
            )
        check = _CHECKS.get(name)
        if check is not None:
            check(value, host)


def _check_ceiling(name: str, value: Any, ceiling: Any) -> None:
    if not ceiling:
        return
    word = f"ceilings.{name.removesuffix('_usec')}"
    shown = _PRINTED.get(name, str)
    if name == "cpu_cores":
        outside = set(value) - set(ceiling)
        if outside or not value:
            wanted = f"CPU {print_cpus(outside)} is not" if outside else "all CPUs are not"
            raise InvalidSpec(name, f"{wanted} within {word}, {print_cpus(ceiling)}")
    elif name in _WEIGHTS or name == "stop_grace_usec":
        if value > ceiling:
            raise InvalidSpec(name, f"{shown(value)} is above {word}, {shown(ceiling)}")
    elif not value:
        raise InvalidSpec(name, f"no limit is above {word}; ask for at most {shown(ceiling)}")
    elif value > ceiling:
        raise InvalidSpec(name, f"{shown(value)} is above {word}, {shown(ceiling)}")


def _check_cpu(percent: int, host: HostFacts) -> None:
    count = len(host.cpus)
    if percent > 100 * count:
        raise InvalidSpec(
            "max_cpu",
            f"{percent} % is more than the {count} CPUs of this host have; ask for at most "
            f"{100 * count}",
        )


def _check_cores(cores: tuple[int, ...], host: HostFacts) -> None:
    missing = set(cores) - host.cpus
    if missing:
        raise InvalidSpec(
            "cpu_cores",
            f"CPU {print_cpus(missing)} is not there, offline, or not for jobs; there are "
            f"{print_cpus(host.cpus)}",
        )


def _check_memory(size: int, host: HostFacts) -> None:
    # Unlike podman: such a limit never bites, and with the swap off the host would die first.
    if size > host.memory_bytes:
        raise InvalidSpec(
            "max_memory",
            f"{print_size(size)} is more than this host has, "
            f"{host.memory_bytes >> 20}M; ask for less, or for 0 (no limit)",
        )


def _check_tasks(count: int, host: HostFacts) -> None:
    # one more is the anchor's
    if count >= host.tasks:
        raise InvalidSpec(
            "max_tasks",
            f"the kernel numbers at most {host.tasks} processes and threads (kernel.pid_max, "
            "kernel.threads-max); ask for less, or for 0 (no limit)",
        )


def _check_io(name: str) -> Callable[[int, HostFacts], None]:
    def check(_value: int, host: HostFacts) -> None:
        if host.io_device is None and not host.accept_unenforced:
            raise InvalidSpec(
                name, f"there is no block device under /work to limit: {host.io_missing}"
            )

    return check


def _check_io_weight(_weight: int, host: HostFacts) -> None:
    if not host.weighs_io and not host.accept_unenforced:
        raise InvalidSpec(
            "io_weight",
            "nothing on this host looks at it: the disk under /work needs the bfq scheduler, or "
            "io.cost.qos enabled",
        )


def _check_tmpfs(spec: JobSpec) -> None:
    """Both live in the job's memory: what it can never hold is a mistake."""
    memory = spec.max_memory or 0
    if not memory:
        return
    for name in _TMPFS:
        size = getattr(spec, name) or 0
        if size > memory:
            raise InvalidSpec(
                name, f"it counts as memory, and max_memory is {print_size(memory)}; ask for less"
            )
    if (spec.max_tmp or 0) + (spec.max_shm or 0) > memory:
        raise InvalidSpec(
            "max_tmp",
            f"with max_shm it is more than max_memory, {print_size(memory)}, and both count as "
            "memory; ask for less",
        )


def _check_work(_size: int, host: HostFacts) -> None:
    if not host.work_quota and not host.accept_unenforced:
        raise InvalidSpec(
            "max_work",
            "the file system of the work directories has no project quotas to enforce it "
            "(`systemctl status joblet-setup.service` says why); ask for 0 (no limit)",
        )


_CHECKS: Mapping[str, Callable[[Any, HostFacts], None]] = {
    "max_cpu": _check_cpu,
    "cpu_cores": _check_cores,
    "max_memory": _check_memory,
    "max_tasks": _check_tasks,
    "max_io_bps": _check_io("max_io_bps"),
    "max_iops": _check_io("max_iops"),
    "io_weight": _check_io_weight,
    "max_work": _check_work,
}
