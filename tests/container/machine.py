"""One booted container: a real systemd as PID 1, driven from outside through its namespaces.

Owns the nspawn process and its cgroup on the host, and removes both. There is no machined here
and no ssh: a command enters the namespaces of the container's PID 1 and a cgroup of the
container, so it starts in a few milliseconds and its descriptors are real ones. What is installed
in the root is not known here.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.grounds.cache import NoGround
from tests.grounds.machine import (
    COMMAND_SECONDS,
    BootedMachine,
    abandoned,
    become,
    environment,
    wait_for,
)

# A deadline against hanging, not a promise.
BOOT_SECONDS = 120.0

_PROPAGATE = Path("/run/systemd/nspawn/propagate")
# Commands of a test live in the cgroup of a delegated unit whose own process is gone. systemd may
# remove it when the last command has ended, also right before the next one goes in, and leaves
# alone what is made anew.
_COMMANDS = "test-commands.service"
_ENTER = (
    'enter() { [ -d "${0%/*}" ] || mkdir "${0%/*}"; echo $$ >"$0"; }; '
    'enter 2>/dev/null || enter 2>/dev/null || enter && exec "$@"'
)


class Machine(BootedMachine):
    """A container, from boot to removal."""

    prefix = "joblet-ground-"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.root = self.directory / "root"  # as the host sees it; /run and /tmp are not in there
        self.leader = 0  # PID 1 of the container, as the host sees it
        self._cgroups: list[Path] = []
        self._nspawn: subprocess.Popen[bytes] | None = None

    # Power

    @property
    def boot_id(self) -> str:
        return str(self.leader or "")

    def boot(self) -> None:
        self._cgroups = [mount / self.name for mount in _cgroup_parents()]
        for cgroup in self._cgroups:
            cgroup.mkdir()
        address = self.directory / "notify"
        address.unlink(missing_ok=True)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify,
            open(self.directory / "console", "wb") as console,
        ):
            notify.bind(str(address))
            self._nspawn = subprocess.Popen(
                [*self._in_cgroups(), *self._nspawn_command()],
                env=os.environ
                | {
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    "SYSTEMD_SECCOMP": "0",
                    "NOTIFY_SOCKET": str(address),
                },
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.leader = self._await_ready(notify)
        # A oneshot is there when its program has ended and systemd has looked after its cgroup,
        # which goes away for a moment then; commands are put into it from now on.
        properties = ("Type=oneshot", "Delegate=yes", "RemainAfterExit=yes")
        self.systemctl_run("--unit", _COMMANDS, *(f"--property={each}" for each in properties))

    def power_off(self) -> None:
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                self.cut_power()
        self._forget()

    def cut_power(self) -> None:
        for cgroup in self._cgroups:
            _kill_cgroup(cgroup)
        if self._nspawn is not None:
            self._nspawn.wait(BOOT_SECONDS)
        self._forget()

    def _nspawn_command(self) -> list[str]:
        return [
            "setpriv",
            "--pdeathsig=TERM",
            "systemd-nspawn",
            f"--directory={self.root}",
            f"--machine={self.name}",
            "--boot",
            "--capability=all",
            "--keep-unit",
            "--register=no",
            "--private-network",
            "--console=pipe",
            "--notify-ready=yes",
        ]

    def _await_ready(self, notify: socket.socket) -> int:
        leader = 0
        notify.settimeout(0.2)
        deadline = time.monotonic() + BOOT_SECONDS
        assert self._nspawn is not None
        while True:
            try:
                lines = notify.recv(4096).decode().splitlines()
            except TimeoutError:
                ended = self._nspawn.poll() is not None
                if ended or time.monotonic() > deadline:
                    said = (self.directory / "console").read_text(errors="replace")
                    why = "ended" if ended else "did not finish its boot"
                    self.cut_power()
                    raise NoGround(f"the container {why}:\n{said[-4000:]}") from None
                continue
            for line in lines:
                key, _, value = line.partition("=")
                if key == "X_NSPAWN_LEADER_PID":
                    leader = int(value)
                elif line == "READY=1":
                    return leader

    def _in_cgroups(self) -> list[str]:
        # nspawn builds the container's cgroup below the one it is started in; in a cgroup of its
        # own, several machines can run side by side.
        move = "".join(f"echo $$ >{cgroup}/cgroup.procs && " for cgroup in self._cgroups)
        return ["sh", "-c", move + 'exec "$@"', "sh"]

    def _forget(self) -> None:
        for cgroup in self._cgroups:
            _remove_cgroup(cgroup)
        self._cgroups = []
        self._nspawn = None
        self.leader = 0
        shutil.rmtree(_PROPAGATE / self.name, ignore_errors=True)

    # Commands

    def popen(
        self,
        command: Sequence[str],
        *,
        user: str | int | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = subprocess.PIPE,
        stderr: int | IO[Any] | None = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command_line(command, user),
            env=environment(user, env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
        )

    def signal_command(self, process: subprocess.Popen[bytes], signum: int) -> None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        child = wait_for(lambda: children.read_text().split(), "nsenter's child")
        os.kill(int(child[0]), signum)

    def systemctl_run(self, *arguments: str) -> None:
        """systemd-run of `true` with these options, through PID 1 and not through the cgroup."""
        subprocess.run(
            [*self._nsenter(), "systemd-run", "--quiet", *arguments, "true"],
            env=environment(None, None),
            check=True,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )

    def _nsenter(self) -> list[str]:
        return ["nsenter", f"--target={self.leader}", "--all", "--"]

    def _command_line(self, command: Sequence[str], user: str | int | None) -> list[str]:
        procs = self.cgroup / "system.slice" / _COMMANDS / "cgroup.procs"
        return ["sh", "-c", _ENTER, str(procs), *self._nsenter(), *become(user), *command]

    # Files, and what the host can see without asking

    @property
    def cgroup(self) -> Path:
        """The container's root cgroup, as the host sees it."""
        return self._cgroups[0] / "payload"

    def path(self, inside: str) -> Path:
        """A path of the container for use by this process, with every mount of it.

        An absolute symbolic link on the way would lead to the host: not for paths that a job can
        change.
        """
        return Path(f"/proc/{self.leader}/root{inside}")

    def read_file(self, inside: str) -> str:
        return self.path(inside).read_text()

    def write_file(self, inside: str, text: str | bytes, *, mode: int = 0o644) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)


