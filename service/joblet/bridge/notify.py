"""READY and STATUS for the service manager (sd_notify(3)); outside a unit nothing happens.

By hand and not through libsystemd: the bridge needs two lines of it, and no more libraries.
"""

from __future__ import annotations

import os
import socket


def ready(status: str) -> None:
    """The service is up."""
    _send(f"READY=1\nSTATUS={status}")


def stopping() -> None:
    """The service is on its way down."""
    _send("STOPPING=1")


def _send(lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.sendto(lines.encode(), address)
