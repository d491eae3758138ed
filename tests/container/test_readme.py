"""README.md is true: its transcripts come out as they stand there, typed by a user of the group.

What needs real limits is in tests/vm/test_readme.py, what installs and removes in
tests/package/test_readme.py.
"""

from __future__ import annotations

import re

import pytest

from tests.container.machine import Machine
from tests.grounds.pages import CHECKOUT, Block, blocks, follow
from tests.grounds.shell import shell

README = CHECKOUT / "README.md"
SECTIONS = ("A tour", "Files and secrets", "Other programs")
REMOTE = "Remote users"
TRANSCRIPTS = [block for block in blocks(README, "console") if block.section in SECTIONS]
EXAMPLE = "examples/run_job.py"


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.text.splitlines()[0])
def test_a_transcript_of_the_readme(machine: Machine, block: Block) -> None:
    machine.run(["jobletctl", "job", "delete-all", "--all-users"])
    machine.write_file("/home/member/run_job.py", (CHECKOUT / EXAMPLE).read_bytes())
    with shell(machine, user="member") as typed:
        follow(block, typed)


def script_of(section: str) -> str:
    (block,) = (block for block in blocks(README, "sh") if block.section == section)
    return block.text


def test_files_and_secrets(machine: Machine) -> None:
    prepared = """\
cd "$(mktemp -d)"
mkdir src
echo 1,2 >data.csv
echo 'import shutil; shutil.copy("data.csv", "result.json")' >src/main.py
echo A=1 >app.env
echo TOKEN=secret >secrets.env
printf '#!/bin/sh\\necho deployed' >deploy && chmod +x deploy
id=$(jobletctl job run -- sh -c 'mkdir out; echo report >out/report.pdf')
jobletctl job wait "$id" >/dev/null
"""
    script = prepared + script_of("Files and secrets") + "cat result.json report.pdf\n"
    said = machine.run(["sh", "-eu"], input=script, user="member").stdout
    [job, *results] = said.splitlines()
    assert results == ["1,2", "report"]
    machine.run(["jobletctl", "job", "wait", job], user="member")
    assert machine.run(["jobletctl", "job", "log", job], user="member").stdout == "deployed\n"


def test_remote_users_are_let_in_by_five_lines(machine: Machine) -> None:
    (transcript,) = (block for block in blocks(README, "console") if block.section == REMOTE)
    home = "/home/member"
    try:
        machine.run(["sh", "-eu"], input=f"cd /root\n{script_of(REMOTE)}")
        listening = machine.run(["ss", "--listening", "--tcp", "--numeric", "--no-header"]).stdout
        assert ":50051 " in listening
        # The name of a container is known to nobody but itself.
        machine.run(["sed", "--in-place", "s/address: .*/address: localhost/", "/root/ada.yml"])
        machine.run(
            ["install", "-D", "-o", "member", "/root/ada.yml", f"{home}/.rnx/rnx-config.yml"]
        )
        with shell(machine, user="member") as typed:
            follow(transcript, typed)
    finally:
        machine.run(["systemctl", "disable", "--now", "joblet-bridge"])
        machine.run(["rm", "--recursive", "--force", "/etc/joblet/pki", f"{home}/.rnx"])
        machine.run(["rm", "--force", "/root/ada.yml"])
        machine.run(["jobletctl", "job", "delete-all", "--all-users"])


def test_the_example_ends_as_its_job_and_says_what_the_daemon_refused(machine: Machine) -> None:
    program = (CHECKOUT / EXAMPLE).read_text()

    def run(*words: str, user: str) -> tuple[int, str, str]:
        done = machine.run(["python3", "-c", program, *words], user=user, check=False)
        return done.returncode, done.stdout, done.stderr

    status, said, note = run("sh", "-c", "seq 30000; exit 7", user="member")
    assert (status, said) == (7, "".join(f"{n}\n" for n in range(1, 30001)))
    assert re.fullmatch(r"[0-9a-f-]{36}: FAILED, exit\n", note)
    status, said, note = run("echo", "hello", user="outsider")
    assert (status, said) == (1, "")
    assert note.startswith("org.joblet1.Error.NotAllowed: ")
    assert run(user="member")[0] == 1


def test_calls_that_other_pages_show(machine: Machine) -> None:
    for page in ("docs/dbus-api.md", "SECURITY.md"):
        text = (CHECKOUT / page).read_text()
        lines = re.findall(r"^busctl .*$|(?<=`)busctl [^`]*", text, re.MULTILINE)
        assert lines, page
        for line in lines:
            machine.run(["sh", "-eu"], input=line, user="member")
