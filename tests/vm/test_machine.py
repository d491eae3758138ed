"""The VM ground itself, and Joblet on a real machine: limits that bite, a power that goes."""

from __future__ import annotations

import re

import pytest

from tests.container.jobs import SECOND, Jobs, ctl, outcome, scope_of
from tests.vm.machine import VirtualMachine

MIB = 1 << 20
HOG = "kept = []\nwhile True: kept.append(b'x' * (1 << 20))"
FORK_UNTIL_REFUSED = """\
import os, signal
children = []
try:
    while len(children) < 100:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except BlockingIOError:
    print("refused after", len(children))
for child in children:
    os.kill(child, signal.SIGKILL)
    os.wait()
"""


@pytest.mark.smoke
def test_systemd_is_up_and_nothing_has_failed(vm: VirtualMachine) -> None:
    assert vm.read_file("/proc/1/comm") == "systemd\n"
    assert vm.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert vm.run(["systemctl", "--failed", "--no-legend"]).stdout == ""


@pytest.mark.smoke
def test_every_controller_is_there(vm: VirtualMachine) -> None:
    controllers = vm.read_file("/sys/fs/cgroup/cgroup.controllers").split()
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= set(controllers)


def test_commands_end_as_their_programs_do(vm: VirtualMachine) -> None:
    assert vm.run(["sh", "-c", "exit 3"], check=False).returncode == 3
    killed = vm.run(["sh", "-c", "kill -KILL $$"], check=False)
    assert (killed.returncode, killed.stderr) == (137, "")
    with vm.popen(["sleep", "1000"]) as process:
        vm.signal_command(process, 15)
    assert process.returncode == 143


def test_killed_command_is_gone_from_the_machine(vm: VirtualMachine) -> None:
    with vm.popen(["sleep", "54321"]) as process:
        vm.wait_for(lambda: _runs(vm, "sleep 54321"), "the command")
        process.kill()
    vm.wait_for(lambda: not _runs(vm, "sleep 54321"), "its end")


def test_words_and_bytes_arrive_as_they_were_given(vm: VirtualMachine) -> None:
    words = ["a b", "", "'\"$HOME`\\", "*", "ä\n", "-n"]
    seen = vm.run(["python3", "-c", "import sys; print(sys.argv[1:])", *words]).stdout
    assert seen == f"{words}\n"
    data = bytes(range(256)) * 1000
    assert vm.run(["cat"], input=data, text=False).stdout == data


def test_users_have_their_groups_and_bare_uids_none(vm: VirtualMachine) -> None:
    assert "joblet" in vm.run(["id", "-nG"], user="member").stdout.split()
    assert vm.run(["id", "-nG"], user="outsider").stdout == "outsider\n"
    assert vm.run(["id", "-G"], user=4711).stdout == "4711\n"


@pytest.mark.smoke
def test_job_of_a_member_completes(vm: VirtualMachine) -> None:
    said = ctl(vm, "job", "run", "--follow", "--", "sh", "-c", "echo from $PPID", user="member")
    assert said == "from 0\n"


@pytest.mark.smoke
def test_systemd_shows_a_running_job(vm: VirtualMachine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000", max_memory=64 * MIB, max_tasks=20)
    jobs.wait_running(job)
    shown = vm.run(["systemctl", "status", "--no-pager", scope_of(job)]).stdout
    assert "active (running)" in shown
    assert "sleep 1000" in shown
    assert re.search(r"max: 64(\.0)?M\b", shown)  # 252 writes 64.0M
    jobs.stop(job)
    assert outcome(jobs.wait(job)) == ("STOPPED", "stopped", 143)


@pytest.mark.smoke
@pytest.mark.journal_allows(r"\.scope: .*(OOM killer|oom-kill)")
def test_job_over_its_memory_ends_and_says_so(jobs: Jobs) -> None:
    end = jobs.done("python3", "-c", HOG, max_memory=48 * MIB)
    assert outcome(end) == ("FAILED", "oom", 137)
    assert 32 * MIB < end["memory_peak_bytes"] <= 48 * MIB


@pytest.mark.smoke
def test_job_cannot_have_more_tasks_than_it_may(jobs: Jobs) -> None:
    job = jobs.run("python3", "-c", FORK_UNTIL_REFUSED, max_tasks=12)
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    # the program itself is a task too
    assert jobs.log(job) == "refused after 11\n"


@pytest.mark.smoke
@pytest.mark.journal_allows("the host went down while it ran", r"jobletd: .*sweeping what is left")
@pytest.mark.parametrize("lost", [False, True], ids=["reboot", "power cut"])
def test_jobs_after_the_machine_went_down(vm: VirtualMachine, jobs: Jobs, lost: bool) -> None:
    done = jobs.done("echo", "done")["id"]
    running = jobs.shell("echo begun; exec sleep 1000")
    later = jobs.run("echo", "later", start_at_usec=_now(vm) + 3600 * SECOND)
    jobs.wait_output(running, "begun")
    boot_id = vm.boot_id
    if lost:
        vm.cut_power()
        vm.boot()
    else:
        vm.reboot()
    assert vm.boot_id != boot_id
    assert vm.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert outcome(jobs.wait(running)) == (
        ("FAILED", "lost", 125) if lost else ("STOPPED", "shutdown", 137)
    )
    assert jobs.sealed(running)
    assert outcome(jobs.status(done)) == ("COMPLETED", "exit", 0)
    assert jobs.log(done) == "done\n"
    assert jobs.status(later)["state"] == "SCHEDULED"
    ctl(vm, "job", "cancel", later)
    assert outcome(jobs.wait(later)) == ("CANCELED", "canceled", 143)


@pytest.mark.smoke
def test_scratch_disk_is_empty(vm: VirtualMachine) -> None:
    assert vm.run(["blkid", "-p", "/dev/vdb"], check=False).returncode == 2


def _now(vm: VirtualMachine) -> int:
    """The clock of the guest; an emulated one may go its own way."""
    return int(vm.run(["date", "+%s%6N"]).stdout)


def _runs(vm: VirtualMachine, command: str) -> bool:
    return bool(vm.run(["pgrep", "--full", f"^{command}$"], check=False).returncode == 0)
