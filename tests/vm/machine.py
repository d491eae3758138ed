"""One virtual machine: stock kernel, systemd as PID 1, every cgroup controller, driven by ssh.

Owns the qemu process, the connection into the guest and the machine's disks: a copy-on-write
layer over the cached image, so that the image stays as it was made, and an empty second disk. The
processor is emulated, because a /dev/kvm may exist and hang with a stock kernel; who has seen a
guest boot with it sets JOBLET_VM_ACCEL=kvm. The network is the host's loopback to ssh and nothing
else. What is installed in the guest is not known here.

A command is a session of one kept connection: a tenth of a second and no handshake.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.grounds.cache import NoGround
from tests.grounds.machine import BootedMachine, abandoned, become, environment, last_of
from tests.vm.image import KEY_WORD, READY, Image

# Deadlines against hanging, not promises: a boot is half a minute on an idle host.
BOOT_SECONDS = 600.0
POWER_OFF_SECONDS = 180.0
CONNECT_SECONDS = 120.0
COMMAND_SECONDS = 600.0
WAIT_SECONDS = 300.0

ACCELERATOR = os.environ.get("JOBLET_VM_ACCEL", "tcg,thread=multi,tb-size=512")
EMULATED = ACCELERATOR.startswith("tcg")
CPUS = 2
MEMORY = "2G"
SCRATCH_SIZE = 2 << 30
# The guest's second disk, for tests that fill, format or throttle one.
SCRATCH_DISK = "/dev/vdb"
# A fifth level of page tables is walked in software, and nobody runs machines in this one.
_CPU = "max,la57=off,svm=off"
_KERNEL = "root=/dev/vda rw console=ttyS0 quiet mitigations=off panic=-1"
# Where the shell of each command leaves its pid.
_COMMANDS = "/run/ground"


class _Session(subprocess.Popen[bytes]):
    """An ssh client; killing it kills the command in the guest too."""

    machine: VirtualMachine
    number: int

    def kill(self) -> None:
        try:
            if self.poll() is None:
                self.machine.signal_session(self.number, signal.SIGKILL)
        finally:
            super().kill()


# The emulator with two threads at times runs code that the kernel is patching at that moment: early
# in a boot the guest dies of a breakpoint that is none. It is not the guest's fault.
_EMULATED_OOPS = "Oops: int3"
_BOOTS_MAX = 4


class VirtualMachine(BootedMachine):
    """A guest, from boot to removal."""

    prefix = "joblet-vm-"
    wait_seconds = WAIT_SECONDS
    command_seconds = COMMAND_SECONDS

    def __init__(self, directory: Path, image: Image) -> None:
        super().__init__(directory)
        self.console = self.directory / "console"
        self._image = image
        self._qemu: subprocess.Popen[bytes] | None = None
        self._master: subprocess.Popen[bytes] | None = None
        self._boot_id = ""
        self._numbers = itertools.count()
        self._disk = self.directory / "disk"
        self._scratch = self.directory / "scratch"
        self._key = self.directory / "key"
        _quietly(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self._key])
        layer = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"]
        _quietly([*layer, "-b", image.disk, self._disk])
        with open(self._scratch, "xb") as scratch:
            scratch.truncate(SCRATCH_SIZE)

    # Power

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def boot(self) -> None:
        for left in reversed(range(_BOOTS_MAX)):
            try:
                self._start()
                break
            except NoGround as failed:
                if not left or _EMULATED_OOPS not in str(failed):
                    raise
        self._connect()
        # `degraded` is for the caller to judge
        self.run(["systemctl", "is-system-running", "--wait"], check=False)

    def _start(self) -> None:
        seen = self.console.stat().st_size if self.console.exists() else 0
        with open(self.directory / "qemu.log", "ab") as log:
            self._qemu = subprocess.Popen(
                self._qemu_command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def ready() -> bool:
            return self.console.exists() and READY.encode() in self.console.read_bytes()[seen:]

        def settled() -> bool:
            assert self._qemu is not None
            return self._qemu.poll() is not None or ready()

        last_of(settled, seconds=BOOT_SECONDS)
        if not ready():
            raise self._failed(seen)

    def power_off(self) -> None:
        if self._qemu is not None and self._qemu.poll() is None:
            # the connection may end before the command does
            self.run(["systemctl", "poweroff"], check=False)
            try:
                self._qemu.wait(POWER_OFF_SECONDS)
            except subprocess.TimeoutExpired:
                self.cut_power()
        self._forget()

    def cut_power(self) -> None:
        if self._qemu is not None:
            self._qemu.kill()
        self._forget()

    def remove(self) -> None:
        # nobody will read its disk again
        self.cut_power()
        super().remove()

    def _qemu_command(self) -> list[str]:
        key = Path(f"{self._key}.pub").read_text().split()[1]
        return [
            *["setpriv", "--pdeathsig=KILL", "qemu-system-x86_64"],
            *["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
            *["-machine", "q35,sata=off", "-accel", ACCELERATOR, "-cpu", _CPU],
            *["-smp", str(CPUS), "-m", MEMORY],
            *["-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd)],
            *["-append", f"{_KERNEL} {KEY_WORD}{key}"],
            # a flush of the guest is one of the host: what was promised outlives a power cut
            *["-drive", f"file={self._disk},if=virtio,format=qcow2,cache=writeback"],
            *["-drive", f"file={self._scratch},if=virtio,format=raw,cache=writeback"],
            *["-netdev", "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"],
            *["-device", "virtio-net-pci,netdev=net,romfile="],
            *["-device", "virtio-rng-pci"],
            *["-chardev", f"file,id=console,path={self.console},append=on"],
            *["-serial", "chardev:console"],
            *["-qmp", f"unix:{self.directory / 'qmp'},server=on,wait=off"],
        ]

    def _failed(self, seen: int) -> NoGround:
        assert self._qemu is not None
        why = "did not finish its boot" if self._qemu.poll() is None else "ended"
        console = self.console.read_bytes()[seen:] if self.console.exists() else b""
        said = (self.directory / "qemu.log").read_bytes() + console
        self.cut_power()
        return NoGround(f"the virtual machine {why}:\n{said[-12000:].decode(errors='replace')}")

    def _connect(self) -> None:
        """Open the connection that every command shares."""
        options = {
            "IdentityFile": self._key,
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "Port": self._ssh_port(),
            "ControlPath": self._control,
            "ConnectTimeout": round(CONNECT_SECONDS),
        }
        command = ["setpriv", "--pdeathsig=KILL", "ssh", "-F", "none", "-N", "-M"]
        command += [f"-o{name}={value}" for name, value in options.items()]

        def connected() -> bool:
            # A guest that is about to listen resets a connection: then it is worth another try.
            if self._master is None or self._master.poll() is not None:
                with open(self.directory / "ssh.log", "ab") as log:
                    self._master = subprocess.Popen(
                        [*command, "root@127.0.0.1"],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=log,
                        start_new_session=True,
                    )
            return self._control.exists()

        last_of(connected, seconds=CONNECT_SECONDS)
        if not self._control.exists():
            said = (self.directory / "ssh.log").read_text()
            self.cut_power()
            raise NoGround(f"no connection into the virtual machine: {said[-2000:]}")
        # what was given to us is for the commands of a test
        subprocess.run(
            [*self._ssh(), f"mkdir -p {_COMMANDS}"],
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=CONNECT_SECONDS,
        )
        self._boot_id = self.read_file("/proc/sys/kernel/random/boot_id").strip()

    def _ssh_port(self) -> int:
        """The port that the host's kernel chose for the guest's ssh."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(CONNECT_SECONDS)
            monitor.connect(str(self.directory / "qmp"))
            with monitor.makefile("rw") as talk:
                talk.readline()
                for execute, arguments in (
                    ("qmp_capabilities", {}),
                    ("human-monitor-command", {"command-line": "info usernet"}),
                ):
                    talk.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
                    talk.flush()
                    while "return" not in (answer := json.loads(talk.readline())):
                        # events come in between, and an error is no event
                        assert "event" in answer, answer
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", answer["return"])
        assert found is not None, answer
        return int(found[1])

    def _forget(self) -> None:
        for process in (self._master, self._qemu):
            if process is not None:
                process.kill()
                process.wait()
        self._control.unlink(missing_ok=True)
        self._master = self._qemu = None
        self._boot_id = ""

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
        terminal: bool = False,
    ) -> subprocess.Popen[bytes]:
        number = next(self._numbers)
        variables = [f"{key}={value}" for key, value in environment(user, env).items()]
        words = ["env", "-i", *variables, *become(user), *command]
        # The shell stays, so that a death by signal comes out as 128 + n and not as ssh's own 255,
        # and keeps to itself what it has to say about that.
        script = (
            f"echo $$ >{_COMMANDS}/{number}; exec 9>&2 2>/dev/null; "
            f"{shlex.join(words)} 2>&9 9>&-; exit $?"
        )
        session = _Session(
            [*self._ssh(), *(["-t"] if terminal else []), script],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        session.machine, session.number = self, number
        return session

    def signal_command(self, process: subprocess.Popen[bytes], signum: int) -> None:
        assert isinstance(process, _Session)
        number = process.number
        self.wait_for(lambda: self.signal_session(number, signum), "the command to begin")

    def signal_session(self, number: int, signum: int) -> bool:
        """Signal the child of a command's shell; whether there was one."""
        script = f'pkill -{signum} -P "$(cat {_COMMANDS}/{number})"'
        done = subprocess.run(
            [*self._ssh(), script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
        )
        return done.returncode == 0

    @property
    def _control(self) -> Path:
        return self.directory / "ssh"

    def _ssh(self) -> list[str]:
        # without the shared connection there is none: never a new one, nor the user's settings
        return ["ssh", "-F", "none", "-S", str(self._control), "-oProxyCommand=false", "guest"]

    # Files

    def read_file(self, inside: str) -> str:
        return str(self.run(["cat", inside]).stdout)

    def write_file(self, inside: str, text: str | bytes, *, mode: int = 0o644) -> None:
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run(["sh", "-c", script, "sh", inside, f"{mode:o}"], input=text)


def sweep(directory: Path) -> None:
    """Remove the machines whose session is gone; their processes died with it."""
    for _ in abandoned(directory, VirtualMachine.prefix):
        pass


def _quietly(command: Sequence[str | Path]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
