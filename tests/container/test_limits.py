"""Limits as the manager has them: asked for, as properties of the scope, and refused by name.

They do not bite here (no controllers); that is for the VM ground.
"""

from __future__ import annotations

import re

import pytest

from tests.container.jobs import SECOND, Jobs, Refused, ctl, scope_of, unit
from tests.container.machine import Machine

LIMITS = {
    "max_cpu": 150,
    "cpu_weight": 300,
    "cpu_cores": "0-1",
    "max_memory": 512 << 20,
    "max_io_bps": 2 << 20,
    "max_iops": 100,
    "io_weight": 50,
    "max_tasks": 64,
    "timeout_usec": 600 * SECOND,
    "stop_grace_usec": 3 * SECOND,
}
IO = ("IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax")
SHOWN = {
    "CPUQuotaPerSecUSec": "1.500000s",
    "CPUWeight": "300",
    "AllowedCPUs": "0-1",
    "MemoryMax": str(512 << 20),
    "MemorySwapMax": "0",
    "IOWeight": "50",
    "TasksMax": "65",
    "RuntimeMaxUSec": "10min 500ms",
    "TimeoutStopUSec": "3s",
    "IOAccounting": "yes",
    "OOMPolicy": "continue",
}


@pytest.fixture
def jobs(machine: Machine) -> Jobs:
    return Jobs(machine)


def test_scope_has_what_was_asked_for(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000", **LIMITS)
    jobs.wait_running(job)
    assert unit(machine, scope_of(job), *SHOWN) == SHOWN
    status = jobs.status(job)
    assert {name: status[name] for name in LIMITS} == LIMITS
    rates = unit(machine, scope_of(job), *IO)
    assert set(rates) == set(IO)
    for name, shown in rates.items():
        limit = 100 if "IOPS" in name else 2 << 20
        assert re.fullmatch(rf"/dev/block/[0-9]+:[0-9]+ {limit}", shown), name
    jobs.stop(job)
    jobs.wait(job)


def test_scope_of_a_plain_job_has_the_defaults_and_no_other_limit(
    machine: Machine, jobs: Jobs
) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    assert unit(
        machine, scope_of(job), "TasksMax", "CPUQuotaPerSecUSec", "MemoryMax", "AllowedCPUs", *IO
    ) == {
        "TasksMax": "4097",
        "CPUQuotaPerSecUSec": "infinity",
        "MemoryMax": "infinity",
        "AllowedCPUs": "",
    }
    jobs.stop(job)
    jobs.wait(job)


def test_no_process_of_a_scope_opens_a_device_of_the_host(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    cgroup = unit(machine, scope_of(job), "ControlGroup")["ControlGroup"]
    # root, outside the job's namespaces and with all capabilities: the policy alone is in the way
    enter = f'echo $$ >"/sys/fs/cgroup{cgroup}/cgroup.procs"; '
    for device, outside, inside in (("/dev/net/tun", 0, 1), ("/dev/null", 0, 0)):
        opened = f"dd if={device} count=0"
        assert machine.run(["sh", "-c", opened], check=False).returncode == outside, device
        entered = machine.run(["sh", "-c", enter + opened], check=False)
        assert entered.returncode == inside, device
        if inside:
            assert "Operation not permitted" in entered.stderr
    jobs.stop(job)
    jobs.wait(job)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("max_cpu", 6_553_600), ("cpu_cores", "0,60000"), ("max_memory", 1 << 60)],
)
def test_what_this_host_does_not_have_is_refused_and_leaves_nothing(
    jobs: Jobs, limit: str, value: object
) -> None:
    before = jobs.ids()
    with pytest.raises(Refused, match=limit):
        jobs.run("true", **{limit: value})
    assert jobs.ids() == before


def test_a_drop_in_is_read_and_config_show_names_it(machine: Machine, jobs: Jobs) -> None:
    drop_in = "/etc/joblet/joblet.toml.d/50-test.conf"
    machine.run(["mkdir", "-p", "/etc/joblet/joblet.toml.d"])
    machine.write_file(drop_in, "[defaults]\nmax_memory = '96M'\n[ceilings]\nmax_cpu = 100\n")
    try:
        machine.run(["systemctl", "restart", "jobletd.service"])
        status = jobs.done("true")
        assert (status["max_memory"], status["max_cpu"]) == (96 << 20, 100)
        assert status["max_tmp"] == 24 << 20
        with pytest.raises(Refused, match=r"max_cpu: 101 % is above ceilings\.max_cpu"):
            jobs.run("true", max_cpu=101)
        shown = ctl(machine, "config", "show")
        assert re.search(rf"^defaults\.max_memory +96M +{drop_in}$", shown, re.MULTILINE)
    finally:
        machine.run(["rm", "-r", "/etc/joblet/joblet.toml.d"])
        machine.run(["systemctl", "restart", "jobletd.service"])


