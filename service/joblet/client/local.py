"""JobletClient over D-Bus: the jobletd of this host, asked through org.joblet1.Manager.

Owns the translation between the client's vocabulary and the messages of the contract, the deadline
of each call and what is worth asking again. Leaves the bus to joblet.bus and the log format to
follow.py, which reads the log from descriptors without the daemon.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from joblet.bus.connection import PROPERTIES, Connection, MatchRule, Signal, Typed
from joblet.client.api import (
    NO_ATTACHMENTS,
    Attachments,
    JobPage,
    JobQuery,
    JobStatus,
    LogPiece,
    LogRequest,
    broken,
    job_status,
)
from joblet.client.monitorcalls import MonitorCalls
from joblet.errors import HostFailure, JobletError, RemoteError, Unreachable
from joblet.model.ids import ROOT_PATH, job_id_of_path
from joblet.model.limits import print_cpus
from joblet.model.states import JobState, Reason
from joblet.records.framing import BadRecord

if TYPE_CHECKING:
    from joblet.client.follow import Watches
    from joblet.model.job import JobSpec

if TYPE_CHECKING:
    from joblet.client.looks import Explanation, JobEvent, UsageReport

DESTINATION = "org.joblet1"
MANAGER = "org.joblet1.Manager"
_EVENT_RULES = (
    MatchRule(DESTINATION, MANAGER, "JobNew", ROOT_PATH),
    MatchRule(DESTINATION, MANAGER, "JobFinished", ROOT_PATH),
    MatchRule(DESTINATION, PROPERTIES, "PropertiesChanged", arg0="org.joblet1.Job"),
)
Kind = TypeVar("Kind")

NO_REPLY = "org.freedesktop.DBus.Error.NoReply"

# An answer that needs no more than the daemon's memory and disk.
_READ_DEADLINE_S = 30
# polkit may ask a person for a password first.
_CHANGE_DEADLINE_S = 120
# The one who sends sets the pace; as long as the daemon itself would wait.
_UPLOAD_DEADLINE_S = 6 * 3600
# A wait is asked for in rounds, so that a reply which was lost is missed for one round at most.
_WAIT_ROUND_USEC = 300 * 1_000_000
# As long as a restart of the daemon with a large store may take.
RESTART_PATIENCE_S = 60.0
_RETRY_FIRST_S = 0.05
_RETRY_LAST_S = 1.0
# A daemon that is told to stop is gone within so long; its successor is waited for by the bus.
_AGAIN_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)

_SPEC_SIGNATURES = {
    "command": "s",
    "args": "as",
    "name": "s",
    "environment": "a{ss}",
    "timeout_usec": "t",
    "stop_grace_usec": "t",
    "start_at_usec": "t",
    "max_cpu": "u",
    "cpu_weight": "u",
    "cpu_cores": "s",
    "max_memory": "t",
    "max_io_bps": "t",
    "max_iops": "t",
    "io_weight": "u",
    "max_tasks": "t",
    "max_work": "t",
    "max_tmp": "t",
    "max_shm": "t",
    "user": "u",
    "network": "s",
    "init": "b",
}
# What a spec says of its attachments; the attachments themselves are keys of their own.
_ATTACHMENT_SIGNATURES = {"secrets": "a{ss}", "upload_tar": "h", "upload_directory": "h"}
# Fields of a spec that the daemon alone fills.
DAEMONS_OWN = ("revision", "secret_names", "uploaded")
# As many as the daemon answers at once.
_STATUSES_MAX = 256
# The bus refuses the call after the 128th of a connection that waits for an answer.
_CALLS_MAX = 120


class LocalClient(MonitorCalls):
    """One connection to the system bus; fulfils JobletClient."""

    def __init__(
        self, connection: Connection, *, restart_patience_s: float = RESTART_PATIENCE_S
    ) -> None:
        self._connection = connection
        self._restart_patience_s = restart_patience_s
        # One for all logs: a user has few inotify instances (fs.inotify.max_user_instances).
        self._watches: Watches | None = None
        self._room = asyncio.Semaphore(_CALLS_MAX)

    @classmethod
    @asynccontextmanager
    async def connect(cls, address: str | None = None) -> AsyncIterator[LocalClient]:
        """Connected while the context lasts, by default to the system bus. Raises Unreachable."""
        try:
            connection = await (
                Connection.system() if address is None else Connection.open(address)
            )
        except Unreachable as err:
            raise Unreachable(f"there is no system bus to reach jobletd on: {err}") from err
        try:
            yield cls(connection)
        finally:
            await connection.close()

    @property
    def closed(self) -> asyncio.Future[str]:
        """Done when the connection to the bus has ended."""
        return self._connection.closed

    async def run(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> str:
        """Submit a job; its whole id."""
        options = _run_options(spec, attached)
        deadline_s: float = _CHANGE_DEADLINE_S
        for name, fd in (("upload_tar", attached.tar), ("upload_directory", attached.directory)):
            if fd is not None:
                options[name] = Typed("h", fd)
                deadline_s = _UPLOAD_DEADLINE_S
        job_id, _ = await self._call("RunJob", "a{sv}", [options], 2, deadline_s, interactive=True)
        return expect(str, job_id)

    async def explain(self, spec: JobSpec, attached: Attachments = NO_ATTACHMENTS) -> Explanation:
        """What `run` would make of the same."""
        from joblet.client.looks import Explanation

        options = _run_options(spec, attached)
        [told] = await self._change("ExplainJob", "a{sv}", [options], 1)
        keys = expect(dict, told)
        try:
            return Explanation(
                state=JobState(keys["state"]),
                due_usec=expect(int, keys["due_usec"]),
                spec=expect(dict, keys["spec"]),
                unit=expect(str, keys["unit"]),
                properties=expect(dict, keys["properties"]),
                steps=tuple(expect(list, keys["steps"])),
            )
        except (KeyError, ValueError) as err:
            raise broken(f"an explanation that this client cannot read ({err})") from err

    async def usage(self) -> UsageReport:
        """What the host and its running jobs use right now."""
        from joblet.client.looks import usage_report

        [encoded] = await self._read("ListUsage", "a{sv}", [{}], 1)
        try:
            return usage_report(expect(dict, json.loads(expect(bytes, encoded))))
        except ValueError as err:
            raise broken(f"a usage that is not JSON ({err})") from err

    async def version(self) -> str:
        """The version of the daemon."""
        answer = await self._get("Version")
        return expect(str, answer)

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """What happens to jobs from now on, also to those of a daemon that is started later."""
        heard: asyncio.Queue[JobEvent | JobletError] = asyncio.Queue()

        def hear(signal: Signal) -> None:
            try:
                event = _event(signal)
            except RemoteError as err:
                heard.put_nowait(err)
                return
            if event is not None:
                heard.put_nowait(event)

        def end(why: asyncio.Future[str]) -> None:
            heard.put_nowait(Unreachable(f"the system bus is gone: {why.result()}"))

        closed = self._connection.closed
        async with AsyncExitStack() as stack:
            for rule in _EVENT_RULES:
                await stack.enter_async_context(self._connection.subscribe(rule, hear))
            closed.add_done_callback(end)
            stack.callback(closed.remove_done_callback, end)
            # A daemon that could not be started would never be heard.
            await self.version()
            while True:
                event = await heard.get()
                if isinstance(event, JobletError):
                    raise event
                yield event

    async def files(self, job: str, path: str) -> int:
        """A path of the job's /work as a tar stream; the caller closes the descriptor."""
        [stream] = await self._call("GetFiles", "ssa{sv}", [job, path, {}], 1, _CHANGE_DEADLINE_S)
        return expect(int, stream)

    async def status(self, job: str) -> JobStatus:
        """What is known of a job."""
        [keys] = await self._read("GetJob", "s", [job], 1)
        return job_status(expect(dict, keys))

    async def statuses(self, jobs: Sequence[str]) -> list[JobStatus | JobletError]:
        """Many jobs in few questions."""
        found: list[JobStatus | JobletError] = []
        while len(found) < len(jobs):
            asked = list(jobs[len(found) : len(found) + _STATUSES_MAX])
            [encoded] = await self._read("GetJobsEncoded", "as", [asked], 1)
            answers = _array(encoded)
            if not 1 <= len(answers) <= len(asked):
                raise broken(f"{len(answers)} statuses for {len(asked)} jobs")
            found += map(_status_or_error, answers)
        return found

    async def list_jobs(self, query: JobQuery) -> JobPage:
        """One page of jobs."""
        options = {"limit": Typed("u", query.limit)}
        if query.states:
            options["states"] = Typed("as", [str(state) for state in query.states])
        if query.mine:
            options["mine"] = Typed("b", True)
        if query.cursor:
            options["cursor"] = Typed("s", query.cursor)
        encoded, following = await self._read("ListJobsEncoded", "a{sv}", [options], 2)
        page = [job_status(expect(dict, job)) for job in _array(encoded)]
        return JobPage(page, expect(str, following))

    async def wait(self, job: str, *, timeout_usec: int = 0) -> JobStatus:
        """Return when the job has ended, or after the time (0: never)."""
        end_s = time.monotonic() + timeout_usec / 1_000_000
        silent_since_s: float | None = None
        delay_s = _RETRY_FIRST_S
        while True:
            round_usec = _WAIT_ROUND_USEC
            if timeout_usec:
                left_usec = round((end_s - time.monotonic()) * 1_000_000)
                # 0 would mean: without end
                round_usec = max(1, min(round_usec, left_usec))
            try:
                deadline_s = round_usec / 1e6 + _READ_DEADLINE_S
                [keys] = await self._call("WaitJob", "st", [job, round_usec], 1, deadline_s)
            except (RemoteError, Unreachable) as err:
                now_s = time.monotonic()
                if silent_since_s is None:
                    silent_since_s = now_s
                silent_s = now_s - silent_since_s
                if not self._may_come_back(err) or silent_s > self._restart_patience_s:
                    raise
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, _RETRY_LAST_S)
                continue
            silent_since_s = None
            delay_s = _RETRY_FIRST_S
            status = job_status(expect(dict, keys))
            if status.state.terminal or (timeout_usec and time.monotonic() >= end_s):
                return status
            # The whole id from now on: another job may come to share the prefix.
            job = status.id

    async def stop(self, job: str) -> str:
        """Ask a job to end; its whole id."""
        [job_id] = await self._change("StopJob", "sa{sv}", [job, {}], 1)
        return expect(str, job_id)

    async def update(self, job: str, limits: Mapping[str, object]) -> str:
        """Give a job other limits; its whole id."""
        options = {name: _wire(name, value) for name, value in limits.items()}
        [job_id] = await self._change("UpdateJob", "sa{sv}", [job, options], 1)
        return expect(str, job_id)

    async def cancel(self, job: str) -> str:
        """Give up a job that has not started; its whole id."""
        [job_id] = await self._change("CancelJob", "s", [job], 1)
        return expect(str, job_id)

    async def delete(self, job: str) -> str:
        """Remove an ended job with its log; its whole id."""
        [job_id] = await self._change("DeleteJob", "s", [job], 1)
        return expect(str, job_id)

    async def delete_all(self, *, everybody: bool = False) -> tuple[int, int]:
        """Remove all ended jobs: how many, and how many live on."""
        options = {"all": Typed("b", True)} if everybody else {}
        deleted, skipped = await self._change("DeleteAllJobs", "a{sv}", [options], 2)
        return expect(int, deleted), expect(int, skipped)

    async def log(self, job: str, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """The log from where the request says, to its end."""
        # ctypes costs milliseconds that only a reader of logs should pay
        from joblet.client.follow import Watches, pieces

        if self._watches is None:
            self._watches = Watches()
        reply = await self._read("OpenLog", "sa{sv}", [job, {}], 3)
        log_fd, index_fd = expect(int, reply[0]), expect(int, reply[1])
        try:
            async with aclosing(pieces(log_fd, index_fd, request, self._watches)) as found:
                async for piece in found:
                    yield piece
        except BadRecord as err:
            raise broken(f"a log that this client cannot read ({err})") from err
        except OSError as err:
            raise HostFailure("read the log", err.errno or 0) from err
        finally:
            os.close(log_fd)
            os.close(index_fd)

    async def _read(
        self,
        member: str,
        signature: str,
        body: Sequence[object],
        answers: int,
        *,
        interface: str = MANAGER,
    ) -> list[object]:
        """The answer to a question; asked again while a daemon ends that takes answers along."""
        delays_s = iter(_AGAIN_S)
        while True:
            asked_s = time.monotonic()
            try:
                return await self._call(
                    member, signature, body, answers, _READ_DEADLINE_S, interface=interface
                )
            except RemoteError as err:
                # a daemon that is there and silent will not have more to say the second time
                silent = time.monotonic() - asked_s >= _READ_DEADLINE_S
                delay_s = next(delays_s, None)
                if err.dbus_name != NO_REPLY or silent or delay_s is None:
                    raise
            await asyncio.sleep(delay_s)

    async def _change(
        self, member: str, signature: str, body: Sequence[object], answers: int
    ) -> list[object]:
        return await self._call(
            member, signature, body, answers, _CHANGE_DEADLINE_S, interactive=True
        )

    async def _get(self, name: str) -> object:
        [value] = await self._read("Get", "ss", [MANAGER, name], 1, interface=PROPERTIES)
        return value

    async def _call(
        self,
        member: str,
        signature: str,
        body: Sequence[object],
        answers: int,
        deadline_s: float,
        *,
        interactive: bool = False,
        interface: str = MANAGER,
    ) -> list[object]:
        try:
            async with self._room:
                reply, _ = await self._connection.call(
                    DESTINATION,
                    ROOT_PATH,
                    interface,
                    member,
                    signature,
                    body,
                    deadline_s=deadline_s,
                    interactive=interactive,
                )
        except Unreachable as err:
            if self._connection.closed.done():
                raise
            raise Unreachable(
                "jobletd is not running and could not be started; is it installed? "
                f"'systemctl status jobletd' may say more ({err})"
            ) from err
        if len(reply) != answers:
            raise broken(f"{len(reply)} values as the answer to {member}")
        return reply

    def _may_come_back(self, err: RemoteError | Unreachable) -> bool:
        if self._connection.closed.done():
            return False
        return isinstance(err, Unreachable) or err.dbus_name == NO_REPLY


def expect(kind: type[Kind], value: object) -> Kind:
    """The value, if the daemon kept to the contract. Raises RemoteError."""
    if not isinstance(value, kind):
        raise broken(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _array(encoded: object) -> list[object]:
    try:
        return expect(list, json.loads(expect(bytes, encoded)))
    except ValueError as err:
        raise broken(f"a list that is not JSON ({err})") from err


def _status_or_error(answer: object) -> JobStatus | JobletError:
    keys = expect(dict, answer)
    if "error" in keys:
        return RemoteError(str(keys["error"]), str(keys.get("message", "")))
    return job_status(keys)


def spec_options(spec: JobSpec) -> dict[str, Typed]:
    """The spec as Manager.RunJob takes it; what was left at its default is the daemon's to fill."""
    # for those alone who have one: its classes cost milliseconds
    from joblet.model.job import JobSpec

    defaults = JobSpec(command="")
    options = {}
    for name in _SPEC_SIGNATURES:
        value = getattr(spec, name)
        if name == "command" or value != getattr(defaults, name):
            options[name] = _wire(name, value)
    return options


def _run_options(spec: JobSpec, attached: Attachments) -> dict[str, Typed]:
    options = spec_options(spec)
    if attached.secrets:
        options["secrets"] = Typed("a{ss}", dict(attached.secrets))
    if attached.remote is not None:
        options["remote_subject"] = Typed("s", attached.remote.subject)
        options["remote_role"] = Typed("s", attached.remote.role)
    return options


def _event(signal: Signal) -> JobEvent | None:
    """What a signal tells, or None: nothing of a state. Raises RemoteError."""
    from joblet.client.looks import FINISHED, NEW, STATE, JobEvent

    now_usec = time.time_ns() // 1000
    try:
        if signal.member == "JobNew":
            job_id, _path = signal.body
            return JobEvent(event=NEW, id=expect(str, job_id), time_usec=now_usec)
        if signal.member == "JobFinished":
            job_id, _path, state, reason, exit_code = signal.body
            return JobEvent(
                event=FINISHED,
                id=expect(str, job_id),
                time_usec=now_usec,
                state=JobState(state),
                reason=Reason(reason),
                exit_code=expect(int, exit_code),
            )
        _interface, properties, _invalidated = signal.body
        changed = expect(dict, properties)
        changed_id = job_id_of_path(signal.path)
        if changed_id is None or "State" not in changed:
            return None
        state = JobState(changed["State"])
    except ValueError as err:
        raise broken(f"a signal {signal.member} that this client cannot read ({err})") from err
    # JobFinished tells more of it.
    if state.terminal:
        return None
    return JobEvent(event=STATE, id=changed_id, time_usec=now_usec, state=state)


def _wire(name: str, value: object) -> Typed:
    signature = _SPEC_SIGNATURES[name]
    if isinstance(value, tuple):
        value = print_cpus(value) if signature == "s" else list(value)
    return Typed(signature, value)
