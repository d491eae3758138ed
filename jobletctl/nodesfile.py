"""The file of nodes on disk: where it is looked for, reading it, and merging nodes into it.

Whoever else writes it at the same time loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from joblet.client.nodes import TEXT_MAX, Node, NodesFile, NodesFileError
from jobletctl import durablefile

# Its own clients look there, in this order; what an option names goes before.
VARIABLE = "RNX_CONFIG"
PLACES = (
    "rnx-config.yml",
    "config/rnx-config.yml",
    "~/.rnx/rnx-config.yml",
    "/etc/joblet/rnx-config.yml",
    "/opt/joblet/config/rnx-config.yml",
)


def find(path: str | None = None) -> str:
    """The file to use. Raises NodesFileError."""
    if path is not None:
        return path  # whoever names a file means that one
    named = os.environ.get(VARIABLE, "")
    for place in (named, *map(os.path.expanduser, PLACES)):
        if place and os.path.exists(place):
            return place
    raise NodesFileError(
        f"there is no file of nodes: it is looked for in ${VARIABLE} and as {', '.join(PLACES)}; "
        "'jobletctl certs export' on the host to reach writes one"
    )


def load(path: str | None = None) -> NodesFile:
    """The file of nodes that counts. Raises JobletError."""
    path = find(path)
    try:
        # Where secrets are mounted, or a home is kept in order, it is a link.
        data = durablefile.read(os.path.realpath(path), limit=4 * TEXT_MAX)
    except OSError as err:
        raise NodesFileError(f"{path}: {err.strerror}") from err
    return NodesFile(_text(data, path), origin=path)


def merge(path: str, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Add nodes to a file, made if need be; returns all that are in it then.

    The file is for its owner alone, since it holds keys; one that is there keeps its owner, as
    root may write it for somebody. Raises JobletError, and the file is as it was.
    """
    with durablefile.locked(os.path.dirname(os.path.abspath(path))):
        text, owner = _read(path)
        file = NodesFile(text, origin=path)
        file.put(nodes)
        durablefile.replace(path, file.text().encode(), mode=0o600, owner=owner)
    return file.names


def _read(path: str) -> tuple[str, tuple[int, int] | None]:
    with durablefile.explained("read", path):
        try:
            held = os.lstat(path)
        except FileNotFoundError:
            return "", None
        # utf-8 may take four bytes for a character
        data = durablefile.read(path, limit=4 * TEXT_MAX)
    return _text(data, path), (held.st_uid, held.st_gid) if os.geteuid() == 0 else None


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as err:
        raise NodesFileError(f"{path}: this is not text in UTF-8") from err
