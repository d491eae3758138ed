"""The examples of the man pages are true: each command is run, as it stands there."""

from __future__ import annotations

import re
from contextlib import ExitStack

import pytest

from tests.container.ground import CHECKOUT
from tests.container.jobs import Jobs, ctl
from tests.container.machine import Machine
from tests.container.remote import reachable, remote_member
from tests.grounds.commands import displays

PAGES = ("jobletctl.1", "rnx.1", "jobletd.8", "joblet-bridge.8", "joblet.toml.5", "org.joblet1.5")
# A job that failed and one that runs, for the examples that look for one.
JOBS = """\
jobletctl job run --wait -- false || true
jobletctl job run -- sleep 1000
"""
# A directory with the file that an example has.
BEFORE = """\
export SYSTEMD_PAGER=
cd "$(mktemp -d)"
echo 1,2 >data.csv
"""


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_a_page(machine: Machine, page: str) -> None:
    running = machine.run(["sh", "-eu"], input=JOBS).stdout.split()[-1]
    Jobs(machine).wait_running(running)
    examples = "".join(displays(CHECKOUT / "packaging/man" / page))
    assert examples
    with ExitStack() as stack:
        stack.callback(ctl, machine, "job", "stop", running)
        user = None
        if page == "rnx.1":
            stack.enter_context(reachable(machine))
            stack.enter_context(remote_member(machine))
            user = "member"
        machine.run(["sh", "-eu"], input=BEFORE + examples, user=user)


def test_example_of_the_settings(machine: Machine) -> None:
    text = (CHECKOUT / "packaging/man/joblet.toml.5").read_text()
    (piece,) = re.findall(r"^\.Bd -literal.*?\n(\[.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    machine.write_file("/etc/joblet/joblet.toml.d/10-example.toml", piece)
    try:
        said = machine.run(["jobletctl", "config", "show"]).stdout
    finally:
        machine.run(["rm", "-r", "/etc/joblet/joblet.toml.d"])
    assert said.count("10-example.toml") == piece.count(" = ")
