"""Writes the pieces of a job's log: raw, with a time before each line, or as JSON Lines.

Raw keeps every byte and the order of arrival. The other two speak of lines: a line belongs to one
stream and has the time of its first byte, so a line that another stream interrupts is put together
again. A line is given out when it is whole; the last one also when it is not.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from joblet.client.api import GAP, LogPiece
from jobletctl.output import Output

# A line without an end is given out in parts, so that it does not fill the memory.
LINE_MAX = 1 << 16


class LogView:
    """One log on its way to the user; `close` gives out what has no end of line."""

    def __init__(self, output: Output, *, timestamps: bool = False) -> None:
        self._output = output
        self._timestamps = timestamps
        self._unfinished: dict[str, tuple[int, bytes]] = {}
        self._mid_line: set[str] = set()

    def take(self, piece: LogPiece) -> None:
        """Write a piece, or keep of it what is not a whole line yet."""
        if piece.stream == GAP:
            self._gap(piece)
        elif self._output.as_json or self._timestamps:
            self._lines(piece)
        else:
            self._output.raw(piece.stream, piece.data)

    def close(self) -> None:
        """Write the lines that never ended."""
        for stream, (time_ns, data) in self._unfinished.items():
            self._line(stream, time_ns, data)
        self._unfinished.clear()

    def _gap(self, piece: LogPiece) -> None:
        if self._output.as_json:
            record: dict[str, object] = {"stream": GAP, "lost_bytes": piece.lost_bytes}
            if piece.time_ns:
                record["time"] = rfc3339(piece.time_ns)
            self._output.record(record)
        else:
            self._output.note(f"{piece.lost_bytes} bytes of the log are missing here")

    def _lines(self, piece: LogPiece) -> None:
        time_ns, before = self._unfinished.pop(piece.stream, (piece.time_ns, b""))
        *whole, rest = (before + piece.data).split(b"\n")
        for line in whole:
            self._line(piece.stream, time_ns, line + b"\n")
            time_ns = piece.time_ns
        while len(rest) > LINE_MAX:
            cut = _character_start(rest, LINE_MAX)
            self._line(piece.stream, time_ns, rest[:cut])
            rest, time_ns = rest[cut:], piece.time_ns
        if rest:
            self._unfinished[piece.stream] = (time_ns, rest)

    def _line(self, stream: str, time_ns: int, data: bytes) -> None:
        if self._output.as_json:
            self._output.record(
                {"stream": stream, "time": rfc3339(time_ns)} | _payload(data),
            )
            return
        if stream not in self._mid_line:
            data = rfc3339(time_ns, local=True).encode() + b" " + data
        if data.endswith(b"\n"):
            self._mid_line.discard(stream)
        else:
            self._mid_line.add(stream)
        self._output.raw(stream, data)


def rfc3339(time_ns: int, *, local: bool = False) -> str:
    """A moment with microseconds, in UTC or in the zone of this process."""
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    when = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
    if local:
        return when.astimezone().isoformat(timespec="microseconds")
    return when.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _payload(data: bytes) -> dict[str, object]:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(data).decode("ascii")}


def _character_start(data: bytes, place: int) -> int:
    """The last place up to this one that is not inside a UTF-8 character."""
    for cut in range(place, place - 4, -1):
        if data[cut] & 0xC0 != 0x80:
            return cut
    return place
