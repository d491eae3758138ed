"""What a job is given, on a machine of its own: its share of a CPU for a real program, no more
processes than it may have, no file of a hostile archive, and secrets that lie nowhere."""

from __future__ import annotations

import io
import json
import secrets as random
import tarfile

from tests.container.attachments import submit
from tests.container.jobs import Jobs, outcome, scope_of, unit
from tests.unit.archive.test_hostile import HOSTILE
from tests.vm.machine import VirtualMachine

# A tarball of Python's own modules, compressed for ten seconds.
TAR = "tar -c -C /usr/lib python3"
COMPRESS = f"{TAR} >t.tar && exec timeout 10 xz -9 -c t.tar >t.xz"
# Every process goes on forking, whatever it is told.
BOMB = """\
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
TASKS = 40
# The unit tests have them all; this is about the way through the daemon, which takes a while here.
SMALL = {name: one for name, one in [*HOSTILE.items()][::3] if len(one.archive) < 1 << 16}
# One client for all of them: its start costs a second here.
UPLOAD_ALL = """\
import asyncio, json, os, sys
from joblet.client.api import Attachments
from joblet.client.local import LocalClient
from joblet.errors import JobletError
from joblet.model.job import JobSpec

async def main():
    async with LocalClient.connect() as client:
        for name in sorted(os.listdir(sys.argv[1])):
            archive = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
            try:
                taken = await client.run(JobSpec(command="true"), Attachments(tar=archive))
                print(json.dumps([name, "", taken]))
            except JobletError as err:
                print(json.dumps([name, err.code, str(err)]))
            finally:
                os.close(archive)

asyncio.run(main())
"""
# The machine's every file but those that show memory; $0 is what to look for.
SEARCH = r"""
find / \( -path /proc -o -path /sys \) -prune -o -type f -print0 |
    xargs -0 grep --files-with-matches --text --fixed-strings -e "$0"
echo searched
"""


def test_xz_of_a_tarball_gets_half_a_cpu(vm: VirtualMachine, jobs: Jobs) -> None:
    # Who waits for the disk uses no CPU: the files are in memory before.
    vm.run(["sh", "-c", f"{TAR} | cat >/dev/null"])
    end = jobs.done("sh", "-c", COMPRESS, max_cpu=50)
    assert end["exit_code"] == 124
    assert 0.45 <= end["cpu_usec"] / end["run_usec"] <= 0.55


def test_fork_bomb_stops_at_its_tasks_and_the_daemon_answers(
    vm: VirtualMachine, jobs: Jobs
) -> None:
    job = jobs.run("python3", "-c", BOMB, max_tasks=TASKS)
    scope = scope_of(job)
    # the anchor is one of them as well
    vm.wait_for(
        lambda: unit(vm, scope, "TasksCurrent")["TasksCurrent"] == str(TASKS + 1), "the bomb"
    )
    listed = vm.run(["jobletctl", "--json", "job", "list", "--state", "running"]).stdout
    assert job in listed
    jobs.stop(job)
    assert outcome(jobs.wait(job))[0] == "STOPPED"


def test_every_hostile_archive_is_refused_by_entry(vm: VirtualMachine, jobs: Jobs) -> None:
    assert len(SMALL) >= 30
    packed = io.BytesIO()
    names = dict(enumerate(SMALL))
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number, name in names.items():
            info = tarfile.TarInfo(f"{number:03}")
            info.size = len(SMALL[name].archive)
            tar.addfile(info, io.BytesIO(SMALL[name].archive))
    vm.run(["mkdir", "/root/hostile"])
    vm.run(["tar", "-C", "/root/hostile", "-x"], input=packed.getvalue())
    work = vm.run(["ls", "/var/lib/joblet/work"]).stdout
    before = jobs.ids()
    vm.run(["touch", "/root/begin"])

    said = vm.run(["python3", "-c", UPLOAD_ALL, "/root/hostile"]).stdout

    answers = [json.loads(line) for line in said.splitlines()]
    assert len(answers) == len(SMALL)
    for number, code, text in answers:
        case = names[int(number)]
        assert code == "UploadRefused", f"{case}: {text}"
        entry = SMALL[case].entry
        if entry.isascii() and entry.isprintable() and len(entry) < 60:
            assert f"'{entry}'" in text, case
    assert jobs.ids() == before
    assert vm.run(["ls", "/var/lib/joblet/work"]).stdout == work
    # Nothing outside: of what has been written since, none has a name from an archive.
    written = vm.run(["find", "/etc", "/usr", "/home", "/root", "-xdev", "-newer", "/root/begin"])
    assert set(written.stdout.split()) <= {"/root", "/etc", "/usr", "/home"}
    vm.run(["rm", "-r", "/root/hostile", "/root/begin"])


def test_secret_lies_nowhere_on_the_machine(vm: VirtualMachine, jobs: Jobs) -> None:
    """The whole file system, what is in memory only, and the journal; not /proc of the job."""
    value = random.token_hex(16)
    job = submit(vm, "sh", "-c", "echo ready; sleep 1000", secrets={"TOKEN": value}).id
    jobs.wait_output(job, "ready")
    vm.run(["sync"])
    found = vm.run(["sh", "-c", SEARCH, value]).stdout
    assert found.splitlines() == ["searched"]
    journal = vm.run(["journalctl", "--boot", "--all", "--output=export"], text=False).stdout
    assert value.encode() not in journal
    jobs.stop(job)
    jobs.wait(job)
