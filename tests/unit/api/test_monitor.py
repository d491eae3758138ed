"""The Monitor handler: samples by number and time, rights, groups, what others may not see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from joblet.api import monitor as monitor_module
from joblet.api.authorize import Action
from joblet.api.monitor import MonitorHandler
from joblet.bus.export import Call
from joblet.bus.values import Typed
from joblet.core.hoststatus import HostMonitor
from joblet.core.metrics import JobMetrics
from joblet.errors import InvalidSpec, NotAllowed, NotFound
from joblet.model.ids import ROOT_PATH
from joblet.model.job import JobState, Reason
from joblet.model.metrics import DeviceIo, Sample
from tests.fakes.clock import FakeClock
from tests.fakes.jobservice import SUBMITTED_USEC, FakeJobManager
from tests.fakes.metrics import FakeMetricsFiles, FakeMetricsHost
from tests.unit.api.test_manager import CALLER_UID, FakeAuthority, FakeExporter
from tests.unit.core.test_hoststatus import FakeProbe

CALL = Call(":1.5", ROOT_PATH, monitor_module.INTERFACE, "Test", False)


class Ground:
    """A handler, and what is behind it."""

    def __init__(self) -> None:
        self.jobs = FakeJobManager()
        self.files = FakeMetricsFiles()
        self.authority = FakeAuthority()
        self.probe = FakeProbe(step_s=0.3)
        metrics = JobMetrics(
            0,
            host=FakeMetricsHost(FakeClock()),
            files=self.files,
            find=lambda job_id: self.jobs.jobs.get(job_id),
        )
        self.handler = MonitorHandler(
            self.jobs,
            metrics,
            HostMonitor(self.probe),
            self.authority,  # type: ignore[arg-type]
            FakeExporter(),  # type: ignore[arg-type]
        )

    async def ask(self, job: str, **options: Any) -> tuple[list[dict[str, Any]], int, bool]:
        given = {name: Typed("t", value) for name, value in options.items()}
        encoded, after, ended = await self.handler.get_job_metrics(job, given)
        return json.loads(encoded), after, ended

    def running(self, *, owner_uid: int = CALLER_UID, samples: int = 0) -> str:
        job = self.jobs.start(self.jobs.put(owner_uid=owner_uid).id)
        for number in range(samples):
            self.files.append(job.id, Sample(time_usec=SUBMITTED_USEC + number, tasks=number))
        return job.id


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setattr(monitor_module, "current_call", lambda: CALL)
    return Ground()


async def test_samples_from_a_number_on(ground: Ground) -> None:
    job = ground.running(samples=3)
    samples, after, ended = await ground.ask(job[:8], after=1)
    assert [sample["number"] for sample in samples] == [2, 3]
    assert (after, ended) == (3, False)
    assert await ground.ask(job, after=after) == ([], 3, False)


async def test_a_page_that_is_full_goes_on_where_it_ended(ground: Ground) -> None:
    job = ground.running(samples=5)
    ground.jobs.end(job, JobState.COMPLETED, Reason.EXIT, 0)
    seen: list[int] = []
    after, ended = 0, False
    while not ended:
        samples, after, ended = await ground.ask(job, after=after, limit=2)
        assert len(samples) <= 2
        seen += [sample["number"] for sample in samples]
    # four of the five were before the end, which is the last one
    assert seen == list(range(1, len(seen) + 1))
    assert samples[-1]["final"] is True


async def test_samples_of_a_time(ground: Ground) -> None:
    job = ground.running(samples=9)
    samples, after, _ = await ground.ask(
        job, since_usec=SUBMITTED_USEC + 2, until_usec=SUBMITTED_USEC + 4
    )
    assert [sample["tasks"] for sample in samples] == [2, 3, 4]
    assert after == 9


async def test_what_is_not_known_has_no_key_and_pressure_is_in_percent(ground: Ground) -> None:
    job = ground.running()
    device = DeviceIo(
        device="8:0",
        read_bytes=1,
        write_bytes=2,
        discard_bytes=3,
        read_ops=4,
        write_ops=5,
        discard_ops=6,
    )
    sample = Sample(
        time_usec=SUBMITTED_USEC + 1_000_005,
        cpu_usec=500_000,
        cpu_some_avg10=12,
        tasks=0,
        devices=(device,),
    )
    ground.files.append(job, sample)
    [found], _, _ = await ground.ask(job)
    assert found == {
        "number": 1,
        "time_usec": SUBMITTED_USEC + 1_000_005,
        "cpu_usec": 500_000,
        "cpu_some_avg10": 0.12,
        "tasks": 0,
        "interval_usec": 1_000_000,
        "cpu_percent": 50.0,
        "devices": [
            {
                "device": "8:0",
                "read_bytes": 1,
                "write_bytes": 2,
                "discard_bytes": 3,
                "read_ops": 4,
                "write_ops": 5,
                "discard_ops": 6,
            }
        ],
    }


async def test_metrics_of_others_are_for_who_manages_all(ground: Ground) -> None:
    job = ground.running(owner_uid=CALLER_UID + 1, samples=1)
    assert (await ground.ask(job))[0]
    ground.authority.allowed.clear()
    with pytest.raises(NotAllowed, match="read the metrics of"):
        await ground.ask(job)
    assert (await ground.ask(ground.running(samples=1)))[0]


async def test_no_such_job_and_no_such_option(ground: Ground) -> None:
    with pytest.raises(NotFound):
        await ground.ask("abcd1234")
    job = ground.running()
    for options in ({"before": 1}, {"limit": 0}, {"limit": 1001}, {"wait_usec": 301_000_000}):
        with pytest.raises(InvalidSpec, match=next(iter(options))):
            await ground.ask(job, **options)


async def status(ground: Ground, **options: Typed) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(await ground.handler.get_status(options))
    return told


async def test_a_status_has_the_groups_asked_for(ground: Ground) -> None:
    whole = await status(ground, window_usec=Typed("t", 200_000))
    assert whole["host"]["hostname"] == "box"
    assert whole["cpu"]["load"] == [0.1, 0.2, 0.3]
    assert "memory" not in whole  # this host has none to tell
    part = await status(ground, groups=Typed("as", ["cpu"]), window_usec=Typed("u", 200_000))
    assert "processes" not in part
    assert part["cpu"]["cores"] == 2


async def test_commands_of_processes_are_for_who_manages_all(ground: Ground) -> None:
    short = {"window_usec": Typed("t", 200_000)}
    [process] = (await status(ground, **short))["processes"]["top_by_cpu"]
    assert process["command"] == "command of 1"
    ground.authority.allowed.clear()
    [process] = (await status(ground, **short))["processes"]["top_by_cpu"]
    assert process["name"] == "p1"
    assert {"command", "user"}.isdisjoint(process)
    ground.authority.asked.clear()
    await status(ground, groups=Typed("as", ["cpu"]), **short)
    assert Action.MANAGE_ALL not in ground.authority.asked


@pytest.mark.parametrize(
    "options",
    [
        {"groups": Typed("as", ["gpu"])},
        {"window_usec": Typed("t", 1)},
        {"window_usec": Typed("t", 60_000_000)},
        {"interval": Typed("t", 1)},
    ],
)
async def test_a_status_with_wrong_options_is_refused(
    ground: Ground, options: dict[str, Typed]
) -> None:
    with pytest.raises(InvalidSpec, match=next(iter(options))):
        await ground.handler.get_status(options)
