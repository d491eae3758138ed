"""Results to stdout, talk to stderr, and nothing else prints.

Owns escaping, tables, JSON and colour; pager.py and screen.py show what is made here. What a job or
its owner chose (names, commands, sentences) passes `visible` before it reaches a terminal; only the
output of a job is written as it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from joblet.errors import JobletError

_COLOURS = {
    "RUNNING": "33",
    "COMPLETED": "32",
    "FAILED": "31",
    "TIMEOUT": "31",
    "STOPPED": "35",
    "CANCELED": "35",
    "INITIALIZING": "34",
    "SCHEDULED": "36",
    "PENDING": "36",
}
_CUT = "..."
# For so much of its last column (a command) a table takes room from the elastic ones.
_LAST_COLUMN_WANTED = 20

# So much of a name is left, or it tells nobody anything.
_ELASTIC_LEAST = 8


class ReaderGone(Exception):
    """Whoever read our output has gone (`jobletctl … | head`); there is nobody to tell."""


class OutputFailed(JobletError):
    """A result could not be written."""


def visible(text: str) -> str:
    """The text with everything escaped that a terminal would obey or not show."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    # a table of names alone rarely needs it
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shortened(text: str, width: int) -> str:
    """The text cut to a width in columns, with an ellipsis where it was cut."""
    if cells(text) <= width:
        return text
    kept = ""
    for char in text:
        if cells(kept + char) > width - len(_CUT):
            break
        kept += char
    return kept + _CUT


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """The widths of the first columns, as many as there is room for with two blanks between."""
    fitting: list[int] = []
    for width in widths:
        room -= width + (2 if fitting else 0)
        if room < 0:
            break
        fitting.append(width)
    return fitting


