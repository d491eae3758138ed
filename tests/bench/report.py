"""The table and the JSON file: figures in, text out; nothing is measured or judged elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HEADS = ("bar", "what", "n", "p50", "p90", "p99", "rate", "ratio", "by round", "wanted", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. `ratio` is ours to theirs (or as `wanted` says); `met` is None where no bar is."""

    bar: int
    what: str
    n: int
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    unit: str = ""  # of the percentiles
    rate: float | None = None
    rate_unit: str = ""
    ratio: float | None = None
    rounds: tuple[float, float] | None = None  # how far the ratio went with the rounds
    wanted: str = ""
    met: bool | None = None


def table(rows: Sequence[Row]) -> str:
    """The rows in columns, a rule between bars."""
    cells = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADS))]
    lines = [_line(_HEADS, widths)]
    bar = None
    for row, line in zip(rows, cells[1:], strict=True):
        if row.bar != bar:
            lines.append("-" * len(lines[0]))
            bar = row.bar
        lines.append(_line(line, widths))
    return "\n".join(lines)


def listing(title: str, lines: Mapping[str, Mapping[str, float]]) -> str:
    """Named lines of figures under the same heads."""
    heads = list(dict.fromkeys(head for line in lines.values() for head in line))
    cells = [(title, *heads)]
    cells += [
        (f"  {name}", *(_figure(line[head], "") if head in line else "" for head in heads))
        for name, line in lines.items()
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(_line(line, widths, left=1) for line in cells)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        str(row.bar),
        row.what,
        str(row.n),
        *(_figure(value, row.unit) for value in (row.p50, row.p90, row.p99)),
        _figure(row.rate, row.rate_unit),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        "" if row.rounds is None else f"{row.rounds[0]:.2f}-{row.rounds[1]:.2f}",
        row.wanted,
        {None: "", True: "yes", False: "NO"}[row.met],
    )


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if value >= 1000 or float(value).is_integer() else 1 if value >= 100 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def _line(cells: Sequence[str], widths: Sequence[int], left: int = 2) -> str:
    pairs = list(zip(cells, widths, strict=True))
    aligned = [f"{cell:<{width}}" for cell, width in pairs[:left]]
    aligned += [f"{cell:>{width}}" for cell, width in pairs[left:]]
    return "  ".join(aligned).rstrip()
