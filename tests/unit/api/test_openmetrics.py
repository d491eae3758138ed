"""OpenMetrics on a Unix socket: what is said, to whom, and never of which job."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from joblet.api import openmetrics
from joblet.api.openmetrics import CONTENT_TYPE, Endpoint, written
from joblet.core.hoststatus import HostMonitor
from joblet.errors import HostFailure
from joblet.host import metricsocket
from joblet.model.job import JobSpec, JobState, Reason
from tests.fakes.jobservice import FakeJobManager
from tests.unit.core.test_hoststatus import FakeProbe

_LINE = re.compile(
    r'[a-z_0-9]+(\{[a-z_]+="(?:[^"\\]|\\.)*"(,[a-z_]+="(?:[^"\\]|\\.)*")*\})? -?[0-9.e+-]+'
)


class Ground:
    """An endpoint on a socket."""

    def __init__(self, folder: Path) -> None:
        self.jobs = FakeJobManager()
        self.probe = FakeProbe()
        self.endpoint = Endpoint(self.jobs, HostMonitor(self.probe), version='1.0"')
        self.path = str(folder / "metrics.sock")

    async def ask(self, request: str) -> tuple[str, str]:
        """Status line and headers, and the body."""
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(request.encode())
        async with asyncio.timeout(30):
            answer = await reader.read()
        writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        return head, body


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    made = Ground(tmp_path)
    listener = metricsocket.listen(made.path, group="root")
    async with made.endpoint.serving(listener, made.jobs.feed):
        yield made


async def test_a_collector_is_given_everything(ground: Ground) -> None:
    head, body = await ground.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert f"Content-Type: {CONTENT_TYPE}\r\n" in head
    assert f"Content-Length: {len(body.encode())}\r\n" in head
    lines = body.splitlines()
    assert lines[-1] == "# EOF"
    assert 'joblet_info{version="1.0\\""} 1' in lines
    assert "host_load5 0.2" in lines
    assert 'host_cpu_seconds_total{mode="idle"} 0.0' in lines


async def test_every_line_keeps_to_the_format(ground: Ground) -> None:
    families: list[str] = []
    for line in (await ground.endpoint.text()).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert kind in ("counter", "gauge", "info")
            families.append(name)
        elif not line.startswith("#"):
            assert _LINE.fullmatch(line), line
            assert line.startswith(families[-1])
    assert len(families) == len(set(families))


async def test_ends_are_counted_and_no_job_is_named(ground: Ground) -> None:
    spec = JobSpec(command="true", name="secretname")
    for code in (0, 3, 4):
        job = ground.jobs.start(ground.jobs.put(owner_uid=4711, spec=spec).id)
        state = JobState.FAILED if code else JobState.COMPLETED
        ground.jobs.end(job.id, state, Reason.EXIT, code)
    text = await ground.endpoint.text()
    assert 'joblet_jobs_finished_total{state="FAILED",reason="exit"} 2' in text
    assert 'joblet_jobs_finished_total{state="COMPLETED",reason="exit"} 1' in text
    for private in (*ground.jobs.jobs, "secretname", "4711"):
        assert private not in text


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET / HTTP/1.1", "404"), ("POST /metrics HTTP/1.1", "405"), ("nonsense", "404")],
)
async def test_anything_else_is_refused(ground: Ground, request_line: str, status: str) -> None:
    head, _ = await ground.ask(f"{request_line}\r\n\r\n")
    assert head.split()[1] == status


async def test_a_head_has_no_body(ground: Ground) -> None:
    head, body = await ground.ask("HEAD /metrics HTTP/1.1\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert body == ""


async def test_a_request_without_end_is_cut_off(ground: Ground) -> None:
    head, body = await ground.ask("GET /metrics HTTP/1.1\r\n" + "X: y\r\n" * 5000)
    assert (head, body) == ("", "")


async def test_who_says_nothing_is_let_go(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmetrics, "_PATIENCE_S", 0.01)
    assert await ground.ask("GET") == ("", "")


async def test_a_host_that_cannot_be_looked_at_is_503(ground: Ground) -> None:
    ground.probe.fails = True
    head, body = await ground.ask("GET /metrics HTTP/1.1\r\n\r\n")
    assert head.startswith("HTTP/1.1 503")
    assert "look at the host" in body


def test_a_family_without_samples_is_left_out() -> None:
    assert written([("a", "gauge", "A.", [])]) == "# EOF\n"


def test_the_socket_is_for_root_and_one_group(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    metricsocket.listen(path, group="no-such-group").close()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    # in the place of the one that a daemon has left
    listener = metricsocket.listen(path, group="root")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert not listener.getblocking()
    listener.close()


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match="metrics"):
        metricsocket.listen(str(tmp_path / "none/socket"))
