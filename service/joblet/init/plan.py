"""The plan: the ordered steps of one job's set-up, and their encoding.

A step is a name and operands, each a number or bytes; STEPS says which operands a name has, so a
plan with an unknown step or a wrong operand is refused before the first system call. jobletd
builds plans (host/jobplan.py imports only this module), joblet-init runs them; they travel in a
sealed memfd.
"""

from __future__ import annotations

from joblet.records.framing import BadRecord, Item, pack, unpack

MAGIC = b"JLPN"
VERSION = 1

# What plans carry, in the kernel's spelling. The MS_ and the mount flags of mount(2) and
# mount_setattr(2) have the same values for these four.
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000

# Where the root of a job is built.
MOUNT_POINT = "/run/joblet/root"

# name: operand kinds, w = number (word), b = bytes (blob), * = any number of further blobs
STEPS: dict[bytes, str] = {
    b"namespaces": "w",  # CLONE_ flags
    b"hostname": "b",
    b"loopback": "",
    b"root": "bb",  # mount point, tmpfs options
    b"directory": "bw",  # path, mode
    b"symlink": "bb",  # target, path
    b"file": "bwb",  # path, mode, content
    b"bind": "bbw",  # source on the host, path, mount flags
    b"quota": "www",  # project id of the work directory, its limits: KiB, inodes
    b"work": "bbw",  # source on the host, path, mount flags
    b"tmpfs": "bwb",  # path, mount flags, options
    b"proc": "b",  # path
    b"device": "bww",  # path, major, minor
    b"devpts": "bb",  # path, options
    b"readonly": "b",  # path of something in the new root: bound over itself, read-only
    b"masked": "b",  # path of something in the new root that is to look empty
    b"sealed": "b",  # path of a mount in the new root that becomes read-only
    b"pivot": "",
    b"gate": "",
    b"scope": "b",  # the cgroup of the job's scope, from the root of the hierarchy
    b"cgroup-namespace": "",
    b"rlimit": "www",  # resource, soft, hard
    b"reset": "w",  # umask; everything else that a process inherits goes to its default
    b"user-namespace": "ww",  # first id on the host, how many; inside they begin at 0
    b"identity": "ww",  # uid, gid
    b"chdir": "b",
    b"environment": "*",  # NAME=value
    b"filter": "b",  # which system calls the job may make: a BPF program as seccomp(2) takes it
    b"init": "",  # stay as a small PID 1, run the command as its child
    b"exec": "b*",  # file, argv; always last
}
# Whose blobs are no names, so that any byte may be in them.
_RAW = (b"file", b"filter")


class Step:
    """One step as data."""

    __slots__ = ("name", "operands")

    def __init__(self, name: bytes, operands: tuple[bytes | int, ...]) -> None:
        self.name = name
        self.operands = operands

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Step) and self.name == other.name and self.operands == other.operands
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.operands!r})"


def step(name: str, *operands: str | bytes | int) -> Step:
    """A checked step; text becomes bytes. Raises BadRecord for an unknown name or operand."""
    made = Step(
        name.encode(),
        tuple(o.encode("utf-8", "surrogateescape") if isinstance(o, str) else o for o in operands),
    )
    _check(made)
    return made


def _check(made: Step) -> None:
    shape = STEPS.get(made.name)
    if shape is None:
        raise BadRecord(f"plan: unknown step {made.name!r}")
    fixed = shape.rstrip("*")
    many = shape.endswith("*")
    if len(made.operands) < len(fixed) or (not many and len(made.operands) > len(fixed)):
        raise BadRecord(f"plan: step {made.name.decode()} has {len(made.operands)} operands")
    for index, operand in enumerate(made.operands):
        number = index < len(fixed) and fixed[index] == "w"
        if isinstance(operand, int) != number:
            raise BadRecord(f"plan: step {made.name.decode()}, operand {index + 1}: wrong kind")
        if isinstance(operand, bytes) and b"\0" in operand and made.name not in _RAW:
            raise BadRecord(f"plan: step {made.name.decode()}, operand {index + 1}: holds a NUL")


def encode(steps: list[Step]) -> bytes:
    """The bytes of a plan."""
    items: list[Item] = [len(steps)]
    for one in steps:
        items.append(one.name)
        items.append(len(one.operands))
        items.extend(one.operands)
    return pack(MAGIC, VERSION, items)


def decode(data: bytes) -> list[Step]:
    """The steps of a plan. Raises BadRecord.

    Their operands were checked when they were made, and jobletd alone can send a plan; a wrong one
    would fail in its step, and a failed step ends the job. So the frame is checked here and no
    more: this runs once per job in a cold process.
    """
    _version, items = unpack(data, MAGIC, (1,))
    steps = []
    at = 1
    try:
        for _ in range(items[0]):  # type: ignore[arg-type]
            end = at + 2 + items[at + 1]  # type: ignore[operator]
            if end <= at:
                raise BadRecord("plan: a step that goes backwards")
            steps.append(Step(items[at], tuple(items[at + 2 : end])))  # type: ignore[arg-type]
            at = end
    except (IndexError, TypeError) as err:
        raise BadRecord("plan: cut short, or not a plan") from err
    if at != len(items) or not steps:
        raise BadRecord("plan: items after the last step, or none at all")
    for one in steps:
        if one.name not in STEPS:
            raise BadRecord(f"plan: unknown step {one.name!r}")
    if steps[-1].name != b"exec":
        raise BadRecord("plan: the last step must be exec")
    return steps
