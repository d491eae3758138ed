"""A remote user on a stock system: certificates, the bridge, and a job whose limits hold."""

from __future__ import annotations

import pytest

from tests.container.jobs import Jobs, outcome
from tests.container.remote import reachable, remote_member
from tests.vm.machine import VirtualMachine

MIB = 1 << 20


@pytest.mark.smoke
def test_job_of_a_remote_user(vm: VirtualMachine, jobs: Jobs) -> None:
    script = "cat input; id -u; exit 3"
    with reachable(vm), remote_member(vm):
        vm.run(["sh", "-c", "echo given >~/input"], user="member")
        line = ["job", "run", "--follow", "--max-memory=64M", "--upload=/home/member/input"]
        done = vm.run(["rnx", *line, "--", "sh", "-c", script], user="member", check=False)
        assert (done.stdout, done.stderr, done.returncode) == ("given\n1000\n", "", 3)
        newest = jobs.ids()[0]
        assert newest in vm.run(["rnx", "--json", "job", "list"], user="member").stdout
    known = jobs.status(newest)
    assert outcome(known) == ("FAILED", "exit", 3)
    assert (known["remote_role"], known["max_memory"]) == ("developer", 64 * MIB)
    assert 0 < known["memory_peak_bytes"] <= 64 * MIB
    jobs.call("DeleteJob", "s", newest)
    vm.run(["rm", "/home/member/input"])
