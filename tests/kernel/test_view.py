"""What a job sees: mounts, devices, processes and names, looked at from the inside."""

from __future__ import annotations

import ctypes
import json
import os
from typing import Any

import pytest

from joblet.init.plan import Step
from joblet.init.syscalls import SYS_keyctl
from tests.kernel.sandbox import FIRST_ID, Sandbox, without

# Everything a test wants to know, in one job.
LOOK = """\
import json, os, socket, stat, sys
def lines(path):
    with open(path) as file:
        return file.read().splitlines()
def attempt(path, flags=os.O_WRONLY | os.O_CREAT):
    try:
        os.close(os.open(path, flags, 0o600))
        return ""
    except OSError as err:
        import errno
        return errno.errorcode[err.errno]
mounts = {}
for line in lines("/proc/self/mountinfo"):
    before, after = line.split(" - ")
    fields = before.split()
    mounts[fields[4]] = [sorted(fields[5].split(",")), after.split()[0]]
status = dict(line.split(":\\t", 1) for line in lines("/proc/self/status"))
json.dump({
    "mounts": mounts,
    "status": status,
    "pids": sorted(int(n) for n in os.listdir("/proc") if n.isdigit()),
    "hostname": socket.gethostname(),
    "links": sorted(name for _, name in socket.if_nameindex()),
    "cwd": os.getcwd(),
    "root": sorted(os.listdir("/")),
    "dev": {n: stat.S_IFMT(os.lstat("/dev/" + n).st_mode) for n in sorted(os.listdir("/dev"))},
    "fds": sorted(os.listdir("/proc/self/fd")),
    "umask": os.umask(0),
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "uid_map": lines("/proc/self/uid_map")[0].split(),
    "environment": dict(os.environ),
    "writes": {path: attempt(path + "/x") for path in sys.argv[1].split(",")},
    "reads": {path: attempt(path, os.O_RDONLY) for path in ("/dev/null", "/dev/tty", "/dev/kmsg")},
    "masked": {path: os.listdir(path) if os.path.isdir(path) else os.path.getsize(path)
               for path in sys.argv[2].split(",") if os.path.lexists(path)},
    "pid": os.getpid(),
    "ns_last": open("/proc/sys/kernel/hostname").read().strip(),
}, sys.stdout)
"""
WRITABLE = ("/work", "/tmp", "/dev/shm")
CLOSED = ("", "/usr", "/etc", "/dev", "/proc", "/proc/sys", "/proc/sys/kernel", "/run", "/home")


def steps(sandbox: Sandbox) -> list[Step]:
    return sandbox.plans.steps(sandbox.job("true"), {})


def paths(sandbox: Sandbox, name: bytes) -> list[str]:
    """The targets of every step of this name."""
    at = {b"bind": 1, b"work": 1}.get(name, 0)
    found = []
    for step in steps(sandbox):
        if step.name == name:
            operand = step.operands[at]
            assert isinstance(operand, bytes)
            found.append("/" + operand.decode())
    return found


@pytest.fixture
def seen(sandbox: Sandbox) -> dict[str, Any]:
    masked = ",".join(paths(sandbox, b"masked"))
    everywhere = ",".join((*WRITABLE, *CLOSED))
    outcome = sandbox.run("python3", "-c", LOOK, everywhere, masked)
    assert outcome.exit.exit_status == 0, outcome.log.decode()
    assert outcome.sealed
    found: dict[str, Any] = json.loads(outcome.log)
    return found


def test_every_mount_is_as_closed_as_the_plan_says(sandbox: Sandbox, seen: dict[str, Any]) -> None:
    mounts = {place: (set(flags), kind) for place, (flags, kind) in seen["mounts"].items()}
    for place, (flags, _) in mounts.items():
        assert "nosuid" in flags, place
    # Device nodes work in /dev and in what masks a file, which is /dev/null.
    with_devices = {place for place, (flags, _) in mounts.items() if "nodev" not in flags}
    assert with_devices <= {"/dev", "/dev/pts", *paths(sandbox, b"masked")}
    for place in ("/", *paths(sandbox, b"bind"), "/dev"):
        assert "ro" in mounts[place][0], place
    for place in ("/work", "/tmp", "/dev/shm"):
        assert "rw" in mounts[place][0]
    assert {place for place, (flags, _) in mounts.items() if "rw" in flags} <= {
        *("/work", "/tmp", "/dev/shm", "/dev/pts", "/proc"),
        *paths(sandbox, b"masked"),
    }
    assert mounts["/proc"][0] >= {"nosuid", "nodev", "noexec"}
    assert "noexec" in mounts["/dev"][0]
    assert mounts["/"][1] == mounts["/tmp"][1] == mounts["/dev/shm"][1] == "tmpfs"
    # What this kernel has, the host's procfs shows as well.
    there = [path for path in paths(sandbox, b"readonly") if os.path.exists(path)]
    assert "/proc/sys" in there
    assert all("ro" in mounts[path][0] for path in there)


