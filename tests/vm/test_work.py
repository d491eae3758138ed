"""What a job may write, and as whom: sizes that hold on a real disk, ids that hide nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.container.jobs import DAEMON, Jobs, kill, outcome, processes_of
from tests.vm.machine import VirtualMachine

MIB = 1 << 20
WORK = "/var/lib/joblet/work"
POOL = range(1 << 30, (1 << 30) + 8192 * 65_536)
# Writes until the disk says no, and tells how far it got.
FILL = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
done = 0
try:
    while True:
        done += os.write(fd, bytes(1 << 18))
except OSError as err:
    print(err.errno, done)
"""
# Makes empty files until the disk says no.
CROWD = """
import os
count = 0
try:
    while True:
        os.close(os.open(f"f{count}", os.O_WRONLY | os.O_CREAT))
        count += 1
except OSError as err:
    print(err.errno, count)
"""
ENOSPC, EDQUOT = 28, 122


@pytest.fixture
def sleepers(jobs: Jobs) -> Iterator[list[str]]:
    ids = [jobs.shell("sleep 1000 & sleep 1000", user=user) for user in (0, 1000)]
    jobs.wait_running(*ids)
    yield ids
    for job in ids:
        jobs.stop(job)
        jobs.wait(job)


def test_work_directories_are_on_a_file_system_with_project_quotas(vm: VirtualMachine) -> None:
    found = vm.run(["findmnt", "-no", "FSTYPE,OPTIONS", WORK]).stdout
    assert found.startswith("ext4")
    assert {"prjquota", "nosuid", "nodev"} <= set(re.split(r"[ ,\n]", found))
    assert vm.run(["systemctl", "is-active", "joblet-setup.service"]).stdout == "active\n"


def test_disk_of_the_work_directories_has_no_second_cache(vm: VirtualMachine) -> None:
    device = vm.run(["findmnt", "-no", "SOURCE", WORK]).stdout.strip()
    name = device.removeprefix("/dev/")
    assert vm.read_file(f"/sys/block/{name}/loop/dio") == "1\n"


@pytest.mark.parametrize(
    ("path", "spec"),
    [
        ("/work/f", {"max_work": 8 * MIB}),
        ("/tmp/f", {"max_tmp": 8 * MIB}),
        ("/dev/shm/f", {"max_shm": 8 * MIB}),
    ],
)
def test_each_place_is_full_at_its_size(jobs: Jobs, path: str, spec: dict[str, int]) -> None:
    job = jobs.run("python3", "-c", FILL, path, **spec)
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    errno, done = map(int, jobs.log(job).split())
    assert errno in (ENOSPC, EDQUOT)
    # the directory itself takes a block
    assert 8 * MIB - (1 << 18) - 8192 <= done <= 8 * MIB
    jobs.call("DeleteJob", "s", job)


def test_files_are_counted_too(jobs: Jobs) -> None:
    job = jobs.run("python3", "-c", CROWD, max_work=1 * MIB)
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    errno, count = map(int, jobs.log(job).split())
    assert errno == EDQUOT
    assert 1000 <= count <= 1024
    jobs.call("DeleteJob", "s", job)


def test_work_is_not_charged_to_the_memory_limit(jobs: Jobs) -> None:
    """Four times its memory goes to the disk: the page cache gives way, the job lives."""
    script = "dd if=/dev/zero of=f bs=1M count=256 2>/dev/null && rm f"
    job = jobs.shell(script, max_memory=64 * MIB, max_work=512 * MIB)
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)


def test_job_cannot_leave_its_project(jobs: Jobs) -> None:
    """Neither by ioctl nor by a set-up of its own; FS_IOC_FSSETXATTR on its own directory."""
    script = (
        "import fcntl, os, struct\n"
        "fd = os.open('/work', os.O_RDONLY)\n"
        "attr = bytearray(fcntl.ioctl(fd, 0x801C581F, bytes(28)))\n"
        "project = struct.unpack_from('<I', attr, 12)[0]\n"
        "struct.pack_into('<I', attr, 12, 0)\n"
        "try:\n"
        "    fcntl.ioctl(fd, 0x401C5820, bytes(attr))\n"
        "except OSError as err:\n"
        "    print(project > 0, err.errno)\n"
    )
    for user in (0, 1000):
        job = jobs.run("python3", "-c", script, user=user)
        assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
        flag, errno = jobs.log(job).split()
        assert (flag, int(errno) in (1, 22, 95)) == ("True", True)


@pytest.mark.journal_allows(
    r"jobletd.service: (Main process exited, code=killed|Failed with result|Scheduled restart)"
)
def test_project_of_a_full_directory_goes_to_nobody_else(vm: VirtualMachine, jobs: Jobs) -> None:
    full = jobs.run("python3", "-c", FILL, "/work/f", max_work=4 * MIB)
    jobs.wait(full)
    kill(vm, DAEMON)
    other = jobs.run("python3", "-c", FILL, "/work/f", max_work=4 * MIB)
    jobs.wait(other)
    assert int(jobs.log(other).split()[1]) >= 3 * MIB
    jobs.call("DeleteJob", "s", full)
    jobs.call("DeleteJob", "s", other)
    # What is free again is whole again.
    third = jobs.run("python3", "-c", FILL, "/work/f", max_work=4 * MIB)
    jobs.wait(third)
    assert int(jobs.log(third).split()[1]) >= 3 * MIB
    jobs.call("DeleteJob", "s", third)


def test_host_sees_unprivileged_ids_only(vm: VirtualMachine, sleepers: list[str]) -> None:
    ranges = []
    for job in sleepers:
        pids = ",".join(map(str, processes_of(vm, job)))
        shown = vm.run(["ps", "-o", "uid=,gid=", "-p", pids]).stdout.split()
        assert len(shown) >= 6
        ids = set(map(int, shown))
        assert all(number in POOL for number in ids)
        ranges.append({number // 65_536 for number in ids})
    assert all(len(one) == 1 for one in ranges)
    assert ranges[0] != ranges[1]


def test_results_outlive_a_reboot(vm: VirtualMachine, jobs: Jobs) -> None:
    job = jobs.shell("echo result >r")
    jobs.wait(job)
    vm.reboot()
    assert vm.read_file(f"{WORK}/{job}/r") == "result\n"
    jobs.call("DeleteJob", "s", job)
    assert vm.run(["ls", WORK]).stdout.split() == ["lost+found"]


def test_upload_counts_towards_the_quota(vm: VirtualMachine, jobs: Jobs) -> None:
    vm.run(["sh", "-c", "mkdir -p /tmp/u && head -c 3000000 /dev/zero >/tmp/u/big"])
    command = ["jobletctl", "job", "run", "--upload-dir=/tmp/u"]
    refused = vm.run([*command, "--max-work=2M", "--", "true"], check=False)
    assert refused.returncode == 1
    assert "big" in refused.stderr
    assert "full" in refused.stderr
    filled = vm.run([*command, "--max-work=4M", "--", "python3", "-c", FILL, "/work/f"])
    job = filled.stdout.strip()
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    errno, done = map(int, jobs.log(job).split())
    assert errno == EDQUOT
    assert done < 2 * MIB
    jobs.call("DeleteJob", "s", job)
    vm.run(["rm", "-r", "/tmp/u"])
