"""Secret values on a real machine: in the job, and otherwise only where the docs say."""

from __future__ import annotations

import json
import secrets as random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.container.attachments import submit
from tests.container.jobs import DAEMON, SECOND, Jobs, ctl, kill, outcome, scope_of
from tests.container.machine import Machine

ENCRYPTED, PLAIN = "/var/lib/joblet/secrets", "/run/joblet/secrets"
CREDS = "/usr/bin/systemd-creds"
RESTARTS = r"jobletd\.service: (Main process exited|Failed with result|Consumed)"
# Every file of the machine by its bytes, but for what the kernel makes up when it is read, and
# then every process: what it was started with.
_SEARCH = r"""
look() { find "$1" -xdev -type f ! -path /tmp/.wanted -print0 | xargs -0 grep -lFf /tmp/.wanted; }
for mount in / /run /tmp /dev/shm; do look $mount 2>/dev/null; done
for pid in /proc/[0-9]*; do
    grep -aqFf /tmp/.wanted $pid/cmdline 2>/dev/null && echo "$pid/cmdline"
done
systemctl show --all '*' | grep -Ff /tmp/.wanted | sed 's/^/property: /'
journalctl --all --output=json | grep -qFf /tmp/.wanted && echo journal
true
"""


@pytest.fixture
def jobs(machine: Machine) -> Iterator[Jobs]:
    yield Jobs(machine)
    assert kept(machine) == {ENCRYPTED: [], PLAIN: []}


@pytest.fixture
def value() -> str:
    """One that is nowhere else on the machine."""
    return f"s3cret-{random.token_hex(12)}"


def kept(machine: Machine) -> dict[str, list[str]]:
    return {
        directory: machine.run(["ls", directory]).stdout.split() for directory in (ENCRYPTED, PLAIN)
    }


def places(machine: Machine, value: str) -> set[str]:
    """Wherever the value stands in clear."""
    machine.write_file("/tmp/.wanted", value + "\n", mode=0o600)
    found = machine.run(["sh", "-c", _SEARCH]).stdout.splitlines()
    machine.run(["rm", "/tmp/.wanted"])
    return set(found)


def soon(seconds: int) -> dict[str, int]:
    return {"start_at_usec": time.time_ns() // 1000 + seconds * SECOND}


@contextmanager
def without_creds(machine: Machine) -> Iterator[None]:
    """A host whose systemd-creds cannot be executed."""
    mode = machine.run(["stat", "-c", "%a", CREDS]).stdout.strip()
    machine.run(["chmod", "0644", CREDS])
    try:
        yield
    finally:
        machine.run(["chmod", mode, CREDS])


def test_the_search_finds_what_is_there(machine: Machine, value: str) -> None:
    """The other tests look in the right way."""
    for path in ("/var/lib/joblet/x", "/run/joblet/x", "/etc/x"):
        machine.write_file(path, f"before{value}after")
    assert places(machine, value) == {"/var/lib/joblet/x", "/run/joblet/x", "/etc/x"}
    machine.run(["rm", "/var/lib/joblet/x", "/run/joblet/x", "/etc/x"])


@pytest.mark.parametrize("user", [None, "member"])
def test_a_job_sees_them_and_nobody_else_does(
    machine: Machine, jobs: Jobs, value: str, user: str | None
) -> None:
    job = submit(machine, "sleep", "1000", secrets={"TOKEN": value}, user=user).id
    jobs.wait_running(job)
    machine.wait_for(lambda: "TOKEN" in environment(machine, job), "its environment")
    assert environment(machine, job)["TOKEN"] == value
    assert places(machine, value) == set()
    owner = Jobs(machine, user)
    assert owner.status(job)["secrets"] == {"TOKEN": "***"}
    assert '"TOKEN": "***"' in ctl(machine, "job", "status", "--json", job, user=user)
    assert value not in ctl(machine, "job", "list", "--json", user=user)
    shown = machine.run(["systemctl", "show", scope_of(job)]).stdout
    assert value not in shown
    assert kept(machine)[PLAIN] == []
    jobs.stop(job)
    jobs.wait(job)
    assert places(machine, value) == set()
    assert value not in json.dumps(machine.journal())


def environment(machine: Machine, job: str) -> dict[str, str]:
    """What the job's program was started with, as root sees it in /proc."""
    group = machine.run(
        ["systemctl", "show", "--property=ControlGroup", "--value", scope_of(job)]
    ).stdout.strip()
    found: dict[str, str] = {}
    for pid in machine.run(["cat", f"/sys/fs/cgroup{group}/cgroup.procs"]).stdout.split():
        text = machine.run(["cat", f"/proc/{pid}/environ"], check=False).stdout
        found |= dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)
    return found


