"""Real programs as jobs: a shell script, a Python script, a compressor; what systemd shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tests.container.jobs import Jobs, ctl, outcome, scope_of
from tests.container.machine import Machine

# Below /usr, which every job sees.
SCRIPTS = "/usr/local/lib/joblet-tests"
SHELL_SCRIPT = """\
#!/bin/sh -eu
# Says what it got and what it finds, on both streams.
echo "args: $*"
echo "greeting: $GREETING"
echo "cwd: $(pwd)" >&2
for word in alpha beta gamma; do
    printf '%s\\n' "$word" >>words
done
sort -r words | tr a-z A-Z
wc -l <words >&2
exit 5
"""
PYTHON_SCRIPT = """\
#!/usr/bin/python3
import collections, json, os, pathlib, subprocess, sys, tempfile

counts = collections.Counter(pathlib.Path("/usr/share/common-licenses/GPL-3").read_text().split())
with tempfile.NamedTemporaryFile("w", dir="/tmp", suffix=".json") as file:
    json.dump(dict(counts.most_common(5)), file)
    file.flush()
    print(json.dumps(json.load(open(file.name)), sort_keys=True))
print(subprocess.run(["uname", "-s"], capture_output=True, text=True, check=True).stdout, end="")
print(os.path.exists("/proc/self/status"), len(os.listdir("/proc/self/fd")), file=sys.stderr)
raise SystemExit("that is all")
"""
# One line at a time, each when the test has seen the one before: the order is what was written.
TURNS = """\
for i in 1 2 3 4 5; do
    while ! [ -e go$i ]; do sleep 0.01; done
    if [ $((i % 2)) = 1 ]; then echo "line $i"; else echo "line $i" >&2; fi
done
"""


@pytest.fixture
def jobs(machine: Machine) -> Jobs:
    return Jobs(machine)


@pytest.fixture
def scripts(machine: Machine) -> Iterator[str]:
    machine.write_file(f"{SCRIPTS}/words.sh", SHELL_SCRIPT, mode=0o755)
    machine.write_file(f"{SCRIPTS}/count.py", PYTHON_SCRIPT, mode=0o755)
    yield SCRIPTS
    machine.run(["rm", "-r", SCRIPTS])


def streams(machine: Machine, job: str) -> tuple[str, str]:
    """Both streams as jobletctl gives them out."""
    done = machine.run(["jobletctl", "job", "log", job])
    return str(done.stdout), str(done.stderr)


def test_shell_script(machine: Machine, jobs: Jobs, scripts: str) -> None:
    job = jobs.run(f"{scripts}/words.sh", "one", "two words", environment={"GREETING": "grüezi"})
    assert outcome(jobs.wait(job)) == ("FAILED", "exit", 5)
    out, err = streams(machine, job)
    assert out == "args: one two words\ngreeting: grüezi\nGAMMA\nBETA\nALPHA\n"
    assert err == "cwd: /work\n3\n"


def test_python_script(machine: Machine, jobs: Jobs, scripts: str) -> None:
    job = jobs.run(f"{scripts}/count.py")
    assert outcome(jobs.wait(job)) == ("FAILED", "exit", 1)
    out, err = streams(machine, job)
    assert out.splitlines()[0].startswith('{"')
    assert out.splitlines()[1] == "Linux"
    # stdin, both outputs, and the directory that is being listed
    assert err == "True 4\nthat is all\n"


def test_compressor_on_a_real_file(machine: Machine, jobs: Jobs) -> None:
    original = machine.path("/usr/bin/perl").read_bytes()
    assert len(original) > 1 << 20
    job = jobs.shell("xz -T1 -0 -k -c /usr/bin/perl >perl.xz && xz -l perl.xz && xz -dc perl.xz")
    status = jobs.wait(job)
    assert outcome(status) == ("COMPLETED", "exit", 0)
    log = machine.path(f"/var/log/joblet/jobs/{job}/log").read_bytes()
    listing, found = log[: -len(original)], log[-len(original) :]
    assert hashlib.sha256(found).digest() == hashlib.sha256(original).digest()
    assert b"perl.xz" in listing
    assert status["log_bytes"] == len(log)
    packed = machine.path(f"/var/lib/joblet/work/{job}/perl.xz").stat()
    assert 0 < packed.st_size < len(original)


def test_both_streams_are_in_the_log_in_the_order_of_writing(machine: Machine, jobs: Jobs) -> None:
    job = jobs.shell(TURNS)
    jobs.wait_running(job)
    for number in range(1, 6):
        machine.path(f"/var/lib/joblet/work/{job}/go{number}").touch()
        jobs.wait_output(job, f"line {number}")
    jobs.wait(job)
    assert jobs.log(job) == "".join(f"line {number}\n" for number in range(1, 6))
    assert streams(machine, job) == ("line 1\nline 3\nline 5\n", "line 2\nline 4\n")


def test_systemctl_status_shows_the_job(machine: Machine, jobs: Jobs) -> None:
    job = jobs.run("sleep", "1000", name="nap")
    jobs.wait_running(job)
    shown = str(machine.run(["systemctl", "status", "--full", scope_of(job)]).stdout)
    assert f"Joblet job {job[:8]} (nap)" in shown
    assert "active (running)" in shown
    assert "/joblet.slice/joblet-jobs.slice/joblet-jobs-00.slice/" in shown
    assert "sleep 1000" in shown
    tree = str(machine.run(["systemd-cgls", "/joblet.slice"]).stdout)
    assert scope_of(job) in tree
    # Unit properties are public; the command is not among them.
    properties = str(machine.run(["systemctl", "show", scope_of(job)]).stdout)
    assert "sleep" not in properties
    ctl(machine, "job", "stop", job)
    status = ["systemctl", "status", scope_of(job)]
    machine.wait_for(
        lambda: machine.run(status, check=False).returncode == 4, "systemd to forget the scope"
    )
