"""The filter of jobs on both machines, call by call."""

from __future__ import annotations

import ctypes
import errno
from functools import cache

import pytest

from joblet.errors import HostFailure
from joblet.host import seccomp
from joblet.host.bpf import ALLOW, KILL_PROCESS, refused
from joblet.host.seccomp import ALLOWED, ARCHITECTURES, DECIDED, REFUSED, Numbers
from tests.unit.host.machine_code import verdict

EPERM, ENOSYS = refused(errno.EPERM), refused(errno.ENOSYS)
NO_FAMILY = refused(errno.EAFNOSUPPORT)
# Calls of newer kernels, of which the libseccomp of Debian 12 has not heard.
NEW = {
    *("file_getattr", "file_setattr", "getxattrat", "listxattrat", "mseal", "open_tree_attr"),
    *("removexattrat", "setxattrat", "uprobe", "uretprobe"),
}
HIGH = 1 << 32
EVERYTHING = ALLOWED | REFUSED | DECIDED.keys()
NAMESPACES = {
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}

machines = pytest.mark.parametrize("machine", ARCHITECTURES)


@cache
def program_of(machine: str) -> bytes:
    return seccomp.job_filter(machine)


def asked(machine: str, name: str, *arguments: int) -> int:
    number = Numbers(machine)[name]
    assert number >= 0, name
    program = program_of(machine)
    return verdict(program, ARCHITECTURES[machine], number, arguments)


def test_no_call_has_two_fates() -> None:
    assert len(EVERYTHING) == len(ALLOWED) + len(REFUSED) + len(DECIDED)


@machines
def test_every_name_is_one_of_a_system_call(machine: str) -> None:
    numbers = Numbers(machine)
    assert {name for name in EVERYTHING if not numbers.known(name)} <= NEW
    assert not numbers.known("no_such_call")


@machines
def test_each_call_has_the_fate_of_its_list(machine: str) -> None:
    program, numbers = seccomp.job_filter(machine), Numbers(machine)
    told = {}
    for name in EVERYTHING - DECIDED.keys():
        if (number := numbers[name]) >= 0:
            told[name] = verdict(program, ARCHITECTURES[machine], number)
    assert {name for name, fate in told.items() if fate == ALLOW} == ALLOWED & told.keys()
    assert {name for name, fate in told.items() if fate == EPERM} == REFUSED & told.keys()
    assert {"read", "execve", "ptrace", "mount", "bpf", "keyctl", "io_uring_setup"} <= told.keys()


@machines
def test_what_is_not_on_a_list_is_not_there(machine: str) -> None:
    program, numbers = seccomp.job_filter(machine), Numbers(machine)
    named = {numbers[name] for name in EVERYTHING}
    strange = [number for number in range(4096) if number not in named]
    assert {verdict(program, ARCHITECTURES[machine], number) for number in strange} == {ENOSYS}
    assert verdict(program, ARCHITECTURES[machine], numbers["nfsservctl"]) == ENOSYS


def test_other_conventions_of_the_machine_are_no_way_around() -> None:
    program = seccomp.job_filter("x86_64")
    read = Numbers("x86_64")["read"]
    for foreign in (0x40000003, 0x40000028, 0xC00000B7, 0):
        assert verdict(program, foreign, read) == KILL_PROCESS
    # x32 has the architecture of x86-64 and a bit in the number
    assert verdict(program, ARCHITECTURES["x86_64"], read | 0x40000000) == ENOSYS


@machines
@pytest.mark.parametrize("kind", NAMESPACES)
def test_no_namespace_can_be_made(machine: str, kind: str) -> None:
    flag = NAMESPACES[kind]
    for call in ("clone", "unshare"):
        assert asked(machine, call, flag) == EPERM
        assert asked(machine, call, flag | 0x11) == EPERM
        assert asked(machine, call, HIGH | flag) == EPERM
    assert asked(machine, "setns", 3, flag) == EPERM


@machines
def test_processes_and_threads_can_be_made(machine: str) -> None:
    assert asked(machine, "clone", 17) == ALLOW  # SIGCHLD
    # what a C library asks for a thread, and for a child that borrows the memory
    assert asked(machine, "clone", 0x3D0F00) == ALLOW
    assert asked(machine, "clone", 0x4111) == ALLOW
    assert asked(machine, "clone3") == ENOSYS
    assert asked(machine, "unshare", 0x40600) == ALLOW  # CLONE_FS, CLONE_FILES, CLONE_SYSVSEM
    # CLONE_NEWTIME, and what kernels to come may make of other bits
    for flag in (0x80, 0x00100000, HIGH, 1 << 37):
        assert asked(machine, "unshare", flag) == EPERM


@machines
def test_sockets_are_those_of_programs(machine: str) -> None:
    families = {family: asked(machine, "socket", family, 1, 0) for family in range(256)}
    allowed = {family for family, fate in families.items() if fate == ALLOW}
    assert allowed == {1, 2, 10, 16}
    assert set(families.values()) == {ALLOW, NO_FAMILY}
    assert families[40] == families[38] == NO_FAMILY  # vsock, kernel crypto
    for flags in (0, 0x800, 0x80000, 0x80800):
        for family in (2, 10):
            assert asked(machine, "socket", family, 10 | flags, 0) == NO_FAMILY  # SOCK_PACKET
            assert asked(machine, "socket", family, 1 | flags, 0) == ALLOW
    assert asked(machine, "socketpair", 1, 1, 0) == ALLOW
    assert asked(machine, "socketpair", 40, 1, 0) == NO_FAMILY


@machines
@pytest.mark.parametrize(
    ("family", "protocols"), [(16, {0, 4, 15}), (2, {0, 1, 6, 17, 58}), (10, {0, 1, 6, 17, 58})]
)
def test_protocols_are_those_of_programs(machine: str, family: int, protocols: set[int]) -> None:
    # Multipath TCP is 262.
    told = {number: asked(machine, "socket", family, 3, number) for number in range(300)}
    assert {number for number, fate in told.items() if fate == ALLOW} == protocols
    assert set(told.values()) == {ALLOW, refused(errno.EPROTONOSUPPORT)}


@machines
def test_nothing_is_typed_into_a_terminal_and_no_module_loaded(machine: str) -> None:
    refused_ones = set()
    for command in (*range(0x5400, 0x5500), *range(0x8900, 0x8A00)):
        fate = asked(machine, "ioctl", 0, command)
        assert asked(machine, "ioctl", 0, HIGH | command) == fate
        if fate != ALLOW:
            assert fate == EPERM
            refused_ones.add(command)
    assert refused_ones == {0x5412, 0x541C, 0x5423, 0x8982, 0x8983, 0x89A0, 0x89A1}


@machines
def test_personalities_are_those_of_debuggers_and_builds(machine: str) -> None:
    known = {0, 8, 0x20000, 0x20008, 0x40000, 0x40008, 0xFFFFFFFF}
    strange = {0x0400000, 0x20009, 9, 1, 0xFFFFFFFE}  # READ_IMPLIES_EXEC, System V and others
    told = {value: asked(machine, "personality", value) for value in known | strange}
    assert {value for value, fate in told.items() if fate == ALLOW} == known
    assert {told[value] for value in strange} == {EPERM}


def test_a_machine_that_is_not_known_has_no_filter() -> None:
    with pytest.raises(HostFailure, match="system call filter for the machine 'vax'"):
        seccomp.job_filter("vax")


def test_a_host_without_libseccomp_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise OSError("libseccomp.so.2: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(HostFailure, match=r"load libseccomp \(libseccomp.so.2: cannot open"):
        seccomp.job_filter()
