"""Whether a spec can be carried out on this host: what is known before anything is created."""

from __future__ import annotations

from dataclasses import dataclass

from joblet.errors import InvalidSpec
from joblet.model.job import JobSpec


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What limits can rely on."""

    cpus: int
    controllers: frozenset[str]  # cgroup v2 controllers
    accept_unenforced: bool = False


def check(spec: JobSpec, host: HostFacts) -> None:
    """Raises InvalidSpec for a limit that this host cannot keep."""
    if spec.max_cpu > 100 * host.cpus:
        raise InvalidSpec(
            "max_cpu", f"{spec.max_cpu} % is more than the {host.cpus} CPUs of this host have"
        )
    needed = {"max_cpu": "cpu", "max_memory": "memory", "max_tasks": "pids"}
    for field, controller in needed.items():
        if not getattr(spec, field) or controller in host.controllers or host.accept_unenforced:
            continue
        raise InvalidSpec(
            field,
            f"this host has no '{controller}' controller to enforce it; leave it out, or set "
            'limits.unenforced = "accept" in joblet.toml',
        )
