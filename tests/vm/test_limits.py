"""Limits that bite: what the kernel does to real programs at each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.container.jobs import Jobs, ctl, outcome, scope_of, unit
from tests.vm.machine import VirtualMachine

MIB = 1 << 20
SECOND = 1_000_000
KILLED_FOR_MEMORY = pytest.mark.journal_allows(r"\.scope: .*(OOM killer|oom-kill)")
BUSY = "while :; do :; done"


@pytest.fixture
def one_job_a_slice(vm: VirtualMachine) -> Iterator[None]:
    """Every job is in a slice of its own."""
    drop_in = "/etc/joblet/joblet.toml.d/50-test.conf"
    vm.run(["mkdir", "-p", "/etc/joblet/joblet.toml.d"])
    vm.write_file(drop_in, "[jobs]\nscope_shard_size = 1\n")
    vm.run(["systemctl", "restart", "jobletd.service"])
    yield
    vm.run(["rm", drop_in])
    vm.run(["systemctl", "restart", "jobletd.service"])


@KILLED_FOR_MEMORY
@pytest.mark.parametrize("hogs", [1, 6])
def test_one_kill_for_memory_ends_all_of_the_job_and_is_recorded(jobs: Jobs, hogs: int) -> None:
    """Also when several are over it together, and with a grace of nothing."""
    hog = f"x = bytearray({160 // hogs} << 20); import time; time.sleep(1000)"
    # Whoever is not over it would sleep on; a shell may see the first kill before its own.
    script = f"for i in $(seq {hogs}); do python3 -c '{hog}' & done; wait $!; exec sleep 1000"
    end = jobs.wait(jobs.shell(script, max_memory=64 * MIB, stop_grace_usec=0))
    assert outcome(end) == ("FAILED", "oom", 137)
    assert 32 * MIB < end["memory_peak_bytes"] <= 64 * MIB


def test_cpu_time_is_what_max_cpu_gives(jobs: Jobs) -> None:
    end = jobs.done("timeout", "8", "sh", "-c", BUSY, max_cpu=50)
    assert end["exit_code"] == 124
    assert 0.45 <= end["cpu_usec"] / end["run_usec"] <= 0.55


@pytest.mark.usefixtures("one_job_a_slice")
def test_weights_count_across_slices(vm: VirtualMachine, jobs: Jobs) -> None:
    light = jobs.shell(BUSY, cpu_weight=100, cpu_cores="0")
    heavy = jobs.shell(BUSY, cpu_weight=300, cpu_cores="0")
    jobs.wait_running(light, heavy)
    slices = [unit(vm, scope_of(job), "Slice")["Slice"] for job in (light, heavy)]
    assert slices[0] != slices[1]
    vm.wait_for(
        lambda: [unit(vm, name, "CPUWeight")["CPUWeight"] for name in slices] == ["100", "300"],
        "the weights of the slices",
    )
    before = _cpu_usec(vm, light, heavy)

    def used() -> tuple[int, int]:
        now = _cpu_usec(vm, light, heavy)
        return now[0] - before[0], now[1] - before[1]

    vm.wait_for(lambda: sum(used()) > 10 * SECOND, "ten seconds of the CPU")
    small, large = used()
    assert 2.7 <= large / small <= 3.3
    for job in (light, heavy):
        jobs.stop(job)
        jobs.wait(job)


def test_pinned_program_sees_and_has_only_its_cpu(jobs: Jobs) -> None:
    job = jobs.run("python3", "-c", "import os; print(os.sched_getaffinity(0))", cpu_cores="1")
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job) == "{1}\n"


def test_disk_is_as_slow_as_max_io_says_each_way(jobs: Jobs) -> None:
    """Of /work, on whatever it lies: 8 MiB at 2 MiB a second take four seconds."""
    for script in (
        "dd if=/dev/zero of=f bs=1M count=8 oflag=direct 2>/dev/null",
        "dd if=/dev/zero of=f bs=1M count=8 conv=fsync 2>/dev/null; exec 2>/dev/null; "
        "dd if=f of=/dev/null bs=1M iflag=direct",
    ):
        end = jobs.wait(jobs.shell(script, max_io_bps=2 * MIB))
        assert outcome(end) == ("COMPLETED", "exit", 0)
        assert end["run_usec"] >= 3.6 * SECOND
        # once, although it goes through a loop device to the disk
        assert 8 * MIB <= end["io_write_bytes"] < 12 * MIB


@KILLED_FOR_MEMORY
def test_updated_limit_bites_at_once(vm: VirtualMachine, jobs: Jobs) -> None:
    script = "read line < go; exec python3 -c 'x = bytearray(300 << 20)'"
    job = jobs.shell(f"mkfifo go; echo ready; {script}", max_memory=512 * MIB)
    jobs.wait_output(job, "ready")
    ctl(vm, "job", "update", job, "--max-memory=64M", "--max-tasks=9")
    control = f"/sys/fs/cgroup{unit(vm, scope_of(job), 'ControlGroup')['ControlGroup']}"
    assert vm.read_file(f"{control}/memory.max") == f"{64 * MIB}\n"
    assert vm.read_file(f"{control}/pids.max") == "10\n"
    vm.run(["sh", "-c", f"echo go > /var/lib/joblet/work/{job}/go"])
    assert outcome(jobs.wait(job)) == ("FAILED", "oom", 137)


def _cpu_usec(vm: VirtualMachine, *jobs: str) -> list[int]:
    """What each has used, read in one moment: a command in between costs time of the CPU."""
    groups = [unit(vm, scope_of(job), "ControlGroup")["ControlGroup"] for job in jobs]
    files = [f"/sys/fs/cgroup{group}/cpu.stat" for group in groups]
    lines = vm.run(["grep", "--no-filename", "^usage_usec ", *files]).stdout.splitlines()
    return [int(line.split()[1]) for line in lines]
