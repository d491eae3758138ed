"""The one error hierarchy.

    JobletError                                          Internal          INTERNAL
    ├── InvalidSpec      the request is wrong            InvalidSpec       INVALID_ARGUMENT
    ├── UploadRefused    an entry of an archive is bad   UploadRefused     INVALID_ARGUMENT
    ├── NotFound         no such job, volume …           NoSuchJob …       NOT_FOUND
    ├── AlreadyExists    the name is taken               AlreadyExists     ALREADY_EXISTS
    ├── WrongState       not in this state of the job    WrongState        FAILED_PRECONDITION
    ├── NotAllowed       rights                          NotAllowed        PERMISSION_DENIED
    ├── Exhausted        capacity, quota, queue full     Exhausted         RESOURCE_EXHAUSTED
    ├── HostFailure      systemd or the kernel refused   HostFailure       UNAVAILABLE
    ├── Unsupported      this host cannot do it yet      Unsupported       UNIMPLEMENTED
    ├── Unreachable      a client found no daemon        (not on the bus)  UNAVAILABLE
    └── RemoteError      any of the above as a client received it; it keeps name and status

The middle column is the last part of the D-Bus error name, below `org.joblet1.Error.`, the right
one the status of a gRPC call. Every class makes one sentence that a user can act on.
"""

from __future__ import annotations

import os

DBUS_ERROR_PREFIX = "org.joblet1.Error."


class JobletError(Exception):
    """Root of all errors that are meant to be read by a user."""

    code = "Internal"
    grpc_status = "INTERNAL"
    exit_status = 1

    @property
    def dbus_name(self) -> str:
        """The full D-Bus error name of this error."""
        return DBUS_ERROR_PREFIX + self.code


class InvalidSpec(JobletError):
    """The request is wrong: `field` names the key, `why` says what would be right."""

    code = "InvalidSpec"
    grpc_status = "INVALID_ARGUMENT"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class UploadRefused(JobletError):
    """An archive holds what is not taken: `entry` is its name, ready to be shown."""

    code = "UploadRefused"
    grpc_status = "INVALID_ARGUMENT"

    def __init__(self, entry: str, why: str) -> None:
        super().__init__(f"archive entry '{entry}': {why}")
        self.entry = entry
        self.why = why


class NotFound(JobletError):
    """There is no such thing of this kind."""

    grpc_status = "NOT_FOUND"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} '{name}'")
        self.kind = kind
        self.name = name
        self.code = f"NoSuch{kind.capitalize()}"


class AlreadyExists(JobletError):
    """The name is taken."""

    code = "AlreadyExists"
    grpc_status = "ALREADY_EXISTS"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} '{name}' exists already")
        self.kind = kind
        self.name = name


class WrongState(JobletError):
    """The verb does not apply to a job in this state."""

    code = "WrongState"
    grpc_status = "FAILED_PRECONDITION"

    def __init__(self, job: str, state: str, verb: str, hint: str = "") -> None:
        super().__init__(f"cannot {verb} job {job}: it is {state}" + (f"; {hint}" if hint else ""))
        self.job = job
        self.state = state
        self.verb = verb


class NotAllowed(JobletError):
    """The caller may not do this."""

    code = "NotAllowed"
    grpc_status = "PERMISSION_DENIED"

    def __init__(self, action: str, hint: str = "") -> None:
        super().__init__(f"not allowed to {action}" + (f"; {hint}" if hint else ""))
        self.action = action


class Exhausted(JobletError):
    """A capacity or quota is used up."""

    code = "Exhausted"
    grpc_status = "RESOURCE_EXHAUSTED"

    def __init__(self, what: str) -> None:
        super().__init__(what)


class HostFailure(JobletError):
    """systemd or the kernel refused a step."""

    code = "HostFailure"
    grpc_status = "UNAVAILABLE"

    def __init__(self, step: str, errno: int, detail: str = "") -> None:
        reason = os.strerror(errno) if errno else "failed"
        super().__init__(f"{step}: {reason}" + (f" ({detail})" if detail else ""))
        self.step = step
        self.errno = errno
        self.detail = detail


class Unsupported(JobletError):
    """This host, or this version, cannot do it; the sentence says what is missing."""

    code = "Unsupported"
    grpc_status = "UNIMPLEMENTED"


class Unreachable(JobletError):
    """A client could not reach the daemon; `why` says what to do."""

    code = "Unreachable"
    grpc_status = "UNAVAILABLE"


class RemoteError(JobletError):
    """An error reply as a client received it: the D-Bus name and the sentence.

    `node` names the host, in the words of the user, when it was asked over the network.
    """

    def __init__(self, name: str, message: str, *, node: str = "") -> None:
        super().__init__(message)
        self.node = node
        self.code = name.removeprefix(DBUS_ERROR_PREFIX)
        self.grpc_status = _grpc_status(name)
        self._name = name

    @property
    def dbus_name(self) -> str:
        """The D-Bus name exactly as it was received."""
        return self._name


_OF_THE_BUS = {
    "org.freedesktop.DBus.Error.AccessDenied": "PERMISSION_DENIED",
    # It may have been carried out: nothing that makes a client try again by itself.
    "org.freedesktop.DBus.Error.NoReply": "UNKNOWN",
}
_OF_OURS = {
    DBUS_ERROR_PREFIX + kind.code: kind.grpc_status
    for kind in (
        InvalidSpec,
        UploadRefused,
        AlreadyExists,
        WrongState,
        NotAllowed,
        Exhausted,
        HostFailure,
        Unsupported,
    )
}


def _grpc_status(name: str) -> str:
    if name.startswith(DBUS_ERROR_PREFIX + "NoSuch"):
        return NotFound.grpc_status
    return _OF_OURS.get(name) or _OF_THE_BUS.get(name) or JobletError.grpc_status
