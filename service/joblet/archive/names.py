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
    if len(text) <= limit and text.isprintable():
        return text
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
    why = ""
    parts = raw.split(b"/")
    if not raw:
        why = "its name is empty"
    elif b"\0" in raw:
        why = "its name holds a NUL byte"
    elif not parts[0] and len(parts) > 1:
        why = "its name is absolute"
    elif not directory and parts[-1] in (b"", b"."):
        why = "only a directory may have such a name"
    elif b".." in parts:
        why = "its name goes up with '..'"
    if why:
        raise UploadRefused(shown(raw), why)
    if b"" in parts or b"." in parts:
        parts = [part for part in parts if part not in (b"", b".")]
    name = b"/".join(parts)
    if len(parts) > MAX_DEPTH:
        why = f"it lies more than {MAX_DEPTH} directories deep"
    elif len(name) > NAME_MAX and max(map(len, parts)) > NAME_MAX:
        why = f"a part of its name has more than {NAME_MAX} bytes"
    elif len(name) > PATH_MAX:
        why = f"its name has more than {PATH_MAX} bytes"
    if why:
        raise UploadRefused(shown(raw), why)
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
