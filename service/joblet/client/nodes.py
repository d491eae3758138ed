"""rnx-config.yml, the file in which clients keep their nodes: what it says, and adding to it.

The format is that of the existing clients (rnx, the Python SDK, the admin UI), so what is not
ours in such a file is kept: other nodes, and keys that only some of them know. Reads one that is
given as text, and writes one the same way; where the file is and how it is replaced is for the
caller. The only importer of `yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from joblet.errors import InvalidSpec, JobletError
from joblet.model import addresses

VERSION = "3.0"
_PEM_KEYS = {"cert": "CERTIFICATE", "key": "PRIVATE KEY", "ca": "CERTIFICATE"}
# The node that clients take when they are not told which.
DEFAULT_NODE = "default"
# One SDK (2.0.2) refuses a node without this address, and goes on when nothing answers there; the
# others ignore the key.
_PERSIST_PORT = 50052
# Thousands of nodes fit; a parser in Python would work for minutes on what is longer.
TEXT_MAX = 4 << 20


class NodesFileError(JobletError):
    """The file cannot be used; the sentence names it."""

    code = "InvalidSpec"


@dataclass(frozen=True, slots=True)
class Node:
    """How to reach a bridge, and as whom: PEM texts of certificate, key and CA."""

    name: str
    address: str
    cert: str
    key: str
    ca: str


class NodesFile:
    """One such file in memory."""

    def __init__(self, text: str = "", *, origin: str = "rnx-config.yml") -> None:
        """Read a text; an empty one is a file without nodes. Raises NodesFileError."""
        self._origin = origin
        self._tree = _parsed(text, origin)
        self._tree.setdefault("version", VERSION)
        nodes = self._tree.get("nodes")
        if nodes is None:
            nodes = self._tree["nodes"] = {}
        if not isinstance(nodes, dict) or not all(isinstance(one, dict) for one in nodes.values()):
            raise NodesFileError(f"{origin}: 'nodes' must name nodes, each with its keys below it")
        if unquoted := [name for name in nodes if not isinstance(name, str)]:
            raise NodesFileError(f"{origin}: the node name {unquoted[0]} is no text: quote it")
        self._nodes: dict[str, dict[str, Any]] = nodes

    @property
    def names(self) -> tuple[str, ...]:
        """Of all nodes, in the order of the file."""
        return tuple(self._nodes)

    @property
    def default(self) -> str | None:
        """The node of whoever names none: the marked one, that of the name, or the only one."""
        marked = [name for name, entry in self._nodes.items() if entry.get("isDefault") is True]
        if marked:
            return marked[0]
        if DEFAULT_NODE in self._nodes:
            return DEFAULT_NODE
        return next(iter(self._nodes)) if len(self._nodes) == 1 else None

    def node(self, name: str | None = None) -> Node:
        """One of the nodes, by default the default one. Raises NodesFileError."""
        chosen = name or self.default
        there = f"it has {', '.join(self._nodes)}" if self._nodes else "it has none"
        if chosen is None:
            which = "; name one with --node" if self._nodes else ""
            raise NodesFileError(f"{self._origin} does not say which node to use; {there}{which}")
        if chosen not in self._nodes:
            raise NodesFileError(f"node '{chosen}' is not in {self._origin}; {there}")
        return Node(
            chosen,
            self.address(chosen),
            *(self._pem(chosen, key, kind) for key, kind in _PEM_KEYS.items()),
        )

    def address(self, name: str) -> str:
        """Where a node is, with a port. Raises NodesFileError."""
        address = self._nodes[name].get("address")
        if not isinstance(address, str) or not address.strip():
            raise NodesFileError(f"{self._origin}: node '{name}' has no 'address'")
        address = address.strip()
        try:
            return addresses.check_address(address)
        except InvalidSpec as whole:
            try:
                # Some clients take the usual port where none is written.
                return addresses.joined(addresses.check_host(address), addresses.DEFAULT_PORT)
            except InvalidSpec:
                raise NodesFileError(f"{self._origin}: node '{name}': {whole.why}") from whole

    def node_id(self, name: str) -> str:
        """What the node is called elsewhere, or ""."""
        given = self._nodes[name].get("nodeId")
        return given if isinstance(given, str) else ""

    def _pem(self, name: str, key: str, kind: str) -> str:
        text = self._nodes[name].get(key)
        if not isinstance(text, str) or f"{kind}-----" not in text or "-----BEGIN " not in text:
            raise NodesFileError(
                f"{self._origin}: '{key}' of node '{name}' is no {kind.lower()} in PEM; "
                "'jobletctl certs export' on the host writes a whole file"
            )
        return text

    def put(self, nodes: Iterable[Node]) -> None:
        """Add nodes, or give those that are there new credentials.

        A node keeps its keys that say nothing of address and credentials. If no node is marked as
        the default one, the node of that name is, else the first of these.
        """
        added = list(nodes)
        for node in added:
            self._nodes.setdefault(node.name, {})
        # At most one node may be marked; clients that do not know the mark go by the name.
        if added and not any(entry.get("isDefault") is True for entry in self._nodes.values()):
            chosen = DEFAULT_NODE if DEFAULT_NODE in self._nodes else added[0].name
            self._nodes[chosen]["isDefault"] = True
        for node in added:
            host = addresses.host_of(node.address)
            self._nodes[node.name].update(
                address=node.address,
                persistAddress=addresses.joined(host, _PERSIST_PORT),
                cert=node.cert,
                key=node.key,
                ca=node.ca,
            )

    def text(self) -> str:
        """The file as it is to be written. Raises NodesFileError."""
        try:
            # Lines of any length, since a folded one would be hard to read and compare.
            said: str = yaml.dump(
                self._tree,
                Dumper=_Dumper,
                sort_keys=False,
                allow_unicode=True,
                default_flow_style=False,
                width=1 << 20,
            )
        except RecursionError as err:
            raise NodesFileError(f"{self._origin}: nested too deeply") from err
        return said


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Writes texts of several lines, which here are PEM, as blocks."""


def _text(dumper: _Dumper, text: str) -> Any:
    style = None
    if not text.replace("\n", "").isprintable():
        # Left to itself the library writes some characters so that it reads them as line ends.
        style = '"'
    elif "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _parsed(text: str, origin: str) -> dict[str, Any]:
    if len(text) > TEXT_MAX:
        raise NodesFileError(f"{origin}: too long for a file of nodes")
    try:
        tree = yaml.safe_load(text)
    except yaml.MarkedYAMLError as err:
        # Not the whole complaint: it quotes the line, and there are keys in such a file.
        line = "" if err.problem_mark is None else f" in line {err.problem_mark.line + 1}"
        raise NodesFileError(f"{origin}: this is not YAML{line}: {err.problem}") from err
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise NodesFileError(f"{origin}: this is not YAML") from err
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise NodesFileError(f"{origin}: this is no file of nodes")
    return tree
