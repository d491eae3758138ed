"""What only a disk can tell of uploads and secrets: that a power cut takes nothing."""

from __future__ import annotations

from tests.container.attachments import archive, fetch, submit
from tests.container.jobs import SECOND, Jobs, outcome
from tests.vm.machine import VirtualMachine


def test_a_power_cut_takes_nothing_of_an_upload_that_was_accepted(
    vm: VirtualMachine, jobs: Jobs
) -> None:
    now = int(vm.run(["date", "+%s"]).stdout)
    files = {f"d{number % 7}/f{number}": f"{number}\n".encode() * 100 for number in range(200)}
    # Far behind a boot of this machine on a bad day.
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
    jobs.call("DeleteJob", "s", job)
