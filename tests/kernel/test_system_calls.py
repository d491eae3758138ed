"""What a job gets when it asks the kernel for things, by the real filter of the real kernel."""

from __future__ import annotations

import json
import platform
import signal

import pytest

from joblet.host.seccomp import Numbers
from tests.kernel.sandbox import Sandbox, without

# The system calls that are named in the argument, by number; what each gave: "" or an errno.
ASK = """\
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
buffer = ctypes.create_string_buffer(256)
told = {}
for name, (number, *arguments) in json.loads(sys.argv[1]).items():
    given = [ctypes.c_long(ctypes.addressof(buffer) if one is None else one) for one in arguments]
    result = libc.syscall(ctypes.c_long(number), *given)
    if result == 0 and name.startswith("clone"):
        os._exit(0)
    told[name] = "" if result >= 0 else errno.errorcode[ctypes.get_errno()]
print(json.dumps(told))
"""
# None: a buffer of zeros
ASKED: dict[str, tuple[str, tuple[int | None, ...], str]] = {
    "namespaces of its own": ("unshare", (0x10000000,), "EPERM"),
    "clone into a user namespace": ("clone", (0x10000000 | signal.SIGCHLD, 0, 0, 0, 0), "EPERM"),
    "clone a child": ("clone", (signal.SIGCHLD, 0, 0, 0, 0), ""),
    "clone3": ("clone3", (None, 88), "ENOSYS"),
    "another's namespace": ("setns", (0, 0), "EPERM"),
    "a mount": ("mount", (None, None, None, 0, None), "EPERM"),
    "a mount, the new way": ("fsopen", (None, 0), "EPERM"),
    "a copy of a tree": ("open_tree", (-100, None, 1), "EPERM"),
    "another root": ("chroot", (None,), "EPERM"),
    "keys": ("keyctl", (0, -3, 0), "EPERM"),
    "a new key": ("add_key", (None, None, None, 0, -3), "EPERM"),
    "bpf": ("bpf", (0, None, 128), "EPERM"),
    "performance counters": ("perf_event_open", (None, 0, -1, -1, 0), "EPERM"),
    "io_uring": ("io_uring_setup", (8, None), "EPERM"),
    "page faults": ("userfaultfd", (1,), "EPERM"),
    "the kernel's log": ("syslog", (10, None, 0), "EPERM"),
    "a file by its handle": ("open_by_handle_at", (-100, None, 0), "EPERM"),
    "vsock": ("socket", (40, 1, 0), "EAFNOSUPPORT"),
    "the kernel's ciphers": ("socket", (38, 5, 0), "EAFNOSUPPORT"),
    "frames": ("socket", (17, 3, 0), "EAFNOSUPPORT"),
    "frames, the old way": ("socket", (2, 10, 0), "EAFNOSUPPORT"),
    "multipath TCP": ("socket", (2, 1, 262), "EPROTONOSUPPORT"),
    "TCP": ("socket", (2, 1, 6), ""),
    "netfilter": ("socket", (16, 3, 12), "EPROTONOSUPPORT"),
    "interfaces": ("socket", (16, 3, 0), ""),
    "a socket": ("socket", (1, 1, 0), ""),
    "old module calls": ("query_module", (0, 0, 0, 0, 0), "ENOSYS"),
    "other files": ("unshare", (0x400,), ""),
    "memory with a name": ("memfd_create", (None, 0), ""),
}
NUMBERS = Numbers(platform.machine())


@pytest.mark.parametrize("init", [False, True], ids=["", "with init"])
def test_a_job_gets_what_programs_need_and_nothing_else(sandbox: Sandbox, init: bool) -> None:
    asked = {
        what: (NUMBERS[name], *arguments)
        for what, (name, arguments, _) in ASKED.items()
        if NUMBERS[name] >= 0
    }
    asked["a call of the next kernel"] = (4000,)
    outcome = sandbox.run("python3", "-c", ASK, json.dumps(asked), init=init)
    assert outcome.exit.exit_status == 0, outcome.log.decode()
    expected = {what: ASKED[what][2] if what in ASKED else "ENOSYS" for what in asked}
    assert json.loads(outcome.log) == expected


def test_the_filter_is_what_refuses(sandbox: Sandbox) -> None:
    """A job without one gets other answers of any kernel: else the test above would say little."""
    asked = {
        what: (NUMBERS[ASKED[what][0]], *ASKED[what][1])
        for what in ("clone into a user namespace", "clone3", "keys", "namespaces of its own")
    }
    outcome = sandbox.run("python3", "-c", ASK, json.dumps(asked), change=without("filter"))
    assert json.loads(outcome.log) == dict.fromkeys(asked, "")


# mov eax, 20 (getpid of i386); int 0x80; ret
OTHER_ENTRY = """\
import ctypes, mmap
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("b814000000cd80c3"))
start = ctypes.addressof(ctypes.c_char.from_buffer(code))
print(ctypes.CFUNCTYPE(ctypes.c_int)(start)(), flush=True)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the entry of another machine")
def test_the_32_bit_entry_ends_who_takes_it(sandbox: Sandbox) -> None:
    free = sandbox.run("python3", "-c", OTHER_ENTRY, change=without("filter"))
    outcome = sandbox.run("python3", "-c", OTHER_ENTRY)
    assert outcome.log == b""
    if free.log == b"1\n":
        assert outcome.exit.signal == signal.SIGSYS
    else:
        # a kernel that was built or booted without that entry
        assert outcome.exit.signal == free.exit.signal == signal.SIGSEGV


def test_what_debuggers_sandboxes_and_threads_need_is_there(sandbox: Sandbox) -> None:
    script = """\
import ctypes, os, signal, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
thread = threading.Thread(target=lambda: None)
thread.start()
thread.join()
child = os.fork()
if child == 0:
    assert libc.ptrace(0, 0, 0, 0) == 0
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(3)
assert os.WIFSTOPPED(os.waitpid(child, 0)[1])
assert libc.ptrace(7, child, 0, 0) == 0
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
assert subprocess.run(["setarch", "-R", "true"]).returncode == 0
allow = ctypes.create_string_buffer(bytes.fromhex("060000000000ff7f"))
program = (ctypes.c_ulong * 2)(1, ctypes.addressof(allow))
assert libc.prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program)), 0, 0) == 0
"""
    outcome = sandbox.run("python3", "-c", script)
    assert (outcome.exit.exit_status, outcome.log) == (0, b"")
