"""joblet1.proto carries the whole vocabulary of clients, both ways."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from joblet.client.api import (
    GAP,
    STDERR,
    JobQuery,
    JobStatus,
    LogPiece,
    LogRequest,
)
from joblet.client.local import DAEMONS_OWN
from joblet.client.looks import FINISHED, NEW, Explanation, JobEvent, JobUsage, UsageReport
from joblet.errors import InvalidSpec, NotFound, RemoteError
from joblet.model.job import JobSpec
from joblet.model.states import JobState, Reason
from joblet.rpc import native
from joblet.rpc.pb import joblet1_pb2 as pb
from tests.fakes.client import HOST, ended, job, job_id

SPEC = JobSpec(
    command="sh",
    args=("-c", "", "ü\n"),
    name="n",
    environment={"A": "1", "EMPTY": ""},
    timeout_usec=0,
    stop_grace_usec=2_000_000,
    start_at_usec=1_600_000_000_000_000,
    max_cpu=150,
    cpu_weight=7,
    cpu_cores=(0, 1, 2, 5),
    max_memory=(1 << 63) - 1,
    max_io_bps=1,
    max_iops=2,
    io_weight=3,
    max_tasks=0,
    max_work=4,
    max_tmp=5,
    max_shm=6,
    user=0,
    network="none",
    init=True,
)
EVERYTHING: dict[str, object] = {
    "int": 7,
    "str": "text",
    "bool": False,
    "JobState": JobState.FAILED,
    "Reason": Reason.OOM,
    "tuple[str, ...]": ("", "x"),
    "Mapping[str, str]": {"A": "1", "B": ""},
}


def full_status() -> JobStatus:
    """A job of which everything is known."""
    values = {
        part.name: EVERYTHING[str(part.type).removesuffix(" | None")] for part in fields(JobStatus)
    }
    return JobStatus(**values)  # type: ignore[arg-type]


def test_a_spec_arrives_as_it_was_sent() -> None:
    assert native.read_spec(native.spec_message(SPEC)) == SPEC


def test_what_was_left_out_of_a_spec_is_left_to_the_daemon() -> None:
    message = native.spec_message(JobSpec(command="true"))
    assert [field.name for field, _ in message.ListFields()] == ["command"]
    assert native.read_spec(message) == JobSpec(command="true")


def test_the_contract_has_every_field_of_a_spec_and_of_a_status() -> None:
    spec = {part.name for part in fields(JobSpec)} - set(DAEMONS_OWN)
    assert set(pb.Spec.DESCRIPTOR.fields_by_name) == spec
    status = {part.name for part in fields(JobStatus)}
    assert set(pb.Status.DESCRIPTOR.fields_by_name) == status


def test_limits_that_are_not_named_stay_unnamed() -> None:
    limits: dict[str, object] = {"max_memory": 0, "cpu_cores": ()}
    assert native.read_limits(native.limits_message(limits)) == limits


def test_cpus_that_are_none_are_refused_by_their_field() -> None:
    with pytest.raises(InvalidSpec) as refusal:
        native.read_spec(pb.Spec(command="true", cpu_cores="1-0"))
    assert refusal.value.field == "cpu_cores"


def test_a_status_arrives_with_everything_but_the_values_of_secrets() -> None:
    status = full_status()
    masked = replace(status, secrets={"A": "***", "B": "***"})
    assert native.read_status(native.status_message(status)) == masked


def test_what_is_not_known_is_not_known_there_either() -> None:
    bare = job(1)
    assert native.read_status(native.status_message(bare)) == bare
    empty = replace(bare, args=(), environment={}, secrets={}, exit_code=0, command="")
    assert native.read_status(native.status_message(empty)) == empty


def test_answers_keep_their_order_and_say_what_was_not_found() -> None:
    message = native.answers_message([job(1), NotFound("job", "ffff"), ended(2, 3)])
    first, missing, last = native.read_answers(message, 3, node="lab")
    assert (first, last) == (job(1), ended(2, 3))
    assert isinstance(missing, RemoteError)
    assert (missing.code, missing.node, str(missing)) == (
        "NoSuchJob",
        "lab",
        "there is no job 'ffff'",
    )
    with pytest.raises(RemoteError, match="2 statuses for 1"):
        native.read_answers(native.answers_message([job(1), job(2)]), 1, node="lab")


def test_a_query_arrives_and_a_wrong_one_is_refused_by_its_field() -> None:
    query = JobQuery(states=(JobState.RUNNING,), mine=True, limit=7, cursor="c")
    assert native.read_query(native.query_message(query)) == query
    for message, field in (
        (pb.Query(limit=0), "limit"),
        (pb.Query(limit=1001), "limit"),
        (pb.Query(limit=1, states=["DREAMING"]), "states"),
    ):
        with pytest.raises(InvalidSpec) as refusal:
            native.read_query(message)
        assert refusal.value.field == field


def test_a_state_of_a_newer_daemon_is_said_and_not_guessed() -> None:
    message = native.status_message(job(1))
    message.state = "DREAMING"
    with pytest.raises(RemoteError, match="the daemon may be newer"):
        native.read_status(message)


@pytest.mark.parametrize(
    "request_",
    [
        LogRequest(),
        LogRequest(follow=False, tail_lines=0, since_usec=0, stream=STDERR, offset=0),
    ],
)
def test_a_log_request_arrives(request_: LogRequest) -> None:
    assert native.read_log_request(native.log_request_message("j", request_)) == request_


def test_a_piece_of_a_log_arrives_with_its_place() -> None:
    for piece in (LogPiece(STDERR, 5, b"\0\xff", after=9), LogPiece(GAP, 0, b"", 7, 9)):
        read = native.read_piece(native.piece_message(piece))
        assert (read, read.after) == (piece, 9)
    with pytest.raises(RemoteError, match="stdin"):
        native.read_piece(pb.LogPiece(stream="stdin"))


def test_events_arrive() -> None:
    for event in (
        JobEvent(event=NEW, id=job_id(1), time_usec=5),
        JobEvent(
            event=FINISHED,
            id=job_id(1),
            time_usec=5,
            state=JobState.FAILED,
            reason=Reason.EXIT,
            exit_code=0,
        ),
    ):
        assert native.read_event(native.event_message(event)) == event
    with pytest.raises(RemoteError, match="cannot read"):
        native.read_event(pb.Event(state="DREAMING"))


def test_a_look_at_the_host_arrives() -> None:
    bare = JobUsage(id=job_id(1), name="", owner_uid=0, command="true")
    busy = replace(bare, args=("x",), cpu_usec=0, memory_bytes=5, max_cpu=100)
    report = UsageReport(7, replace(HOST, load=0.0, tasks=0), (bare, busy))
    assert native.read_usage(native.usage_message(report)) == report


def test_an_explanation_arrives_in_order_with_values_of_every_kind() -> None:
    properties = {
        "Text": "x",
        "Number": (1 << 64) - 1,
        "Negative": -5,
        "Flag": False,
        "Real": 0.5,
        "Mask": b"\x0b",
        "List": [["/dev/block/8:1", 5], []],
        "Map": {"b": "1", "a": ""},
    }
    told = Explanation(
        state=JobState.SCHEDULED,
        due_usec=5,
        spec={"command": "x"},
        unit="joblet-0.scope",
        properties=properties,
        steps=("one", "two"),
    )
    read = native.read_explanation(native.explanation_message(told))
    assert read == told
    assert list(read.properties) == list(properties)
    with pytest.raises(RemoteError, match="does not know"):
        native.read_explanation(pb.Explanation(state="PENDING", spec=[pb.Entry(name="new")]))