def test_update_changes_the_scope_of_a_running_job(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000", **LIMITS)
    jobs.wait_running(job)
    line = ["--max-cpu=50", "--cpu-weight=20", "--cpu-cores=1", "--max-memory=1G", "--max-io=3M"]
    assert ctl(machine, "job", "update", job, *line, "--max-tasks=0") == f"{job}\n"
    changed = {
        "CPUQuotaPerSecUSec": "500ms",
        "CPUWeight": "20",
        "AllowedCPUs": "1",
        "MemoryMax": str(1 << 30),
        "MemorySwapMax": "0",
        "IOWeight": "50",
        "TasksMax": "infinity",
    }
    assert unit(machine, scope_of(job), *changed) == changed
    rates = unit(machine, scope_of(job), *IO)
    for name, shown in rates.items():
        limit = 100 if "IOPS" in name else 3 << 20
        assert re.fullmatch(rf"/dev/block/[0-9]+:[0-9]+ {limit}", shown), name
    lifted = ["--max-cpu=0", "--cpu-cores=all", "--max-memory=0", "--max-io=0", "--max-iops=0"]
    ctl(machine, "job", "update", job, *lifted)
    none = {
        "CPUQuotaPerSecUSec": "infinity",
        "AllowedCPUs": "",
        "MemoryMax": "infinity",
        "MemorySwapMax": "infinity",
    }
    assert unit(machine, scope_of(job), *none, *IO) == none
    status = jobs.status(job)
    assert (status["max_cpu"], status["cpu_cores"], status["cpu_weight"]) == (0, "", 20)
    jobs.stop(job)
    jobs.wait(job)


def test_update_outlives_the_daemon_and_ends_with_the_job(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    ctl(machine, "job", "update", job, "--max-memory=64M")
    # what a daemon does not live to do
    machine.run(["systemctl", "set-property", "--runtime", scope_of(job), "MemoryMax=infinity"])
    machine.run(["systemctl", "restart", "jobletd.service"])
    machine.wait_for(
        lambda: unit(machine, scope_of(job), "MemoryMax") == {"MemoryMax": str(64 << 20)},
        "the limit of the record",
    )
    assert jobs.status(job)["max_memory"] == 64 << 20
    jobs.stop(job)
    jobs.wait(job)
    with pytest.raises(Refused, match="ended already"):
        jobs.call("UpdateJob", "sa{sv}", job, 1, "max_cpu", "u", 5)
    find = ["sh", "-c", f"find /run/systemd -ignore_readdir_race -name '{scope_of(job)}*'"]
    machine.wait_for(lambda: not machine.run(find).stdout, "systemd to forget the scope")


def test_slices_weigh_what_their_jobs_weigh(machine: Machine, jobs: Jobs) -> None:
    settings = machine.read_file("/etc/joblet/joblet.toml")
    machine.write_file("/etc/joblet/joblet.toml", settings + "[jobs]\nscope_shard_size = 2\n")
    machine.run(["systemctl", "restart", "jobletd.service"])
    try:
        running = [jobs.run("sleep", "1000", cpu_weight=weight) for weight in (100, 250, 40)]
        jobs.wait_running(*running)

        def weight(shard: int) -> str:
            return unit(machine, f"joblet-jobs-{shard:02d}.slice", "CPUWeight")["CPUWeight"]

        machine.wait_for(lambda: (weight(0), weight(1)) == ("350", "40"), "the weights of slices")
        ctl(machine, "job", "update", running[2], "--cpu-weight=500")
        machine.wait_for(lambda: (weight(0), weight(1)) == ("350", "500"), "the changed weight")
        for job in running:
            jobs.stop(job)
            jobs.wait(job)
    finally:
        machine.write_file("/etc/joblet/joblet.toml", settings)
        machine.run(["systemctl", "restart", "jobletd.service"])
