"""systemd's manager on the bus, in memory, as far as transient services go.

It fulfils what host/systemd.py uses of a Connection. What a service does is a script of the test:
how it ends, what it has said until then, or that it goes on until it is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from joblet.errors import RemoteError

NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"


@dataclass
class Script:
    """What the next service comes to."""

    result: str = "done"  # of the queue entry; "" for one that goes on until it is stopped
    why: str = "success"
    exit_status: int = 0
    says: str = ""
    refused: str = ""  # the manager does not even take it
    acts: Callable[[dict[str, Any]], None] | None = None  # with its properties


@dataclass
class FakeManager:
    """The units and what was asked, in order."""

    scripts: list[Script] = field(default_factory=list)
    choose: Callable[[dict[str, Any]], Script] | None = None  # instead, by the properties
    calls: list[tuple[str, str]] = field(default_factory=list)
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)  # unit: its queue entry
    kept: dict[str, Script] = field(default_factory=dict)
    hold_start: asyncio.Event | None = None  # the reply to a start waits for it
    _handler: Callable[[Any], None] | None = None
    _entries: int = 0

    @asynccontextmanager
    async def subscribe(self, _rule: object, handler: Callable[[Any], None]) -> AsyncIterator[None]:
        self._handler = handler
        yield
        self._handler = None

    async def call(
        self,
        _destination: str,
        path: str,
        _interface: str,
        member: str,
        _signature: str = "",
        body: Sequence[Any] = (),
        *,
        deadline_s: float,
    ) -> tuple[list[Any], list[int]]:
        await asyncio.sleep(0)
        if member != "GetAll":
            self.calls.append((member, str(body[0]) if body else ""))
        return await getattr(self, f"_{member}")(path, *body), []

    async def _StartTransientUnit(
        self, _path: str, unit: str, _mode: str, properties: list[Any], _others: list[Any]
    ) -> list[Any]:
        given = {name: typed.value for name, typed in properties}
        if self.choose is not None:
            script = self.choose(given)
        else:
            script = self.scripts.pop(0) if self.scripts else Script()
        if script.refused:
            raise RemoteError(script.refused, "no")
        self.started[unit] = given
        self.kept[unit] = script
        if script.acts is not None:
            script.acts(self.started[unit])
        entry = self._entry()
        if script.result:
            self._later(entry, unit, script.result)
        else:
            self.running[unit] = entry
        if self.hold_start is not None:
            await self.hold_start.wait()
        return [entry]

    async def _StopUnit(self, _path: str, unit: str, _mode: str) -> list[Any]:
        if unit not in self.kept:
            raise RemoteError(NO_SUCH_UNIT, unit)
        entry = self._entry()
        if unit in self.running:
            # As the real one: the start gives way first, the stop is done when nothing runs.
            self._later(self.running[unit], unit, "canceled")
        self._later(entry, unit, "done")
        return [entry]

    async def _UnrefUnit(self, _path: str, unit: str) -> list[Any]:
        del self.kept[unit]
        return []

    async def _GetUnit(self, _path: str, unit: str) -> list[Any]:
        return [f"/unit/{unit}"]

    async def _GetAll(self, path: str, _interface: str) -> list[Any]:
        script = self.kept[path.removeprefix("/unit/")]
        return [
            {
                "Result": script.why,
                "ExecMainStatus": script.exit_status,
                "StatusText": script.says,
            }
        ]

    async def _ListUnitsByPatterns(
        self, _path: str, _states: list[str], patterns: list[str]
    ) -> list[Any]:
        [pattern] = patterns
        front, _, back = pattern.partition("*")
        return [[(u, "") for u in self.kept if u.startswith(front) and u.endswith(back)]]

    def _entry(self) -> str:
        self._entries += 1
        return f"/job/{self._entries}"

    def _later(self, entry: str, unit: str, result: str) -> None:
        asyncio.get_running_loop().call_soon(self._removed, entry, unit, result)

    def _removed(self, entry: str, unit: str, result: str) -> None:
        if self.running.get(unit) != entry and result == "done":
            self.running.pop(unit, None)
        if self._handler is not None:
            self._handler(SimpleNamespace(body=[1, entry, unit, result]))
