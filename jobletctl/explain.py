"""An error as one sentence that says the cause and what to do, and its exit status."""

from __future__ import annotations

from joblet.errors import JobletError, RemoteError

_DBUS = "org.freedesktop.DBus.Error."
_SYSTEMD = "org.freedesktop.systemd1."
_STATUS = "'systemctl status jobletd' may say more"


def sentence(err: JobletError) -> str:
    """What to tell the user; what the daemon said is kept, causes are added."""
    text = str(err).strip() or type(err).__name__
    if not isinstance(err, RemoteError):
        return text
    if err.code.startswith(_SYSTEMD):
        # the bus had it start jobletd, for this call
        return f"jobletd is not running and could not be started: {text.rstrip('.')}; {_STATUS}"
    if err.code in _INSTEAD:
        return _INSTEAD[err.code]
    hint = _HINTS.get(err.code)
    if hint is None and err.code.startswith(_DBUS):
        hint = _HINTS.get(err.code.removeprefix(_DBUS))
    if hint is None or hint in text:
        return text
    return f"{text.rstrip('.')}; {hint}"


_OTHER_VERSION = (
    "jobletd is of another version than this jobletctl ('jobletctl version'): upgrade the older "
    "one, then 'systemctl restart jobletd', which running jobs do not notice"
)
# Where what the bus says helps nobody: it names match rules and serial numbers.
_INSTEAD = {
    f"{_DBUS}AccessDenied": "the bus policy forbids it: joblet is not installed completely, or its "
    "jobletd is older than this jobletctl ('jobletctl version')",
}
_HINTS = {
    "NotAllowed": "members of the group 'joblet' may run jobs and manage their own, root may all",
    "NoSuchJob": "'jobletctl job list --all' shows the jobs there are",
    "Internal": "this is a fault of jobletd: its journal says more (journalctl -u jobletd)",
    "TimedOut": f"jobletd did not start in time: {_STATUS}",
    "NoReply": "jobletd may have done it nevertheless: see 'jobletctl job list'",
    "Timeout": "jobletd may have done it nevertheless: see 'jobletctl job list'",
    "UnknownMethod": _OTHER_VERSION,
    "UnknownInterface": _OTHER_VERSION,
    "UnknownObject": _OTHER_VERSION,
    "InvalidArgs": _OTHER_VERSION,
    "LimitsExceeded": "the bus is out of connections or replies for this user",
}
