"""`make demo`: Joblet's packages in a disposable Debian, and real jobs that run into every limit.

Builds the packages of the checkout, boots a virtual machine that has never seen Joblet, installs
them as a user would, and types commands into shells of that machine: what is printed is what they
say there. After each the sentence that it was to show is checked against what came; the last line
counts them, and the exit status is 1 if one was not true. Nothing is left of the machine; its
image stays in the cache of grounds/cache.py, where the next run and the tests find it.

The tour without the installation is a test too (test_demo.py).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.grounds.cache import NoGround, cache_directory
from tests.grounds.shell import Said, Typist, shell
from tests.package import build
from tests.vm.ground import ground
from tests.vm.image import SUITES
from tests.vm.machine import EMULATED, VirtualMachine

USER = "member"
WHERE = "/root/joblet"
_BOLD, _RED, _GREEN, _DIM, _PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"

MIB = 1 << 20
# Of what a limit gives: the kernel's own slack, and an emulated machine's.
_CPU_SHARE = (0.40, 0.60)
_IO_SLACK = 1.25


@dataclass
class Screen:
    """What the audience sees, and the account of what was shown."""

    write: Callable[[str], object]
    colour: bool = False
    shown: list[str] = field(default_factory=list)
    expected: int = 0
    failed: list[str] = field(default_factory=list)

    def title(self, text: str) -> None:
        """Begin a chapter."""
        self.shown.append(text)
        self.write(f"\n{self._in(_BOLD, text)}\n\n")

    def note(self, text: str) -> None:
        """A word to the audience."""
        self.write(f"{self._in(_DIM, f'-- {text}')}\n")

    def typed(self, prompt: str, line: str) -> None:
        """A command line."""
        self.write(f"{self._in(_BOLD, f'{prompt} {line}')}\n")

    def expect(self, true: bool, what: str) -> None:
        """A sentence that what was just seen is to prove."""
        self.expected += 1
        if true:
            self.write(f"{self._in(_GREEN, f'   [shown] {what}')}\n")
        else:
            self.failed.append(what)
            self.write(f"{self._in(_RED, f'   [NOT SHOWN] {what}')}\n")

    def _in(self, style: str, text: str) -> str:
        return f"{style}{text}{_PLAIN}" if self.colour else text


@contextmanager
def typing(machine: VirtualMachine, screen: Screen, user: str | None = None) -> Iterator[Typist]:
    """What types into a shell of this user, for all to see."""
    with shell(machine, user=user, show=screen.write) as typed:

        def type_line(line: str) -> Said:
            screen.typed("#" if user is None else "$", line)
            said = typed(line)
            if said.text and not said.text.endswith("\n"):
                screen.write("\n")
            return said

        yield type_line


def installation(machine: VirtualMachine, screen: Screen) -> None:
    """From packages in a directory to a service that runs."""
    screen.title("install")
    with typing(machine, screen) as root:
        said = root(f"apt-get install --yes -qq {WHERE}/*.deb")
        screen.expect(said.status == 0, "apt installs the three packages")
        said = root("systemctl is-active jobletd.service joblet-init.service")
        screen.expect(said.text == "active\nactive\n", "the service runs, without another step")
        root(f"usermod --append --groups joblet {USER}")


def tour(machine: VirtualMachine, screen: Screen) -> None:
    """Every chapter but the installation, by a user who may run jobs and by root."""
    with typing(machine, screen, USER) as user, typing(machine, screen) as root:
        screen.note(f"'$' is the user {USER}, of group joblet; '#' is root")
        for chapter in (_hello, _isolation, _cpu, _cores, _memory, _tasks, _disk, _quota):
            chapter(screen, user)
        for chapter in (_timeout, _stop, _files):
            chapter(screen, user)
        _secret(screen, user, root)
        _kill(screen, user, root)
        _scope(screen, user)
        _bus(screen, user)
        screen.title("the record of it all")
        said = user("jobletctl job list --wide")
        screen.expect(
            all(state in said.text for state in ("COMPLETED", "FAILED", "STOPPED", "TIMEOUT")),
            "jobs of every ending, with what they used",
        )
        said = user("jobletctl job delete-all")
        screen.expect("Skipped count: 0" in said.text, "no job is left")


def _hello(screen: Screen, user: Typist) -> None:
    screen.title("hello")
    said = user("jobletctl job run --follow -- echo hello")
    screen.expect(said == Said("hello\n", 0), "output and exit status come back")


def _isolation(screen: Screen, user: Typist) -> None:
    screen.title("isolation")
    said = user(
        "jobletctl job run --follow -- sh -c 'id; hostname; ls -x /; ps -e -o pid,user,args'"
    )
    screen.expect("uid=1000(job)" in said.text, "a user of its own")
    screen.expect(
        re.search(r"^ +1 job +sh -c", said.text, re.MULTILINE) is not None
        and len(re.findall(r"^ +\d+ job ", said.text, re.MULTILINE)) == 2,
        "processes of its own, and no other to be seen",
    )
    said = user("jobletctl job run --follow -- ls -A /home /root /run /sys")
    screen.expect(
        said.text.count("No such file") == 1 and USER not in said.text and "dbus" not in said.text,
        "nothing of the host's users, services and devices",
    )


def _cpu(screen: Screen, user: Typist) -> None:
    screen.title("CPU time")
    user(
        "id=$(jobletctl job run --max-cpu 50 -- "
        "sh -c 'timeout 10 xz </dev/zero >/dev/null; true'); jobletctl job wait \"$id\""
    )
    said = user('jobletctl --json job status "$id" | grep -E \'"(cpu|run)_usec"\'')
    used = {key: int(value) for key, value in re.findall(r'"(\w+)": (\d+)', said.text)}
    share = used["cpu_usec"] / used["run_usec"]
    screen.expect(
        _CPU_SHARE[0] <= share <= _CPU_SHARE[1],
        f"xz got {share:.0%} of one CPU: {used['cpu_usec'] / 1e6:.1f} s in "
        f"{used['run_usec'] / 1e6:.1f} s",
    )


def _cores(screen: Screen, user: Typist) -> None:
    screen.title("CPU cores")
    two = user("jobletctl job run --follow -- nproc")
    one = user(
        "jobletctl job run --follow --cpu-cores 1 -- grep Cpus_allowed_list /proc/self/status"
    )
    screen.expect(
        two.text == "2\n" and one.text.split() == ["Cpus_allowed_list:", "1"],
        "the machine has two CPUs, the job the one it was given",
    )


def _memory(screen: Screen, user: Typist) -> None:
    screen.title("memory")
    said = user(
        "jobletctl job run --wait --name hog --max-memory 64M -- "
        "python3 -c 'print(len(bytearray(300 << 20)))'"
    )
    screen.expect(said.status == 137 and "ran out of memory" in said.text, "killed at 64 MiB")
    said = user("jobletctl --json job list --state failed --limit 1 | grep -E 'reason|memory_peak'")
    peak = re.search(r'"memory_peak_bytes": (\d+)', said.text)
    screen.expect(
        '"oom"' in said.text and peak is not None and int(peak[1]) <= 64 * MIB,
        "FAILED for the reason oom, and its peak was within the limit",
    )


def _tasks(screen: Screen, user: Typist) -> None:
    screen.title("tasks")
    said = user(
        "jobletctl job run --follow --max-tasks 10 -- "
        "sh -c 'for i in $(seq 100); do sleep 1000 & done; wait'"
    )
    screen.expect("fork" in said.text and said.status == 2, "a fork bomb ends at ten processes")


def _disk(screen: Screen, user: Typist) -> None:
    screen.title("disk bandwidth")
    write = "-- dd if=/dev/zero of=file bs=1M count=8 oflag=direct"
    seconds = []
    for limit in ("", "--max-io 2M "):
        said = user(f"jobletctl job run --follow {limit}{write}")
        took = re.search(r"copied, ([\d.e-]+) s", said.text)
        seconds.append(float(took[1]) if took else 0.0)
    free, limited = seconds
    screen.expect(
        0 < free < limited and limited * 2 * _IO_SLACK >= 8,
        f"8 MiB in {free:.1f} s without a limit, in {limited:.1f} s at 2 MiB a second",
    )


def _quota(screen: Screen, user: Typist) -> None:
    screen.title("disk space")
    said = user("jobletctl job run --follow --max-work 16M -- dd if=/dev/zero of=file bs=1M")
    screen.expect(
        re.search(r"No space left|quota exceeded", said.text) is not None and said.status == 1,
        "/work is full at 16 MiB, the disk of the host is not",
    )


def _timeout(screen: Screen, user: Typist) -> None:
    screen.title("time")
    said = user("jobletctl job run --wait --timeout 2s -- sleep 1000; echo $?")
    screen.expect(said.text.endswith("124\n") and "TIMEOUT" in said.text, "ended after two seconds")


def _stop(screen: Screen, user: Typist) -> None:
    screen.title("stop")
    # nothing that it starts hears the stop too, and has a word of its own
    script = 'trap "echo last words; exit 7" TERM; mkfifo p; echo up; read x <>p'
    user(f"id=$(jobletctl job run -- sh -c '{script}')")
    user('until jobletctl job log --no-follow "$id" | grep up; do :; done')
    stopped = user('jobletctl job stop "$id"; jobletctl job log "$id"')
    screen.expect(
        stopped.text.endswith("up\nlast words\n"), "asked to end, it had time for its last words"
    )
    said = user('jobletctl job status "$id" | grep -E "Status|Exit Code|Reason"')
    screen.expect("STOPPED" in said.text and "Exit Code: 7" in said.text, "and its status is kept")


def _files(screen: Screen, user: Typist) -> None:
    screen.title("files")
    user(r"printf 'pear\napple\nfig\n' >fruit.txt")
    user("id=$(jobletctl job run --upload fruit.txt -- sh -c 'sort fruit.txt >sorted.txt')")
    user('jobletctl job wait "$id" && jobletctl job cp "$id:sorted.txt" .')
    said = user("cat sorted.txt; rm fruit.txt sorted.txt")
    screen.expect(said == Said("apple\nfig\npear\n", 0), "a file went in, a result came out")


def _secret(screen: Screen, user: Typist, root: Typist) -> None:
    screen.title("a secret")
    user("read -r TOKEN < <(head -c 12 /dev/urandom | base64); export TOKEN")
    user(
        "id=$(jobletctl job run --secret-env TOKEN -- "
        "sh -c 'echo \"the token has ${#TOKEN} characters\"; sleep 1000')"
    )
    said = user('until jobletctl job log --no-follow "$id" | grep token; do :; done')
    screen.expect(said.text == "the token has 16 characters\n", "the job has it")
    said = user('jobletctl --json job status "$id" | grep -F -e \'"TOKEN"\' -e "$TOKEN"')
    screen.expect('"***"' in said.text and said.text.count("\n") == 1, "its status does not tell")
    # Only the shell of the user knows it; the shell of root takes it from there, unseen.
    user('printf "%s" "$TOKEN" >token')
    where = "/var/lib/joblet /var/log/joblet /run/joblet"
    said = root(f"grep --recursive --exclude=work.img --fixed-strings -f ~{USER}/token {where}")
    screen.expect(said == Said("", 1), "no file of Joblet has it in clear")
    said = root(f"journalctl --boot --quiet | grep --fixed-strings -f ~{USER}/token")
    screen.expect(said == Said("", 1), "nor has the journal")
    user('rm token; jobletctl job stop "$id"')


def _kill(screen: Screen, user: Typist, root: Typist) -> None:
    screen.title("kill -9 of the daemon")
    user("id=$(jobletctl job run -- sh -c 'for i in $(seq 15); do echo $i; sleep 1; done; exit 3')")
    user('until jobletctl job log --no-follow "$id" | grep 1; do :; done')
    show = "systemctl show --value --property=MainPID jobletd.service"
    old = root(show).text.strip()
    root(f"kill -9 {old}")
    said = root(f"until {show} | grep -v -x -e 0 -e {old}; do :; done")
    screen.expect(said.text.strip().isdigit(), "the daemon is another one")
    said = user('jobletctl job log "$id"')
    numbers = "".join(f"{number}\n" for number in range(1, 16))
    screen.expect(said == Said(numbers, 0), "the job went on, and no byte of it is lost")
    said = user('jobletctl job wait "$id"')
    screen.expect(said.status == 3, "its exit status is known")


def _scope(screen: Screen, user: Typist) -> None:
    screen.title("a job is a unit of systemd")
    user(
        "id=$(jobletctl job run --name sleeper --max-memory 128M --max-tasks 20 --max-cpu 75 "
        "-- sleep 1000)"
    )
    user("until jobletctl job list --state running | grep sleeper; do :; done")
    said = user('systemctl status "joblet-$id.scope"')
    # systemd 252 writes 128.0M
    limits = re.search(r"limit: 21\b.*max: 128(\.0)?M", said.text, re.DOTALL)
    screen.expect(
        limits is not None and "sleep 1000" in said.text,
        "systemctl shows its limits and its processes",
    )
    user("systemd-cgls --no-pager /joblet.slice")
    said = user('jobletctl job stop "$id"')
    screen.expect(said.status == 0, "stopped")


def _bus(screen: Screen, user: Typist) -> None:
    screen.title("D-Bus")
    manager = "org.joblet1 /org/joblet1 org.joblet1.Manager"
    said = user(f"busctl call {manager} RunJob 'a{{sv}}' 2 command s echo args as 1 hello")
    job = re.match(r'so "([0-9a-f-]{36})"', said.text)
    screen.expect(job is not None, "a job by busctl alone")
    if job is not None:
        fields = '(state|reason)" s "[A-Za-z]*'
        said = user(f"busctl call {manager} WaitJob st {job[1][:8]} 0 | grep -oE '{fields}'")
        screen.expect("COMPLETED" in said.text, "and its end")


def run(release: str, screen: Screen) -> None:
    """The whole demo. Raises NoGround."""
    with tempfile.TemporaryDirectory(prefix="joblet-demo-") as scratch:
        screen.note("building the Debian packages of this checkout, as `make deb` does")
        packages = build.build(Path(scratch), build.version())
        screen.note(
            f"booting a Debian {release} that has never seen Joblet: half a minute, "
            "and as much again the first time, for its image"
        )
        with ground(release, lambda _: None) as machine:
            for package in packages:
                machine.write_file(f"{WHERE}/{package.name}", package.read_bytes())
            kernel = machine.run(["uname", "-r"]).stdout.strip()
            systemd = machine.run(["systemctl", "--version"]).stdout.split()[1]
            screen.note(f"Linux {kernel}, systemd {systemd} as PID 1")
            if EMULATED:
                screen.note(
                    "an emulated processor: what takes milliseconds elsewhere takes seconds here"
                )
            installation(machine, screen)
            tour(machine, screen)
    screen.note(f"the machine is gone; its image stays in {cache_directory()} for the next run")


def main() -> int:
    """For `make demo`."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.vm.demo")
    parser.add_argument("--release", choices=list(SUITES), default="13")
    options = parser.parse_args()

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    screen = Screen(write, colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    began = time.monotonic()
    try:
        run(options.release, screen)
    except NoGround as lacking:
        sys.stderr.write(f"make demo: {lacking}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nmake demo: interrupted; the machine is gone\n")
        return 130
    return account(screen, time.monotonic() - began)


def account(screen: Screen, seconds: float) -> int:
    """The last line, and the exit status."""
    for what in screen.failed:
        screen.write(f"NOT SHOWN: {what}\n")
    done = screen.expected - len(screen.failed)
    screen.write(
        f"\nShown in {seconds:.0f} s, {done} of {screen.expected}: {', '.join(screen.shown)}.\n"
    )
    return 1 if screen.failed or not screen.expected else 0


if __name__ == "__main__":
    sys.exit(main())
