"""READY, WATCHDOG, passed sockets: what the service manager and we tell each other.

The only importer of pystemd (libsystemd). Outside a unit everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pystemd.daemon
import pystemd.journal


def ready(status: str) -> None:
    """The service is up (sd_notify(3))."""
    pystemd.daemon.notify(False, ready=1, status=status)


def stopping() -> None:
    """The service is on its way down."""
    pystemd.daemon.notify(False, stopping=1)


def status(text: str) -> None:
    """One line for `systemctl status`."""
    pystemd.daemon.notify(False, status=text)


def alive() -> None:
    """Feed the watchdog."""
    pystemd.daemon.notify(False, watchdog=1)


def watchdog_usec() -> int:
    """How often the manager wants to hear from us; 0 for never (sd_watchdog_enabled(3))."""
    return int(pystemd.daemon.watchdog_enabled())


def passed_socket() -> int | None:
    """The one socket that the manager passed, close-on-exec, or None (sd_listen_fds(3))."""
    count = pystemd.daemon.listen_fds(1)
    if count < 1:
        return None
    fd = int(pystemd.daemon.LISTEN_FDS_START)
    os.set_inheritable(fd, False)
    return fd


def journal(message: str, message_id: str, fields: Mapping[str, str]) -> None:
    """One entry with fields of its own in the journal (sd_journal_send(3))."""
    pystemd.journal.sendv(
        MESSAGE=message,
        MESSAGE_ID=message_id,
        PRIORITY="6",
        SYSLOG_IDENTIFIER="jobletd",
        **fields,
    )
