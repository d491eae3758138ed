"""A service manager for dbusmock: remembers its units and behaves as badly as it is told to.

Loaded by path. Unlike the stock template it refuses a name that is taken (UnitExists) and one that
nobody has (NoSuchUnit), and JobRemoved comes when the reply has long been read. `Behave` says what
the next call of a member does: fail, hang, die before the reply, or die after it.
"""

from __future__ import annotations

import os
from typing import Any

from dbusmock import MOCK_IFACE
from gi.repository import GLib

import dbus

BUS_NAME = "org.freedesktop.systemd1"
MAIN_OBJ = "/org/freedesktop/systemd1"
MAIN_IFACE = "org.freedesktop.systemd1.Manager"
SYSTEM_BUS = True

LATE_MS = 30


def load(mock: Any, _parameters: Any) -> None:
    """Called by dbusmock once."""
    mock.units = {}  # name: active state
    mock.queue_entries = 0
    mock.behaviour = {}  # member: what its next call does
    mock.knows_pidfds = True
    mock.AddProperty(MAIN_IFACE, "SystemState", "running")


def _no_such_unit(name: str) -> dbus.DBusException:
    return dbus.DBusException(f"Unit {name} not loaded.", name=f"{BUS_NAME}.NoSuchUnit")


def _misbehave(mock: Any, member: str) -> str:
    """What is left to do differently, after what can be done at once."""
    behaviour = str(mock.behaviour.pop(member, ""))
    if behaviour == "die":
        os._exit(1)
    if behaviour == "refuse":
        raise dbus.DBusException("Refused by the test.", name="org.freedesktop.DBus.Error.Failed")
    return behaviour


def _finish(mock: Any, name: str, result: str, behaviour: str) -> str:
    """The queue entry, which ends later."""
    mock.queue_entries += 1
    number = dbus.UInt32(mock.queue_entries)
    path = dbus.ObjectPath(f"{MAIN_OBJ}/job/{number}")

    def end() -> bool:
        if behaviour == "die-later":
            os._exit(1)
        said = result if behaviour in ("", "late") else behaviour
        mock.EmitSignal(MAIN_IFACE, "JobRemoved", "uoss", [number, path, name, said])
        return False

    if behaviour != "hang":
        GLib.timeout_add(LATE_MS, end)
    return str(path)


@dbus.service.method(MAIN_IFACE, in_signature="ssa(sv)a(sa(sv))", out_signature="o")
def StartTransientUnit(self: Any, name: str, mode: str, properties: Any, _aux: Any) -> str:
    behaviour = _misbehave(self, "StartTransientUnit")
    names = [str(one[0]) for one in properties]
    if "PIDFDs" in names and not self.knows_pidfds:
        raise dbus.DBusException(
            "Cannot set property PIDFDs, or unknown property.",
            name="org.freedesktop.DBus.Error.PropertyReadOnly",
        )
    if str(name) in self.units:
        raise dbus.DBusException(f"Unit {name} was already loaded.", name=f"{BUS_NAME}.UnitExists")
    if behaviour in ("", "late"):
        self.units[str(name)] = "active"
    elif behaviour not in ("hang", "die-later"):
        self.units[str(name)] = "failed"
    return _finish(self, name, "done", behaviour)


@dbus.service.method(MAIN_IFACE, in_signature="ss", out_signature="o")
def StopUnit(self: Any, name: str, mode: str) -> str:
    behaviour = _misbehave(self, "StopUnit")
    if str(name) not in self.units:
        raise _no_such_unit(name)
    if behaviour == "stays-failed":
        self.units[str(name)] = "failed"
        behaviour = ""
    elif behaviour != "hang":
        del self.units[str(name)]
    return _finish(self, name, "done", behaviour)


@dbus.service.method(MAIN_IFACE, in_signature="s", out_signature="")
def ResetFailedUnit(self: Any, name: str) -> None:
    _misbehave(self, "ResetFailedUnit")
    if str(name) not in self.units:
        raise _no_such_unit(name)
    del self.units[str(name)]


@dbus.service.method(MAIN_IFACE, in_signature="asas", out_signature="a(ssssssouso)")
def ListUnitsByPatterns(self: Any, states: Any, patterns: Any) -> Any:
    _misbehave(self, "ListUnitsByPatterns")
    root = dbus.ObjectPath("/")
    return [
        (name, "", "loaded", state, state, "", root, dbus.UInt32(0), "", root)
        for name, state in self.units.items()
    ]


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def Behave(self: Any, member: str, how: str) -> None:
    self.behaviour[str(member)] = str(how)


@dbus.service.method(MOCK_IFACE, in_signature="ss", out_signature="")
def PutUnit(self: Any, name: str, state: str) -> None:
    self.units[str(name)] = str(state)


@dbus.service.method(MOCK_IFACE, in_signature="b", out_signature="")
def KnowPidfds(self: Any, known: bool) -> None:
    self.knows_pidfds = bool(known)


@dbus.service.method(MOCK_IFACE, in_signature="", out_signature="a{ss}")
def Units(self: Any) -> Any:
    return dbus.Dictionary(self.units, signature="ss")
