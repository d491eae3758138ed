"""What an error of the transport means to a user: one sentence, with the node and what to look at.

gRPC tells a connection that fails in words of its own, which differ by version and by the moment
it failed in; here they are read, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import grpc.aio

from joblet.errors import JobletError, RemoteError, Unreachable, Unsupported

if TYPE_CHECKING:
    from joblet.client.nodes import Node

NO_REPLY = "org.freedesktop.DBus.Error.NoReply"

_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# How the library says that the other side ended a connection.
_CLOSED = ("socket closed", "reset by peer", "broken pipe", "handshaker shutdown", "eof", "goaway")


def called(node: Node) -> str:
    """A node as sentences name it."""
    return f"node '{node.name}' ({node.address})"


def silent(node: Node) -> Unreachable:
    """Nothing came, not even a refusal."""
    return Unreachable(f"{called(node)} does not answer; is the address right, and the port open?")


def explained(
    err: grpc.aio.AioRpcError, node: Node, *, answered: bool, change: bool
) -> JobletError:
    """The error of a call that got no answer of Joblet; Unreachable where the connection failed.

    answered: others did, so address and certificate are right; change: it asked for one.
    """
    details = (err.details() or "").strip()
    status = err.code()
    if status in _LOST or "RST_STREAM" in details:
        return Unreachable(_why_lost(details, called(node), answered=answered, change=change))
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return RemoteError(NO_REPLY, f"{called(node)} gave no answer in time", node=node.name)
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return Unsupported(
            f"{called(node)} does not know this call: what answers there is older than this "
            "client, or no joblet-bridge of this project; upgrade Joblet on that host"
        )
    why = details or "it does not say why"
    return JobletError(f"{called(node)} failed ({status.name}): {why}")


def _why_lost(details: str, node: str, *, answered: bool, change: bool) -> str:
    said = details.lower()
    if "refused" in said:
        return (
            f"{node} refuses the connection; is joblet-bridge running there "
            "('systemctl status joblet-bridge'), and the port right?"
        )
    if "dns" in said or "resol" in said:
        return f"{node} is not known by that name here; is the address right? ({details})"
    if "handshake failed" in said or "verify" in said or "peer name" in said:
        return (
            f"{node} and this client do not trust each other's certificates; is it that host, "
            "and was the file of nodes written since its certificates were made "
            f"('jobletctl certs export' there)? ({details})"
        )
    closed = any(word in said for word in _CLOSED)
    if "failed to connect" in said and not closed:
        return f"{node} cannot be reached; is the address right, and the port open? ({details})"
    if not answered:
        return (
            f"{node} closed the connection; it may not take the certificate of this client: "
            "expired, revoked, or of another CA. Its journal says which "
            f"('journalctl -u joblet-bridge') ({details})"
        )
    done = "; it may have been carried out nevertheless" if change else ""
    return f"the connection to {node} was lost{done} ({details})"
