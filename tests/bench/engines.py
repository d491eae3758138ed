"""podman and docker as peers: their command lines, an image for both, and docker's daemon.

The image is an empty root; the host's /usr is mounted into it, as it is into a Joblet job. docker's
daemon is started here, without the bridge and the firewall rules that no contender uses, and with
the first storage driver that works.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import (
    CPU_PERCENT,
    DOCKER,
    ENVIRONMENT,
    MEMORY_BYTES,
    PODMAN,
    TASKS,
    Missing,
    Peer,
    first_that_works,
    make_root,
)

_IMAGE = "localhost/joblet-bench:1"
_UNIT = "joblet-bench-dockerd"
_DEADLINE_SECONDS = 60
_POLL_SECONDS = 0.1
_LIMITS = [
    f"--memory={MEMORY_BYTES}",
    f"--memory-swap={MEMORY_BYTES}",
    f"--cpus={CPU_PERCENT / 100:g}",
    f"--pids-limit={TASKS}",
]
# As close to a Joblet job as their options allow; the root is the image's, read-only.
_OPTIONS = [
    "--rm",
    "--network=none",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=1000:1000",
    "--tmpfs=/tmp",
    "--volume=/usr:/usr:ro",
]
_NOTE = "image store, monitor process, own seccomp filter, "
# One start is a quarter of a second or more: fewer of them per round.
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Engines:
    """Those that work, those that do not, and the cgroup of docker's daemon if it runs."""

    found: list[Peer]
    missing: list[Missing]
    docker_cgroup: Path | None


@contextmanager
def engines(directory: Path) -> Iterator[Engines]:
    """Both, as far as they work here, while the context lasts."""
    found: list[Peer] = []
    missing: list[Missing] = []
    archive = _archive(directory)
    _sort(PODMAN, _podman_forms(archive), found, missing)
    with _docker(directory, archive) as (why, cgroup):
        if why is None:
            _sort(DOCKER, _docker_forms(), found, missing)
        else:
            missing.append(Missing(DOCKER, why))
        yield Engines(found, missing, cgroup)
    if shutil.which(PODMAN):
        _said([PODMAN, "rmi", "--force", _IMAGE])


def _sort(name: str, forms: list[Peer], found: list[Peer], missing: list[Missing]) -> None:
    peer = first_that_works(name, forms)
    if isinstance(peer, Peer):
        found.append(peer)
    else:
        missing.append(peer)


def _podman_forms(archive: Path) -> list[Peer]:
    """The best first; the image is there for those that get as far."""
    program = shutil.which(PODMAN)
    if program is None:
        return [_form(PODMAN, [PODMAN, "run"], "")]
    # If this fails, so does each form, and says why.
    _said([program, "import", str(archive), _IMAGE])
    manager = [program, "--cgroup-manager=systemd", "run", *_OPTIONS]
    return [
        _form(PODMAN, [*manager, *_LIMITS], _NOTE + "limits"),
        # It has a limit of its own for tasks.
        _form(PODMAN, [*manager, "--pids-limit=-1"], _NOTE + "no limits: the cgroup takes none"),
        _form(
            PODMAN,
            [program, "run", "--cgroups=disabled", *_OPTIONS],
            _NOTE + "no limits and no cgroup of its own: the cgroup takes none",
        ),
    ]


def _docker_forms() -> list[Peer]:
    start = [shutil.which(DOCKER) or DOCKER, "run", *_OPTIONS]
    return [
        _form(DOCKER, [*start, *_LIMITS], _NOTE + "limits"),
        _form(DOCKER, start, _NOTE + "no limits: the cgroup takes none"),
    ]


def _form(name: str, command: list[str], note: str) -> Peer:
    return Peer(name, lambda _: [*command, _IMAGE, "true"], note, _SHARE)


@contextmanager
def _docker(directory: Path, archive: Path) -> Iterator[tuple[str | None, Path | None]]:
    """A daemon with the image, or why there is none."""
    program = shutil.which("dockerd")
    if program is None or shutil.which(DOCKER) is None:
        yield "dockerd or docker is not installed", None
        return
    whys = []
    for driver in ("overlay2", "vfs"):
        with tempfile.TemporaryDirectory(dir="/var/lib") as data, _daemon(program, driver, data):
            why = _until_it_answers() or _said([DOCKER, "import", str(archive), _IMAGE])
            if why is None:
                yield None, Path("/sys/fs/cgroup/system.slice") / f"{_UNIT}.service"
                return
            whys.append(f"{driver}: {why}")
    yield "; ".join(whys), None


@contextmanager
def _daemon(program: str, driver: str, data: str) -> Iterator[None]:
    options = [
        f"--storage-driver={driver}",
        f"--data-root={data}",
        "--exec-opt=native.cgroupdriver=systemd",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
    ]
    # Its containers' monitors live in its cgroup and do not belong to the daemon's end.
    unit = ["--property=Delegate=yes", "--collect", f"--unit={_UNIT}"]
    subprocess.run(["systemd-run", "--quiet", *unit, program, *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["systemctl", "stop", f"{_UNIT}.service"], capture_output=True)


def _until_it_answers() -> str | None:
    """None when it does; else what it said last."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        why = _said([DOCKER, "version"])
        if why is None:
            return None
        active = ["systemctl", "is-active", "--quiet", f"{_UNIT}.service"]
        if subprocess.run(active).returncode != 0 or time.monotonic() > deadline:
            journal = ["journalctl", f"--unit={_UNIT}", "--output=cat", "--lines=1", "--no-pager"]
            return subprocess.run(journal, capture_output=True, text=True).stdout.strip() or why
        time.sleep(_POLL_SECONDS)


def _archive(directory: Path) -> Path:
    """An image's content: what make_root makes, as a tar."""
    root = directory / "empty"
    make_root(root)
    archive = directory / "root.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    return archive


def _said(command: list[str]) -> str | None:
    """None if it worked, else the last line of its complaint."""
    done = subprocess.run(
        command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1]