@pytest.mark.journal_allows(RESTARTS)
@pytest.mark.parametrize("how", ["restart", "kill", "reboot"])
def test_a_scheduled_job_keeps_them_encrypted(
    machine: Machine, jobs: Jobs, value: str, how: str
) -> None:
    script = 'printf %s "$TOKEN" | cut -c 8-'
    job = submit(machine, "sh", "-c", script, secrets={"TOKEN": value}, spec=soon(25)).id
    assert kept(machine) == {ENCRYPTED: [job], PLAIN: []}
    assert machine.run(["stat", "-c", "%U %a", f"{ENCRYPTED}/{job}"]).stdout == "root 600\n"
    assert places(machine, value) == set()
    if how == "restart":
        machine.run(["systemctl", "restart", DAEMON])
    elif how == "kill":
        kill(machine, DAEMON)
    else:
        machine.reboot()
    assert places(machine, value) == set()
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job).strip() == value[7:]
    assert places(machine, value) == set()


@pytest.mark.journal_allows(r"will not outlive a reboot|systemd-creds|joblet-secrets-.*", RESTARTS)
def test_without_systemd_creds_they_are_in_run_and_outlive_the_daemon(
    machine: Machine, jobs: Jobs, value: str
) -> None:
    with without_creds(machine):
        job = submit(machine, "printenv", "TOKEN", secrets={"TOKEN": value}, spec=soon(20)).id
        assert kept(machine) == {ENCRYPTED: [], PLAIN: [job]}
        assert machine.run(["stat", "-c", "%U %a", PLAIN]).stdout == "root 700\n"
        assert machine.run(["stat", "-c", "%U %a", f"{PLAIN}/{job}"]).stdout == "root 600\n"
        assert places(machine, value) == {f"{PLAIN}/{job}"}
        kill(machine, DAEMON)
        assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
        assert jobs.log(job) == f"{value}\n"


@pytest.mark.journal_allows(
    r"will not outlive a reboot|systemd-creds|joblet-secrets-.*|launch failed"
)
def test_without_systemd_creds_a_reboot_takes_them_and_the_job_says_so(
    machine: Machine, jobs: Jobs, value: str
) -> None:
    with without_creds(machine):
        job = submit(machine, "printenv", "TOKEN", secrets={"TOKEN": value}, spec=soon(20)).id
        machine.reboot()
        status = jobs.wait(job)
        assert outcome(status) == ("FAILED", "setup", 125)
        assert "did not outlive the reboot" in status["detail"]
        assert places(machine, value) == set()


def test_a_canceled_job_takes_them_along(machine: Machine, jobs: Jobs, value: str) -> None:
    job = submit(machine, "true", secrets={"TOKEN": value}, spec=soon(3600)).id
    assert kept(machine)[ENCRYPTED] == [job]
    jobs.call("CancelJob", "s", job)
    assert kept(machine)[ENCRYPTED] == []


def test_a_refused_job_leaves_none(machine: Machine, jobs: Jobs, value: str) -> None:
    refused = submit(machine, "true", secrets={"TOKEN": value}, spec={"max_cpu": 6_553_600})
    assert refused.error == "InvalidSpec"
    assert places(machine, value) == set()


def test_jobletctl_takes_them_from_standard_input(machine: Machine, jobs: Jobs, value: str) -> None:
    line = ["jobletctl", "job", "run", "--follow", "--secret-env-file", "-", "printenv", "TOKEN"]
    done = machine.run(line, input=f"# ours\nTOKEN={value}\n", user="member")
    assert done.stdout == f"{value}\n"
