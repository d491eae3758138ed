from __future__ import annotations

from joblet.errors import RemoteError
from joblet.model.job import JobState
from tests.fakes.client import FakeClient, job, job_id
from tests.unit.jobletctl.conftest import Ctl

ONE, TWO = job_id(1), job_id(2)


def test_update_sends_what_was_named_and_nothing_else(ctl: Ctl, host: FakeClient) -> None:
    host.jobs = {one.id: one for one in (job(1), job(2, JobState.PENDING))}
    line = ["--max-cpu=0", "--cpu-cores", "0,2-3", "--max-io=1M"]
    done = ctl("job", "update", ONE, TWO, *line)
    assert (done.status, done.out, done.err) == (0, f"{ONE}\n{TWO}\n", "")
    limits = {"max_cpu": 0, "cpu_cores": (0, 2, 3), "max_io_bps": 1 << 20}
    assert host.calls == [("update", (ONE, limits)), ("update", (TWO, limits))]


def test_update_as_json_says_the_ids(ctl: Ctl, host: FakeClient) -> None:
    host.jobs = {ONE: job(1)}
    assert ctl("job", "update", "--json", ONE, "--cpu-weight=5").json == {"id": ONE}


def test_update_that_is_refused_is_one_sentence(ctl: Ctl, host: FakeClient) -> None:
    host.jobs = {ONE: job(1)}
    host.failures["update"] = RemoteError(
        "org.joblet1.Error.InvalidSpec", "max_cpu: 900 % is more than the 2 CPUs of this host have"
    )
    done = ctl("job", "update", ONE, "--max-cpu=900")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "max_cpu: 900 % is more" in done.err
