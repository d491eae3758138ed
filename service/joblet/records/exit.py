"""The exit record: how a job ended, written once by its supervisor, read by jobletd.

It lies as `exit` in the job's directory below /run/joblet/jobs and appears there by rename, so it
is whole or absent.
"""

from __future__ import annotations

from joblet.records.framing import Fields, pack, unpack

MAGIC = b"JLEX"
VERSION = 1


class ExitRecord:
    """Times are nanoseconds since the epoch; None means not known or not so."""

    __slots__ = (
        "cpu_usec",
        "exit_status",
        "finished_ns",
        "gate_closed",
        "io_read_bytes",
        "io_write_bytes",
        "log_bytes",
        "log_dropped_bytes",
        "memory_peak_bytes",
        "oom_kills",
        "setup_detail",
        "setup_errno",
        "setup_path",
        "setup_step",
        "signal",
        "started_ns",
        "status_lost",
        "term_seen_ns",
    )

    def __init__(self) -> None:
        self.started_ns: int | None = None
        self.finished_ns = 0
        self.exit_status: int | None = None
        self.signal: int | None = None
        # systemd stopped the scope at this time: the anchor saw SIGTERM and SIGCONT from PID 1
        self.term_seen_ns: int | None = None
        self.gate_closed = False  # the gate closed without the go: nothing ran
        self.status_lost = False  # nobody could wait for the first process
        self.setup_step = b""
        self.setup_errno = 0
        self.setup_path = b""
        self.setup_detail = b""
        self.oom_kills = 0
        self.cpu_usec: int | None = None
        self.memory_peak_bytes: int | None = None
        self.io_read_bytes: int | None = None
        self.io_write_bytes: int | None = None
        self.log_bytes = 0
        self.log_dropped_bytes = 0

    def encode(self) -> bytes:
        """The bytes on disk."""
        return pack(
            MAGIC,
            VERSION,
            [
                self.started_ns,
                self.finished_ns,
                self.exit_status,
                self.signal,
                self.term_seen_ns,
                int(self.gate_closed),
                int(self.status_lost),
                self.setup_step,
                self.setup_errno,
                self.setup_path,
                self.setup_detail,
                self.oom_kills,
                self.cpu_usec,
                self.memory_peak_bytes,
                self.io_read_bytes,
                self.io_write_bytes,
                self.log_bytes,
                self.log_dropped_bytes,
            ],
        )


def decode(data: bytes) -> ExitRecord:
    """Raises BadRecord."""
    _version, items = unpack(data, MAGIC, (1,))
    fields = Fields(items, "exit record")
    record = ExitRecord()
    record.started_ns = fields.maybe_word()
    record.finished_ns = fields.word()
    record.exit_status = fields.maybe_word()
    record.signal = fields.maybe_word()
    record.term_seen_ns = fields.maybe_word()
    record.gate_closed = bool(fields.word())
    record.status_lost = bool(fields.word())
    record.setup_step = fields.blob()
    record.setup_errno = fields.word()
    record.setup_path = fields.blob()
    record.setup_detail = fields.blob()
    record.oom_kills = fields.word()
    record.cpu_usec = fields.maybe_word()
    record.memory_peak_bytes = fields.maybe_word()
    record.io_read_bytes = fields.maybe_word()
    record.io_write_bytes = fields.maybe_word()
    record.log_bytes = fields.word()
    record.log_dropped_bytes = fields.word()
    return record
