"""One hierarchy, three names for each error: D-Bus, gRPC, exit status."""

from __future__ import annotations

import pytest

from joblet import errors
from joblet.errors import (
    AlreadyExists,
    Exhausted,
    HostFailure,
    InvalidSpec,
    JobletError,
    NotAllowed,
    NotFound,
    RemoteError,
    Unreachable,
    Unsupported,
    UploadRefused,
    WrongState,
)

EACH = [
    (InvalidSpec("f", "w"), "INVALID_ARGUMENT"),
    (UploadRefused("e", "w"), "INVALID_ARGUMENT"),
    (NotFound("job", "x"), "NOT_FOUND"),
    (NotFound("volume", "x"), "NOT_FOUND"),
    (AlreadyExists("volume", "x"), "ALREADY_EXISTS"),
    (WrongState("j", "RUNNING", "delete"), "FAILED_PRECONDITION"),
    (NotAllowed("run"), "PERMISSION_DENIED"),
    (Exhausted("full"), "RESOURCE_EXHAUSTED"),
    (HostFailure("s", 5), "UNAVAILABLE"),
    (Unsupported("later"), "UNIMPLEMENTED"),
    (JobletError("bug"), "INTERNAL"),
]


@pytest.mark.parametrize(("error", "status"), EACH, ids=lambda value: str(value)[:24])
def test_an_error_has_one_status_also_after_a_trip_over_the_bus(
    error: JobletError, status: str
) -> None:
    assert error.grpc_status == status
    assert RemoteError(error.dbus_name, str(error)).grpc_status == status


def test_the_table_leaves_out_no_class() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    tested = {type(error) for error, _ in EACH} | {RemoteError, Unreachable}
    assert {kind for kind in kinds if issubclass(kind, JobletError)} == tested


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("org.freedesktop.DBus.Error.AccessDenied", "PERMISSION_DENIED"),
        ("org.freedesktop.DBus.Error.NoReply", "UNKNOWN"),
        ("org.joblet1.Error.Newer", "INTERNAL"),
        ("org.example.Anything", "INTERNAL"),
    ],
)
def test_a_name_that_is_not_ours_has_a_status_too(name: str, status: str) -> None:
    assert RemoteError(name, "text").grpc_status == status
