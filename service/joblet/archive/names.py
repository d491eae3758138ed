"""What a name in an archive may be, for the packer and the unpacker alike.

Names are bytes, as for the kernel: one that is not UTF-8 is as good as any other. They are
compared after `//` and `.` are taken out, so that two spellings are one name. Whatever goes into
a message passes `shown`.
"""

from __future__ import annotations

from joblet.errors import UploadRefused

# limits.h, without the NUL that ends a path
NAME_MAX = 255
PATH_MAX = 4095
# Far more than people nest, and few enough that a walk from the top stays cheap.
MAX_DEPTH = 1024

# Two of them and a sentence fit into what joblet-files can tell the service manager.
_SHOWN_MAX = 120


def shown(name: bytes, *, limit: int = _SHOWN_MAX) -> str:
    """A name as text for a message: printable whatever it holds, and not endless."""
    text = name[: 4 * limit].decode("utf-8", "backslashreplace")
    printable = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )
    return printable if len(printable) <= limit else printable[: limit - 1] + "…"


def canonical(raw: bytes, *, directory: bool) -> bytes:
    """The one spelling of an entry's name; empty for the top directory itself.

    Raises UploadRefused for a name that leaves the tree, that no file system takes, or that only
    a directory may have.
    """
    entry = shown(raw)
    if not raw:
        raise UploadRefused(entry, "its name is empty")
    if b"\0" in raw:
        raise UploadRefused(entry, "its name holds a NUL byte")
    if raw[0] == 0x2F:
        raise UploadRefused(entry, "its name is absolute")
    parts = raw.split(b"/")
    if not directory and parts[-1] in (b"", b"."):
        raise UploadRefused(entry, "only a directory may have such a name")
    if b"" in parts or b"." in parts:
        parts = [part for part in parts if part not in (b"", b".")]
    if b".." in parts:
        raise UploadRefused(entry, "its name goes up with '..'")
    if len(parts) > MAX_DEPTH:
        raise UploadRefused(entry, f"it lies more than {MAX_DEPTH} directories deep")
    if len(raw) > NAME_MAX and max(map(len, parts), default=0) > NAME_MAX:
        raise UploadRefused(entry, f"a part of its name has more than {NAME_MAX} bytes")
    name = b"/".join(parts)
    if len(name) > PATH_MAX:
        raise UploadRefused(entry, f"its name has more than {PATH_MAX} bytes")
    return name


def why_target_leaves(name: bytes, target: bytes) -> str:
    """Why the target of the symbolic link `name` may lead out of the tree; empty if it cannot.

    `..` counts from the link's own directory, which is a real one, and only in front: behind a
    name it would count from wherever that name leads, and that may be another link. So every
    link that passes stays inside, and so does every chain of them.
    """
    if target[0] == 0x2F:
        return "its target is absolute"
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    ups = 0
    while ups < len(parts) and parts[ups] == b"..":
        ups += 1
    if ups > name.count(b"/"):
        return "its target lies outside"
    if b".." in parts[ups:]:
        return "its target goes up with '..' after a name"
    return ""
