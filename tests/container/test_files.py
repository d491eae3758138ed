"""Files into jobs and out of them on a real machine: whose they are, what is refused, what is left.

The programs that move them are transient services; each test ends with a look for theirs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator

import pytest

from tests.container import cargo
from tests.container.attachments import answered, archive, entry, fetch, submission, submit
from tests.container.jobs import (
    DAEMON,
    SECOND,
    Jobs,
    kill,
    main_pid,
    outcome,
)
from tests.container.machine import Machine

WORK = "/var/lib/joblet/work"
# The ids of jobs on the host, and what they are inside.
POOL = range(1 << 30, (1 << 30) + 8192 * 65_536)
RESTARTS = r"jobletd\.service: (Main process exited|Failed with result|Consumed)"
READY = {"O_RDONLY": os.O_RDONLY, "O_PATH": os.O_PATH}


@pytest.fixture
def jobs(machine: Machine) -> Iterator[Jobs]:
    before = work_directories(machine)
    yield Jobs(machine)
    jobs_left = Jobs(machine)
    for job in jobs_left.ids():
        if "reason" not in jobs_left.status(job):
            jobs_left.stop(job)
            jobs_left.wait(job)
    jobs_left.call("DeleteAllJobs", "a{sv}", 1, "all", "b", "true")
    assert work_directories(machine) <= before
    assert movers(machine) == []


def work_directories(machine: Machine) -> set[str]:
    return set(machine.run(["ls", WORK]).stdout.split())


def movers(machine: Machine) -> list[str]:
    """Units that move files, also failed ones that nobody has reset."""
    patterns = ["joblet-upload-*", "joblet-files-*"]
    shown = machine.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", *patterns])
    return str(shown.stdout).splitlines()


def later(seconds: int = 3600) -> int:
    return time.time_ns() // 1000 + seconds * SECOND


# What arrives.


@pytest.mark.parametrize("user", [None, "member"])
def test_a_stream_arrives_with_modes_and_belongs_to_the_job(
    machine: Machine, jobs: Jobs, user: str | None
) -> None:
    stream = archive(
        ("top", b"content\n"),
        entry("d/", tarfile.DIRTYPE, mode=0o750),
        entry("d/program", mode=0o6755),
        entry("d/private", mode=0o600),
        entry("d/link", tarfile.SYMTYPE, linkname="program"),
        entry("sticky/", tarfile.DIRTYPE, mode=0o1777),
        entry("made/on/the/way", mode=0o644),
    )
    script = "id -u; cat top; find . -printf '%M %U %G %p\\n' | sort -k4; echo x >d/new"
    job = submit(machine, "sh", "-c", script, tar=stream, user=user).id
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    uid, content, *listed = jobs.log(job).splitlines()
    assert (uid, content) == ("1000", "content")
    assert [line.split(" ", 3)[::3] for line in listed if not line.endswith(" .")] == [
        ["drwxr-x---", "./d"],
        ["lrwxrwxrwx", "./d/link"],
        ["-rw-------", "./d/private"],
        ["-rwxr-xr-x", "./d/program"],
        ["drwxr-xr-x", "./made"],
        ["drwxr-xr-x", "./made/on"],
        ["drwxr-xr-x", "./made/on/the"],
        ["-rw-r--r--", "./made/on/the/way"],
        ["drwxrwxrwx", "./sticky"],
        ["-rw-r--r--", "./top"],
    ]
    assert {tuple(line.split()[1:3]) for line in listed} == {("1000", "1000")}
    owners = machine.run(["find", f"{WORK}/{job}", "-printf", "%U:%G\\n"]).stdout.split()
    [owner] = set(owners)
    host_uid, host_gid = map(int, owner.split(":"))
    assert host_uid == host_gid
    assert host_uid in POOL


@pytest.mark.parametrize("flags", READY.values(), ids=READY)
def test_a_directory_arrives_by_descriptor(machine: Machine, jobs: Jobs, flags: int) -> None:
    machine.run(["sh", "-c", "mkdir -p /home/member/d/sub; echo x >/home/member/d/sub/f"])
    machine.run(["chown", "-R", "member:", "/home/member/d"])
    machine.run(["chmod", "-R", "go=", "/home/member/d"])
    job = submit(machine, "cat", "sub/f", directory="/home/member/d", flags=flags, user="member").id
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job) == "x\n"
    machine.run(["rm", "-r", "/home/member/d"])


def test_a_user_other_than_the_usual_one_owns_what_came(machine: Machine, jobs: Jobs) -> None:
    job = submit(machine, "stat", "-c", "%u:%g", "f", tar=archive(("f", b"")), spec={"user": 0}).id
    jobs.wait(job)
    assert jobs.log(job) == "0:0\n"


def test_ten_thousand_small_files(machine: Machine, jobs: Jobs, figures: list[str]) -> None:
    figures += cargo.many_files_there_and_back(machine)


def test_a_file_of_a_gibibyte(machine: Machine, jobs: Jobs, figures: list[str]) -> None:
    figures += cargo.large_file_there_and_back(machine)


# What is kept.


@pytest.mark.journal_allows(RESTARTS)
def test_a_scheduled_job_finds_its_files_after_the_daemon_was_killed(
    machine: Machine, jobs: Jobs
) -> None:
    at = later(20)
    job = submit(machine, "cat", "f", tar=archive(("f", b"kept\n")), spec={"start_at_usec": at}).id
    kill(machine, DAEMON)
    assert jobs.status(job)["state"] in ("SCHEDULED", "PENDING")
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job) == "kept\n"


def test_a_scheduled_job_finds_its_files_after_a_reboot(machine: Machine, jobs: Jobs) -> None:
    at = later(20)
    job = submit(machine, "cat", "f", tar=archive(("f", b"kept\n")), spec={"start_at_usec": at}).id
    machine.reboot()
    assert outcome(jobs.wait(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job) == "kept\n"


# What is refused.

HOSTILE: dict[str, list[tuple[str, bytes] | tarfile.TarInfo]] = {
    "up": [entry("../up")],
    "up on the way": [entry("d/../../up")],
    "absolute": [entry("/etc/cron.d/x")],
    "device": [entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "block device": [entry("sda", tarfile.BLKTYPE, devmajor=8, devminor=0)],
    "fifo": [entry("fifo", tarfile.FIFOTYPE)],
    "twice": [("same", b"1"), ("same", b"2")],
    "twice in another spelling": [("same", b"1"), ("./same", b"2")],
    "hard link out": [entry("shadow", tarfile.LNKTYPE, linkname="/etc/shadow")],
    "link out": [entry("out", tarfile.SYMTYPE, linkname="../../../etc")],
    "absolute link": [entry("out", tarfile.SYMTYPE, linkname="/etc")],
    "below a link": [entry("out", tarfile.SYMTYPE, linkname="d"), ("out/f", b"x")],
    "below a file": [("f", b"x"), ("f/g", b"x")],
    "too deep": [entry("/".join(["d"] * 1100))],
    "name too long": [entry("n" * 300)],
    "not in ASCII": [entry("größe/../../up")],
    "not to be printed": [entry("a\x01b/../../up")],
}
NAMED = {
    "up on the way": "d/../../up",
    "twice": "same",
    "twice in another spelling": "./same",
    "below a link": "out",
    "below a file": "f/g",
    "too deep": "d/d/d",
    "not to be printed": r"a\x01b/../../up",
    "name too long": "nnn",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_refused_by_entry_and_leaves_nothing(
    machine: Machine, jobs: Jobs, case: str
) -> None:
    before = (jobs.ids(), work_directories(machine))
    cursor = machine.journal_cursor()
    bad = HOSTILE[case]
    refused = submit(machine, "true", tar=archive(("first", b"x"), *bad), user="member")
    assert (refused.id, refused.error) == ("", "UploadRefused")
    first = bad[0]
    name = NAMED.get(case, first.name if isinstance(first, tarfile.TarInfo) else first[0])
    assert f"'{name}" in refused.text
    assert (jobs.ids(), work_directories(machine)) == before
    assert movers(machine) == []
    # A mistake of a client is no trouble of the host.
    loud = [e["MESSAGE"] for e in machine.journal(after=cursor) if int(e.get("PRIORITY", 6)) < 5]
    assert loud == []


@pytest.mark.parametrize("cut", [0, 1, 511, 700, 1024])
def test_a_stream_that_ends_too_early_is_refused(machine: Machine, jobs: Jobs, cut: int) -> None:
    stream = archive(("f", b"x" * 600))
    before = jobs.ids()
    refused = submit(machine, "true", tar=stream[:cut])
    assert refused.error == "UploadRefused"
    assert jobs.ids() == before


@pytest.mark.parametrize("flags", READY.values(), ids=READY)
@pytest.mark.parametrize("user", ["member", "colleague"])
def test_nobody_reads_through_the_daemon_what_root_alone_can(
    machine: Machine, jobs: Jobs, user: str, flags: int
) -> None:
    """The descriptor may have been opened by somebody with more rights."""
    machine.run(["sh", "-c", "install -d -m 700 /srv/secret; echo x >/srv/secret/f"])
    line = submission(("true",), directory="/dev/fd/9", flags=flags)
    # Opened by root, for the user's program.
    opened = _OPENED + f"os.execvp('setpriv', {list(AS.format(user).split())} + sys.argv[3:])"
    line = ["python3", "-c", opened, "/srv/secret", str(flags), *with_fd_9(line)]
    done = machine.run(line, check=False)
    refused = answered(done.stdout)
    assert refused.error == "NotAllowed", done
    machine.run(["rm", "-r", "/srv/secret"])


_OPENED = """\
import os, sys
os.dup2(os.open(sys.argv[1], int(sys.argv[2])), 9)
"""
AS = "setpriv --reuid={0} --regid={0} --init-groups --"


def with_fd_9(line: list[str]) -> list[str]:
    """The directory is what is open as 9 already, not what opening it anew would give."""
    return [*line[:2], line[2].replace('os.open(directory, given["flags"])', "9"), *line[3:]]


def test_a_tree_with_a_file_that_may_not_be_read_is_refused_by_name(
    machine: Machine, jobs: Jobs
) -> None:
    machine.run(["sh", "-c", "mkdir -p /srv/d/sub; touch /srv/d/sub/shut; chmod 600 /srv/d/sub/*"])
    before = jobs.ids()
    refused = submit(machine, "true", directory="/srv/d", user="member")
    assert refused.error == "UploadRefused"
    assert "'sub/shut': it may not be read" in refused.text
    assert jobs.ids() == before
    machine.run(["rm", "-r", "/srv/d"])


def test_what_is_no_directory_is_none(machine: Machine, jobs: Jobs) -> None:
    assert submit(machine, "true", directory="/etc/passwd").error == "InvalidSpec"


def test_a_spec_that_is_refused_reads_no_stream(machine: Machine, jobs: Jobs) -> None:
    refused = submit(machine, "true", tar=archive(("../f", b"")), spec={"max_cpu": 6_553_600})
    assert (refused.error, "max_cpu" in refused.text) == ("InvalidSpec", True)


# What goes wrong on the way.


def slow_upload(machine: Machine, user: str | None = None) -> subprocess.Popen[bytes]:
    """A caller that has sent half of its stream."""
    stream = archive(("f", b"x" * 4096), ("g", b"x"))
    process = machine.popen(submission(("true",), tar=True), user=user, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(stream[:2048])
    process.stdin.flush()
    machine.wait_for(lambda: movers(machine), "the upload to begin")
    machine.wait_for(
        lambda: machine.run(["find", WORK, "-name", "f"]).stdout.strip(), "the first file"
    )
    return process


def test_a_caller_that_is_killed_in_mid_upload_leaves_nothing(machine: Machine, jobs: Jobs) -> None:
    before = (jobs.ids(), work_directories(machine))
    process = slow_upload(machine, "member")
    machine.signal_command(process, signal.SIGKILL)
    process.communicate()
    machine.wait_for(lambda: not movers(machine), "the upload to be given up")
    machine.wait_for(lambda: (jobs.ids(), work_directories(machine)) == before, "the sweep")


@pytest.mark.journal_allows(RESTARTS, r"removing files without a row")
def test_a_daemon_that_is_killed_in_mid_upload_leaves_nothing(machine: Machine, jobs: Jobs) -> None:
    before = (jobs.ids(), work_directories(machine))
    process = slow_upload(machine)
    kill(machine, DAEMON)
    assert movers(machine) == []
    out, _ = process.communicate()
    assert json.loads(out)["error"]
    machine.wait_for(lambda: (jobs.ids(), work_directories(machine)) == before, "the sweep")


def test_a_daemon_that_is_stopped_in_mid_upload_leaves_nothing(
    machine: Machine, jobs: Jobs
) -> None:
    before = (jobs.ids(), work_directories(machine))
    process = slow_upload(machine)
    machine.run(["systemctl", "restart", DAEMON])
    assert movers(machine) == []
    out, _ = process.communicate()
    assert json.loads(out)["error"]
    machine.wait_for(lambda: (jobs.ids(), work_directories(machine)) == before, "the sweep")


def test_a_client_that_is_stuck_holds_up_nobody(machine: Machine, jobs: Jobs) -> None:
    stuck = [slow_upload(machine, "member") for _ in range(3)]
    assert outcome(jobs.done("true")) == ("COMPLETED", "exit", 0)
    job = submit(machine, "cat", "f", tar=archive(("f", b"mine\n"))).id
    jobs.wait(job)
    assert jobs.log(job) == "mine\n"
    for process in stuck:
        machine.signal_command(process, signal.SIGKILL)
        process.communicate()
    machine.wait_for(lambda: not movers(machine), "the uploads to be given up")


@pytest.mark.journal_allows(r"RunJob for .*: files: ")
def test_an_administrator_may_stop_an_upload(machine: Machine, jobs: Jobs) -> None:
    process = slow_upload(machine)
    [unit] = (line.split()[0] for line in movers(machine))
    machine.run(["systemctl", "stop", unit])
    out, _ = process.communicate()
    assert json.loads(out)["error"] == "HostFailure"


# The way back.


def test_files_come_back_while_it_runs_and_when_it_has_ended(machine: Machine, jobs: Jobs) -> None:
    script = "mkdir -p out/sub; echo 1 >out/a; echo 2 >out/sub/b; chmod 750 out/sub; sleep 1000"
    job = jobs.shell(script)
    jobs.wait_running(job)
    machine.wait_for(lambda: "out/sub/b" in fetch(machine, job).files, "the file")
    assert fetch(machine, job, "out/a").content("a") == b"1\n"
    jobs.stop(job)
    jobs.wait(job)
    found = fetch(machine, job, "/work/out")
    assert set(found.files) == {"out", "out/a", "out/sub", "out/sub/b"}
    assert (found.content("out/sub/b"), found.mode("out/sub")) == (b"2\n", 0o750)
    missing = fetch(machine, job, "nope")
    assert (missing.error, missing.text) == ("NoSuchPath", "there is no path 'nope'")
    jobs.call("DeleteJob", "s", job)
    assert fetch(machine, job, "out").error == "NoSuchJob"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("$HOME", "NoSuchPath"),
        ("%i", "NoSuchPath"),
        ("-h", "NoSuchPath"),
        ("../../../etc/passwd", "NoSuchPath"),
        ("/etc/shadow", "NoSuchPath"),
        ("passwd", "NoSuchPath"),
        ("upward", "NoSuchPath"),
        # below /work it is itself again
        ("proc", "InvalidSpec"),
        ("fifo", "InvalidSpec"),
        ("round", "InvalidSpec"),
        ("shut", "NotAllowed"),
    ],
)
def test_a_hostile_path_or_tree_leads_nowhere(
    machine: Machine, jobs: Jobs, path: str, error: str
) -> None:
    job = jobs.done(
        "sh",
        "-c",
        "ln -s /etc/passwd passwd; ln -s ../../../../etc upward; ln -s /proc/1/root proc;"
        " mkfifo fifo; ln -s round round; touch shut; chmod 0 shut",
    )["id"]
    assert fetch(machine, job, path).error == error


def test_odd_names_come_back(machine: Machine, jobs: Jobs) -> None:
    script = (
        "for n in '$HOME' '%i' ' ' 'a b' '-h' \"$(printf '\\351')\"; do echo \"$n\" >\"./$n\"; done"
    )
    job = jobs.done("bash", "-c", script)["id"]
    for name in ("$HOME", "%i", " ", "a b", "-h"):
        assert fetch(machine, job, name).content(name) == f"{name}\n".encode()
    assert len(fetch(machine, job).files) == 6


def test_others_are_not_given_a_job_s_files(machine: Machine, jobs: Jobs) -> None:
    job = Jobs(machine, "member").done("sh", "-c", "echo x >f")["id"]
    assert fetch(machine, job, "f", user="member").content("f") == b"x\n"
    assert fetch(machine, job, "f").content("f") == b"x\n"
    for user in ("colleague", "outsider", 65534):
        assert fetch(machine, job, "f", user=user).error == "NotAllowed"


def test_a_reader_who_goes_away_leaves_no_failed_unit(machine: Machine, jobs: Jobs) -> None:
    job = jobs.done("truncate", "--size=100M", "big")["id"]
    machine.run(["bash", "-c", f"jobletctl job cp {job}:big - | head -c 10 >/dev/null"])
    machine.wait_for(lambda: not movers(machine), "the end of the service")
    assert machine.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""


def test_a_download_goes_on_while_the_daemon_is_restarted(machine: Machine, jobs: Jobs) -> None:
    job = jobs.done("truncate", "--size=64M", "big")["id"]
    with machine.popen(["jobletctl", "job", "cp", f"{job}:big", "-"]) as process:
        assert process.stdout is not None
        first = process.stdout.read(1)
        machine.run(["systemctl", "restart", DAEMON])
        assert main_pid(machine, DAEMON)
        # A second one beside it, from the new daemon.
        assert len(fetch(machine, job, "big").content("big")) == 64 << 20
        rest = process.stdout.read()
    assert process.returncode == 0
    assert len(first + rest) > 64 << 20


# By jobletctl.


def test_run_brings_files_and_takes_results_home(machine: Machine, jobs: Jobs) -> None:
    script = """\
