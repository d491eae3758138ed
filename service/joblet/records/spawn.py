"""What jobletd and joblet-init say to each other over /run/joblet/init.sock (SOCK_SEQPACKET).

jobletd sends a Spawn with the descriptors of FDS; on the same connection come back, from the
supervisor or the zygote: Spawned (with the pidfds of anchor and first process), then Started, or
Failed at any point. Messages of different jobs interleave; each carries its job's id.
"""

from __future__ import annotations

from joblet.records.framing import BadRecord, Fields, pack, unpack

MAGIC = b"JLSP"
VERSION = 1
SIZE_MAX = 8192

# The order of the descriptors that travel with a Spawn.
FDS = ("plan", "log", "index", "work", "gate", "run directory")

SPAWN, SPAWNED, STARTED, FAILED = 1, 2, 3, 4


class Spawn:
    """A request: fork a supervisor for this job."""

    __slots__ = ("job_id", "log_cap_bytes", "poke_path")

    def __init__(self, job_id: str, log_cap_bytes: int, poke_path: bytes) -> None:
        self.job_id = job_id
        self.log_cap_bytes = log_cap_bytes
        self.poke_path = poke_path

    def encode(self) -> bytes:
        """The packet."""
        return pack(
            MAGIC, VERSION, [SPAWN, self.job_id.encode(), self.log_cap_bytes, self.poke_path]
        )


class Spawned:
    """Anchor and first process exist and wait."""

    __slots__ = ("anchor_pid", "first_pid", "job_id")

    def __init__(self, job_id: str, anchor_pid: int, first_pid: int) -> None:
        self.job_id = job_id
        self.anchor_pid = anchor_pid
        self.first_pid = first_pid

    def encode(self) -> bytes:
        """The packet."""
        return pack(
            MAGIC, VERSION, [SPAWNED, self.job_id.encode(), self.anchor_pid, self.first_pid]
        )


class Started:
    """The user's program runs since this time."""

    __slots__ = ("job_id", "started_ns")

    def __init__(self, job_id: str, started_ns: int) -> None:
        self.job_id = job_id
        self.started_ns = started_ns

    def encode(self) -> bytes:
        """The packet."""
        return pack(MAGIC, VERSION, [STARTED, self.job_id.encode(), self.started_ns])


class Failed:
    """A step failed. recorded: the supervisor writes an exit record; else nothing is left."""

    __slots__ = ("detail", "errno", "job_id", "path", "recorded", "step")

    def __init__(
        self, job_id: str, step: str, errno: int, path: str, detail: str, recorded: bool
    ) -> None:
        self.job_id = job_id
        self.step = step
        self.errno = errno
        self.path = path
        self.detail = detail
        self.recorded = recorded

    def encode(self) -> bytes:
        """The packet."""
        return pack(
            MAGIC,
            VERSION,
            [
                FAILED,
                self.job_id.encode(),
                self.step.encode(errors="replace"),
                self.errno,
                self.path.encode(errors="surrogateescape"),
                self.detail.encode(errors="replace"),
                int(self.recorded),
            ],
        )


Message = Spawn | Spawned | Started | Failed


def decode(data: bytes) -> Message:
    """Raises BadRecord."""
    _version, items = unpack(data, MAGIC, (1,))
    fields = Fields(items, "spawn message")
    kind = fields.word()
    job_id = fields.blob().decode(errors="replace")
    if kind == SPAWN:
        return Spawn(job_id, fields.word(), fields.blob())
    if kind == SPAWNED:
        return Spawned(job_id, fields.word(), fields.word())
    if kind == STARTED:
        return Started(job_id, fields.word())
    if kind == FAILED:
        return Failed(
            job_id,
            fields.blob().decode(errors="replace"),
            fields.word(),
            fields.blob().decode(errors="replace"),
            fields.blob().decode(errors="replace"),
            bool(fields.word()),
        )
    raise BadRecord(f"spawn message of unknown kind {kind}")
