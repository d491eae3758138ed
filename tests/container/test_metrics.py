"""What jobs used and how the host is, as installed: over the bus, the CLI and the socket."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from joblet.records import run as run_record
from tests.container.jobs import Jobs, kill
from tests.container.machine import Machine

DAEMON = "jobletd.service"
SOCKET = "/run/joblet/metrics.sock"
INTERVAL_S = 1
BURN = "end=$((SECONDS + 6)); while [ $SECONDS -lt $end ]; do :; done; exit 7"

# GetStatus, and the kernel's own words for the same within the same second, by root in the machine.
COMPARE = """
import json, os, subprocess, sys
from pathlib import Path
words = {}
for line in Path("/proc/meminfo").read_text().splitlines():
    name, _, rest = line.partition(":")
    words[name] = int(rest.split()[0]) * 1024
encoded = subprocess.run(
    ["jobletctl", "monitor", "status", "--json"], capture_output=True, check=True, text=True
).stdout
df = subprocess.run(
    ["df", "--block-size=1", "--output=source,target,size,used,avail,itotal", "/"],
    capture_output=True, check=True, text=True,
).stdout.splitlines()[1].split()
net = {}
for line in Path("/proc/net/dev").read_text().splitlines()[2:]:
    name, _, rest = line.partition(":")
    net[name.strip()] = [int(word) for word in rest.split()]
