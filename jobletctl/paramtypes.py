"""What option values and arguments may look like: each complaint is one clause for a usage error.

Only what can be known without the daemon is checked here; the daemon checks everything again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from joblet.errors import InvalidSpec
from joblet.model import ids, limits
from jobletctl import suggest, timespec

# Below this no program starts; who writes 512 means megabytes.
_MEMORY_MIN = 1 << 20
# What a message can carry.
NUMBER_MAX = (1 << 63) - 1
_PERCENT_MAX = (1 << 32) - 1
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BadValue(ValueError):
    """A value that cannot be meant; the message is one clause."""


def check_text(text: str) -> str:
    """Text that a message can carry. Raises BadValue for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as err:
        raise BadValue("not valid UTF-8") from err
    return text


def parse_duration(text: str) -> int:
    """Microseconds. Raises BadValue."""
    try:
        return limits.parse_duration(text)
    except limits.BadLimit as err:
        raise BadValue(str(err)) from err


def parse_positive_duration(text: str) -> int:
    """Microseconds, more than none. Raises BadValue."""
    usec = parse_duration(text)
    if usec == 0:
        raise BadValue("must be more than zero; leave the option out for no limit")
    return usec


def parse_schedule(text: str) -> int | None:
    """When to start, in microseconds since the epoch; None: at once, as for a time in the past."""
    now_usec = time.time_ns() // 1000
    try:
        at_usec = timespec.moment(text, now_usec=now_usec)
    except timespec.BadTime as err:
        raise BadValue(str(err)) from err
    return at_usec if at_usec > now_usec else None


def parse_since(text: str) -> int:
    """Microseconds since the epoch; a duration counts back from now. Raises BadValue."""
    try:
        return timespec.moment(text, now_usec=time.time_ns() // 1000, ago=True)
    except timespec.BadTime as err:
        raise BadValue(str(err)) from err


def parse_size(text: str) -> int:
    """Bytes: 512M, 2G, 1.5GiB; factors of 1024; 0 for no limit. Raises BadValue."""
    try:
        return limits.parse_size(text)
    except limits.BadLimit as err:
        raise BadValue(str(err)) from err


def parse_memory(text: str) -> int:
    """Bytes of memory or of a file system in it. Raises BadValue."""
    size = parse_size(text)
    if 0 < size < _MEMORY_MIN:
        hint = f"; is it {text.strip()}M?" if text.strip().isdecimal() else ""
        raise BadValue(f"must be at least 1M{hint}")
    return size


def parse_percent(text: str) -> int:
    """Percent of one CPU, so 200 is two; 0 for no limit. Raises BadValue."""
    try:
        percent = limits.parse_percent(text)
    except limits.BadLimit as err:
        raise BadValue(str(err)) from err
    if percent > _PERCENT_MAX:
        raise BadValue(f"must be at most {_PERCENT_MAX}")
    return percent


def parse_cpus(text: str) -> tuple[int, ...]:
    """A set of CPUs, or `all`. Raises BadValue."""
    if text.strip().lower() == "all":
        return ()
    try:
        return limits.parse_cpus(text)
    except limits.BadLimit as err:
        raise BadValue(str(err)) from err


def parse_name(text: str) -> str:
    """A job name. Raises BadValue."""
    try:
        return ids.check_name(text)
    except InvalidSpec as err:
        raise BadValue(err.why) from err


def parse_job(text: str) -> str:
    """A job id or the beginning of one. Raises BadValue."""
    try:
        return ids.check_job_reference(text)
    except InvalidSpec as err:
        raise BadValue(f"'{text}' is no job id: {err.why}") from err


def parse_number(text: str, least: int, most: int) -> int:
    """A whole number in these bounds. Raises BadValue."""
    try:
        number = int(text)
    except ValueError as err:
        raise BadValue(f"'{text}' is no whole number") from err
    if number < least:
        raise BadValue(f"must be at least {least}")
    if number > most:
        raise BadValue(f"must be at most {most}")
    return number


def parse_variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`, or `NAME` for the value that it has here. Raises BadValue."""
    name, equals, value = text.partition("=")
    if _VARIABLE.fullmatch(name) is None:
        raise BadValue(f"'{name}' is no variable name: use letters, digits and '_', no digit first")
    if not equals:
        if name not in os.environ:
            raise BadValue(f"{name} has no value here; write {name}=VALUE")
        value = os.environ[name]
    try:
        return name, check_text(value)
    except BadValue as err:
        raise BadValue(f"the value of {name} is {err}") from err


def parse_output(text: str) -> tuple[str, str]:
    """`PATH[:DEST]`: a path in /work, and where it goes, here if nothing else is said."""
    path, _, destination = text.partition(":")
    if not path:
        raise BadValue("name a path in /work before the ':'")
    return path, destination or "."


def parse_job_path(text: str) -> tuple[str, str]:
    """`ID:PATH`. Raises BadValue."""
    reference, colon, path = text.partition(":")
    if not colon:
        raise BadValue(f"'{text}' is not ID:PATH; files are copied out of a job, not into one")
    return parse_job(reference), path


def check_command(words: Iterable[str]) -> tuple[str, ...]:
    """A command with its arguments. Raises BadValue naming the one that cannot be sent."""
    checked = []
    for number, word in enumerate(words):
        try:
            checked.append(check_text(word))
        except BadValue as err:
            place = f"argument {number}" if number else "the command"
            raise BadValue(f"{place} is {err}") from err
    if not checked[0]:
        raise BadValue("the command is empty")
    return tuple(checked)


if TYPE_CHECKING:
    _ParamType = click.ParamType[object]
    _Choice = click.Choice[object]
else:
    # generic only in newer versions of click, and there only for type checkers
    _ParamType = click.ParamType
    _Choice = click.Choice


class Parsed(_ParamType):
    """A click type around one of the parsers above; its name stands for the value in help texts."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """The parsed value; what is no text any more has been parsed before."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(check_text(value))
        except BadValue as err:
            self.fail(str(err), param, ctx)


def number(least: int, most: int = NUMBER_MAX) -> Parsed:
    """The type of a whole number; the help of an option names the bounds that people may meet."""
    return Parsed("n", lambda text: parse_number(text, least, most))


class Word(_Choice):
    """One of some words; a wrong one is asked back with what may have been meant."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """The word as it is in the list, whatever the case of its letters."""
        words = {str(word).casefold(): word for word in self.choices}
        found = words.get(str(value).casefold())
        if found is None:
            known = ", ".join(map(str, self.choices))
            meant = suggest.meant(str(value), map(str, self.choices))
            self.fail(f"'{value}' is none of {known}{meant}", param, ctx)
        return found


DURATION = Parsed("duration", parse_duration)
POSITIVE_DURATION = Parsed("duration", parse_positive_duration)
SCHEDULE = Parsed("when", parse_schedule)
SINCE = Parsed("time", parse_since)
SIZE = Parsed("size", parse_size)
MEMORY = Parsed("size", parse_memory)
CPUS = Parsed("cpus", parse_cpus)
PERCENT = Parsed("percent", parse_percent)
NAME = Parsed("name", parse_name)
JOB = Parsed("id", parse_job)
VARIABLE = Parsed("name[=value]", parse_variable)
OUTPUT = Parsed("path[:dest]", parse_output)
JOB_PATH = Parsed("id:path", parse_job_path)
