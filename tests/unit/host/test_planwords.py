"""The plan in words: every kind of step has them, and they tell the operands that matter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from joblet.host import planwords
from joblet.host.jobplan import PlanMaker
from joblet.host.machine import Layout
from joblet.init import plan
from joblet.init.plan import step
from joblet.model.job import Job, JobSpec, JobState

LAYOUT = Layout((("bin", "usr/bin"),), ("usr",), ("services",), "/usr/share/zoneinfo/UTC")
JOB = Job(
    id="01234567-89ab-4cde-8f01-23456789abcd",
    seq=1,
    spec=JobSpec(
        command="sh",
        args=("-c", "echo $X"),
        environment={"X": "two words"},
        max_work=1 << 30,
        max_tmp=1 << 20,
        max_shm=0,
        user=0,
    ),
    owner_uid=0,
    state=JobState.PENDING,
    submitted_usec=0,
    due_usec=0,
    shard=0,
    first_id=1 << 30,
    project=5,
)


def words(spec: JobSpec = JOB.spec) -> tuple[str, ...]:
    maker = PlanMaker(LAYOUT, "/var/lib/joblet/work", work_quota=True, system_calls=b"the filter")
    return planwords.describe(maker.steps(replace(JOB, spec=spec), {"TOKEN": "***"}))


def test_every_kind_of_step_has_words() -> None:
    assert planwords._WORDS.keys() == plan.STEPS.keys()


def test_a_plan_reads_from_the_first_namespace_to_the_command() -> None:
    told = words(replace(JOB.spec, init=True))
    assert told[0] == "enter new namespaces: PID, mount, network, IPC, host name"
    assert told[-4:] == (
        "set the environment: HOME=/work JOBLET_JOB_ID=01234567-89ab-4cde-8f01-23456789abcd "
        "LANG=C.UTF-8 LOGNAME=root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
        "/bin PWD=/work SHELL=/bin/sh 'TOKEN=***' USER=root 'X=two words'",
        "stay as a small PID 1 that reaps children; the command is its child",
        "filter system calls: none for namespaces, mounts, keyrings, BPF or io_uring",
        "run sh -c 'echo $X'",
    )


@pytest.mark.parametrize(
    "line",
    [
        "show the host's /usr as /usr (read-only, nosuid, nodev)",
        "show /var/lib/joblet/work/01234567-89ab-4cde-8f01-23456789abcd of the host as /work "
        "(nosuid, nodev)",
        "limit /work to 1G and 65536 files",
        "mount an empty /tmp in memory of at most 1M (nosuid, nodev)",
        "mount an empty /dev/shm in memory without a limit (nosuid, nodev)",
        "mount an empty /dev in memory of at most 64k (nosuid, noexec)",
        "make the device /dev/null (1:3)",
        "make /proc/kcore look empty, if it is there",
        "make the root read-only",
        "write /etc/resolv.conf (an empty file, mode 644)",
        "write /etc/hostname (1 line, mode 644)",
        "set the resource limit CORE to 0",
        "set the resource limit STACK to 8388608, at most infinity",
        "wait until the scope stands with all its limits",
        "become uid 0, gid 0: no capabilities, no new privileges",
    ],
)
def test_a_step_in_words(line: str) -> None:
    assert line in words()


def test_bytes_that_are_no_text_are_told_all_the_same() -> None:
    [told] = planwords.describe([step("exec", b"\xff", b"\xff", b"a\xfeb")])
    assert told == r"run '\xff' 'a\xfeb'"