print(json.dumps({
    "status": json.loads(encoded), "meminfo": words, "df": df, "net": net,
    "uptime": float(Path("/proc/uptime").read_text().split()[0]),
    "pids": sum(name.isdigit() for name in os.listdir("/proc")),
    "load": [float(word) for word in Path("/proc/loadavg").read_text().split()[:3]],
    "cpus": os.cpu_count(), "nodename": os.uname().nodename, "release": os.uname().release,
    "cpu_ticks": [int(w) for w in Path("/proc/stat").read_text().split("\\n")[0].split()[1:9]],
    "tick": os.sysconf("SC_CLK_TCK"),
}))
"""


@pytest.fixture(scope="module", autouse=True)
def quick(machine: Machine) -> Any:
    """A second between two samples."""
    place = "/etc/joblet/joblet.toml.d/50-metrics.conf"
    machine.run(["install", "-d", "/etc/joblet/joblet.toml.d"])
    machine.write_file(place, f'[metrics]\ninterval = "{INTERVAL_S}s"\n'.encode())
    machine.run(["systemctl", "restart", DAEMON])
    yield
    machine.run(["rm", place])
    machine.run(["systemctl", "restart", DAEMON])


def samples(machine: Machine, job: str, *words: str) -> list[dict[str, Any]]:
    done = machine.run(["jobletctl", "job", "metrics", job, "--json", *words])
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_finished_job_shows_its_whole_life(machine: Machine) -> None:
    jobs = Jobs(machine)
    job = jobs.run("bash", "-c", BURN)
    followed = samples(machine, job, "--follow")
    status = jobs.wait(job)
    found = samples(machine, job)
    assert followed == found
    assert [sample["number"] for sample in found] == list(range(1, len(found) + 1))
    assert len(found) >= 4
    assert [sample.get("final", False) for sample in found] == [False] * (len(found) - 1) + [True]
    first, last = found[0], found[-1]
    assert 0 <= first["time_usec"] - status["started_usec"] < 1_000_000
    assert last["time_usec"] == status["finished_usec"]
    assert last["cpu_usec"] == status["cpu_usec"]
    counters = [sample["cpu_usec"] for sample in found]
    assert counters == sorted(counters)
    assert max(sample["cpu_percent"] for sample in found) > 20
    assert all(sample["tasks"] >= 1 for sample in found[:-1])
    shown = machine.run(["jobletctl", "job", "metrics", job]).stdout
    assert f"{job}: {len(found)} samples over" in shown
    assert "\nCPU " in shown
    jobs.call("DeleteJob", "s", job)
    assert machine.run(["test", "-e", f"/var/log/joblet/jobs/{job}"], check=False).returncode


def test_what_this_ground_does_not_count_is_nowhere_a_zero(machine: Machine) -> None:
    """There are no controllers here: no file, no key, no line."""
    jobs = Jobs(machine)
    job = jobs.run("sleep", "2")
    jobs.wait(job)
    controllers = machine.read_file("/sys/fs/cgroup/cgroup.controllers").split()
    for sample in samples(machine, job)[:-1]:
        assert ("memory_bytes" in sample) == ("memory" in controllers)
        assert ("io_read_bytes" in sample) == ("io" in controllers)
        assert "net_received_bytes" not in sample
    shown = machine.run(["jobletctl", "job", "metrics", job]).stdout
    # The kernel keeps pressure without any controller.
    assert bool(re.search(r"^memory +\d", shown, re.MULTILINE)) == ("memory" in controllers)
    jobs.call("DeleteJob", "s", job)


def test_a_job_that_is_over_at_once_has_its_totals(machine: Machine) -> None:
    jobs = Jobs(machine)
    job = jobs.run("true")
    status = jobs.wait(job)
    last = samples(machine, job)[-1]
    assert last["final"]
    assert last["cpu_usec"] == status["cpu_usec"]
    jobs.call("DeleteJob", "s", job)


def test_a_job_that_has_lost_its_anchor_is_sampled_on(machine: Machine) -> None:
    jobs = Jobs(machine)
    job = jobs.run("sleep", "1000")
    jobs.wait_running(job)
    record = run_record.decode(machine.path(f"/run/joblet/jobs/{job}/run").read_bytes())
    machine.run(["kill", "-KILL", str(record.anchor.pid)])
    count = len(samples(machine, job)) + 2
    machine.wait_for(lambda: len(samples(machine, job)) >= count, "more samples")
    jobs.stop(job)
    jobs.wait(job)
    jobs.call("DeleteJob", "s", job)


@pytest.mark.journal_allows(r"jobletd\.service: (Main process exited|Failed with result)")
def test_samples_outlive_a_killed_daemon_without_a_gap_in_their_numbers(machine: Machine) -> None:
    jobs = Jobs(machine)
    job = jobs.run("sleep", "1000")
    machine.run(["sh", "-c", f"until jobletctl job metrics {job} >/dev/null 2>&1; do :; done"])
    before = samples(machine, job)
    kill(machine, DAEMON)
    count = len(before) + 2
    enough = f"[ $(jobletctl job metrics {job} --json | wc -l) -ge {count} ]"
    machine.run(["sh", "-c", f"until {enough}; do :; done"])
    found = samples(machine, job)
    assert found[: len(before)] == before
    assert [sample["number"] for sample in found] == list(range(1, len(found) + 1))
    jobs.stop(job)
    jobs.wait(job)
    jobs.call("DeleteJob", "s", job)


def test_the_host_is_as_proc_and_df_have_it_in_the_same_second(machine: Machine) -> None:
    seen = json.loads(machine.run(["python3", "-c", COMPARE]).stdout)
    status, words = seen["status"], seen["meminfo"]
    host, cpu, memory = status["host"], status["cpu"], status["memory"]
    assert (host["hostname"], host["kernel_version"]) == (seen["nodename"], seen["release"])
    assert host["platform"] == "debian"
    assert abs(host["uptime_s"] - seen["uptime"]) <= 10
    assert (cpu["cores"], host["cpus"]) == (seen["cpus"], seen["cpus"])
    for told, there in zip(cpu["load"], seen["load"], strict=True):
        assert abs(told - there) < 1
    ticks = dict(
        zip(
            ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"),
            seen["cpu_ticks"],
            strict=True,
        )
    )
    # within ten seconds of all CPUs
    for name in ("user", "system", "idle", "softirq"):
        there_usec = ticks[name] * 1_000_000 // seen["tick"]
        assert abs(cpu["times"][f"{name}_usec"] - there_usec) <= 10_000_000 * seen["cpus"], name
    assert memory["total_bytes"] == words["MemTotal"]
    assert memory["swap_total_bytes"] == words["SwapTotal"]
    for name, there in (
        ("available_bytes", words["MemAvailable"]),
        ("free_bytes", words["MemFree"]),
    ):
        assert abs(memory[name] - there) < 512 << 20, name
    _source, target, size, used, available, inodes = seen["df"]
    [root] = [disk for disk in status["disks"] if disk["mount_point"] == target]
    assert root["total_bytes"] == int(size)
    assert root["inodes_total"] == int(inodes)
    assert abs(root["used_bytes"] - int(used)) < 256 << 20
    assert abs(root["free_bytes"] - int(available)) < 256 << 20
    for one in status["networks"]:
        there = seen["net"][one["interface"]]
        assert one["received_bytes"] <= there[0] + (1 << 20)
        assert one["received_packets"] <= there[1] + 1000
    assert abs(status["processes"]["total"] - seen["pids"]) < 20
    assert 0 <= cpu["usage_percent"] <= 100
    assert 200_000 <= status["interval_usec"] < 30_000_000
    top = status["processes"]["top_by_memory"]
    assert len(top) == min(10, status["processes"]["total"])
    assert [one["memory_bytes"] for one in top] == sorted(
        (one["memory_bytes"] for one in top), reverse=True
    )
    assert all(one["started_usec"] >= host["boot_usec"] - 2_000_000 for one in top)


def test_others_see_the_host_without_commands(machine: Machine) -> None:
    done = machine.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "jobletctl", "monitor"]
        + ["top", "--json", "--filter=process"]
    )
    told = json.loads(done.stdout)
    assert told["processes"]["top_by_memory"]
    assert all("command" not in one for one in told["processes"]["top_by_memory"])
    assert "memory" not in told


def test_open_metrics_are_for_root_and_the_group(machine: Machine) -> None:
    shown = machine.run(["stat", "-c", "%a %U %G %F", SOCKET]).stdout.strip()
    assert shown == "660 root joblet socket"
    jobs = Jobs(machine)
    job = jobs.run("sleep", "1000", name="labelless")
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/joblet/metrics.sock'); "
        "s.sendall(b'GET /metrics HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); "
        "f = s.makefile('rb'); print(f.read().decode(), end='')"
    )
    answer = machine.run(["python3", "-c", ask]).stdout
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert body.endswith("# EOF\n")
    assert 'joblet_jobs{state="running"} 1' in body
    assert "host_memory_total_bytes " in body
    assert job not in body
    assert "labelless" not in body
    group = machine.run(["getent", "group", "joblet"]).stdout.split(":")[2]
    as_user = ["setpriv", "--reuid=65534", "--clear-groups"]
    assert machine.run([*as_user, "--regid=65534", "python3", "-c", ask], check=False).returncode
    member = machine.run([*as_user, f"--regid={group}", "python3", "-c", ask])
    assert "# EOF" in member.stdout
    jobs.stop(job)
    jobs.wait(job)
    jobs.call("DeleteJob", "s", job)
