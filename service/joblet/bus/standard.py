"""The tree of exported objects, and the interfaces that every D-Bus object has.

Introspectable, Peer and Properties are answered from the parsed XML and the handlers' attributes.
Finding the target of a call and refusing one without a target is here too, with the standard error
names; running it is export.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from joblet.bus.frames import Message
from joblet.bus.interfaces import Interface, Method, Property, parse
from joblet.bus.values import Typed

_ERROR = "org.freedesktop.DBus.Error."
INVALID_ARGS = _ERROR + "InvalidArgs"
NO_REPLY = _ERROR + "NoReply"
UNKNOWN_METHOD = _ERROR + "UnknownMethod"
UNKNOWN_OBJECT = _ERROR + "UnknownObject"
UNKNOWN_INTERFACE = _ERROR + "UnknownInterface"
UNKNOWN_PROPERTY = _ERROR + "UnknownProperty"
PROPERTY_READ_ONLY = _ERROR + "PropertyReadOnly"
FAILED = _ERROR + "Failed"

_INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
_PEER = "org.freedesktop.DBus.Peer"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_DOCTYPE = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)
_XML = f"""<node>
<interface name="{_INTROSPECTABLE}">
 <method name="Introspect"><arg name="data" type="s" direction="out"/></method>
</interface>
<interface name="{_PEER}">
 <method name="Ping"/>
 <method name="GetMachineId"><arg name="machine_uuid" type="s" direction="out"/></method>
</interface>
<interface name="{_PROPERTIES}">
 <method name="Get">
  <arg name="interface_name" type="s" direction="in"/>
  <arg name="property_name" type="s" direction="in"/>
  <arg name="value" type="v" direction="out"/>
 </method>
 <method name="Set">
  <arg name="interface_name" type="s" direction="in"/>
  <arg name="property_name" type="s" direction="in"/>
  <arg name="value" type="v" direction="in"/>
 </method>
 <method name="GetAll">
  <arg name="interface_name" type="s" direction="in"/>
  <arg name="properties" type="a{{sv}}" direction="out"/>
 </method>
 <signal name="PropertiesChanged">
  <arg name="interface_name" type="s"/>
  <arg name="changed_properties" type="a{{sv}}"/>
  <arg name="invalidated_properties" type="as"/>
 </signal>
</interface>
</node>"""
_STANDARD = {name: parse(_XML, name) for name in (_INTROSPECTABLE, _PEER, _PROPERTIES)}
_MACHINE_ID = Path("/etc/machine-id")


class Refused(Exception):
    """A call without a target: a standard error name and the sentence for the caller."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Target(NamedTuple):
    """What a call is for; interface is None for a standard one, whose function is not async."""

    function: Callable[..., Any]
    interface: Interface | None
    method: Method


class Objects:
    """Exported handlers by path and interface; adding and removing cost the same at any number."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, tuple[Interface, object]]] = {}

    def add(self, path: str, interface: Interface, handler: object) -> None:
        """One more interface at a path."""
        self._objects.setdefault(path, {})[interface.name] = (interface, handler)

    def remove(self, path: str) -> None:
        """Forget a path. Idempotent."""
        self._objects.pop(path, None)

    def handler(self, path: str, interface: str) -> object:
        """The handler of one interface at a path. Raises KeyError."""
        return self._objects[path][interface][1]

    def find(self, message: Message) -> Target:
        """The target of a method call, the signature not yet compared. Raises Refused."""
        path, wanted, member = message.path, message.interface, message.member
        interfaces = self._objects.get(path, {})
        for name, (interface, handler) in interfaces.items():
            if wanted is None or wanted == name:
                method = interface.methods.get(member)
                if method is not None:
                    return Target(getattr(handler, method.attribute), interface, method)
        for name, interface in _STANDARD.items():
            if wanted is None or wanted == name:
                method = interface.methods.get(member)
                if method is not None:
                    return Target(self._standard(name, member, path), None, method)
        if not interfaces and not self._children(path):
            raise Refused(UNKNOWN_OBJECT, f"there is no object {path}")
        if wanted is not None and wanted not in interfaces and wanted not in _STANDARD:
            raise Refused(UNKNOWN_INTERFACE, f"{path} has no interface {wanted}")
        raise Refused(UNKNOWN_METHOD, f"{path} has no method {member}")

    def _standard(self, interface: str, member: str, path: str) -> Callable[..., list[Any]]:
        if interface == _INTROSPECTABLE:
            return lambda: [self._introspect(path)]
        if interface == _PEER:
            return _ping if member == "Ping" else _machine_id
        if member == "Get":
            return lambda name, prop: [self._get(path, name, prop)]
        if member == "GetAll":
            return lambda name: [self._get_all(path, name)]
        return lambda name, prop, _value: self._set(path, name, prop)

    def _introspect(self, path: str) -> str:
        interfaces = self._objects.get(path, {})
        children = self._children(path)
        if not interfaces and not children:
            raise Refused(UNKNOWN_OBJECT, f"there is no object {path}")
        own = [interface for interface, _ in interfaces.values()]
        parts = [f" {interface.xml}" for interface in (*_STANDARD.values(), *own)]
        parts += [f' <node name="{child}"/>' for child in sorted(children)]
        return f"{_DOCTYPE}<node>\n" + "\n".join(parts) + "\n</node>\n"

    def _children(self, path: str) -> set[str]:
        parent = path if path == "/" else path + "/"
        start = len(parent)
        return {
            other[start:].split("/", 1)[0]
            for other in self._objects
            if other.startswith(parent) and other != path
        }

    def _interfaces(self, path: str, name: str) -> list[tuple[Interface, object]]:
        """The interfaces a caller of Properties means; "" means all."""
        interfaces = self._objects.get(path)
        if interfaces is None:
            raise Refused(UNKNOWN_OBJECT, f"there is no object {path}")
        if name == "":
            return list(interfaces.values())
        if name in interfaces:
            return [interfaces[name]]
        if name in _STANDARD:
            return [(_STANDARD[name], self)]
        raise Refused(UNKNOWN_INTERFACE, f"{path} has no interface {name}")

    def _property(self, path: str, interface_name: str, name: str) -> tuple[Property, object]:
        for interface, handler in self._interfaces(path, interface_name):
            prop = interface.properties.get(name)
            if prop is not None:
                return prop, handler
        raise Refused(UNKNOWN_PROPERTY, f"{path} has no property {name}")

    def _get(self, path: str, interface_name: str, name: str) -> Typed:
        return _value(*self._property(path, interface_name, name))

    def _get_all(self, path: str, interface_name: str) -> dict[str, Typed]:
        return {
            name: _value(prop, handler)
            for interface, handler in self._interfaces(path, interface_name)
            for name, prop in interface.properties.items()
        }

    def _set(self, path: str, interface_name: str, name: str) -> list[Any]:
        self._property(path, interface_name, name)
        # export.py binds nothing with a writable property.
        raise Refused(PROPERTY_READ_ONLY, f"property {name} cannot be set")


def _value(prop: Property, handler: object) -> Typed:
    return Typed(prop.signature, getattr(handler, prop.attribute))


def _ping() -> list[Any]:
    return []


def _machine_id() -> list[Any]:
    try:
        return [_MACHINE_ID.read_text(encoding="ascii").strip()]
    except OSError as err:
        raise Refused(FAILED, f"this host has no machine id: {err.strerror}") from err
