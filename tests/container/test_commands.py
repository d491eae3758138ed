"""Command lines in the prose of the documentation, typed as they stand there.

tests/grounds/commands.py says which; those with a test of their own are not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.container.jobs import Jobs, scope_of
from tests.container.machine import Machine
from tests.container.remote import reachable, remote_member
from tests.grounds.commands import TYPED
from tests.grounds.pages import CHECKOUT

# What systemd's own tools tell everything of to root alone.
OF_ROOT = ("systemctl", "journalctl", "systemd-cgls")
# About a job that runs.
OF_A_RUNNING_JOB = ("update", "stop")
# The port that docs/bridge.md opens.
HTTPS = "/etc/joblet/joblet.toml.d/20-https.toml"
# They end when nobody reads any more.
ENDLESS = {"jobletctl events", "jobletctl top"}
# In `systemctl show`: what the settings of a unit are called there.
SHOWN_AS = {"CPUQuota": "CPUQuotaPerSecUSec", "RuntimeMaxSec": "RuntimeMaxUSec"}


class Known(NamedTuple):
    """Two jobs of a member."""

    ended: str
    running: str


@pytest.fixture
def jobs(machine: Machine) -> Iterator[Known]:
    member = Jobs(machine, "member")
    ended = member.shell("echo said; echo left >file", name="ended")
    member.wait(ended)
    running = member.shell("trap exit TERM; echo up; sleep 1000 & wait", name="running")
    member.wait_output(running, "up")
    yield Known(ended, running)
    if "reason" not in Jobs(machine).status(running):
        member.stop(running)
    member.wait(running)
    machine.run(["rm", "--force", "/home/member/DEST"])


def as_typed(line: str, jobs: Known) -> str:
    """With words of the house instead of those in capitals."""
    running = any(f" {verb} " in line for verb in OF_A_RUNNING_JOB)
    given = {"ID": jobs.running if running else jobs.ended, "PATH": "file", "NODE": "default"}
    return re.sub(r"\b(ID|PATH|NODE)\b", lambda word: given[word[0]], f"{line}{TYPED[line]}")


@pytest.mark.parametrize("line", [line for line in TYPED if line not in ENDLESS])
def test_a_command_line_of_the_documentation(machine: Machine, jobs: Known, line: str) -> None:
    with ExitStack() as stack:
        if "https:" in line:
            stack.callback(machine.run, ["rm", HTTPS])
            machine.write_file(HTTPS, '[bridge]\nhttps_listeners = ["[::]:50053"]\n')
        if line.startswith("rnx ") or " -H " in line or "https:" in line:
            stack.enter_context(reachable(machine))
            stack.enter_context(remote_member(machine))
        script = f"cd; export SYSTEMD_PAGER=\n{as_typed(line, jobs)}\n"
        user = None if line.startswith(OF_ROOT) or "/pki/" in line else "member"
        said = machine.run(["sh", "-eu"], input=script, user=user).stdout
    if line.endswith(" DEST"):
        assert machine.read_file("/home/member/DEST") == "left\n"
    elif line.startswith("systemctl stop"):
        assert Jobs(machine).wait(jobs.running)["state"] == "STOPPED"
    else:
        assert said.strip()
    if "'joblet-*.scope'" in line or line.startswith("systemd-cgls"):
        assert scope_of(jobs.running) in said


@pytest.mark.parametrize("line", sorted(ENDLESS))
def test_a_command_line_without_an_end(machine: Machine, jobs: Known, line: str) -> None:
    pipe = f"{as_typed(line, jobs)} | head --lines=1"
    listening = machine.popen(["sh", "-euc", pipe], user="member")

    def has_ended() -> bool:
        # News, for the one that waits for some.
        Jobs(machine, "member").done("true")
        return listening.poll() is not None

    machine.wait_for(has_ended, f"the end of {pipe}")
    said, err = listening.communicate()
    assert (bool(said.strip()), err) == (True, b"")


README = (CHECKOUT / "README.md").read_text()
(TABLE,) = re.findall(r"^\| option of `job run` .*\n\| --- .*\n((?:\|.*\n)+)", README, re.MULTILINE)
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in TABLE.splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_an_option_of_the_readme_is_the_property_of_the_scope(
    machine: Machine, row: list[str]
) -> None:
    options = " ".join(re.findall(r"`(--[^`]+)`", row[0]))
    assert options
    ask = f"jobletctl job run {options} -- sleep 1000"
    job = machine.run(["sh", "-eu"], input=ask, user="member").stdout.strip()
    jobs = Jobs(machine, "member")
    jobs.wait_running(job)
    script = f"printf '%s\\n' {' '.join(re.findall(r'`([A-Z][^`]*=[^`]*)`', row[1]))}"
    told = machine.run(["bash", "-euc", script]).stdout.split()
    shown = dict(
        line.partition("=")[::2]
        for line in machine.run(["systemctl", "show", scope_of(job)]).stdout.splitlines()
    )
    jobs.stop(job)
    jobs.wait(job)
    for name, _, value in (setting.partition("=") for setting in told):
        found = shown[SHOWN_AS.get(name, name)]
        assert found not in ("", "infinity", "[not set]"), name
        if value.endswith("%"):
            assert float(found.removesuffix("s")) == int(value[:-1]) / 100
        elif value:
            assert found == value