class Output:
    """Where one command writes; lives as long as the command."""

    def __init__(self) -> None:
        self.as_json = False
        self.program = "jobletctl"
        self._progress_shown = False
        self._pages: list[str] | None = None

    @property
    def interactive(self) -> bool:
        """True when a person looks at stdout."""
        return sys.stdout is not None and sys.stdout.isatty()

    @property
    def coloured(self) -> bool:
        """True when colour is wanted: https://no-color.org, and never into a pipe."""
        return (
            self.interactive
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM", "dumb") != "dumb"
        )

    @property
    def draws(self) -> bool:
        """True when stdout takes more than ASCII."""
        encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding or "ascii"
        return encoding.lower().replace("_", "-") in ("utf-8", "utf8")

    @contextlib.contextmanager
    def paged(self, *, wanted: bool) -> Iterator[None]:
        """On a terminal, what is longer than it goes through a pager when the context ends."""
        if not wanted or not self.interactive:
            yield
            return
        self._pages = []
        try:
            yield
        finally:
            lines, self._pages = self._pages, None
            self._show(lines)

    def _show(self, lines: list[str]) -> None:
        from jobletctl import pager

        rows = self.size()[1]
        # the prompt takes a line too
        if rows and len(lines) >= rows and pager.show("\n".join([*lines, ""])):
            return
        self.ready(lines)

    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal; 0 for one that does not say, or where there is none."""
        if not self.interactive:
            return 0, 0
        there = os.get_terminal_size(sys.stdout.fileno())
        try:
            return int(os.environ["COLUMNS"]), there.lines
        except (KeyError, ValueError):
            return there.columns, there.lines

    def line(self, text: str = "") -> None:
        """One line of a result, escaped."""
        self._text(visible(text))

    def state(self, label: str, state: str, rest: str = "") -> None:
        """A line with the state of a job in its colour."""
        self._text(self.stated(label, state, rest))

    def ready(self, lines: Sequence[str]) -> None:
        """Lines that `stated` or `laid_out` have made, in one write."""
        if self._pages is not None:
            self._pages.extend(lines)
        elif lines:
            self._text("\n".join(lines))

    def stated(self, label: str, state: str, rest: str = "") -> str:
        """The same as text."""
        return f"{visible(label)}{self._painted(state)}{visible(rest)}"

    def document(self, value: object) -> None:
        """One whole result as JSON."""
        self._text(json.dumps(value, indent=2))

    def record(self, value: Mapping[str, object]) -> None:
        """One of several results as one line of JSON."""
        self._text(self.as_record(value))

    def as_record(self, value: Mapping[str, object]) -> str:
        """The same as text."""
        return json.dumps(value, separators=(",", ":"))

    def fitted(self, text: str) -> str:
        """The text, escaped, as one line that is no wider than the terminal."""
        width = self._width()
        return visible(text) if width is None else shortened(visible(text), width)

    def raw(self, stream: str, data: bytes) -> None:
        """Output of a job, byte for byte; stream is `stderr` or anything else."""
        self._write(sys.stderr if stream == "stderr" else sys.stdout, data)

    @property
    def shows_progress(self) -> bool:
        """True when a person looks at stderr, on something that can take a line back."""
        return (
            sys.stderr is not None
            and sys.stderr.isatty()
            and os.environ.get("TERM", "dumb") != "dumb"
        )

    def progress(self, text: str) -> None:
        """Put this in place of the progress shown last; "" takes it away."""
        if not text and not self._progress_shown:
            return
        self._progress_shown = bool(text)
        shown = f"{self.program}: {visible(text)}" if text else ""
        # to the start of the line, the text, and away with what is behind it
        with contextlib.suppress(OutputFailed, ReaderGone):
            self._write(sys.stderr, self._encoded(sys.stderr, f"\r{shown}\x1b[K"))

    def picture(self, data: str) -> None:
        """Text for a terminal with what it is to obey, in one write."""
        self._write(sys.stdout, self._encoded(sys.stdout, data))

    def note(self, text: str) -> None:
        """One sentence beside the result, to stderr."""
        self.progress("")
        # A stderr that cannot be written to leaves nobody to tell.
        with contextlib.suppress(OutputFailed, ReaderGone):
            self._write(sys.stderr, self._encoded(sys.stderr, f"{self.program}: {visible(text)}\n"))

    def table(
        self, titles: Sequence[str], rows: Sequence[Sequence[str]], *, elastic: Sequence[str] = ()
    ) -> None:
        """A table, as `laid_out` has it."""
        self.ready(self.laid_out(titles, rows, elastic=elastic))

    def laid_out(
        self,
        titles: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        elastic: Sequence[str] = (),
        right: Sequence[str] = (),
    ) -> list[str]:
        """The lines of a table; states get colour, the columns of `right` end in line.

        On a terminal the elastic columns, then the last one, are cut until the lines fit; where
        that is not enough, the last columns are left out.
        """
        shown = [[visible(cell) for cell in row] for row in rows]
        *widths, last_width = (
            max(cells(title), *(cells(row[i]) for row in shown), 0)
            for i, title in enumerate(titles)
        )
        room = self._width()
        if room is not None:
            room -= 2 * len(widths)
            for i in (titles.index(title) for title in elastic):
                excess = sum(widths) + min(last_width, _LAST_COLUMN_WANTED) - room
                least = min(widths[i], max(cells(titles[i]), _ELASTIC_LEAST))
                widths[i] = max(least, widths[i] - max(0, excess))
            last_width = max(0, min(last_width, room - sum(widths)))
            if last_width < len(_CUT):
                widths = _fitting(widths, room + 2 * len(widths))
        lines = []
        for number, row in enumerate([list(titles), *shown]):
            *front, last = row
            padded = []
            # widths may end before the columns do
            for title, cell, width in zip(titles, front, widths, strict=False):
                text = shortened(cell, width)
                padding = " " * (width - cells(text))
                painted = self._painted(text) if number else text
                padded.append(padding + painted if title in right else painted + padding)
            if len(widths) == len(front):
                padded.append(shortened(last, last_width))
            lines.append("  ".join(padded).rstrip())
        return lines

    def flush(self) -> None:
        """Everything has reached the reader. Raises ReaderGone, OutputFailed."""
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with _explained(stream):
                    stream.flush()

    def _painted(self, word: str) -> str:
        code = _COLOURS.get(word)
        if code is None or not self.coloured:
            return visible(word)
        return f"\x1b[{code}m{word}\x1b[0m"

    def _width(self) -> int | None:
        return self.size()[0] or None

    def _text(self, text: str) -> None:
        if self._pages is not None:
            self._pages.append(text)
            return
        self._write(sys.stdout, self._encoded(sys.stdout, text + "\n"))

    def _encoded(self, stream: TextIO | None, text: str) -> bytes:
        encoding = "utf-8" if stream is None else stream.encoding or "utf-8"
        return text.encode(encoding, "backslashreplace")

    def _write(self, stream: TextIO | None, data: bytes) -> None:
        # None when the program was started with the descriptor closed.
        if stream is None:
            return
        with _explained(stream):
            stream.buffer.write(data)
            stream.buffer.flush()


@contextlib.contextmanager
def _explained(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as err:
        raise ReaderGone from err
    except OSError as err:
        name = "standard error" if stream is sys.stderr else "standard output"
        raise OutputFailed(f"cannot write to {name}: {err.strerror}") from err
