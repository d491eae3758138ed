"""Samples of a job where every controller is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from joblet.model.metrics import STORED
from tests.container.jobs import Jobs, ctl
from tests.vm.machine import VirtualMachine

MIB = 1 << 20
WORK = (
    "dd if=/dev/zero of=f bs=1M count=16 conv=fsync 2>/dev/null; "
    "exec timeout 12 python3 -c 'x = bytearray(48 << 20)\nwhile True: pass'"
)


@pytest.fixture
def _every_second(vm: VirtualMachine) -> Iterator[None]:
    drop_in = "/etc/joblet/joblet.toml.d/50-test.conf"
    vm.run(["mkdir", "-p", "/etc/joblet/joblet.toml.d"])
    vm.write_file(drop_in, '[metrics]\ninterval = "1s"\n')
    vm.run(["systemctl", "restart", "jobletd.service"])
    yield
    vm.run(["rm", drop_in])
    vm.run(["systemctl", "restart", "jobletd.service"])


@pytest.mark.usefixtures("_every_second")
def test_all_that_the_controllers_count_is_sampled(vm: VirtualMachine, jobs: Jobs) -> None:
    job = jobs.shell(WORK, max_cpu=50, max_memory=128 * MIB)
    end = jobs.wait(job)
    samples: list[dict[str, Any]] = [
        json.loads(line) for line in ctl(vm, "job", "metrics", job, "--json").splitlines()
    ]
    *running, last = samples
    assert len(running) >= 5
    assert set(STORED) - set(running[-1]) == set()

    def most(name: str) -> Any:
        return max(sample[name] for sample in running)

    assert 48 * MIB <= most("memory_bytes") <= most("memory_peak_bytes") <= 128 * MIB
    assert most("memory_anon_bytes") >= 48 * MIB
    assert most("io_write_bytes") >= 16 * MIB
    assert any(sample["devices"] for sample in running)
    assert most("cpu_throttled_periods") > 0
    assert most("cpu_throttled_usec") > 0
    assert most("page_faults") > 0
    assert running[-1]["cpu_user_usec"] + running[-1]["cpu_system_usec"] == pytest.approx(
        running[-1]["cpu_usec"], rel=0.01
    )
    assert 30 < most("cpu_percent") < 80
    assert {sample["max_memory"] for sample in running} == {128 * MIB}
    assert last["final"] is True
    for name in ("cpu_usec", "memory_peak_bytes", "io_read_bytes", "io_write_bytes"):
        assert last[name] == end[name], name
    shown = ctl(vm, "job", "metrics", job)
    for quantity in ("CPU", "memory", "of its limit", "read", "written", "tasks"):
        assert f"\n{quantity} " in shown, quantity


def test_the_status_of_the_host_has_its_network_and_disks(vm: VirtualMachine) -> None:
    told = json.loads(ctl(vm, "monitor", "status", "--json"))
    addresses = json.loads(vm.run(["ip", "-json", "address"]).stdout)
    [ours] = [one for one in addresses if one["link_type"] == "ether"]
    [seen] = [one for one in told["networks"] if one["interface"] == ours["ifname"]]
    assert seen["mac_address"] == ours["address"]
    assert set(seen["addresses"]) >= {
        one["local"] for one in ours["addr_info"] if one["family"] == "inet"
    }
    assert seen["received_bytes"] > 0
    assert seen["received_bytes_per_s"] >= 0
    root = vm.run(["df", "--block-size=1", "--output=source,size", "/"]).stdout.split()[-2:]
    [disk] = [one for one in told["disks"] if one["mount_point"] == "/"]
    assert [disk["device"], str(disk["total_bytes"])] == root
    assert told["io"]["write_bytes"] > 0
    assert told["io"]["disks"]
    assert told["cloud"]["hypervisor"] == "qemu"
    assert told["host"]["node_id"]
