"""A terminal of a fixed size: a pty whose other end is read into a small emulation of a screen.

Knows what jobletctl sends, and fails on anything else: a control sequence that no terminal of a
user was looked at with.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import struct
import termios
import threading

_BEGUN = re.compile(r"\x1b(\[\??[0-9;]*)?")
_SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Screen:
    """What a user sees: `lines`, the colour of each cell aside."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.alternate = False
        self.cursor_shown = True
        self.wraps = True
        self.coloured: list[str] = []
        self.left: list[str] = []  # what the alternate screen showed last
        self._main = self._blank()
        self._other = self._blank()
        self._row = self._column = 0
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """The screen without what is empty at its end."""
        lines = ["".join(row).rstrip() for row in self._cells]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def _cells(self) -> list[list[str]]:
        return self._other if self.alternate else self._main

    def _blank(self) -> list[list[str]]:
        return [[" "] * self.columns for _ in range(self.rows)]

    def feed(self, text: str) -> None:
        """What the program has written; a sequence may be cut anywhere."""
        text, self._rest = self._rest + text, ""
        while text:
            if _BEGUN.fullmatch(text):
                self._rest = text
                return
            match = _SEQUENCE.match(text)
            if match is not None:
                self._obey(match[1] + match[3], match[2])
                text = text[match.end() :]
            else:
                self._put(text[0])
                text = text[1:]

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._line_feed()
        else:
            assert char.isprintable(), f"{char!r} on a terminal"
            if self._column == self.columns:
                if self.wraps:
                    self._column = 0
                    self._line_feed()
                else:
                    self._column -= 1
            self._cells[self._row][self._column] = char
            self._column += 1

    def _line_feed(self) -> None:
        if self._row == self.rows - 1:
            self._cells.pop(0)
            self._cells.append([" "] * self.columns)
        else:
            self._row += 1

    def _obey(self, command: str, parameter: str) -> None:
        if command in ("K", "J"):
            # behind a full line the cursor is on its last character
            self._column = min(self._column, self.columns - 1)
        if command in ("?h", "?l"):
            on = command == "?h"
            if parameter == "1049":
                assert on != self.alternate
                if self.alternate:
                    self.left = self.lines
                self.alternate = on
                self._other = self._blank()
                self._row = self._column = 0
            elif parameter == "25":
                self.cursor_shown = on
            else:
                assert parameter == "7", parameter
                self.wraps = on
        elif command == "H" and not parameter:
            self._row = self._column = 0
        elif command == "K" and not parameter:
            self._cells[self._row][self._column :] = [" "] * (self.columns - self._column)
        elif command == "J" and not parameter:
            self._cells[self._row][self._column :] = [" "] * (self.columns - self._column)
            for row in range(self._row + 1, self.rows):
                self._cells[row] = [" "] * self.columns
        elif command == "m":
            self.coloured.append(parameter)
        else:
            raise AssertionError(f"ESC [ {parameter}{command} is not known here")


class Terminal:
    """The pty, what is on its screen, and a thread that reads it: a full pty stops its writer."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.screen = Screen(columns, rows)
        self.failure: AssertionError | None = None
        self._ours, self.theirs = _open(columns, rows)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, keys: bytes) -> None:
        """What the user types."""
        os.write(self._ours, keys)

    def close(self) -> None:
        """When the program's end is closed too: everything has been read, and obeyed."""
        os.close(self.theirs)
        self._reader.join()
        os.close(self._ours)
        if self.failure is not None:
            raise self.failure

    def _read(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8")().decode
        while True:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:  # EIO: nobody has the other end any more
                return
            try:
                self.screen.feed(decode(data))
            except AssertionError as err:
                self.failure = err


def _open(columns: int, rows: int) -> tuple[int, int]:
    """The two ends of a pty of this size: ours, and the one for the program."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return ours, theirs
