"""Who may import whom: the table of the house, read from the code with `ast`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service" / "joblet"
CLI = ROOT / "jobletctl"

# What each layer may import of ours; itself always. `host` may import one module of `init`, and
# `rpc` two of `client`: the shapes of what clients ask and get, which both transports share.
ALLOWED = {
    "failpoints": set(),
    "records": {"failpoints"},
    "archive": {"errors"},
    "errors": {"model", "failpoints"},
    "model": {"errors", "failpoints"},
    "config": {"model", "errors", "failpoints"},
    "paths": {"model", "errors", "failpoints"},
    "pki": {"model", "errors", "failpoints"},
    "init": {"records", "failpoints"},
    "bus": {"model", "errors", "paths", "failpoints"},
    "rpc": {"model", "errors", "paths", "client.api", "client.looks", "failpoints"},
    "store": {"model", "errors", "paths", "records", "failpoints"},
    "host": {
        "model",
        "errors",
        "paths",
        "config",
        "bus",
        "records",
        "init.plan",
        "init.passing",
        "failpoints",
    },
    "core": {"model", "errors", "config", "failpoints"},
    "api": {"core", "bus", "model", "errors", "failpoints"},
    "client": {"bus", "rpc", "model", "errors", "records", "archive", "failpoints"},
    "bridge": {"client", "rpc", "model", "errors", "config", "paths", "pki", "failpoints"},
    "persist": {
        "client",
        "model",
        "errors",
        "config",
        "paths",
        "pki",
        "store.logs",
        "failpoints",
    },
    "jobletctl": {"client", "model", "errors", "config", "paths", "pki", "failpoints"},
    "daemon": {
        "records",
        "errors",
        "model",
        "config",
        "paths",
        "pki",
        "init",
        "bus",
        "rpc",
        "store",
        "host",
        "core",
        "api",
        "persist",
        "failpoints",
    },
}
# What the fork of a helper pays for: nothing that is big, slow to import or that starts threads.
# `stat` and `collections.abc` cost nothing: `os` has loaded them.
SMALL = {"os", "struct", "stat", "collections.abc", "__future__"}
INIT_STDLIB = SMALL | {
    "sys",
    "ctypes",
    "errno",
    "fcntl",
    "resource",
    "termios",
    "socket",
    "signal",
    "select",
    "time",
    "gc",
    "warnings",
}
SOLE_IMPORTERS = {
    "dbus_next": "bus",
    "psutil": "host.hostlook",
    "pystemd": "host.notify",
    "cryptography": "pki",
    "yaml": "client.nodes",
    "aiohttp": "bridge.https.server",
}
# gRPC messages pass these seams and no other.
PROTOBUF_IMPORTERS = {"rpc", "bridge", "client"}
MODEL_LAYERS = {"errors", "model"}


def _modules() -> Iterator[tuple[str, Path]]:
    for file in sorted(SERVICE.rglob("*.py")):
        parts = file.relative_to(SERVICE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), file
    for file in sorted(CLI.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), file


def _imports(file: Path) -> Iterator[str]:
    """Full dotted names of everything imported, at any depth of the code."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(name: str) -> str | None:
    """`bus.connection.Connection` of `joblet.bus.connection.Connection`; None for others."""
    if name.startswith("joblet."):
        return name.removeprefix("joblet.")
    return name if name.split(".")[0] == "jobletctl" else None


def _permitted(target: str, allowed: set[str]) -> bool:
    return any(target == entry or target.startswith(entry + ".") for entry in allowed)


MODULES = [(name, file) for name, file in _modules() if name]


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 20
    assert {name.split(".")[0] for name, _ in MODULES} <= set(ALLOWED)


@pytest.mark.parametrize(("name", "file"), MODULES, ids=[name for name, _ in MODULES])
def test_a_module_imports_only_what_its_layer_may(name: str, file: Path) -> None:
    layer = name.split(".")[0]
    allowed = ALLOWED[layer] | {layer}
    targets = {target for target in map(_ours, _imports(file)) if target is not None}
    refused = sorted(target for target in targets if not _permitted(target, allowed))
    assert not refused, f"{name} ({layer}) may not import {', '.join(refused)}"


@pytest.mark.parametrize(("name", "file"), MODULES, ids=[name for name, _ in MODULES])
def test_a_library_has_one_importer(name: str, file: Path) -> None:
    for imported in _imports(file):
        owner = SOLE_IMPORTERS.get(imported.split(".")[0])
        if owner is not None:
            assert name == owner or name.startswith(owner + "."), f"{name} imports {imported}"


@pytest.mark.parametrize(("name", "file"), MODULES, ids=[name for name, _ in MODULES])
def test_grpc_and_its_messages_stay_at_the_edge(name: str, file: Path) -> None:
    foreign = {imported.split(".")[0] for imported in _imports(file)}
    if {"grpc", "google"} & foreign:
        assert name.split(".")[0] in PROTOBUF_IMPORTERS


@pytest.mark.parametrize(
    ("name", "file"),
    [item for item in MODULES if item[0].split(".")[0] in ("init", "records")],
    ids=[name for name, _ in MODULES if name.split(".")[0] in ("init", "records")],
)
def test_what_every_fork_pays_for_stays_small(name: str, file: Path) -> None:
    small = INIT_STDLIB if name.startswith("init") else SMALL
    foreign = [imported for imported in _imports(file) if _ours(imported) is None]
    refused = [imported for imported in foreign if not _permitted(imported, small)]
    assert not refused, f"{name} imports {', '.join(refused)}"


@pytest.mark.parametrize(
    ("name", "file"),
    [item for item in MODULES if item[0].split(".")[0] in MODEL_LAYERS],
    ids=[name for name, _ in MODULES if name.split(".")[0] in MODEL_LAYERS],
)
def test_the_vocabulary_needs_only_the_standard_library(name: str, file: Path) -> None:
    for imported in _imports(file):
        root = imported.split(".")[0]
        assert root == "joblet" or root in sys.stdlib_module_names, f"{name} imports {imported}"


def test_packages_hold_no_code_in_their_init() -> None:
    for _name, file in MODULES:
        if file.name == "__init__.py":
            body = ast.parse(file.read_text(encoding="utf-8")).body
            assert all(isinstance(node, ast.Expr) for node in body), f"{file} holds code"


def test_folders_that_are_not_packages_hold_no_python() -> None:
    for folder in ("dbus", "packaging", "units"):
        assert not list((ROOT / folder).rglob("*.py"))
