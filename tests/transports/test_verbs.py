"""One set of tests, run over the bus and over the network: every verb does the same either way."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from joblet.model.job import JobState, Reason, Remote
from joblet.records import logindex
from tests.transports.conftest import NODE, OWNER, SUBJECT, Host, Program

DONE = (JobState.COMPLETED, Reason.EXIT, 0)
FAILED = (JobState.FAILED, Reason.EXIT, 7)


def write_log(host: Host) -> None:
    host.jobs.writer.write(b"out\n", 1_763_800_000_000_000_001)
    host.jobs.writer.write(b"err \xff\n", 1_763_800_000_100_000_000, logindex.STDERR)
    host.jobs.writer.lose(42, 1_763_800_000_200_000_000)
    host.jobs.writer.write(b"last", 1_763_800_000_300_000_000)
    host.jobs.writer.seal()


def test_a_job_is_submitted_with_all_that_was_said_of_it(ctl: Program, host: Host) -> None:
    line = "--name n --max-memory 64M --max-cpu 150 --cpu-cores 0-2,5 --timeout 90s -e A=1 --init"
    job_id = ctl.run(*line.split(), "--secret-env", "T=hush", "--", "sh", "-c", "", "ü")
    job = host.jobs.jobs[job_id]
    assert (job.spec.command, job.spec.args) == ("sh", ("-c", "", "ü"))
    assert (job.spec.name, job.spec.environment, job.spec.init) == ("n", {"A": "1"}, True)
    assert (job.spec.max_memory, job.spec.max_cpu) == (64 << 20, 150)
    assert (job.spec.cpu_cores, job.spec.timeout_usec) == ((0, 1, 2, 5), 90_000_000)
    assert host.jobs.submitted[-1][1] == {"T": "hush"}
    wanted = None if ctl.connector is not None else Remote(SUBJECT, "admin")
    assert job.remote == wanted


def test_the_status_of_the_job_is_passed_on(ctl: Program, host: Host) -> None:
    write_log(host)
    host.jobs.endings = [FAILED, FAILED, DONE]
    assert ctl("job", "run", "--wait", "false").status == 7
    followed = ctl("job", "run", "--follow", "false")
    assert followed.status == 7
    assert followed.raw == b"out\nlast"
    assert followed.err == f"err \udcff\n{ctl.name}: 42 bytes of the log are missing here\n"
    assert ctl("job", "run", "--wait", "--rm", "true").status == 0
    assert len(host.jobs.jobs) == 2


def test_files_go_there_and_come_back(ctl: Program, host: Host, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/deep").mkdir()
    (tmp_path / "in/deep/file").write_bytes(os.urandom(1 << 20))
    (tmp_path / "one.txt").write_text("one")
    host.jobs.endings = [DONE]
    host.jobs.out = {"out.txt": b"result"}
    target = tmp_path / "result"
    line = ["--upload", f"{tmp_path}/one.txt", "--upload-dir", f"{tmp_path}/in"]
    done = ctl("job", "run", "--wait", *line, "--output", f"out.txt:{target}", "true")
    assert (done.status, done.err) == (0, "")
    assert target.read_bytes() == b"result"
    with tarfile.open(fileobj=io.BytesIO(host.jobs.received[0])) as archive:
        assert {"one.txt", "deep", "deep/file"} <= set(archive.getnames())
        sent = archive.extractfile("deep/file")
        assert sent is not None
        assert sent.read() == (tmp_path / "in/deep/file").read_bytes()
    [job_id] = host.jobs.jobs
    archive_of = ctl("job", "cp", f"{job_id}:out.txt", "-")
    assert archive_of.status == 0
    with tarfile.open(fileobj=io.BytesIO(archive_of.raw)) as archive:
        assert archive.getnames() == ["out.txt"]


def test_a_job_is_stopped_canceled_and_deleted_by_a_short_id(ctl: Program, host: Host) -> None:
    running, waiting, ended = host.start_job(), host.put(), host.ended()
    stopped = ctl("job", "stop", running[:8])
    assert (stopped.status, stopped.out) == (0, f"{running} STOPPED 143\n")
    assert ctl("job", "cancel", waiting[:8]).out == f"{waiting}\n"
    assert host.jobs.jobs[waiting].state is JobState.CANCELED
    assert ctl("job", "delete", ended[:8], running).out.split() == [ended, running]
    assert list(host.jobs.jobs) == [waiting]


def test_limits_change(ctl: Program, host: Host) -> None:
    job_id = host.start_job(max_memory=1, max_tasks=9)
    changed = ctl("job", "update", job_id, "--max-memory", "2M", "--cpu-cores", "all")
    assert (changed.status, changed.out) == (0, f"{job_id}\n")
    spec = host.jobs.jobs[job_id].spec
    assert (spec.max_memory, spec.cpu_cores, spec.max_tasks) == (2 << 20, (), 9)


def test_waiting_ends_as_the_job_does(ctl: Program, host: Host) -> None:
    job_id = host.ended(9)
    assert ctl("job", "wait", job_id[:8]).status == 9
    late = ctl("job", "wait", "--timeout", "50ms", host.start_job())
    assert late.status == 124
    assert "has not ended yet, it is RUNNING" in late.err


def test_own_jobs_are_those_of_the_caller(ctl: Program, host: Host) -> None:
    host.ended()
    host.jobs.endings = [DONE]
    assert ctl("job", "run", "--wait", "true").status == 0
    mine = ctl("job", "list", "--mine", "--json").json
    assert len(mine) == 1
    assert mine[0]["owner_uid"] != OWNER
    told = ctl("job", "delete-all")
    assert told.out.startswith("Deleted count: 1\nSkipped count: 0")
    assert len(host.jobs.jobs) == 1
    assert ctl("job", "delete-all", "--all-users").out.startswith("Deleted count: 1\n")
    assert host.jobs.jobs == {}


def test_many_jobs_are_listed_whole(ctl: Program, host: Host) -> None:
    ids = [host.put(environment={"BIG": "x" * 2000}) for _ in range(300)]
    listed = ctl("job", "list", "--all", "--json").json
    assert [job["id"] for job in listed] == ids[::-1]


MISTAKES = [
    ("job status ffffffff", 1, "there is no job 'ffffffff'; '{call} job list --all' shows"),
    ("job stop ENDED", 1, "cannot cancel job ENDED: it is COMPLETED"),
    ("job cancel RUNNING", 1, "cannot cancel job RUNNING: it is RUNNING"),
    ("job delete RUNNING", 1, "cannot delete job RUNNING: it is RUNNING"),
    ("job update ENDED --max-tasks=1", 1, "cannot update job ENDED: it is COMPLETED"),
    ("job log ffffffff", 1, "there is no job 'ffffffff'"),
    ("job wait ffffffff", 1, "there is no job 'ffffffff'"),
    ("job run --start-at=1 true", 2, "no such option --start-at"),
    ("job run --timeout=soon true", 2, "--timeout"),
    ("job cp RUNNING:out /nowhere/there", 1, "/nowhere: No such file or directory"),
]


@pytest.mark.parametrize(("line", "status", "said"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_what_cannot_be_done_is_one_sentence_and_a_status(
    ctl: Program, host: Host, line: str, status: int, said: str
) -> None:
    running, ended = host.start_job(), host.ended()
    done = ctl(*line.replace("RUNNING", running).replace("ENDED", ended).split())
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"{ctl.name}: ")
    assert done.err.count("\n") == 1
    calls = {"jobletctl": "jobletctl" if ctl.connector else f"jobletctl -H {NODE}"}
    call = calls.get(ctl.name, f"rnx --node {NODE}")
    wanted = said.replace("{call}", call).replace("ENDED", ended)
    assert wanted.replace("job RUNNING", f"job {running}") in done.err
