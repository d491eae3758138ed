"""What only a real disk can tell of uploads: a quota that holds, and a power cut."""

from __future__ import annotations

from tests.container.attachments import archive, fetch, submit
from tests.container.jobs import SECOND, Jobs, outcome
from tests.vm.machine import VirtualMachine

WORK = "/var/lib/joblet/work"
MIB = 1 << 20


def directories(vm: VirtualMachine) -> set[str]:
    return set(vm.run(["ls", WORK]).stdout.split())


def test_an_upload_is_bounded_by_the_quota_of_its_job(vm: VirtualMachine, jobs: Jobs) -> None:
    before = directories(vm)
    spec = {"max_work": 4 * MIB}
    stream = archive(("small", b"x"), ("big", bytes(8 * MIB)))
    refused = submit(vm, "true", tar=stream, spec=spec)
    assert (refused.error, refused.text) == (
        "Exhausted",
        "the work directory is full: no room for 'big'",
    )
    assert directories(vm) == before
    # Files count, and so do the job's own besides.
    stream = archive(("big", bytes(3 * MIB)))
    fill = "dd if=/dev/zero of=more bs=64k count=64 2>/dev/null || stat -c %s more"
    job = submit(vm, "sh", "-c", fill, tar=stream, spec=spec).id
    jobs.wait(job)
    assert 0 < int(jobs.log(job)) <= MIB


def test_a_power_cut_takes_nothing_of_an_upload_that_was_accepted(
    vm: VirtualMachine, jobs: Jobs
) -> None:
    now = int(vm.run(["date", "+%s"]).stdout)
    files = {f"d{number % 7}/f{number}": f"{number}\n".encode() * 100 for number in range(200)}
    at = (now + 300) * SECOND
    job = submit(
        vm,
        "sh",
        "-c",
        "cat d*/f* | wc -c; exec printenv TOKEN",
        tar=archive(*files.items()),
        secrets={"TOKEN": "kept"},
        spec={"start_at_usec": at, "name": "cut"},
    ).id
    vm.cut_power()
    vm.boot()
    waiting = jobs.status(job)
    assert (waiting["state"], waiting["secrets"]) == ("SCHEDULED", {"TOKEN": "***"})
    found = fetch(vm, job)
    assert {name: content for name, (_, content) in found.files.items() if content} == files
    vm.run(["jobletctl", "job", "wait", job], timeout=1200)
    assert outcome(jobs.status(job)) == ("COMPLETED", "exit", 0)
    assert jobs.log(job).split() == [str(sum(map(len, files.values()))), "kept"]
