"""docs/operations.md is true: its commands, from top to bottom, on a machine with running jobs."""

from __future__ import annotations

import re

import pytest

from tests.container.machine import Machine
from tests.package import build, scenario
from tests.package.conftest import Debs

TEXT = (build.CHECKOUT / "docs/operations.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", TEXT, re.MULTILINE))


def blocks(title: str) -> list[str]:
    """The commands of a section, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", SECTIONS[title], re.MULTILINE | re.DOTALL)


# The job that ran when the copy was made, and is known as lost when it is restored.
@pytest.mark.journal_allows(r"its records in /run/joblet are gone")
def test_every_command_of_the_page_does_what_it_says(machine: Machine, debs: Debs) -> None:
    done: list[str] = []

    def follow(title: str, *, folder: str = "/root", only: int | None = None) -> str:
        chosen = blocks(title) if only is None else [blocks(title)[only]]
        done.extend(chosen)
        # apt asks a person where more changes than was named
        script = "export APT_CONFIG=/root/apt.conf SYSTEMD_PAGER=; cd " + folder + "\n"
        said = [machine.run(["sh", "-eu"], input=script + block).stdout for block in chosen]
        return "".join(said)

    machine.write_file("/root/apt.conf", 'APT::Get::Assume-Yes "true";\n')
    assert follow("Install", folder=debs.present).endswith("hello\n")
    (job,) = scenario.start_jobs(machine, 1)
    said = follow("Look at it")
    assert "RUNNING" in said
    assert f"joblet-{job.id}.scope" in said
    for path in re.findall(r"`(/[a-z/.]+?)(?:/?<id>)?(?:/log)?`", SECTIONS["Where things live"]):
        if not path.endswith((".d/", ".img")):  # there is no loop device here
            machine.run(["test", "-e", path])
    follow("Where things live")
    follow("Sizing")

    follow("Backup", only=0)
    follow("Upgrade", folder=debs.next)
    assert scenario.version_of_the_daemon(machine) == build.version("+1")
    assert scenario.look(machine, job.id) == job
    follow("Downgrade", folder=debs.present)
    assert scenario.version_of_the_daemon(machine) == build.version()
    assert scenario.look(machine, job.id) == job
    assert job.id[:8] in follow("Before maintenance")
    scenario.end(machine, job)

    follow("Backup", only=1)
    known = scenario.status(machine, job.id)
    assert (known["state"], known["reason"]) == ("FAILED", "lost")
    scenario.is_usable(machine)
    follow("Remove", only=0)
    machine.run(["test", "-e", "/var/lib/joblet/joblet.sqlite"])
    follow("Remove", only=1)
    for gone in ("/etc/joblet", "/var/lib/joblet", "/var/log/joblet", "/run/joblet"):
        machine.run(["test", "!", "-e", gone])
    assert sorted(done) == sorted(block for title in SECTIONS for block in blocks(title))
