"""A small exported object for the tests of the seam itself, on an interface of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from joblet.bus import interfaces
from joblet.bus.export import Exporter, current_call
from joblet.bus.values import Typed
from joblet.errors import NotFound, WrongState

NAME = "org.joblet1.Test"
PATH = "/org/joblet1/test/one"
XML = """<node><interface name="org.joblet1.Test">
<method name="Echo">
  <arg name="value" type="v" direction="in"/><arg name="value" type="v" direction="out"/>
</method>
<method name="Options">
  <arg name="given" type="a{sv}" direction="in"/><arg name="back" type="a{sv}" direction="out"/>
</method>
<method name="Fail"><arg name="how" type="s" direction="in"/></method>
<method name="WhoAmI">
  <arg name="sender" type="s" direction="out"/><arg name="interactive" type="b" direction="out"/>
</method>
<method name="Pause"><arg name="name" type="s" direction="in"/></method>
<method name="Guarded"/>
<method name="Pipe">
  <arg name="text" type="s" direction="in"/><arg name="end" type="h" direction="out"/>
</method>
<method name="ReadAll">
  <arg name="end" type="h" direction="in"/><arg name="data" type="ay" direction="out"/>
</method>
<signal name="Tick"><arg name="number" type="u"/><arg name="note" type="v"/></signal>
<property name="Colour" type="s" access="read"/>
<property name="Size" type="u" access="read">
  <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
</property>
</interface></node>"""
INTERFACE = interfaces.parse(XML, NAME)


class Subject:
    """The handler; `resume` ends a Pause, `entered` and `left` say who is or was in a method."""

    def __init__(self, exporter: Exporter) -> None:
        self.colour = "red"
        self.size = 7
        self.entered: list[str] = []
        self.left: list[str] = []
        self.resume = asyncio.Event()
        self._exporter = exporter

    async def echo(self, value: Typed) -> Typed:
        return value

    async def options(self, given: Mapping[str, Typed]) -> Mapping[str, Typed]:
        return given

    async def fail(self, how: str) -> None:
        match how:
            case "bug":
                raise ValueError("a secret in /etc/shadow")
            case "missing":
                raise NotFound("job", "abcd")
            case "state":
                raise WrongState("abcd", "RUNNING", "delete", "stop it first\0\udc80")
            case "range":
                self.size = -1

    async def who_am_i(self) -> tuple[str, bool]:
        await self.resume.wait()
        call = current_call()
        return call.sender, call.interactive

    async def pause(self, name: str) -> None:
        self.entered.append(name)
        try:
            await self.resume.wait()
        finally:
            self.left.append(name)

    async def guarded(self) -> None:
        self.entered.append("guarded")
        try:
            with self._exporter.ends_with_caller():
                await self.resume.wait()
        finally:
            self.left.append("guarded")

    async def pipe(self, text: str) -> int:
        read_end, write_end = os.pipe()
        os.write(write_end, text.encode())
        os.close(write_end)
        return read_end

    async def read_all(self, end: int) -> bytes:
        return os.read(end, 100)
