"""How a first process tells its supervisor how far it got, and asks it for the map of its ids.

One message each over a SOCK_SEQPACKET pair that is close-on-exec. WANTS_IDS alone has an answer:
the errno of writing the maps, 0 for success. EXECUTING and then end of file
means: the user's program runs. EXECUTING and then FAILED means that execve(2) refused. End of file
without either means that the process died during set-up.
"""

from __future__ import annotations

import os
from errno import EPIPE

from joblet.records.framing import Fields, pack, unpack

MAGIC = b"JLRP"
VERSION = 1
SIZE_MAX = 8192

EXECUTING, GATE_CLOSED, FAILED, WANTS_IDS = 1, 2, 3, 4
_ANSWER_SIZE = 4


def executing(time_ns: int) -> bytes:
    """The next system call is execve."""
    return pack(MAGIC, VERSION, [EXECUTING, time_ns])


def gate_closed() -> bytes:
    """The gate closed without the go; nothing of the user's ran."""
    return pack(MAGIC, VERSION, [GATE_CLOSED])


def wants_ids(first: int, count: int) -> bytes:
    """In a user namespace of its own, without maps yet: inside 0 is to be `first` on the host."""
    return pack(MAGIC, VERSION, [WANTS_IDS, 0, b"", 0, b"", b"", first, count])


def answer(errno: int) -> bytes:
    """The supervisor's answer to WANTS_IDS."""
    return errno.to_bytes(_ANSWER_SIZE, "little")


def answered(data: bytes) -> int:
    """The errno in an answer; the end of file counts as a supervisor that is gone."""
    return int.from_bytes(data, "little") if len(data) == _ANSWER_SIZE else EPIPE


def failed(step: bytes, error: BaseException) -> bytes:
    """A step failed; any exception, so that nothing in set-up can fail unseen."""
    errno = error.errno or 0 if isinstance(error, OSError) else 0
    path = ""
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes):
        path = os.fsdecode(error.filename)
    detail = str(error) if not errno else ""
    return pack(
        MAGIC,
        VERSION,
        [
            FAILED,
            0,
            step,
            errno,
            path.encode(errors="surrogateescape")[:1024],
            f"{type(error).__name__}: {detail}".encode(errors="replace")[:1024] if detail else b"",
        ],
    )


class Report:
    """A received message."""

    __slots__ = ("count", "detail", "errno", "first", "kind", "path", "step", "time_ns")

    def __init__(self, data: bytes) -> None:
        _version, items = unpack(data, MAGIC, (1,))
        fields = Fields(items, "report")
        self.kind = fields.word()
        self.time_ns = fields.word()
        self.step = fields.blob()
        self.errno = fields.word()
        self.path = fields.blob()
        self.detail = fields.blob()
        self.first = fields.word()
        self.count = fields.word()
