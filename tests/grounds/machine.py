"""A machine of a test ground: what a test may ask of it, whatever it is made of.

Owns the claim on the machine's directory, and what follows from running commands in it: the
journal, waiting, the report of a failed command. How a machine is booted and how a command gets
into it is left to the grounds (container/machine.py, vm/machine.py).

Nothing outlives the session that booted it: what runs gets a signal when its parent dies, and
what a killed session left behind is swept by the next one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self, TypeVar

T = TypeVar("T")

# Deadlines against hanging, not promises: a busy host is slow, and nothing here measures time.
COMMAND_SECONDS = 120.0
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.01

COMMAND_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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


class BootedMachine(ABC):
    """A machine from its making to its removal; use it as a context manager.

    Its directory holds a file `console`, what it said while it booted, and goes with it.
    """

    prefix: str  # of the names of all machines of this ground
    wait_seconds = WAIT_SECONDS
    command_seconds = COMMAND_SECONDS

    def __init__(self, directory: Path) -> None:
        self.name = f"{self.prefix}{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.directory = directory / self.name
        with _alone(directory):
            self.directory.mkdir(mode=0o700)
            # held for the whole life, and then released by remove()
            self._lock = open(self.directory / "lock", "w")  # noqa: SIM115
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # Power

    @property
    @abstractmethod
    def boot_id(self) -> str:
        """Another one after every boot, and empty while it is off."""

    @abstractmethod
    def boot(self) -> None:
        """Start the machine and wait until its boot has finished. Raises NoGround."""

    @abstractmethod
    def power_off(self) -> None:
        """An orderly shutdown; what hangs is killed. It can be booted again."""

    @abstractmethod
    def cut_power(self) -> None:
        """Every process of the machine dies in the same instant."""

    def reboot(self) -> None:
        """An orderly shutdown and a new boot, with a new boot id."""
        self.power_off()
        self.boot()

    def remove(self) -> None:
        """End it and remove all that is left of it."""
        self.power_off()
        _remove_claimed(self.directory)
        self._lock.close()

    # Commands

    @abstractmethod
    def popen(
        self,
        command: Sequence[str],
        *,
        user: str | int | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = subprocess.PIPE,
        stderr: int | IO[Any] | None = subprocess.PIPE,
    ) -> subprocess.Popen[bytes]:
        """Start a command; whoever starts it waits for it or kills it (then its child dies too).

        `user` is a name of the machine, with its groups, or a bare uid without any. A signal other
        than SIGKILL goes through `signal_command`: what Popen knows is a go-between.
        """

    @abstractmethod
    def signal_command(self, process: subprocess.Popen[bytes], signum: int) -> None:
        """Send a signal to the command that `popen` started."""

    def run(
        self,
        command: Sequence[str],
        *,
        user: str | int | None = None,
        env: Mapping[str, str] | None = None,
        input: str | bytes | None = None,
        check: bool = True,
        text: bool = True,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[Any]:
        """Run a command to its end, both outputs captured.

        With check, a failing command fails the test and shows what it said.
        """
        given = input.encode() if isinstance(input, str) else input
        with self.popen(command, user=user, env=env, stdin=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(given, timeout or self.command_seconds)
            except BaseException:
                process.kill()
                raise
        result: subprocess.CompletedProcess[Any] = subprocess.CompletedProcess(
            list(command),
            process.returncode,
            out.decode() if text else out,
            err.decode() if text else err,
        )
        if check and result.returncode != 0:
            raise AssertionError(
                f"{list(command)} ended with {result.returncode}\n"
                f"stdout: {result.stdout!r}\nstderr: {result.stderr!r}"
            )
        return result

    def wait_for(self, condition: Callable[[], T], what: str, *, seconds: float | None = None) -> T:
        """wait_for with a deadline that fits the speed of this machine."""
        return wait_for(condition, what, seconds=seconds or self.wait_seconds)

    # Files

    @abstractmethod
    def read_file(self, inside: str) -> str:
        """The text of a file."""

    @abstractmethod
    def write_file(self, inside: str, text: str | bytes, *, mode: int = 0o644) -> None:
        """Make or replace a file; missing directories are made."""

    def mounts(self) -> list[str]:
        """The mount table of PID 1, one line each."""
        return self.read_file("/proc/1/mountinfo").splitlines()

    # The journal

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


def environment(user: str | int | None, env: Mapping[str, str] | None) -> dict[str, str]:
    """What a command of a test gets."""
    home = "/root" if user is None else f"/home/{user}"
    return {"PATH": COMMAND_PATH, "LANG": "C.UTF-8", "HOME": home, **(env or {})}


def become(user: str | int | None) -> list[str]:
    """The words that turn root into this user, and bind a command to its parent's life."""
    words = ["setpriv", "--pdeathsig=KILL"]
    if isinstance(user, int):
        words += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    elif user is not None:
        words += [f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return [*words, "--"]


def abandoned(directory: Path, prefix: str) -> Iterator[Path]:
    """The directories of machines whose session is gone, each claimed while it is looked at."""
    for left in directory.glob(f"{prefix}*"):
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
            yield left
            _remove_claimed(left)


def _remove_claimed(directory: Path) -> None:
    # The lock goes last: without one the rest looks like a machine that was left behind.
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()
    with _alone(directory.parent):
        shutil.rmtree(directory)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    # Between its making and its lock, a new machine looks like one that was left behind.
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