def join(one: Machine, other: Machine, prefix: str = "10.77.0.") -> None:
    """A cable between two booted machines: `eth0` in both, with the addresses 1 and 2.

    It is made from the host, where alone both are known by a PID, but never has an end in its
    network: it goes with the first of the machines that goes down.
    """
    cable = ["type", "veth", "peer", "name", "eth0", "netns", str(other.leader)]
    _checked(
        ["nsenter", f"--target={one.leader}", "--net", "ip", "link", "add", "name", "eth0", *cable]
    )
    for number, machine in enumerate((one, other), start=1):
        machine.run(["ip", "address", "add", f"{prefix}{number}/24", "dev", "eth0"])
        machine.run(["ip", "link", "set", "eth0", "up"])


def _checked(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")


def sweep(directory: Path) -> None:
    """Remove the machines whose session is gone."""
    for left in abandoned(directory, Machine.prefix):
        for parent in _cgroup_parents():
            if (parent / left.name).exists():
                _kill_cgroup(parent / left.name)
                _remove_cgroup(parent / left.name)
        shutil.rmtree(_PROPAGATE / left.name, ignore_errors=True)


def _cgroup_parents() -> list[Path]:
    """Our own cgroup in the unified hierarchy, then in systemd's named one where there is one."""
    own: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path.lstrip("/")
    unified: list[Path] = []
    named: list[Path] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        mount, (kind, _, options) = Path(before.split()[4]), after.split(" ", 2)
        if kind == "cgroup2" and not unified:
            unified.append(mount / own.get("", ""))
        elif kind == "cgroup" and "name=systemd" in options.split(",") and not named:
            named.append(mount / own.get("name=systemd", ""))
    if not unified:
        raise NoGround("there is no cgroup2 hierarchy on this machine")
    return unified + named


def _kill_cgroup(cgroup: Path) -> None:
    if (cgroup / "cgroup.kill").exists():
        (cgroup / "cgroup.kill").write_text("1")


def _remove_cgroup(cgroup: Path) -> None:
    # A killed process leaves its cgroup a moment after the write that killed it.
    def gone() -> bool:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                return False
        return True

    wait_for(gone, f"{cgroup} to become empty")
