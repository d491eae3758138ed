"""What gRPC says of a connection, by version and moment, and what a user is told of it."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

from joblet.client import losses
from joblet.client.nodes import Node
from joblet.errors import JobletError, RemoteError, Unreachable, Unsupported

NODE = Node("lab", "h:1", "", "", "")
Code = grpc.StatusCode
FAILED = "failed to connect to all addresses; last error: "


def told(
    code: grpc.StatusCode, details: str, *, answered: bool = False, change: bool = False
) -> JobletError:
    nothing = grpc.aio.Metadata()
    err = grpc.aio.AioRpcError(code, nothing, nothing, details=details)
    return losses.explained(err, NODE, answered=answered, change=change)


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (f"{FAILED}UNKNOWN: ipv4:10.0.0.1:1: connect: Connection refused (111)", "refuses"),
        (f"{FAILED}UNKNOWN: Failed to connect to remote host: Connection refused", "refuses"),
        ("DNS resolution failed for h:1: C-ares status is not ARES_SUCCESS", "not known by that"),
        ("errors resolving h:1: [address lookup failed for h]", "not known by that"),
        (f"{FAILED}UNKNOWN: Ssl handshake failed: SSL_ERROR_SSL: certificate verify", "trust"),
        (f"{FAILED}UNKNOWN: Peer name joblet is not in peer certificate", "trust"),
        (f"{FAILED}UNAVAILABLE: ipv4:10.0.0.1:1: Socket closed", "may not take the certificate"),
        ("Socket closed", "may not take the certificate"),
        ("recvmsg:Connection reset by peer", "may not take the certificate"),
        (f"{FAILED}UNKNOWN: connect: No route to host (113)", "cannot be reached"),
        (f"{FAILED}UNKNOWN: connect: Network is unreachable (101)", "cannot be reached"),
    ],
)
def test_a_connection_that_fails_is_told_with_its_node(details: str, said: str) -> None:
    err = told(Code.UNAVAILABLE, details)
    assert isinstance(err, Unreachable)
    assert str(err).startswith("node 'lab' (h:1) ")
    assert said in str(err)


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (Code.UNAVAILABLE, "Socket closed"),
        (Code.UNAVAILABLE, "the bridge is stopping"),
        (Code.CANCELLED, "Received RST_STREAM with error code 8"),
        (Code.INTERNAL, "Received RST_STREAM with error code 2"),
    ],
)
def test_a_connection_that_was_fine_is_lost(code: grpc.StatusCode, details: str) -> None:
    err = told(code, details, answered=True)
    assert isinstance(err, Unreachable)
    assert str(err) == f"the connection to node 'lab' (h:1) was lost ({details})"
    changed = str(told(code, details, answered=True, change=True))
    assert "it may have been carried out nevertheless" in changed


def test_other_ends_have_errors_of_their_own() -> None:
    late = told(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
    assert isinstance(late, RemoteError)
    assert (late.code, late.node) == (losses.NO_REPLY, "lab")
    assert isinstance(told(Code.UNIMPLEMENTED, "unknown service"), Unsupported)
    other = told(Code.RESOURCE_EXHAUSTED, "larger than max")
    assert str(other) == "node 'lab' (h:1) failed (RESOURCE_EXHAUSTED): larger than max"
    assert str(told(Code.UNKNOWN, "")).endswith("it does not say why")