def test_masked_parts_look_empty(sandbox: Sandbox, seen: dict[str, Any]) -> None:
    assert seen["masked"]
    assert all(content in (0, []) for content in seen["masked"].values())
    assert set(seen["masked"]) <= set(seen["mounts"])


def test_only_its_own_places_can_be_written(seen: dict[str, Any]) -> None:
    assert {path: seen["writes"][path] for path in WRITABLE} == dict.fromkeys(WRITABLE, "")
    refused = {path: seen["writes"][path] for path in CLOSED}
    assert set(refused.values()) <= {"EROFS", "EACCES", "ENOENT", "EPERM"}
    assert refused["/usr"] == refused[""] == refused["/dev"] == "EROFS"


def test_root_and_devices_are_those_of_the_plan(sandbox: Sandbox, seen: dict[str, Any]) -> None:
    named = {
        str(path).split("/")[1]
        for name in (b"bind", b"directory", b"work", b"tmpfs", b"proc")
        for path in paths(sandbox, name)
    }
    links = {step.operands[1] for step in steps(sandbox) if step.name == b"symlink"}
    named |= {link.decode() for link in links if isinstance(link, bytes) and b"/" not in link}
    assert set(seen["root"]) == named
    assert {"null", "zero", "full", "random", "urandom", "tty"} <= seen["dev"].keys()
    assert not {"kmsg", "mem", "sda", "vda", "loop0", "console"} & seen["dev"].keys()
    assert seen["reads"] == {"/dev/null": "", "/dev/tty": "ENXIO", "/dev/kmsg": "ENOENT"}


def test_processes_names_and_links_are_its_own(seen: dict[str, Any]) -> None:
    assert seen["pid"] == 1
    assert seen["pids"] == [1]
    assert seen["hostname"] == seen["ns_last"]
    assert seen["hostname"].startswith("job-")
    assert seen["links"] == ["lo"]
    assert seen["cwd"] == "/work"


def test_it_holds_nothing_and_is_nobody_of_the_host(seen: dict[str, Any]) -> None:
    status = seen["status"]
    for held in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[held], 16) == 0, held
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"  # SECCOMP_MODE_FILTER
    assert seen["ids"] == [[1000] * 3, [1000] * 3, []]
    assert seen["uid_map"][:2] == ["0", str(FIRST_ID)]
    for inherited in ("SigBlk", "SigIgn", "SigCgt"):
        # Python itself ignores SIGPIPE and SIGXFSZ, and catches SIGINT.
        assert int(status[inherited], 16) & ~(1 << 12 | 1 << 24 | 1 << 1) == 0, inherited
    assert seen["umask"] == 0o022
    # stdin, both outputs, and the directory that is being listed
    assert seen["fds"] == ["0", "1", "2", "3"]
    assert seen["environment"]["HOME"] == "/work"
    assert "PYTHONPATH" not in seen["environment"]


def test_with_init_the_command_is_a_child_of_a_small_pid_1(sandbox: Sandbox) -> None:
    outcome = sandbox.run("sh", "-c", "cat /proc/1/comm; echo $$ >&2; exit 4", init=True)
    assert outcome.exit.exit_status == 4
    assert b"joblet-init\n" in outcome.log
    assert b"1\n" not in outcome.log.splitlines(keepends=True)


KEYS = """\
import ctypes, platform
keyctl = {"x86_64": 250, "aarch64": 219}[platform.machine()]
session, get_id, describe = -3, 0, 6
libc = ctypes.CDLL(None)
text = ctypes.create_string_buffer(256)
assert libc.syscall(keyctl, describe, session, text, len(text)) > 0
print(libc.syscall(keyctl, get_id, session, 0), text.value.decode(), sep=";")
"""


def test_jobs_share_no_session_keyring(sandbox: Sandbox) -> None:
    """Neither with each other nor with joblet-init; whoever has one reads the keys in it.

    The filter keeps a job from asking, so here it has none.
    """
    libc = ctypes.CDLL(None)
    ours = libc.syscall(SYS_keyctl, 0, -3, 0)
    found = set()
    for init in (False, True):
        outcome = sandbox.run("python3", "-c", KEYS, init=init, change=without("filter"))
        assert outcome.exit.exit_status == 0, outcome.log
        serial, kind, *_, name = outcome.log.decode().strip().split(";")
        assert (kind, name) == ("keyring", "_ses")
        found.add(int(serial))
    assert len(found - {ours}) == 2
