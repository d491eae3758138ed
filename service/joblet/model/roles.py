"""The roles of remote users, and how the organisational units of a certificate name them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Role(StrEnum):
    """What a remote user may do; each role includes those above it in this list."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    MAINTAINER = "maintainer"
    ADMIN = "admin"


# Certificates of other issuers name the first role so.
_ALIASES = {"reader": Role.VIEWER}
_WORDS: dict[str, Role] = {role.value: role for role in Role} | _ALIASES
_ORDER = list(Role)


def role_of(units: Iterable[str]) -> Role | None:
    """The role that organisational units stand for; None if no unit names one.

    Of several the least: a unit that was added by mistake takes rights away and never gives any.
    """
    named = [_WORDS[word] for unit in units if (word := unit.strip().lower()) in _WORDS]
    return min(named, key=_ORDER.index, default=None)
