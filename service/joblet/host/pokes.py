"""The datagram socket on which supervisors say that a job has ended.

systemd owns it, so a poke waits there while jobletd is not running.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from joblet.model.ids import is_job_id
from joblet.records import poke
from joblet.records.framing import BadRecord

log = logging.getLogger(__name__)


class PokeReceiver:
    """Reads pokes from the event loop and hands each job's id on."""

    def __init__(self, sock: socket.socket, handler: Callable[[str], None]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._handler = handler

    def start(self) -> None:
        """From now on the handler is called."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._receive)

    def close(self) -> None:
        """No more calls; the socket itself stays with systemd."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def _receive(self) -> None:
        while True:
            try:
                data = self._socket.recv(poke.SIZE_MAX)
            except BlockingIOError:
                return
            try:
                job_id = poke.decode(data)
            except BadRecord as err:
                log.warning("a datagram that is no poke: %s", err)
                continue
            if is_job_id(job_id):
                self._handler(job_id)


def bind(path: str) -> socket.socket:
    """A socket of our own, for a jobletd that runs outside its unit."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    sock.bind(path)
    return sock