set -eu
cd "$(mktemp -d)"
mkdir -p src/lib here
echo 'data' >input; echo 'print(open("input").read().upper(), end="")' >src/lib/up.py
jobletctl job run --upload input --upload-dir src --follow --output out:here --output log.txt -- \\
    sh -c 'mkdir out; python3 lib/up.py | tee out/result; echo logged >log.txt; ln -s /etc out/etc'
cat here/out/result log.txt
ls here/out
"""
    done = machine.run(["sh", "-c", script], user="member")
    assert done.stdout == "DATA\nDATA\nlogged\nresult\n"
    assert done.stderr == "jobletctl: left out 'out/etc': its target is absolute\n"


def test_modes_and_links_survive_a_copy(machine: Machine, jobs: Jobs) -> None:
    job = jobs.done("sh", "-c", "mkdir -m 500 d; mkdir -m 700 e; echo x >e/f; ln -s f e/l")["id"]
    script = (
        f"cd $(mktemp -d); jobletctl job cp {job}: all; find all -printf '%M %p %l\\n' | sort -k2"
    )
    assert machine.run(["sh", "-c", script], user=None).stdout.splitlines()[1:] == [
        "dr-x------ all/d ",
        "drwx------ all/e ",
        "-rw-r--r-- all/e/f ",
        "lrwxrwxrwx all/e/l f",
    ]


def test_ctrl_c_in_mid_upload_leaves_nothing(machine: Machine, jobs: Jobs) -> None:
    before = (jobs.ids(), work_directories(machine))
    # Many files, because an upload of one large one may be over before anybody has seen it begin.
    machine.run(["sh", "-c", "mkdir /tmp/many && cd /tmp/many && seq 50000 | xargs touch"])
    line = ["jobletctl", "job", "run", "--upload-dir", "/tmp/many", "true"]
    process = machine.popen(line, stdin=subprocess.DEVNULL)
    machine.wait_for(lambda: movers(machine), "the upload to begin")
    machine.signal_command(process, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err == b"jobletctl: interrupted during the upload; no job was submitted\n"
    machine.wait_for(lambda: not movers(machine), "the upload to be given up")
    machine.wait_for(lambda: (jobs.ids(), work_directories(machine)) == before, "the sweep")
    machine.run(["rm", "-r", "/tmp/many"])
