"""A log as Server-Sent Events (WHATWG HTML, 9.2). Pure.

The id of an event is the place in the log after its bytes, so whoever comes back with the last one
goes on exactly there. The data is JSON: the bytes as `text` where they are UTF-8, else as `base64`,
so that nothing is lost or changed. A character that is cut in two waits for its rest.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from joblet.bridge.chunks import incomplete
from joblet.client.api import GAP, JobStatus, LogPiece

# What a client without a better idea waits before it comes back.
BEGINNING = b"retry: 1000\n\n"
HEARTBEAT = b": heartbeat\n\n"

_Fields = dict[str, object]


class Encoder:
    """Takes the pieces of one log in order; `position` is how far the client has got, if at all."""

    def __init__(self, position: int | None = None) -> None:
        self._rest = b""
        self._of = LogPiece("", 0, b"")
        self.position = position

    def encode(self, piece: LogPiece) -> bytes:
        """The events that can be sent now; none while a character is not all there."""
        if piece.stream == GAP:
            fields: _Fields = {"lost_bytes": piece.lost_bytes}
            return self.rest() + self._event(GAP, piece.after, piece.time_ns, fields)
        before = self.rest() if self._of.stream != piece.stream else b""
        data = self._rest + piece.data
        cut = len(data) - incomplete(data)
        self._rest, self._of = data[cut:], piece
        if not cut:
            return before
        end = piece.after - len(self._rest)
        return before + self._event(piece.stream, end, piece.time_ns, _bytes(data[:cut]))

    def rest(self) -> bytes:
        """An event of what was held back: no more will come to it."""
        rest, self._rest = self._rest, b""
        if not rest:
            return b""
        return self._event(self._of.stream, self._of.after, self._of.time_ns, _bytes(rest))

    def _event(self, kind: str, end: int, time_ns: int, fields: _Fields) -> bytes:
        self.position = end
        at: _Fields = {"time": _time(time_ns)} if time_ns else {}
        return event(kind, at | fields, end)


def event(kind: str, fields: _Fields, position: int | None = None) -> bytes:
    """One event; JSON has no line end in it, so its data is one line."""
    head = "" if position is None else f"id: {position}\n"
    data = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


def end(status: JobStatus, position: int | None) -> bytes:
    """The last event: how the job ended, or that it has not, where nobody waited for that."""
    fields: _Fields = {"state": status.state.value}
    if status.reason is not None:
        fields["reason"] = status.reason.value
    if status.exit_code is not None:
        fields["exit_code"] = status.exit_code
    return event("end", fields, position)


def _bytes(data: bytes) -> _Fields:
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _time(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"
