"""The poke: one datagram from a supervisor to jobletd that says: this job has an exit record.

It carries no facts beyond the id: what counts is the record in /run, so a poke may be lost,
doubled or early.
"""

from __future__ import annotations

from joblet.records.framing import Fields, pack, unpack

MAGIC = b"JLPK"
VERSION = 1
SIZE_MAX = 256


def encode(job_id: str) -> bytes:
    """The datagram."""
    return pack(MAGIC, VERSION, [job_id.encode()])


def decode(data: bytes) -> str:
    """The job's id. Raises BadRecord."""
    _version, items = unpack(data, MAGIC, (1,))
    return Fields(items, "poke").blob().decode(errors="replace")
