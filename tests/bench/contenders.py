"""Who starts `true`: Joblet's peers, each as close to a Joblet job as its own options allow.

Owns the command lines, the OCI bundle of crun and runc, and the trial that finds out what works on
this machine. Starting them is left to spawner.py, podman and docker to engines.py; Joblet itself is
in joblet_jobs.py, with the same limits.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEMORY_BYTES = 256 << 20
CPU_PERCENT = 100
TASKS = 100

UNSHARE = "unshare"
BWRAP = "bwrap"
CRUN = "crun"
RUNC = "runc"
PODMAN = "podman"
DOCKER = "docker"
SCOPE = "systemd-run --scope"
SANDBOX = "systemd-run --wait, sandboxed"

_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
ENVIRONMENT = {"PATH": _PATH, "LANG": "C.UTF-8"}
_TRIAL_SECONDS = 60
_LIMITS = (
    f"--property=MemoryMax={MEMORY_BYTES}",
    "--property=MemorySwapMax=0",
    f"--property=CPUQuota={CPU_PERCENT}%",
    f"--property=TasksMax={TASKS}",
)
# What systemd.exec(5) offers of what a Joblet job gets.
_SANDBOX = (
    "CapabilityBoundingSet=",
    "LockPersonality=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "PrivateNetwork=yes",
    "PrivateTmp=yes",
    "PrivateUsers=yes",
    "ProcSubset=pid",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHome=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "ProtectSystem=strict",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
)


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that runs `true` in a sandbox; `command` takes a name that is not in use."""

    name: str
    command: Callable[[str], list[str]]
    note: str
    share: float = 1.0  # of the runs that others do per round


@dataclass(frozen=True, slots=True)
class Missing:
    """A peer that does not work here, and what it said."""

    name: str
    why: str


def peers(directory: Path) -> tuple[list[Peer], list[Missing]]:
    """Those that work on this machine, tried once each; bundles go into the directory."""
    directory.chmod(0o755)  # a container's root is nobody here
    found: list[Peer] = []
    missing: list[Missing] = []
    for name, forms in _variants(directory).items():
        peer = first_that_works(name, forms)
        if isinstance(peer, Peer):
            found.append(peer)
        else:
            missing.append(peer)
    return found, missing


def first_that_works(name: str, forms: list[Peer]) -> Peer | Missing:
    """The first form of a peer that runs `true` here, or what each of them said."""
    whys = []
    for number, peer in enumerate(forms):
        # A failed trial may leave its unit behind.
        why = _trial(peer.command(f"peer-trial-{number}"))
        if why is None:
            return peer
        whys.append(why)
    return Missing(name, "; ".join(dict.fromkeys(whys)))


def _variants(directory: Path) -> dict[str, list[Peer]]:
    """Each peer's forms, the best first."""
    forms: dict[str, list[Peer]] = {
        UNSHARE: [_fixed(UNSHARE, ["unshare", "-pmnuif", "true"], "no root, no limits")],
        BWRAP: [_fixed(BWRAP, _bwrap(), "no limits")],
        SCOPE: [_fixed(SCOPE, ["systemd-run", "--quiet", "--scope", *_LIMITS, "true"], "limits")],
        SANDBOX: [_fixed(SANDBOX, _sandbox(), "sandbox of the service manager, limits")],
    }
    for runtime in (CRUN, RUNC):
        forms[runtime] = [
            _oci(runtime, _bundle(directory, limits=True), "user namespace, limits, no seccomp"),
            _oci(
                runtime,
                _bundle(directory, limits=False),
                "user namespace, no seccomp, no limits: the cgroup takes none",
            ),
        ]
    return forms


def _fixed(name: str, command: list[str], note: str) -> Peer:
    absolute = [shutil.which(command[0], path=_PATH) or command[0], *command[1:]]
    return Peer(name, lambda _: absolute, note)


def _bwrap() -> list[str]:
    binds = ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for name in ("bin", "lib", "lib64", "sbin"):
        binds += ["--symlink", f"usr/{name}", f"/{name}"]
    own = ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    return ["bwrap", "--unshare-all", "--new-session", *binds, *own, "true"]


def _sandbox() -> list[str]:
    properties = [f"--property={line}" for line in _SANDBOX]
    return ["systemd-run", "--quiet", "--wait", *properties, *_LIMITS, "true"]


def _oci(runtime: str, bundle: Path, note: str) -> Peer:
    program = shutil.which(runtime, path=_PATH) or runtime
    start = [program, "--systemd-cgroup", "run", "--bundle", str(bundle)]
    return Peer(runtime, lambda name: [*start, name], note)


def make_root(root: Path) -> None:
    """The places of a root into which the system's /usr is mounted."""
    for name in ("dev", "etc", "proc", "run", "sys", "tmp", "usr"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        if not (root / name).is_symlink():
            os.symlink(f"usr/{name}", root / name)


def _bundle(directory: Path, *, limits: bool) -> Path:
    """A root of its own with the system's /usr and /etc in it, read-only."""
    bundle = directory / ("limited" if limits else "unlimited")
    make_root(bundle / "rootfs")
    (bundle / "config.json").write_text(json.dumps(_oci_config(limits=limits)))
    return bundle


def _oci_config(*, limits: bool) -> dict[str, object]:
    resources = {
        "memory": {"limit": MEMORY_BYTES},
        "cpu": {"quota": CPU_PERCENT * 1000, "period": 100_000},
        "pids": {"limit": TASKS},
    }
    ids = [{"containerID": 0, "hostID": 1_000_000, "size": 65_536}]
    namespaces = ("pid", "mount", "network", "ipc", "uts", "cgroup", "user")
    sets = ("bounding", "effective", "permitted", "inheritable", "ambient")
    quiet = ["nosuid", "noexec", "nodev"]
    return {
        "ociVersion": "1.0.2",
        "hostname": "job",
        "root": {"path": "rootfs", "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": [f"PATH={_PATH}"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {name: [] for name in sets},
        },
        "mounts": [
            _mount("/proc", "proc", quiet),
            _mount("/dev", "tmpfs", ["nosuid", "mode=755", "size=65536k"]),
            _mount("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
            _mount("/dev/shm", "tmpfs", quiet),
            _mount("/tmp", "tmpfs", ["nosuid", "nodev"]),
            _mount("/usr", "bind", ["rbind", "ro", "nosuid", "nodev"], "/usr"),
            _mount("/etc", "bind", ["rbind", "ro", "nosuid", "nodev"], "/etc"),
        ],
        "linux": {
            "namespaces": [{"type": name} for name in namespaces],
            "uidMappings": ids,
            "gidMappings": ids,
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/sysrq-trigger"],
            "readonlyPaths": ["/proc/bus", "/proc/irq", "/proc/sys"],
            **({"resources": resources} if limits else {}),
        },
    }


def _mount(where: str, kind: str, options: list[str], source: str = "") -> dict[str, object]:
    return {"destination": where, "type": kind, "source": source or kind, "options": options}


def _trial(command: list[str]) -> str | None:
    """None if it works, else why not."""
    try:
        done = subprocess.run(
            command,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        return str(err)
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1]
