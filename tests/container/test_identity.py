"""Who a job is: inside and on the host, and what it can do with that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.container import crowd
from tests.container.jobs import Jobs, processes_of
from tests.container.machine import Machine

FIRST = 1 << 30
RANGE = 65_536
POOL = range(FIRST, FIRST + 8192 * RANGE)
CREDENTIALS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


@pytest.fixture
def jobs(machine: Machine) -> Jobs:
    return Jobs(machine)


@pytest.fixture
def two(jobs: Jobs) -> Iterator[list[str]]:
    ids = [jobs.run("sleep", "1000") for _ in range(2)]
    jobs.wait_running(*ids)
    yield ids
    for job in ids:
        jobs.stop(job)
        jobs.wait(job)


def status_of(text: str) -> dict[str, list[str]]:
    lines = (line.partition(":") for line in text.splitlines())
    return {key: value.split() for key, _, value in lines}


@pytest.mark.parametrize("user", [None, 0, 1000, 12345, 65534, 65535])
def test_inside_a_job_is_the_user_that_was_asked_for(jobs: Jobs, user: int | None) -> None:
    spec = {} if user is None else {"user": user}
    job = jobs.shell(
        "cat /proc/self/status; id -un; echo $HOME $USER; touch x; stat -c %u x", **spec
    )
    assert jobs.wait(job)["exit_code"] == 0
    said = jobs.log(job)
    uid = str(1000 if user is None else user)
    name = {"0": "root", "65534": "nobody"}.get(uid, "job")
    found = status_of(said)
    assert found["Uid"] == found["Gid"] == [uid] * 4
    assert found["Groups"] == []
    assert {int(found[key][0], 16) for key in CREDENTIALS[3:]} == {0}
    assert found["NoNewPrivs"] == ["1"]
    assert said.splitlines()[-3:] == [name, f"/work {name}", uid]


def test_on_the_host_a_job_has_ids_of_its_own_range_only(machine: Machine, two: list[str]) -> None:
    ranges = []
    for job in two:
        for pid in processes_of(machine, job):
            found = status_of(machine.read_file(f"/proc/{pid}/status"))
            ids = {int(word) for key in ("Uid", "Gid") for word in found[key]}
            assert len(ids) == 1
            (uid,) = ids
            assert uid in POOL
            assert uid % RANGE == 1000
            ranges.append(uid // RANGE)
            assert machine.read_file(f"/proc/{pid}/uid_map").split() == [
                "0",
                str(uid - 1000),
                "65536",
            ]
            assert machine.read_file(f"/proc/{pid}/gid_map").split() == [
                "0",
                str(uid - 1000),
                "65536",
            ]
            work = machine.path(f"/var/lib/joblet/work/{job}").stat()
            assert (work.st_uid, work.st_gid, work.st_mode & 0o7777) == (uid, uid, 0o700)
    assert len(set(ranges)) == 2


def test_every_namespace_is_the_jobs_own(machine: Machine, two: list[str]) -> None:
    def seen(pid: int | str) -> dict[str, int]:
        return {kind: machine.path(f"/proc/{pid}/ns/{kind}").stat().st_ino for kind in NAMESPACES}

    views = [seen(1), *(seen(next(iter(processes_of(machine, job)))) for job in two)]
    for kind in NAMESPACES:
        assert len({view[kind] for view in views}) == 3, kind


def test_mounts_and_network_belong_to_the_host_not_to_the_job(jobs: Jobs) -> None:
    """A uid 0 of its own user namespace has no capability over the other namespaces."""
    script = (
        "mount -t tmpfs none /tmp; hostname other; ip link add d0 type dummy; "
        "unshare -m true; chroot / true; mknod /work/n c 1 3; chown 5 /work; "
        "echo 1 >/proc/sys/net/ipv4/ip_forward; hostname"
    )
    job = jobs.shell(script, user=0)
    assert jobs.wait(job)["exit_code"] == 0
    lines = jobs.log(job).splitlines()
    assert lines[-1] == f"job-{job[:8]}"
    # each of the others was refused with a line of its own
    assert len(lines) >= 8


@pytest.mark.journal_allows(*crowd.KILLED)
def test_no_range_is_lost_or_doubled_by_a_kill_in_the_middle_of_a_thousand_jobs(
    machine: Machine, figures: list[str]
) -> None:
    with crowd.small_pool(machine):
        figures.append(crowd.ranges_are_kept_through_a_kill(machine))


def test_results_stay_and_an_empty_work_directory_goes(machine: Machine, jobs: Jobs) -> None:
    empty, full = jobs.shell("true"), jobs.shell("echo result >r; mkdir d; chmod 0 d")
    for job in (empty, full):
        assert jobs.wait(job)["exit_code"] == 0
    work = machine.path("/var/lib/joblet/work")
    assert not (work / empty).exists()
    assert (work / full / "r").read_text() == "result\n"
    jobs.call("DeleteJob", "s", full)
    assert not (work / full).exists()
