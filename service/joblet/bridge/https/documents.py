"""What HTTPS says and understands: jobs, errors and questions as openapi.json describes them. Pure.

A job has the keys of Manager.GetJob and of `jobletctl job status --json`: one vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from joblet.client.api import STDERR, STDOUT, JobPage, JobQuery, JobStatus, LogRequest
from joblet.errors import InvalidSpec
from joblet.model.states import JobState
from joblet.rpc.mapping import masked

PAGE_MAX = 1000
PAGE_DEFAULT = 100
_CURSOR_MAX = 100

# Places of the bus are of no use to a remote client.
_LEFT_OUT = ("path",)
_WORDS = {"true": True, "false": False}
_STATES = {state.value for state in JobState}
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}

Pairs = Iterable[tuple[str, str]]


def encoded(document: object) -> bytes:
    """As it goes out."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def http_status(code: str) -> int:
    """The status of a response, by the name of the gRPC code that the same error has there."""
    return _HTTP_STATUS.get(code, 500)


def error(code: str, message: str) -> dict[str, object]:
    """The body of every refusal."""
    return {"error": {"code": code, "message": message}}


def job(status: JobStatus) -> dict[str, object]:
    """One job."""
    known = {key: value for key, value in status.known().items() if key not in _LEFT_OUT}
    if status.secrets is not None:
        known["secrets"] = masked(status.secrets)
    return known


def page(jobs: Sequence[JobStatus], found: JobPage) -> dict[str, object]:
    """Some jobs of a page; `next` is there when there are more."""
    listed: dict[str, object] = {"jobs": [job(status) for status in jobs]}
    return listed | ({"next": found.next} if found.next else {})


def job_query(pairs: Pairs) -> JobQuery:
    """What a list was asked for. Raises InvalidSpec."""
    states: list[JobState] = []
    limit, cursor = PAGE_DEFAULT, ""
    for name, value in _known(pairs, ("state", "limit", "cursor"), several=("state",)):
        if name == "state":
            if value not in _STATES:
                raise InvalidSpec("state", f"use one of {', '.join(JobState)}")
            states.append(JobState(value))
        elif name == "limit":
            limit = _number("limit", value, 1, PAGE_MAX)
        else:
            # Made by jobletd, which judges it; here only that it can be put to it.
            if not (value.isascii() and value.isprintable() and len(value) <= _CURSOR_MAX):
                raise InvalidSpec("cursor", "use what `next` of the page before says")
            cursor = value
    return JobQuery(states=tuple(states), limit=limit, cursor=cursor)


def log_request(pairs: Pairs, last_event_id: str | None) -> LogRequest:
    """Which part of a log was asked for. Raises InvalidSpec."""
    follow = True
    tail: int | None = None
    stream: str | None = None
    for name, value in _known(pairs, ("follow", "tail", "stream")):
        if name == "follow":
            if value not in _WORDS:
                raise InvalidSpec("follow", "use true or false")
            follow = _WORDS[value]
        elif name == "tail":
            tail = _number("tail", value, 0, 1 << 31)
        else:
            if value not in (STDOUT, STDERR):
                raise InvalidSpec("stream", f"use {STDOUT} or {STDERR}")
            stream = value
    offset = None
    # Empty: what a browser sends that has seen no id.
    if last_event_id:
        offset = _number("Last-Event-ID", last_event_id, 0, 1 << 62)
        # Whoever comes back goes on; the tail was for the first time.
        tail = None
    return LogRequest(follow=follow, tail_lines=tail, stream=stream, offset=offset)


def _known(
    pairs: Pairs, names: Sequence[str], *, several: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name, value in pairs:
        if name not in names:
            raise InvalidSpec(name, f"there is no such parameter; there are {', '.join(names)}")
        if name in seen and name not in several:
            raise InvalidSpec(name, "give it once")
        seen.add(name)
        yield name, value


def _number(name: str, text: str, low: int, high: int) -> int:
    # The length first: a number of a million digits takes its time.
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise InvalidSpec(name, f"use a number from {low} to {high}")
    return int(text)
