"""openapi.json, as it is served: it says what the routes, the parameters and the bodies are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from joblet.bridge.https import documents, events
from joblet.bridge.https.server import OPERATIONS, Service
from joblet.bridge.ownership import Ownership
from joblet.client.api import GAP, STDERR, STDOUT, JobPage, JobStatus, LogPiece, job_status
from joblet.errors import InvalidSpec
from joblet.model.states import JobState, Reason
from tests.fakes.client import FakeClient, ended, job

CHECKOUT = Path(__file__).resolve().parents[2]
FILE = CHECKOUT / "service/joblet/bridge/https/openapi.json"
DESCRIPTION: dict[str, Any] = json.loads(FILE.read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]
TYPES: dict[str, type[Any]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference means."""
    found: Any = schema
    while "$ref" in found:
        found = DESCRIPTION
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return dict(found)


def complaints(value: Any, schema: dict[str, Any], where: str = "") -> Iterator[str]:
    """What a JSON value has that its schema rules out; so much of JSON Schema as is used here."""
    schema = resolved(schema)
    # type(), since a bool is an int to isinstance
    kind: object = type(value)
    if kind is not TYPES[schema["type"]]:
        yield f"{where}: {value!r} is no {schema['type']}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    elif schema["type"] == "array":
        for number, item in enumerate(value):
            yield from complaints(item, schema["items"], f"{where}[{number}]")
    elif schema["type"] == "object":
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (
            f"{where}.{key} is missing" for key in schema.get("required", ()) if key not in value
        )
        for key, item in value.items():
            if key in properties:
                yield from complaints(item, properties[key], f"{where}.{key}")
            elif isinstance(more, dict):
                yield from complaints(item, more, f"{where}.{key}")
            elif not more:
                yield f"{where}.{key} is not described"


def check(document: object, name: str) -> None:
    """A body as a client reads it, against its description."""
    assert list(complaints(json.loads(documents.encoded(document)), SCHEMAS[name])) == []


def every_key() -> JobStatus:
    """A job of which everything is known."""
    values = {"string": "x", "integer": 1, "boolean": True, "array": ["x"], "object": {"A": "b"}}
    keys = {
        key: values[resolved(schema)["type"]]
        for key, schema in SCHEMAS["Job"]["properties"].items()
    }
    return job_status(keys | {"state": "FAILED", "reason": "oom", "path": "/org/joblet1/job/x"})


def test_the_checker_finds_what_is_wrong() -> None:
    wrong = {"id": 1, "state": "SLEEPING", "args": ["x", 2], "environment": {"A": 3}, "more": 1}
    found = list(complaints(wrong, SCHEMAS["Job"]))
    assert len(found) == 7


def test_every_route_is_described_and_there_is_no_other() -> None:
    host = FakeClient()
    service = Service(host, None, Ownership(None, own_jobs_only=False), None)  # type: ignore[arg-type]
    routes = {
        (route.resource.canonical, route.method.lower())
        for route in service.application().router.routes()
        if route.resource is not None
    }
    described = {(path, verb) for path, item in DESCRIPTION["paths"].items() for verb in item}
    assert routes == described
    assert set(OPERATIONS) == set(DESCRIPTION["paths"])


def test_a_job_has_the_keys_that_are_described() -> None:
    full = documents.job(every_key())
    assert set(full) == set(SCHEMAS["Job"]["properties"])
    assert set(SCHEMAS["Job"]["properties"]) == set(JobStatus.__dataclass_fields__) - {"path"}
    check(full, "Job")
    check(documents.job(job()), "Job")
    assert set(SCHEMAS["Job"]["required"]) == set(documents.job(job())) - {"name"}


def test_words_are_those_of_the_model() -> None:
    assert SCHEMAS["State"]["enum"] == [state.value for state in JobState]
    assert SCHEMAS["Job"]["properties"]["reason"]["enum"] == [reason.value for reason in Reason]


@pytest.mark.parametrize("following", ["", "17"])
def test_a_page_is_as_described(following: str) -> None:
    jobs = [every_key(), job()]
    check(documents.page(jobs, JobPage(jobs, following)), "JobPage")


def test_an_error_is_as_described() -> None:
    check(documents.error("NOT_FOUND", "there is no job"), "Error")


def test_events_are_as_described() -> None:
    encoder = events.Encoder()
    data = b"".join(
        [
            encoder.encode(LogPiece(STDOUT, 1, "größer\n".encode(), after=9)),
            encoder.encode(LogPiece(STDERR, 0, b"\xff\n", after=11)),
            encoder.encode(LogPiece(GAP, 3, b"", 7, 11)),
            events.end(ended(1, 3), encoder.position),
        ]
    ).decode()
    schemas = {"stdout": "LogText", "stderr": "LogText", "gap": "LogGap", "end": "LogEnd"}
    seen = []
    for block in data.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        assert list(fields) == ["id", "event", "data"]
        assert list(complaints(json.loads(fields["data"]), SCHEMAS[schemas[fields["event"]]])) == []
        seen.append(fields["event"])
    assert seen == ["stdout", "stderr", "gap", "end"]


def parameters(path: str) -> dict[str, dict[str, Any]]:
    """Those of a query, by name."""
    described = DESCRIPTION["paths"][path]["get"]["parameters"]
    return {one["name"]: one["schema"] for one in described if one["in"] == "query"}


def test_every_parameter_of_a_list_is_taken_and_no_other() -> None:
    assert set(parameters("/v1/jobs")) == {"state", "limit", "cursor"}
    pairs = [("state", state.value) for state in JobState]
    asked = documents.job_query([*pairs, ("limit", "1000"), ("cursor", "x")])
    assert (list(asked.states), asked.limit, asked.cursor) == (list(JobState), 1000, "x")
    limit = parameters("/v1/jobs")["limit"]
    assert documents.job_query([]).limit == limit["default"]
    for text in (
        str(limit["minimum"] - 1),
        str(limit["maximum"] + 1),
        "",
        "-1",
        "1.0",
        "９",
        "9" * 30,
    ):
        with pytest.raises(InvalidSpec, match=r"^limit: "):
            documents.job_query([("limit", text)])
    for pair in (("sort", "x"), ("state", "running")):
        with pytest.raises(InvalidSpec, match=f"^{pair[0]}: "):
            documents.job_query([pair])
    with pytest.raises(InvalidSpec, match=r"^limit: give it once"):
        documents.job_query([("limit", "1"), ("limit", "2")])


def test_every_parameter_of_a_log_is_taken_and_no_other() -> None:
    path = "/v1/jobs/{id}/logs"
    assert set(parameters(path)) == {"follow", "tail", "stream"}
    plain = documents.log_request([], None)
    assert (plain.follow, plain.tail_lines, plain.stream, plain.offset) == (True, None, None, None)
    assert parameters(path)["follow"]["default"] is True
    asked = documents.log_request([("follow", "false"), ("tail", "3"), ("stream", "stderr")], "")
    assert (asked.follow, asked.tail_lines, asked.stream, asked.offset) == (False, 3, STDERR, None)
    again = documents.log_request([("tail", "3")], "17")
    assert (again.tail_lines, again.offset) == (None, 17)
    for name, text in (("follow", "1"), ("tail", "-1"), ("stream", "both"), ("since", "1")):
        with pytest.raises(InvalidSpec, match=f"^{name}: "):
            documents.log_request([(name, text)], None)
    for last in ("x", "-1", "1.5", "9" * 40):
        with pytest.raises(InvalidSpec, match=r"^Last-Event-ID: "):
            documents.log_request([], last)
