"""What a handler must have to be bound to an interface."""

from __future__ import annotations

import pytest

from joblet.bus import interfaces
from joblet.bus.export import Exporter, current_call
from joblet.bus.interfaces import ContractError

NAME = "org.joblet1.Test"
BOUND = f"""<node><interface name="{NAME}">
<method name="DoIt"><arg name="a" type="s" direction="in"/></method>
<property name="Size" type="u" access="read"/></interface></node>"""


class Good:
    """Fits; the property is an attribute of the instance."""

    def __init__(self) -> None:
        self.size = 1

    async def do_it(self, a: str) -> None:
        del a


class NoProperty:
    async def do_it(self, a: str) -> None:
        del a


class NotAsync(Good):
    def do_it(self, a: str) -> None:  # type: ignore[override]
        del a


class TooFew(Good):
    async def do_it(self) -> None:  # type: ignore[override]
        pass


class TooMany(Good):
    async def do_it(self, a: str, b: str) -> None:  # type: ignore[override]
        del a, b


class KeywordOnly(Good):
    async def do_it(self, *, a: str) -> None:  # type: ignore[override]
        del a


class Nothing:
    size = 1


@pytest.fixture
async def exporter() -> Exporter:
    return Exporter(object())  # type: ignore[arg-type]


async def test_a_handler_that_fits_is_bound(exporter: Exporter) -> None:
    exporter.add("/a", Good(), interfaces.parse(BOUND, NAME))


@pytest.mark.parametrize(
    ("handler", "complaint"),
    [
        (NoProperty, "NoProperty for org.joblet1.Test: no size"),
        (NotAsync, "do_it must be an async method"),
        (Nothing, "do_it must be an async method"),
        (TooFew, "do_it must take 1 arguments"),
        (TooMany, "do_it must take 1 arguments"),
        (KeywordOnly, "do_it must have plain parameters"),
    ],
)
async def test_a_handler_that_does_not_fit_is_refused(
    exporter: Exporter, handler: type, complaint: str
) -> None:
    with pytest.raises(ContractError, match=complaint):
        exporter.add("/a", handler(), interfaces.parse(BOUND, NAME))


async def test_an_interface_with_a_writable_property_is_refused(exporter: Exporter) -> None:
    text = BOUND.replace('access="read"', 'access="readwrite"')
    with pytest.raises(ContractError, match="property Size is not read-only"):
        exporter.add("/a", Good(), interfaces.parse(text, NAME))


def test_outside_of_a_call_there_is_no_caller() -> None:
    with pytest.raises(LookupError):
        current_call()
