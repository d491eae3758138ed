"""`monitor`: the host at length, in short, live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from joblet.errors import RemoteError
from tests.fakes.client import FakeClient
from tests.fakes.hoststatus import STATUS
from tests.fakes.terminal import Terminal
from tests.unit.jobletctl.conftest import Ctl, On

STATUS_TEXT = """\
Host:
  Hostname      box
  OS            Debian GNU/Linux 13 (trixie)
  Kernel        6.12
  Architecture  x86_64
  Uptime        2h
  Booted        2025-11-22 07:26:40
  Node id       11111111-2222-4333-8444-555555555555
  Addresses     192.0.2.7
  MACs          02:00:00:00:00:01

Joblet:
  Version   0.1.0
  Python    3.13.5
  Platform  linux/x86_64

CPU:
  Cores     2
  Usage     25.5%
  Load      0.50 0.25 0.12
  User      20.2%
  System    5.2%
  Idle      70.5%
  IO wait   3.0%
  Stolen    1.0%
  Per core  50.5% 0.5%

Memory:
  Total      8 GB
  Used       2 GB (25.0%)
  Available  6 GB
  Free       3 GB
  Cached     2 GB
  Buffered   1 GB
  Swap       1 GB of 2 GB used

Disks:
  /      40 GB of 100 GB used (42.1%), 55 GB free, 10.0% of 1000 inodes; ext4 on /dev/vda1
  /home  xfs on /dev/vdb; jobletd cannot look into it

Network interfaces:
  eth0  192.0.2.7, 2001:db8::7, 02:00:00:00:00:01
        received 2 KB/s, 3 MB in all, 30 packets, 1 errors, 3 dropped
        sent 1 KB/s, 1 MB in all, 10 packets, 2 errors, 4 dropped
  eth1  no address
        received -, 0 B in all, 0 packets, 0 errors, 0 dropped
        sent -, 0 B in all, 0 packets, 0 errors, 0 dropped

Disk IO:
  Read     4 KB/s, 1 GB in all, 10 reads
  Written  8 KB/s, 2 GB in all, 20 writes
  vda      4 KB/s read, 8 KB/s written, 12.5% busy

Processes:
  Total     231
  Running   1
  Sleeping  229
  Stopped   0
  Zombie    1
  Threads   640

Cloud:
  Provider    AWS
  Region      eu-central-1
  Zone        eu-central-1a
  Instance    i-1
  Type        m5.large
  Hypervisor  amazon
"""


@pytest.fixture(autouse=True)
def prepared(host: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    host.statuses_of_host = [STATUS]
    monkeypatch.setenv("TZ", "Europe/Berlin")


@pytest.mark.usefixtures("berlin")
def test_everything_that_is_known(ctl: Ctl, host: FakeClient) -> None:
    done = ctl("monitor", "status")
    assert done.status == 0
    assert done.out == STATUS_TEXT
    assert host.calls == [("host_status", ((), 500_000))]


def test_what_is_not_known_has_no_section(ctl: Ctl, host: FakeClient) -> None:
    host.statuses_of_host = [replace(STATUS, cloud=None, networks=(), io=None)]
    out = ctl("monitor", "status").out
    assert "Cloud:" not in out
    assert "Network" not in out
    assert "Disk IO" not in out


def test_a_status_as_json(ctl: Ctl) -> None:
    told = ctl("monitor", "status", "--json").json
    assert told["disks"][1] == {
        "device": "/dev/vdb",
        "mount_point": "/home",
        "filesystem": "xfs",
    }
    assert told["cpu"]["load"] == [0.5, 0.25, 0.125]
    assert told["processes"]["top_by_cpu"][0]["command"] == "python3 train.py"


def test_top_is_short(ctl: Ctl) -> None:
    lines = ctl("monitor", "top").out.splitlines()
    assert lines[0].startswith("box: up 2h; ")
    assert lines[1:] == [
        "CPU: 25.5% of 2 cores; user 20.2%, system 5.2%, IO wait 3.0%; load 0.50 0.25 0.12",
        "Cores: 50.5% 0.5%",
        "Memory: 2 GB of 8 GB used (25.0%), 6 GB available, swap 1 GB",
        "Disks: / 42.1%, /home -",
        "IO: 4 KB/s read, 8 KB/s written",
        "Processes: 231, 1 running, 229 sleeping, 640 threads",
        "",
        "INTERFACE  RX/s  TX/s    RX    TX  PACKETS  ERRORS",
        "eth0       2 KB  1 KB  3 MB  1 MB       40  3",
        "",
        " PID  NAME     USER  CPU%  MEM%  MEMORY  COMMAND",
        "4711  python3  ada   48.8   1.2   91 MB  python3 train.py",
    ]


def test_top_of_some_groups_asks_for_these_alone(ctl: Ctl, host: FakeClient) -> None:
    assert ctl("monitor", "top", "--filter=cpu,memory", "--filter", "disk").status == 0
    assert host.calls == [("host_status", (("cpu", "memory", "disk"), 500_000))]


def test_top_as_json(ctl: Ctl) -> None:
    assert ctl("monitor", "top", "--json").json["host"]["hostname"] == "box"


def test_watch_measures_over_its_interval(ctl: Ctl, host: FakeClient, calm: None) -> None:
    done = ctl("monitor", "watch", "--count=2", "--interval=1s", "--json")
    assert [one["host"]["hostname"] for one in done.json_lines] == ["box", "box"]
    assert [asked[1] for _, asked in host.calls] == [500_000, 1_000_000]  # type: ignore[index]


def test_watch_takes_seconds_as_a_plain_number(ctl: Ctl, host: FakeClient) -> None:
    assert ctl("monitor", "watch", "--count=1", "--interval=60").status == 0


def test_a_compact_watch_has_the_network_in_a_line(ctl: Ctl) -> None:
    lines = ctl("monitor", "watch", "--count=1", "--compact").out.splitlines()
    assert "Network: 2 KB/s received, 1 KB/s sent" in lines
    assert not any(line.startswith("INTERFACE") for line in lines)


def test_watch_on_a_terminal_fits(on: On, terminal: Terminal, host: FakeClient, calm: None) -> None:
    assert on("monitor", "watch", "--count=1") == 0
    assert max(map(len, terminal.screen.lines)) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["watch", "--interval=0"], "at least 1s"),
        (["watch", "--interval=500ms"], "at least 1s"),
        (["watch", "--interval=x"], "--interval"),
        (["top", "--filter=gpu"], "there are cpu, memory, disk, network, io, process"),
        (["staus"], "did you mean 'jobletctl monitor status'?"),
    ],
)
def test_mistakes_are_explained(ctl: Ctl, words: list[str], said: str) -> None:
    done = ctl("monitor", *words)
    assert done.status == 2
    assert said in done.err


def test_a_daemon_that_is_older_is_told(ctl: Ctl, host: FakeClient) -> None:
    host.failures["host_status"] = RemoteError("org.freedesktop.DBus.Error.UnknownMethod", "no")
    assert ctl("monitor", "status").status == 1
