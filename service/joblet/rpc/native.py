"""Messages of joblet1.proto to the client's vocabulary and back, for both ends of a call. Pure.

The contract has the names of the vocabulary, so fields are copied by name; what has no such
counterpart is spelled out. A message from a stranger is read into a request that jobletd judges;
refused here is only what has no form in a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from joblet.client.api import (
    GAP,
    STDERR,
    STDOUT,
    JobPage,
    JobQuery,
    JobStatus,
    LogPiece,
    LogRequest,
    broken,
    job_status,
)
from joblet.client.looks import Explanation, JobEvent, UsageReport, usage_report
from joblet.errors import DBUS_ERROR_PREFIX, InvalidSpec, JobletError, RemoteError
from joblet.model.job import JobSpec
from joblet.model.limits import BadLimit, parse_cpus, print_cpus
from joblet.model.states import JobState, Reason
from joblet.rpc.pb import joblet1_pb2 as pb

MASK = "***"
PAGE_MAX = 1000

# Of a trailer: the last part of the error's name on the bus. Who has it was refused by the
# daemon or the bridge; who has not lost the connection.
ERROR_TRAILER = "joblet-error"

_PRESENT = [field.name for field in pb.Spec.DESCRIPTOR.fields]


def spec_message(spec: JobSpec) -> pb.Spec:
    """A spec; what was left at its default is the daemon's to fill."""
    message = limits_message(
        {
            name: getattr(spec, name)
            for name in _PRESENT
            if name not in ("command", "args", "environment")
            and getattr(spec, name) != getattr(_DEFAULTS, name)
        }
    )
    message.command = spec.command
    message.args.extend(spec.args)
    message.environment.extend(variables(spec.environment))
    return message


_DEFAULTS = JobSpec(command="")


def limits_message(limits: Mapping[str, object]) -> pb.Spec:
    """Some fields of a spec, by name."""
    message = pb.Spec()
    for name, value in limits.items():
        setattr(message, name, print_cpus(value) if isinstance(value, tuple) else value)
    return message


def read_spec(message: pb.Spec) -> JobSpec:
    """What is asked for. Raises InvalidSpec."""
    return JobSpec(
        command=message.command,
        args=tuple(message.args),
        environment=read_variables(message.environment),
        **read_limits(message),  # type: ignore[arg-type]
    )


def read_limits(message: pb.Spec) -> dict[str, object]:
    """The fields that are there, but for those of a command. Raises InvalidSpec."""
    found: dict[str, object] = {}
    for field, value in message.ListFields():
        if field.name == "cpu_cores":
            found[field.name] = _cpus(value)
        elif field.name not in ("command", "args", "environment"):
            found[field.name] = value
    return found


def variables(given: Mapping[str, str]) -> list[pb.Variable]:
    """Names and values, in their order."""
    return [pb.Variable(name=name, value=value) for name, value in given.items()]


def read_variables(given: Iterable[pb.Variable]) -> dict[str, str]:
    """Names and values, in their order."""
    return {one.name: one.value for one in given}


