"""An error as one sentence that says the cause and what to do, and its exit status."""

from __future__ import annotations

from collections.abc import Mapping

from joblet.errors import JobletError, RemoteError

_DBUS = "org.freedesktop.DBus.Error."
_SYSTEMD = "org.freedesktop.systemd1."
_STATUS = "'systemctl status jobletd' may say more"


def sentence(err: JobletError, call: str = "jobletctl") -> str:
    """What to tell the user; what the daemon said is kept, causes are added.

    `call` is what another command line to the same host begins with.
    """
    text = str(err).strip() or type(err).__name__
    if not isinstance(err, RemoteError):
        return text
    if err.node:
        return _of_node(err, text, call)
    if err.code.startswith(_SYSTEMD):
        # the bus had it start jobletd, for this call
        return f"jobletd is not running and could not be started: {text.rstrip('.')}; {_STATUS}"
    if err.code in _INSTEAD:
        return _INSTEAD[err.code]
    return _hinted(err, text, call, _HINTS)


def _of_node(err: RemoteError, text: str, call: str) -> str:
    said = _hinted(err, text, call, _NODE_HINTS)
    # What is wrong with the host and not with the question names the host.
    if err.code in _OF_THE_QUESTION or f"node '{err.node}'" in said:
        return said
    return f"node '{err.node}': {said}"


def _hinted(err: RemoteError, text: str, call: str, hints: Mapping[str, str]) -> str:
    hint = hints.get(err.code)
    if hint is None and err.code.startswith(_DBUS):
        hint = hints.get(err.code.removeprefix(_DBUS))
    if hint is None or hint in text:
        return text
    return f"{text.rstrip('.')}; {hint.replace('CALL', call)}"


_OTHER_VERSION = (
    "jobletd is of another version than this jobletctl ('jobletctl version'): upgrade the older "
    "one, then 'systemctl restart jobletd', which running jobs do not notice"
)
# Where what the bus says helps nobody: it names match rules and serial numbers.
_INSTEAD = {
    f"{_DBUS}AccessDenied": "the bus policy forbids it: joblet is not installed completely, or its "
    "jobletd is older than this jobletctl ('jobletctl version')",
}
_NO_SUCH_JOB = "'CALL job list --all' shows the jobs there are"
_MAYBE_DONE = "jobletd may have done it nevertheless: see 'CALL job list'"
_HINTS = {
    "NoSuchJob": _NO_SUCH_JOB,
    "Internal": "this is a fault of jobletd: its journal says more (journalctl -u jobletd)",
    "TimedOut": f"jobletd did not start in time: {_STATUS}",
    "NoReply": _MAYBE_DONE,
    "Timeout": _MAYBE_DONE,
    "UnknownMethod": _OTHER_VERSION,
    "UnknownInterface": _OTHER_VERSION,
    "UnknownObject": _OTHER_VERSION,
    "InvalidArgs": _OTHER_VERSION,
    "LimitsExceeded": "the bus is out of connections or replies for this user",
}
_OTHER_PARTS = (
    "jobletd and joblet-bridge there are of different versions: restart both on that host"
)
_NODE_HINTS = {
    "NotAllowed": "the certificate in the file of nodes decides it: an administrator of that host "
    "can issue another one ('jobletctl certs issue client')",
    "NoSuchJob": _NO_SUCH_JOB,
    "Internal": "this is a fault of Joblet there: the journal of that host says more "
    "(journalctl -u jobletd -u joblet-bridge)",
    "NoReply": _MAYBE_DONE,
    "Timeout": _MAYBE_DONE,
    "AccessDenied": _OTHER_PARTS,
    "UnknownMethod": _OTHER_PARTS,
    "InvalidArgs": _OTHER_PARTS,
}
_OF_THE_QUESTION = frozenset(
    {"NoSuchJob", "NoSuchPath", "InvalidSpec", "WrongState", "UploadRefused"}
)
