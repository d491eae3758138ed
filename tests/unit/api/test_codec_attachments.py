"""Uploads, secrets and paths from strangers: what is taken, what is refused, what is ever shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from joblet.api import codec
from joblet.api.codec import RunRequest
from joblet.bus.values import Typed
from joblet.errors import InvalidSpec
from joblet.model.job import Job, JobSpec, JobState
from joblet.model.run import Upload

NOW = 1_700_000_000_000_000
JOB_ID = "0b54a1de-5b7f-4c1c-9a58-3a2d1a4a3c11"
# With its name, `=` and the final NUL as long as one string of execve(2) may be.
LONGEST = "x" * 131_069


def decode(**keys: Typed) -> RunRequest:
    return codec.decode_run({"command": Typed("s", "true"), **keys}, now_usec=NOW)


def secrets(values: Mapping[str, object]) -> Typed:
    return Typed("a{ss}", values)


def test_secrets_leave_their_names_in_the_spec_and_nothing_else() -> None:
    request = decode(secrets=secrets({"B": "s3cret", "A": ""}))
    assert request.secrets == {"A": "", "B": "s3cret"}
    assert request.spec.secret_names == ("A", "B")
    assert (request.spec.environment, request.upload, request.spec.uploaded) == ({}, None, False)
    assert "s3cret" not in repr(request.spec)


@pytest.mark.parametrize(
    ("keys", "upload"),
    [
        ({"upload_tar": Typed("h", 7)}, Upload(tar=7)),
        ({"upload_directory": Typed("h", 8)}, Upload(directory=8)),
        (
            {"upload_tar": Typed("h", 7), "upload_directory": Typed("h", 8)},
            Upload(tar=7, directory=8),
        ),
    ],
)
def test_uploads_are_descriptors(keys: dict[str, Typed], upload: Upload) -> None:
    request = decode(**keys)
    assert (request.upload, request.spec.uploaded) == (upload, True)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("secrets", Typed("as", ["A=1"]), "secrets"),
        ("secrets", Typed("s", "A=1"), "secrets"),
        ("secrets", secrets({"": "x"}), "names of variables"),
        ("secrets", secrets({"1A": "x"}), "names of variables"),
        ("secrets", secrets({"A=B": "x"}), "names of variables"),
        ("secrets", secrets({"A\0": "x"}), "names of variables"),
        ("secrets", secrets({"A\n": "x"}), "names of variables"),
        ("secrets", secrets({"A": "x\0y"}), r"secrets\[A\]: must not contain a NUL"),
        ("secrets", secrets({"JOBLET_JOB_ID": "x"}), "begin with JOBLET_ are reserved"),
        ("secrets", secrets({"JOBLET_": "x"}), "begin with JOBLET_ are reserved"),
        ("secrets", secrets({"A": LONGEST + "x"}), r"secrets\[A\]: use at most"),
        ("secrets", secrets({f"V{n}": LONGEST[:-9] for n in range(8)}), "with the environment"),
        ("environment", secrets({"JOBLET_JOB_ID": "x"}), "begin with JOBLET_ are reserved"),
        ("upload_tar", Typed("s", "/etc/shadow"), "upload_tar"),
        ("upload_tar", Typed("t", 7), "upload_tar"),
        ("upload_directory", Typed("i", 7), "upload_directory"),
        ("upload_directory", Typed("ah", [7]), "upload_directory"),
        # The daemon's own.
        ("secret_names", Typed("as", ["A"]), "unknown key"),
        ("uploaded", Typed("b", True), "unknown key"),
        ("revision", Typed("u", 1), "unknown key"),
    ],
)
def test_what_is_refused(key: str, value: Typed, why: str) -> None:
    with pytest.raises(InvalidSpec, match=why) as refused:
        decode(**{key: value})
    assert "x" * 100 not in str(refused.value)


def test_the_longest_secret_is_taken() -> None:
    assert decode(secrets=secrets({"A": LONGEST})).secrets == {"A": LONGEST}


def test_a_name_is_given_once() -> None:
    with pytest.raises(InvalidSpec, match="A is in the environment too"):
        decode(environment=secrets({"A": "1", "B": "1"}), secrets=secrets({"A": "1"}))


def test_no_status_shows_a_value_and_only_the_owner_s_shows_the_names() -> None:
    job = Job(
        id=JOB_ID,
        seq=1,
        spec=JobSpec(command="true", secret_names=("TOKEN",), uploaded=True),
        owner_uid=1000,
        state=JobState.PENDING,
        submitted_usec=NOW,
        due_usec=NOW,
    )
    private = codec.status(job, private=True)
    assert private["secrets"] == Typed("a{ss}", {"TOKEN": "***"})
    assert private["uploaded"] == Typed("b", True)
    public = codec.status(job, private=False)
    assert not {"secrets", "uploaded"} & public.keys()
    [mine, other] = json.loads(codec.encode_list([(job, True), (job, False)]))
    assert mine["secrets"] == {"TOKEN": "***"}
    assert "secrets" not in other


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", ""),
        (".", "."),
        ("out/f", "out/f"),
        ("/out/f", "out/f"),
        ("/", ""),
        ("/work", ""),
        ("/work/", ""),
        ("/work/out", "out"),
        ("/work//out", "out"),
        ("/workshop", "workshop"),
        # A directory of this name inside.
        ("work/out", "work/out"),
        ("../out", "../out"),
        ("$HOME", "$HOME"),
    ],
)
def test_paths_count_from_work(given: str, path: str) -> None:
    assert codec.decode_path(given) == path


@pytest.mark.parametrize("given", ["a\0b", "x" * 4096, "ü" * 2048])
def test_what_is_no_path(given: str) -> None:
    with pytest.raises(InvalidSpec, match="path"):
        codec.decode_path(given)
