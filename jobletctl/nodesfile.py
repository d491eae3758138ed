"""The file of nodes on disk: merges nodes into it, whoever else writes it at the same time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from joblet.client.nodes import TEXT_MAX, Node, NodesFile, NodesFileError
from jobletctl import durablefile


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
    try:
        return data.decode(), (held.st_uid, held.st_gid) if os.geteuid() == 0 else None
    except UnicodeDecodeError as err:
        raise NodesFileError(f"{path}: this is not text in UTF-8") from err
