"""The D-Bus contract as Python sees it: finds the XML of an interface and parses it.

The file that came with this code wins: in a checkout that is dbus/interfaces, installed it is
share/dbus-1/interfaces below the prefix of the installation (/usr, or a virtual environment), else
/usr/share/dbus-1/interfaces or /usr/share/joblet/interfaces. export.py binds handlers to what is
parsed here; the proxies of clients take their signatures from it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from joblet.errors import JobletError

INSTALLED = (Path("/usr/share/dbus-1/interfaces"), Path("/usr/share/joblet/interfaces"))
_EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class ContractError(JobletError):
    """An interface file is missing or broken, or code does not fit it."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method: signatures as they appear in messages, argument names for people."""

    name: str
    in_signature: str
    out_signature: str
    in_args: tuple[tuple[str, str], ...]  # name and signature
    out_args: tuple[tuple[str, str], ...]

    @property
    def attribute(self) -> str:
        """The name of the handler's method."""
        return snake_case(self.name)


@dataclass(frozen=True, slots=True)
class SignalMember:
    """A signal and its arguments."""

    name: str
    signature: str
    args: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Property:
    """A property; emits is true, const, false or invalidates, as in the D-Bus specification."""

    name: str
    signature: str
    access: str
    emits: str

    @property
    def attribute(self) -> str:
        """The name of the handler's attribute."""
        return snake_case(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Interface:
    """One interface; `xml` is its element without comments, for Introspect. Equal is identical."""

    name: str
    methods: Mapping[str, Method]
    signals: Mapping[str, SignalMember]
    properties: Mapping[str, Property]
    xml: str


def snake_case(member: str) -> str:
    """`RunJob` to `run_job`."""
    return _WORD.sub("_", member).lower()


@cache
def load(name: str) -> Interface:
    """The interface of this name. Raises ContractError."""
    path = find(name)
    try:
        return parse(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError, ET.ParseError) as err:
        raise ContractError(f"{path}: {err}") from err


def find(name: str) -> Path:
    """The file of the interface of this name. Raises ContractError."""
    places = (*_beside(), *INSTALLED)
    for place in places:
        candidate = place / f"{name}.xml"
        if candidate.is_file():
            return candidate
    looked = ", ".join(str(place) for place in places)
    raise ContractError(f"the interface {name} is not installed (looked in {looked})")


def parse(text: str, name: str) -> Interface:
    """The interface of this name in an introspection document.

    Raises ContractError, xml.etree.ElementTree.ParseError.
    """
    root = ET.fromstring(text)  # noqa: S314 - our own file
    for element in root.iter("interface"):
        if element.get("name") == name:
            return _interface(element, name)
    raise ContractError(f"no interface {name} in its file")


def _beside() -> Iterator[Path]:
    above = Path(__file__).resolve().parents
    # service/joblet/bus/interfaces.py; an installed package has no such neighbour.
    yield above[3] / "dbus" / "interfaces"
    # lib/python3/dist-packages/joblet/bus/interfaces.py; a checkout may be nearer to the root.
    for prefix in above[5:6]:
        yield prefix / "share" / "dbus-1" / "interfaces"


def _interface(element: ET.Element, name: str) -> Interface:
    methods = {}
    for item in element.iter("method"):
        ins = _args(item, "in", "in")
        outs = _args(item, "in", "out")
        methods[_name(item)] = Method(_name(item), _joined(ins), _joined(outs), ins, outs)
    signals = {}
    for item in element.iter("signal"):
        args = _args(item, "out", "out")
        signals[_name(item)] = SignalMember(_name(item), _joined(args), args)
    properties = {}
    for item in element.iter("property"):
        notes = {note.get("name"): note.get("value", "") for note in item.iter("annotation")}
        properties[_name(item)] = Property(
            _name(item), item.get("type", ""), item.get("access", ""), notes.get(_EMITS, "true")
        )
    ET.indent(element, " ", level=1)
    xml = ET.tostring(element, encoding="unicode").rstrip()
    return Interface(name, methods, signals, properties, xml)


def _name(element: ET.Element) -> str:
    return element.get("name", "")


def _args(item: ET.Element, default: str, wanted: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (arg.get("name", ""), arg.get("type", ""))
        for arg in item.iter("arg")
        if arg.get("direction", default) == wanted
    )


def _joined(args: tuple[tuple[str, str], ...]) -> str:
    return "".join(signature for _, signature in args)
