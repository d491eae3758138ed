"""The run record: which processes belong to a job, written by its supervisor, for whoever comes
after a crash.

It lies as `run` beside the exit record. A process is named by its pid and its start time (field 22
of /proc/<pid>/stat, proc_pid_stat(5)), because a pid alone may be somebody else's by now. The
descriptor numbers are those inside the supervisor, so that a new joblet-init can take copies of
them with pidfd_getfd(2).
"""

from __future__ import annotations

from joblet.records.framing import BadRecord, Fields, pack, unpack

MAGIC = b"JLRU"
VERSION = 1


class Process:
    """One process, past or present."""

    __slots__ = ("pid", "start_ticks")

    def __init__(self, pid: int = 0, start_ticks: int = 0) -> None:
        self.pid = pid
        self.start_ticks = start_ticks


class RunRecord:
    """A job's processes and what its supervisor needs to be replaced."""

    __slots__ = (
        "anchor",
        "descriptors",
        "first",
        "log_cap_bytes",
        "poke_path",
        "started_ns",
        "supervisor",
        "term_seen_ns",
    )

    def __init__(self) -> None:
        self.supervisor = Process()
        self.anchor = Process()
        self.first = Process()
        # stdout, stderr, anchor, log, index, run directory
        self.descriptors: tuple[int, ...] = ()
        self.log_cap_bytes = 0
        self.poke_path = b""
        self.started_ns: int | None = None
        self.term_seen_ns: int | None = None

    def encode(self) -> bytes:
        """The bytes on disk."""
        return pack(
            MAGIC,
            VERSION,
            [
                self.supervisor.pid,
                self.supervisor.start_ticks,
                self.anchor.pid,
                self.anchor.start_ticks,
                self.first.pid,
                self.first.start_ticks,
                b",".join(b"%d" % fd for fd in self.descriptors),
                self.log_cap_bytes,
                self.poke_path,
                self.started_ns,
                self.term_seen_ns,
            ],
        )


def decode(data: bytes) -> RunRecord:
    """Raises BadRecord."""
    _version, items = unpack(data, MAGIC, (1,))
    fields = Fields(items, "run record")
    record = RunRecord()
    record.supervisor = Process(fields.word(), fields.word())
    record.anchor = Process(fields.word(), fields.word())
    record.first = Process(fields.word(), fields.word())
    record.descriptors = _descriptors(fields.blob())
    record.log_cap_bytes = fields.word()
    record.poke_path = fields.blob()
    record.started_ns = fields.maybe_word()
    record.term_seen_ns = fields.maybe_word()
    return record


def _descriptors(text: bytes) -> tuple[int, ...]:
    numbers = text.split(b",") if text else []
    if not all(number.isdigit() and len(number) < 10 for number in numbers):
        raise BadRecord("run record: descriptors that are no numbers")
    return tuple(int(number) for number in numbers)
