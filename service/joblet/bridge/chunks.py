"""Where a stream of output is cut: at line ends where that costs no time, never inside a character.

Clients print each chunk on its own, some as text. Pure.
"""

from __future__ import annotations

# A piece of at least this size was cut by the reader, and more is there already.
FULL = 1 << 18
# A line end within so much of the end is worth carrying the rest over for.
_LINE_SEARCH = 1 << 16
_UTF8_MAX = 4


class Chunker:
    """Takes the bytes of one log in order; what it holds back is never more than a line's rest."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, data: bytes) -> bytes:
        """What can be sent now, given the next bytes; may be empty."""
        full = len(data) >= FULL
        if self._rest:
            data = self._rest + data
        end = len(data)
        if full:
            end = data.rfind(b"\n", end - _LINE_SEARCH) + 1 or end
        if end == len(data):
            end -= incomplete(data)
        self._rest = data[end:]
        return data[:end] if self._rest else data

    def rest(self) -> bytes:
        """What was held back, at the end."""
        rest, self._rest = self._rest, b""
        return rest


def incomplete(data: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 that is not all there."""
    for count in range(1, min(_UTF8_MAX, len(data) + 1)):
        byte = data[-count]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4 if byte < 0xF8 else 0
            return count if count < needed else 0
    return 0
