"""One host, reached both ways: a bus with jobletd's edge on it, and before it a bridge.

All of it but the client runs on an event loop of its own thread; the client is the program itself,
in this one. The bridge is on the bus as another user, as it is on a real host: what it says of
remote users is believed from that uid alone.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from joblet.bridge.wiring import bridge
from joblet.bus.connection import Connection
from joblet.client.local import LocalClient
from joblet.client.nodes import Node, NodesFile
from joblet.config import BridgeConfig
from joblet.core.submissions import NO_SECRETS
from joblet.core.workdir import Draft
from joblet.model.job import Job, JobSpec, JobState, Reason, Remote
from joblet.model.run import Caller, Upload
from joblet.paths import Paths
from jobletctl.__main__ import main
from tests.bridge.authority import Authority
from tests.bus.conftest import PrivateBus
from tests.fakes.edge import Edge, LoggingJobs
from tests.unit.jobletctl.conftest import Done

BRIDGE_UID = 65_534
PATIENCE_S = 60.0
# A uid that no host has a name for, so that it is shown alike everywhere.
OWNER = 4_000_000_000
NODE = "lab"
SUBJECT = "CN=ada,OU=admin,O=Joblet"

Result = TypeVar("Result")


class ScriptedJobs(LoggingJobs):
    """Jobs that run by themselves: to the ending that was prepared, or for ever."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.endings: list[tuple[JobState, Reason, int]] = []
        self.received: list[bytes] = []
        self.out: Mapping[str, bytes] = {}

    async def submit(
        self,
        spec: JobSpec,
        *,
        owner_uid: int,
        remote: Remote | None = None,
        draft: Draft | None = None,
        secrets: Mapping[str, str] = NO_SECRETS,
    ) -> Job:
        job = await super().submit(
            spec, owner_uid=owner_uid, remote=remote, draft=draft, secrets=secrets
        )
        if self.endings:
            state, reason, code = self.endings.pop(0)
            self.start(job.id)
            loop = asyncio.get_running_loop()
            loop.call_later(0.05, self.end, job.id, state, reason, code)
        return job

    async def upload(self, spec: JobSpec, upload: Upload, caller: Caller) -> Draft:
        stream = os.dup(-1 if upload.tar is None else upload.tar)
        self.received.append(await asyncio.to_thread(_all_of, stream))
        return await super().upload(spec, upload, caller)

    async def fetch(self, job_id: str, path: str) -> int:
        self._known(job_id)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            entry = tarfile.TarInfo(path)
            entry.size = len(self.out[path])
            tar.addfile(entry, io.BytesIO(self.out[path]))
        reading, writing = os.pipe()
        # Fits into the pipe.
        os.write(writing, archive.getvalue())
        os.close(writing)
        return reading


def _all_of(stream: int) -> bytes:
    with open(stream, "rb") as file:
        return file.read()


