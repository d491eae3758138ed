"""What org.joblet1.Monitor tells, read into the model; and what can be asked for.

Apart from api.py, since its classes cost milliseconds, and who runs or lists jobs needs none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from joblet.client.api import broken
from joblet.model.host import HostStatus
from joblet.model.metrics import HUNDREDTHS, Sample

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsRequest:
    """Which samples of a job: of a time, all that there are, or all that come too."""

    follow: bool = False
    after: int = 0  # only those with a higher number
    since_usec: int | None = None
    until_usec: int | None = None


def samples(encoded: object) -> list[Sample]:
    """What GetJobMetrics gives. Raises RemoteError."""
    found = _json(encoded)
    if not isinstance(found, list):
        raise broken("samples that are no array")
    return [_in_hundredths(_read(Sample, one)) for one in found]


def host_status(encoded: object) -> HostStatus:
    """What GetStatus gives. Raises RemoteError."""
    return _read(HostStatus, _json(encoded))


def _json(encoded: object) -> object:
    if not isinstance(encoded, bytes):
        raise broken(f"a {type(encoded).__name__} where bytes belong")
    try:
        return json.loads(encoded)
    except ValueError as err:
        raise broken(f"something that is not JSON ({err})") from err


def _in_hundredths(sample: Sample) -> Sample:
    """Pressure as the model has it."""
    found = {name: getattr(sample, name) for name in HUNDREDTHS}
    whole = {name: round(100 * value) for name, value in found.items() if value is not None}
    return replace(sample, **whole) if whole else sample


@cache
def _types(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _read(kind: type[Kind], told: object) -> Kind:
    """An object of JSON as a dataclass; keys that are not known here are passed over."""
    if not isinstance(told, Mapping):
        raise broken(f"a {type(told).__name__} where an object belongs")
    types = _types(kind)  # type: ignore[arg-type]
    names = {part.name for part in fields(kind)}  # type: ignore[arg-type]
    known = {
        name: _value(f"{kind.__name__}.{name}", types[name], value)
        for name, value in told.items()
        if name in names
    }
    try:
        return kind(**known)
    except TypeError as err:
        raise broken(f"a {kind.__name__} without a required key ({err})") from err


def _value(where: str, kind: Any, value: object) -> object:
    if get_origin(kind) is UnionType:
        [kind] = [one for one in get_args(kind) if one is not NoneType]
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)[0]
        return tuple(_value(where, inner, item) for item in value)
    if is_dataclass(kind) and isinstance(kind, type):
        return _read(kind, value)
    # type(), since a bool is an int to isinstance; a whole number may stand for any other
    if type(value) is kind or (kind in (int, float) and type(value) in (int, float)):
        return value
    raise broken(f"{where} as {type(value).__name__}")
