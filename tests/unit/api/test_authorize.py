"""Questions to polkit that are asked again, and those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from joblet.api import authorize
from joblet.api.authorize import Action, Authority
from joblet.bus.export import Call
from joblet.errors import NotAllowed, RemoteError

CALL = Call(":1.7", "/org/joblet1", "org.joblet1.Manager", "RunJob", False)
UNREGISTERED = "Action org.joblet1.run-job is not registered"


class Bus:
    """Knows the caller; polkit refuses to answer so many times, then says yes."""

    def __init__(self, refusals: int, text: str) -> None:
        self.left = refusals
        self.text = text
        self.questions = 0

    async def call(
        self, _name: str, _path: str, _interface: str, member: str, *_: Any, **_deadline: Any
    ) -> tuple[list[Any], list[int]]:
        if member == "GetConnectionCredentials":
            return [{"UnixUserID": 1000}], []
        self.questions += 1
        if self.left:
            self.left -= 1
            raise RemoteError("org.freedesktop.PolicyKit1.Error.Failed", self.text)
        return [(True, False, {})], []


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorize, "_UNREGISTERED_PAUSES_S", (0.0, 0.0, 0.0))


async def test_polkit_that_has_just_started_is_asked_again() -> None:
    bus = Bus(3, UNREGISTERED)
    assert await Authority(bus).require(Action.RUN_JOB, CALL) == 1000  # type: ignore[arg-type]
    assert bus.questions == 4


@pytest.mark.parametrize(("text", "asked"), [(UNREGISTERED, 4), ("something else", 1)])
async def test_no_answer_stays_a_no(text: str, asked: int) -> None:
    bus = Bus(9, text)
    with pytest.raises(NotAllowed, match="gave no answer"):
        await Authority(bus).require(Action.RUN_JOB, CALL)  # type: ignore[arg-type]
    assert bus.questions == asked