class Host:
    """The host of one test."""

    def __init__(self, bus: PrivateBus, folder: Path, authority: Authority) -> None:
        self.address = bus.address
        self.nodes_path = str(folder / "rnx-config.yml")
        self.jobs: ScriptedJobs
        self._folder = folder
        self._authority = authority
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._end = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._live)

    def start(self) -> None:
        self._thread.start()
        assert self._up.wait(PATIENCE_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        self.jobs.release()

    def do(self, action: Callable[[], Result]) -> Result:
        """Something on the loop of the host, done when this returns."""

        async def act() -> Result:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(PATIENCE_S)

    def put(self, **spec: Any) -> str:
        """A job that waits."""
        given = JobSpec(**{"command": "sh", "args": ("-c", "x y"), **spec})
        return self.do(lambda: self.jobs.put(owner_uid=OWNER, spec=given).id)

    def start_job(self, **spec: Any) -> str:
        job_id = self.put(**spec)
        self.do(lambda: self.jobs.start(job_id))
        return job_id

    def ended(self, code: int = 0, **spec: Any) -> str:
        """A job that has ended with a status of its own."""
        job_id = self.start_job(**spec)
        state = JobState.FAILED if code else JobState.COMPLETED
        self.do(lambda: self.jobs.end(job_id, state, Reason.EXIT, code))
        return job_id

    def _live(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as err:
            self._failure = err
        finally:
            self._up.set()
            self._loop.close()

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            self.jobs = ScriptedJobs(self._folder)
            edge = Edge(lambda: Connection.open(self.address), self.jobs, bridge_uid=BRIDGE_UID)
            await edge.start()
            stack.push_async_callback(edge.stop)
            # The bus takes the user of a connection from the moment of its making.
            os.setresuid(BRIDGE_UID, BRIDGE_UID, 0)
            try:
                client = await stack.enter_async_context(LocalClient.connect(self.address))
            finally:
                os.setresuid(0, 0, 0)
            self._authority.write_server(self._folder / "pki/bridge")
            config = BridgeConfig(listeners=("127.0.0.1:0",), stop_grace_usec=100_000)
            paths = Paths(config=str(self._folder))
            serving = bridge(config, paths, client, alive=lambda: True)
            [port] = await stack.enter_async_context(serving)
            self._write_nodes(port)
            self._up.set()
            await self._end.wait()

    def _write_nodes(self, port: int) -> None:
        pair = self._authority.issue("ada", "admin")
        file = NodesFile()
        pems = (pair.certificate.decode(), pair.key.decode(), self._authority.pem.decode())
        file.put([Node(NODE, f"127.0.0.1:{port}", *pems), Node("gone", "127.0.0.1:1", *pems)])
        Path(self.nodes_path).write_text(file.text())


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The CA of the tests."""
    return Authority()


@pytest.fixture
def host(authority: Authority, tmp_path: Path) -> Iterator[Host]:
    if os.geteuid() != 0:
        pytest.skip("needs root, whom no polkit has to be asked about, and who can be two users")
    # Not below pytest's own directory, which is closed to other users.
    with tempfile.TemporaryDirectory(prefix="joblet-bus-") as directory:
        Path(directory).chmod(0o755)
        bus = PrivateBus(Path(directory))
        made = Host(bus, tmp_path, authority)
        try:
            made.start()
            yield made
            made.stop()
        finally:
            bus.kill()


@dataclass(frozen=True)
class Program:
    """One of the programs, as it reaches the host."""

    name: str
    front: tuple[str, ...]
    connector: Callable[[], AbstractAsyncContextManager[Any]] | None
    capture: pytest.CaptureFixture[bytes]

    def __call__(self, *args: str) -> Done:
        line = [*self.front, *args]
        status = main(line, program=self.name, connector=self.connector)
        seen = self.capture.readouterr()
        return Done(status, seen.out, seen.err.decode(errors="surrogateescape"))

    def run(self, *args: str) -> str:
        """`job run` of a job, by its id."""
        done = self("job", "run", *args)
        assert done.status == 0, done.err
        found = re.search(r"[0-9a-f-]{36}", done.out)
        assert found is not None
        return found[0]


@pytest.fixture
def local(host: Host, capsysbinary: pytest.CaptureFixture[bytes]) -> Program:
    """jobletctl on the host."""
    return Program("jobletctl", (), lambda: LocalClient.connect(host.address), capsysbinary)


@pytest.fixture
def remote(host: Host, capsysbinary: pytest.CaptureFixture[bytes]) -> Program:
    """jobletctl somewhere else."""
    return Program("jobletctl", ("--config", host.nodes_path, "-H", NODE), None, capsysbinary)


@pytest.fixture
def rnx(host: Host, capsysbinary: pytest.CaptureFixture[bytes]) -> Program:
    """rnx somewhere else."""
    return Program("rnx", ("--config", host.nodes_path, "--node", NODE), None, capsysbinary)


@pytest.fixture(params=["jobletctl", "jobletctl -H", "rnx"])
def ctl(request: pytest.FixtureRequest, local: Program, remote: Program, rnx: Program) -> Program:
    """Each program in turn."""
    return {"jobletctl": local, "jobletctl -H": remote, "rnx": rnx}[request.param]
