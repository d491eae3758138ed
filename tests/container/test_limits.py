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
    "DevicePolicy": "closed",
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
        **dict.fromkeys(IO, ""),
    }
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
