"""Limits: their names, and how people write sizes, durations, percents and CPU sets.

Each kind of text is parsed here and printed here, for the command line, the configuration and the
messages of the daemon alike; the whole text must match. Sizes have factors of 1024. What a host can
keep is decided in core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SECOND = 1_000_000
# Ten years with their leap days: a duration beyond is a slip of the finger.
YEARS_MAX = 10
DURATION_MAX = (YEARS_MAX * 365 + 3) * 86_400 * SECOND
# The store and the manager count in signed 64 bits.
SIZE_MAX = (1 << 63) - 1
# NR_CPUS of the largest kernels, with room; it bounds what a range such as 0-4000000000 costs.
CPU_NUMBER_MAX = 65_535
WEIGHT_MIN, WEIGHT_DEFAULT, WEIGHT_MAX = 1, 100, 10_000
GRACE_DEFAULT_USEC = 10 * SECOND

_SIZE = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,9}))?\s*([kmgtp]?)(i?b?)", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_PERCENT = re.compile(r"([0-9]{1,10})\s*%?")
_CPUS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")

_UNITS = (
    (7 * 86_400 * SECOND, ("w", "wk", "wks", "week", "weeks")),
    (86_400 * SECOND, ("d", "day", "days")),
    (3_600 * SECOND, ("h", "hr", "hrs", "hour", "hours")),
    (60 * SECOND, ("m", "min", "mins", "minute", "minutes")),
    (SECOND, ("s", "sec", "secs", "second", "seconds")),
    (1_000, ("ms", "msec", "msecs", "millisecond", "milliseconds")),
    (1, ("us", "usec", "usecs", "microsecond", "microseconds")),
)
_USEC_OF = {word: usec for usec, words in _UNITS for word in words}
_PART = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,18}))?\s*([a-z]+)(?:\s*,\s*(?=[0-9])|\s*)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
DURATION_EXAMPLES = "use a duration such as 90s, 1h30m or 2d"


class BadLimit(ValueError):
    """The text is none of its kind; the message says why in one clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A value for every limit of a job, under the names they have in a JobSpec.

    Zero, and no CPU: no limit of its own (of a weight: the kernel's 100). `stop_grace_usec` is a
    time, and zero of it means none.
    """

    max_cpu: int = 0
    cpu_weight: int = 0
    cpu_cores: tuple[int, ...] = ()
    max_memory: int = 0
    max_io_bps: int = 0
    max_iops: int = 0
    io_weight: int = 0
    max_tasks: int = 0
    timeout_usec: int = 0
    stop_grace_usec: int = 0
    max_work: int = 0
    max_tmp: int = 0
    max_shm: int = 0


# What a value of each may be, if it is not the zero of no limit.
RANGES: Mapping[str, tuple[int, int]] = {
    "max_cpu": (1, 100 * (CPU_NUMBER_MAX + 1)),
    "cpu_weight": (WEIGHT_MIN, WEIGHT_MAX),
    # Below this no program starts.
    "max_memory": (1 << 20, SIZE_MAX),
    # Less than a page a second is a stop, not a limit.
    "max_io_bps": (4096, SIZE_MAX),
    # io.max of the kernel counts operations in 32 bits.
    "max_iops": (1, (1 << 32) - 1),
    "io_weight": (WEIGHT_MIN, WEIGHT_MAX),
    # PID_MAX_LIMIT of the kernel.
    "max_tasks": (1, 1 << 22),
    "timeout_usec": (1, 365 * 86_400 * SECOND),
    "stop_grace_usec": (0, 3_600 * SECOND),
    "max_work": (1 << 20, SIZE_MAX),
    "max_tmp": (1 << 20, SIZE_MAX),
    "max_shm": (1 << 20, SIZE_MAX),
}
# The ids of a user namespace with 65,536 of them.
USER_MAX = 65_535
USER_DEFAULT = 1000


def parse_size(text: str) -> int:
    """Bytes: 4096, 512M, 2G, 1.5GiB. Raises BadLimit."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise BadLimit("use a size such as 512M or 2G")
    whole, fraction = match[1], match[2] or ""
    scaled = int(whole + fraction) * _FACTORS[match[3].lower()]
    size, remainder = divmod(scaled, int(10 ** len(fraction)))
    if remainder:
        raise BadLimit("not a whole number of bytes")
    if size > SIZE_MAX:
        raise BadLimit("more than any machine has")
    return size


def print_size(size: int) -> str:
    """The size in the largest unit that divides it: 512M, 1536M, 1000."""
    for unit, factor in reversed(_FACTORS.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit.upper()}"
    return "0"


def parse_percent(text: str) -> int:
    """Percent, whole: 50, 250%. Raises BadLimit."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise BadLimit("use a whole number of percent, 100 for one whole CPU")
    return int(match[1])


def parse_duration(text: str, examples: str = DURATION_EXAMPLES) -> int:
    """Microseconds: a sum of parts, the largest unit first, each at most once. Raises BadLimit.

    `90s`, `1h30m`, `1h 30m`, `2 hours, 30 min`, `1.5h`, `2d`, `1w`; any case. A number without a
    unit is refused, since programs disagree on what it means, but for 0. Decimals are taken when
    they are a whole number of microseconds.
    """
    rest = text.strip().lower()
    if not rest:
        raise BadLimit(f"empty; {examples}")
    if rest == "0":
        return 0
    if _NUMBER.fullmatch(rest):
        raise BadLimit(f"a unit is missing: is it {rest}s, {rest}m or {rest}h?")
    total = at = 0
    smallest = 0
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise BadLimit(examples)
        whole, fraction, word = part[1], part[2] or "", part[3]
        unit = _USEC_OF.get(word)
        if unit is None:
            raise BadLimit(f"unknown unit '{word}'; {examples}")
        if smallest and unit >= smallest:
            raise BadLimit("each unit may come once, the largest first")
        smallest = unit
        # Integers, not floats: 0.1 of something must not become 0.1000000000000000055.
        scaled, remainder = divmod(int(whole + fraction) * unit, int(10 ** len(fraction)))
        if remainder:
            raise BadLimit(f"'{part[0].strip()}' is not a whole number of microseconds")
        total += scaled
        at = part.end()
    if total > DURATION_MAX:
        raise BadLimit(f"more than {YEARS_MAX} years")
    return total


def print_duration(usec: int) -> str:
    """The duration as parse_duration reads it back: 1h30m, 2d, 1s500ms."""
    parts = []
    for unit, words in _UNITS[1:]:
        count, usec = divmod(usec, unit)
        if count:
            parts.append(f"{count}{words[0]}")
    return "".join(parts) or "0s"


def parse_cpus(text: str) -> tuple[int, ...]:
    """A set of CPUs, such as 0-3,5: their numbers in order, each once. Raises BadLimit."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = _CPUS.fullmatch(part.strip())
        if match is None:
            raise BadLimit("use numbers and ranges of CPUs, such as 0-3,5")
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first:
            raise BadLimit(f"the range {first}-{last} is reversed")
        if last > CPU_NUMBER_MAX:
            raise BadLimit(f"no machine has a CPU {last}")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def print_cpus(cpus: Iterable[int]) -> str:
    """The set as the kernel writes it: 0-3,5; "" for none."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and runs[-1][1] == cpu - 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def cpu_mask(cpus: Iterable[int]) -> bytes:
    """The set as systemd's AllowedCPUs wants it: CPU 0 is the lowest bit of the first byte."""
    mask = 0
    for cpu in cpus:
        mask |= 1 << cpu
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")
