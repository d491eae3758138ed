"""The one error hierarchy.

    JobletError
    ├── InvalidSpec      the request is wrong            InvalidSpec
    ├── UploadRefused    an entry of an archive is bad   UploadRefused
    ├── NotFound         no such job, volume …           NoSuchJob, NoSuchVolume …
    ├── AlreadyExists    the name is taken               AlreadyExists
    ├── WrongState       not in this state of the job    WrongState
    ├── NotAllowed       rights                          NotAllowed
    ├── Exhausted        capacity, quota, queue full     Exhausted
    ├── HostFailure      systemd or the kernel refused   HostFailure
    ├── Unreachable      a client found no daemon        (never on the bus)
    └── RemoteError      any of the above, or Internal, as a client received it

The right column is the last part of the D-Bus error name, below `org.joblet1.Error.`.
Every class makes one sentence that a user can act on.
"""

from __future__ import annotations

import os

DBUS_ERROR_PREFIX = "org.joblet1.Error."


class JobletError(Exception):
    """Root of all errors that are meant to be read by a user."""

    code = "Internal"
    exit_status = 1

    @property
    def dbus_name(self) -> str:
        """The full D-Bus error name of this error."""
        return DBUS_ERROR_PREFIX + self.code


class InvalidSpec(JobletError):
    """The request is wrong: `field` names the key, `why` says what would be right."""

    code = "InvalidSpec"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


class UploadRefused(JobletError):
    """An archive holds what is not taken: `entry` is its name, ready to be shown."""

    code = "UploadRefused"

    def __init__(self, entry: str, why: str) -> None:
        super().__init__(f"archive entry '{entry}': {why}")
        self.entry = entry
        self.why = why


class NotFound(JobletError):
    """There is no such thing of this kind."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} '{name}'")
        self.kind = kind
        self.name = name
        self.code = f"NoSuch{kind.capitalize()}"


class AlreadyExists(JobletError):
    """The name is taken."""

    code = "AlreadyExists"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} '{name}' exists already")
        self.kind = kind
        self.name = name


class WrongState(JobletError):
    """The verb does not apply to a job in this state."""

    code = "WrongState"

    def __init__(self, job: str, state: str, verb: str, hint: str = "") -> None:
        super().__init__(f"cannot {verb} job {job}: it is {state}" + (f"; {hint}" if hint else ""))
        self.job = job
        self.state = state
        self.verb = verb


class NotAllowed(JobletError):
    """The caller may not do this."""

    code = "NotAllowed"

    def __init__(self, action: str, hint: str = "") -> None:
        super().__init__(f"not allowed to {action}" + (f"; {hint}" if hint else ""))
        self.action = action


class Exhausted(JobletError):
    """A capacity or quota is used up."""

    code = "Exhausted"

    def __init__(self, what: str) -> None:
        super().__init__(what)


class HostFailure(JobletError):
    """systemd or the kernel refused a step."""

    code = "HostFailure"

    def __init__(self, step: str, errno: int, detail: str = "") -> None:
        reason = os.strerror(errno) if errno else "failed"
        super().__init__(f"{step}: {reason}" + (f" ({detail})" if detail else ""))
        self.step = step
        self.errno = errno
        self.detail = detail


class Unreachable(JobletError):
    """A client could not reach the daemon; `why` says what to do."""

    code = "Unreachable"


class RemoteError(JobletError):
    """An error reply as a client received it: the D-Bus name and the sentence."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.code = name.removeprefix(DBUS_ERROR_PREFIX)
        self._name = name

    @property
    def dbus_name(self) -> str:
        """The D-Bus name exactly as it was received."""
        return self._name
