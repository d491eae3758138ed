"""One booted container: a real systemd as PID 1, driven from outside through its namespaces.

Owns the nspawn process, its cgroup on the host and the machine's directory, and removes all
three. There is no machined here and no ssh: a command enters the namespaces of the container's
PID 1 and a cgroup of the container, so it starts in a few milliseconds and its descriptors are
real ones. What is installed in the root is not known here.

Nothing outlives the session that booted it: nspawn gets SIGTERM when its parent dies, and what a
killed session left behind is swept by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from tests.container.image import NoGround

T = TypeVar("T")

# Deadlines against hanging, not promises: a busy host is slow, and nothing here measures time.
BOOT_SECONDS = 120.0
COMMAND_SECONDS = 120.0
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.01

_NAME = "joblet-ground-"
_PROPAGATE = Path("/run/systemd/nspawn/propagate")
COMMAND_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Commands of a test live in the cgroup of a delegated unit whose own process is gone.
_COMMANDS = "test-commands.service"
_ENTER = 'echo $$ >"$0" && exec "$@"'


def wait_for(condition: Callable[[], T], what: str, *, seconds: float = WAIT_SECONDS) -> T:
    """The first true value of condition; fails the test with `what` when none comes in time."""
    value = last_of(condition, seconds=seconds)
    if not value:
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; last seen: {value!r}")
    return value


def last_of(condition: Callable[[], T], *, seconds: float = WAIT_SECONDS) -> T:
    """The first true value of condition, or its last false one when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(POLL_SECONDS)


class Machine:
    """A container from boot to removal; use it as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.name = f"{_NAME}{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.directory = directory / self.name
        self.root = self.directory / "root"  # as the host sees it; /run and /tmp are not in there
        self.leader = 0  # PID 1 of the container, as the host sees it
        self._cgroups: list[Path] = []
        self._nspawn: subprocess.Popen[bytes] | None = None
        with _alone(directory):
            self.directory.mkdir(mode=0o700)
            # held for the whole life, and then released by remove()
            self._lock = open(self.directory / "lock", "w")  # noqa: SIM115
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # Power

    def boot(self) -> None:
        """Start the container and wait until its boot has finished. Raises NoGround."""
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
        self.systemctl_run("--unit", _COMMANDS, "-p", "Delegate=yes", "-p", "RemainAfterExit=yes")

    def power_off(self) -> None:
        """An orderly shutdown; what hangs is killed. The root stays and can be booted again."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                self.cut_power()
        self._forget()

    def cut_power(self) -> None:
        """Every process of the container dies in the same instant."""
        for cgroup in self._cgroups:
            _kill_cgroup(cgroup)
        if self._nspawn is not None:
            self._nspawn.wait(BOOT_SECONDS)
        self._forget()

    def reboot(self) -> None:
        """An orderly shutdown and a new boot, with a new boot id."""
        self.power_off()
        self.boot()

    def remove(self) -> None:
        """End it and remove all that is left of it."""
        self.power_off()
        shutil.rmtree(self.directory)
        self._lock.close()

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

    wait_for = staticmethod(wait_for)

    def run(
        self,
        command: Sequence[str],
        *,
        user: str | int | None = None,
        env: Mapping[str, str] | None = None,
        input: str | bytes | None = None,
        check: bool = True,
        text: bool = True,
        timeout: float = COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[Any]:
        """Run a command to its end, both outputs captured.

        `user` is a name of the container, with its groups, or a bare uid without any. With check, a
        failing command fails the test and shows what it said.
        """
        result = subprocess.run(
            self._command_line(command, user),
            env=self._environment(user, env),
            input=b"" if input is None and not text else ("" if input is None else input),
            capture_output=True,
            text=text,
            timeout=timeout,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{list(command)} ended with {result.returncode}\n"
                f"stdout: {result.stdout!r}\nstderr: {result.stderr!r}"
            )
        return result

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
        """Start a command; whoever starts it waits for it or kills it (then its child dies too).

        A signal other than SIGKILL goes through `signal_command`: what Popen knows is nsenter.
        """
        return subprocess.Popen(
            self._command_line(command, user),
            env=self._environment(user, env),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=pass_fds,
        )

    def signal_command(self, process: subprocess.Popen[bytes], signum: int) -> None:
        """Send a signal to the command that `popen` started."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        child = wait_for(lambda: children.read_text().split(), "nsenter's child")
        os.kill(int(child[0]), signum)

    def systemctl_run(self, *arguments: str) -> None:
        """systemd-run of `true` with these options, through PID 1 and not through the cgroup."""
        subprocess.run(
            [*self._nsenter(), "systemd-run", "--quiet", *arguments, "true"],
            env=self._environment(None, None),
            check=True,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )

    def _nsenter(self) -> list[str]:
        return ["nsenter", f"--target={self.leader}", "--all", "--"]

    def _command_line(self, command: Sequence[str], user: str | int | None) -> list[str]:
        procs = self.cgroup / "system.slice" / _COMMANDS / "cgroup.procs"
        become = ["setpriv", "--pdeathsig=KILL"]
        if isinstance(user, int):
            become += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        elif user is not None:
            become += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return ["sh", "-c", _ENTER, str(procs), *self._nsenter(), *become, "--", *command]

    def _environment(self, user: str | int | None, env: Mapping[str, str] | None) -> dict[str, str]:
        home = "/root" if user is None else f"/home/{user}"
        return {"PATH": COMMAND_PATH, "LANG": "C.UTF-8", "HOME": home, **(env or {})}

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
        """The text of a file."""
        return self.path(inside).read_text()

    def write_file(self, inside: str, text: str | bytes, *, mode: int = 0o644) -> None:
        """Make or replace a file; missing directories are made."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)

    def mounts(self) -> list[str]:
        """The mount table of PID 1, one line each."""
        return Path(f"/proc/{self.leader}/mountinfo").read_text().splitlines()

    def journal_cursor(self) -> str:
        """Where the journal ends now."""
        self.run(["journalctl", "--sync"])
        shown = self.run(["journalctl", "--lines=0", "--show-cursor", "--quiet"]).stdout
        return str(shown).partition("-- cursor: ")[2].strip()

    def journal(self, *, after: str = "", unit: str = "") -> list[dict[str, Any]]:
        """Entries after a cursor, each a dictionary of its fields."""
        self.run(["journalctl", "--sync"])
        selection = [f"--after-cursor={after}"] if after else ["--boot"]
        selection += [f"--unit={unit}"] if unit else []
        shown = self.run(["journalctl", "--output=json", "--all", "--quiet", *selection])
        return [json.loads(line) for line in str(shown.stdout).splitlines()]


def sweep(directory: Path) -> None:
    """Remove the machines whose session is gone."""
    for left in directory.glob(f"{_NAME}*"):
        with _alone(directory):
            try:
                lock = open(left / "lock", "a")  # noqa: SIM115
            except FileNotFoundError:
                continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for parent in _cgroup_parents():
                if (parent / left.name).exists():
                    _kill_cgroup(parent / left.name)
                    _remove_cgroup(parent / left.name)
            shutil.rmtree(_PROPAGATE / left.name, ignore_errors=True)
            shutil.rmtree(left)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    # Between its making and its lock, a new machine looks like one that was left behind.
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