def _cpus(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    try:
        return parse_cpus(text)
    except BadLimit as err:
        raise InvalidSpec("cpu_cores", str(err)) from err


def status_message(status: JobStatus) -> pb.Status:
    """What is known of a job; no value of a secret goes out, whatever was put there."""
    message = pb.Status()
    for name, value in status.known().items():
        if name == "secrets" and status.secrets is not None:
            value = dict.fromkeys(status.secrets, MASK)
        if isinstance(value, Mapping):
            holder = getattr(message, name)
            holder.SetInParent()
            holder.items.extend(variables(value))
        elif isinstance(value, tuple):
            holder = getattr(message, name)
            holder.SetInParent()
            holder.items.extend(value)
        else:
            setattr(message, name, value)
    return message


def read_status(message: pb.Status) -> JobStatus:
    """What is told of a job. Raises RemoteError."""
    keys: dict[str, object] = {}
    for field, value in message.ListFields():
        match value:
            case pb.Words():
                keys[field.name] = tuple(value.items)
            case pb.Variables():
                keys[field.name] = read_variables(value.items)
            case _:
                keys[field.name] = value
    return job_status(keys)


def answers_message(found: Iterable[JobStatus | BaseException]) -> pb.Answers:
    """One answer for each reference. Raises what is no JobletError."""
    message = pb.Answers()
    for one in found:
        if isinstance(one, JobStatus):
            message.answers.add(status=status_message(one))
        elif isinstance(one, JobletError):
            message.answers.add(error=pb.Error(code=one.code, message=str(one)))
        else:
            raise one
    return message


def read_answers(message: pb.Answers, asked: int, *, node: str) -> list[JobStatus | JobletError]:
    """In the order asked for. Raises RemoteError."""
    if len(message.answers) != asked:
        raise broken(f"{len(message.answers)} statuses for {asked} jobs")
    return [
        RemoteError(error_name(one.error.code), one.error.message, node=node)
        if one.WhichOneof("answer") == "error"
        else read_status(one.status)
        for one in message.answers
    ]


def error_name(code: str) -> str:
    """The name on the bus of an error whose last part was sent."""
    return code if "." in code else DBUS_ERROR_PREFIX + code


def query_message(query: JobQuery) -> pb.Query:
    """Which page of the list."""
    return pb.Query(
        states=[state.value for state in query.states],
        mine=query.mine,
        limit=query.limit,
        cursor=query.cursor,
    )


def read_query(message: pb.Query) -> JobQuery:
    """Which page of the list. Raises InvalidSpec."""
    if not 1 <= message.limit <= PAGE_MAX:
        raise InvalidSpec("limit", f"use 1 to {PAGE_MAX}, not {message.limit}")
    try:
        states = tuple(JobState(state) for state in message.states)
    except ValueError as err:
        raise InvalidSpec("states", f"known are {', '.join(JobState)}") from err
    return JobQuery(states=states, mine=message.mine, limit=message.limit, cursor=message.cursor)


def page_message(jobs: Sequence[JobStatus], following: str) -> pb.Page:
    """One page of the list."""
    return pb.Page(jobs=map(status_message, jobs), next=following)


def read_page(message: pb.Page) -> JobPage:
    """One page of the list. Raises RemoteError."""
    return JobPage([read_status(job) for job in message.jobs], message.next)


def log_request_message(job: str, request: LogRequest) -> pb.LogRequest:
    """Which part of which log."""
    return pb.LogRequest(
        job=job,
        follow=request.follow,
        tail_lines=request.tail_lines,
        since_usec=request.since_usec,
        stream=request.stream or "",
        offset=request.offset,
    )


def read_log_request(message: pb.LogRequest) -> LogRequest:
    """Which part of a log. Raises InvalidSpec."""
    if message.stream not in ("", STDOUT, STDERR):
        raise InvalidSpec("stream", f"use {STDOUT} or {STDERR}, or nothing for both")
    optional = {
        name: getattr(message, name)
        for name in ("tail_lines", "since_usec", "offset")
        if message.HasField(name)
    }
    return LogRequest(follow=message.follow, stream=message.stream or None, **optional)


def piece_message(piece: LogPiece) -> pb.LogPiece:
    """A piece of a log."""
    return pb.LogPiece(
        stream=piece.stream,
        time_ns=piece.time_ns,
        data=piece.data,
        lost_bytes=piece.lost_bytes,
        after=piece.after,
    )


def read_piece(message: pb.LogPiece) -> LogPiece:
    """A piece of a log. Raises RemoteError."""
    if message.stream not in (STDOUT, STDERR, GAP):
        raise broken(f"a stream '{message.stream}', unknown here: it may be newer")
    return LogPiece(
        message.stream, message.time_ns, message.data, message.lost_bytes, message.after
    )


def event_message(event: JobEvent) -> pb.Event:
    """Something that happened to a job."""
    told = {key: value for key, value in asdict(event).items() if value is not None}
    return pb.Event(**told)


def read_event(message: pb.Event) -> JobEvent:
    """Something that happened to a job. Raises RemoteError."""
    try:
        return JobEvent(
            event=message.event,
            id=message.id,
            time_usec=message.time_usec,
            state=JobState(message.state) if message.HasField("state") else None,
            reason=Reason(message.reason) if message.HasField("reason") else None,
            exit_code=message.exit_code if message.HasField("exit_code") else None,
        )
    except ValueError as err:
        raise broken(f"an event that this client cannot read ({err})") from err


def usage_message(report: UsageReport) -> pb.UsageReport:
    """A look at the host."""
    message = pb.UsageReport(clock_usec=report.clock_usec, host=pb.HostUsage(**asdict(report.host)))
    for job in report.jobs:
        known = {part.name: getattr(job, part.name) for part in fields(job)}
        message.jobs.add(**{name: value for name, value in known.items() if value is not None})
    return message


def read_usage(message: pb.UsageReport) -> UsageReport:
    """A look at the host. Raises RemoteError."""
    return usage_report(
        {
            "clock_usec": message.clock_usec,
            "host": _all_fields(message.host),
            "jobs": [_all_fields(job) for job in message.jobs],
        }
    )


def _all_fields(message: Any) -> dict[str, object]:
    """By name, zeros included; without those that can be absent and are."""
    return {
        field.name: getattr(message, field.name)
        for field in message.DESCRIPTOR.fields
        if field.containing_oneof is None or message.HasField(field.name)
    }


def explanation_message(told: Explanation) -> pb.Explanation:
    """What a job would be."""
    return pb.Explanation(
        state=told.state.value,
        due_usec=told.due_usec,
        spec=_entries(told.spec),
        unit=told.unit,
        properties=_entries(told.properties),
        steps=told.steps,
    )


def read_explanation(message: pb.Explanation) -> Explanation:
    """What a job would be. Raises RemoteError."""
    try:
        state = JobState(message.state)
    except ValueError as err:
        raise broken(f"an explanation that this client cannot read ({err})") from err
    return Explanation(
        state=state,
        due_usec=message.due_usec,
        spec=_plain_entries(message.spec),
        unit=message.unit,
        properties=_plain_entries(message.properties),
        steps=tuple(message.steps),
    )


def _entries(values: Mapping[str, object]) -> list[pb.Entry]:
    return [pb.Entry(name=name, value=_value(value)) for name, value in values.items()]


def _plain_entries(entries: Iterable[pb.Entry]) -> dict[str, object]:
    return {entry.name: _plain(entry.value) for entry in entries}


def _value(value: object) -> pb.Value:
    match value:
        case bool():
            return pb.Value(flag=value)
        case int():
            return pb.Value(number=value) if value >= 0 else pb.Value(signed=value)
        case float():
            return pb.Value(real=value)
        case bytes():
            return pb.Value(data=value)
        case Mapping():
            return pb.Value(entries=pb.Entries(items=_entries(value)))
        case str():
            return pb.Value(text=value)
        case Sequence():
            return pb.Value(list=pb.Values(items=map(_value, value)))
        case _:
            raise TypeError(f"a {type(value).__name__} has no form here")


def _plain(value: pb.Value) -> object:
    kind = value.WhichOneof("kind")
    if kind is None:
        raise broken("a value of a kind that this client does not know")
    if kind == "list":
        return [_plain(item) for item in value.list.items]
    if kind == "entries":
        return _plain_entries(value.entries.items)
    return getattr(value, kind)
