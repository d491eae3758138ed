"""joblet-files: unpacks into, or packs from, a directory, as the service manager's child.

    joblet-files [--as UID,GID...] [--in DIRECTORY] unpack
                               a tar stream on stdin, into the directory
    joblet-files [--as UID,GID...] [--in DIRECTORY] [--whole] pack PATH
                               PATH below the directory, as a tar stream on stdout

Made for a transient service that runs with the ids of a job: it begins as root, becomes that user
with the groups that follow, and opens the directory only then; all it may do from there on, the job
could do. Without --in the directory is the working directory. With --whole what would be left out
makes it fail, unless it is a device, a FIFO or a socket.
What it has to say goes to the service manager (sd_notify(3)), where whoever started it can see it:

- `pack` sends READY=1 when PATH is found and open, before the first byte. With Type=notify that is
  when the service has started; when there is no such path it has started, too, and says so.
- At the end STATUS= is one JSON object. Success: {"entries": n, "bytes": n, "skipped": n}. Failure:
  {"error": code, "message": sentence}, the code as in joblet.errors without its prefix; with it
  goes READY=1, because a service that has said why it refuses has started well enough.
- The exit status is EXIT_DONE, EXIT_FAILED for what was told so, EXIT_USAGE or, with a traceback
  on stderr, EXIT_INTERNAL. `pack` is done when its reader goes away, too.

What `unpack` has written is on the disk before it says so.

`pack` names on stderr what it leaves out, the first SKIPPED_SHOWN of it. Refused by `unpack`, what
has been written stays: the caller removes the directory or what is in it.
"""

from __future__ import annotations

import errno
import os
import sys

from joblet.archive import pack as packing
from joblet.archive import streams
from joblet.archive.names import shown
from joblet.archive.pack import pack
from joblet.archive.unpack import Totals, unpack
from joblet.errors import HostFailure, InvalidSpec, JobletError, NotAllowed

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 70  # EX_SOFTWARE
SKIPPED_SHOWN = 100

_USAGE = "usage: joblet-files [--as UID,GID...] [--in DIRECTORY] unpack | [--whole] pack PATH"
# Characters; JSON spends up to twelve bytes on one, and the service manager drops a datagram of
# more than 4096.
_MESSAGE_MAX = 300


class _Skipped:
    """Counts what is left out and names the first of it on stderr; or has nothing left out."""

    def __init__(self, *, whole: bool) -> None:
        self.count = 0
        self._whole = whole

    def __call__(self, name: str, why: str) -> None:
        if self._whole:
            packing.whole(name, why)
        self.count += 1
        if self.count <= SKIPPED_SHOWN:
            _say(f"left out '{name}': {why}")


def main() -> int:
    """Entry point of the launcher."""
    arguments = sys.argv[1:]
    ids: list[int] = []
    place = "."
    whole = False
    try:
        if arguments[:1] == ["--as"]:
            ids = [int(word) for word in arguments[1].split(",")]
            del arguments[:2]
        if arguments[:1] == ["--in"]:
            place = arguments[1]
            del arguments[:2]
        if arguments[:1] == ["--whole"] and arguments[1] == "pack":
            whole = True
            del arguments[:1]
    except (IndexError, ValueError):
        arguments = []
    match arguments:
        case ["unpack"] | ["pack", _]:
            pass
        case _:
            _say(_USAGE)
            return EXIT_USAGE
    skipped = _Skipped(whole=whole)
    try:
        if ids:
            _become(*ids)
        directory = _directory(place)
        if arguments[0] == "unpack":
            totals = unpack(0, directory)
            streams.sync(directory)
        else:
            path = os.fsencode(arguments[1])
            totals = pack(directory, path, 1, found=_ready, skipped=skipped)
    except JobletError as err:
        if arguments[0] == "pack" and isinstance(err, HostFailure) and err.errno == errno.EPIPE:
            # The reader has enough, or went away; either is known there.
            return EXIT_DONE
        return _failed(err.code, str(err))
    except Exception as err:  # the outermost frame: a fault of ours is told like any other
        _status({"error": "Internal", "message": _sentence(f"{type(err).__name__}: {err}")})
        sys.excepthook(type(err), err, err.__traceback__)
        return EXIT_INTERNAL
    _done(totals, skipped.count)
    return EXIT_DONE


def _become(uid: int, *gids: int) -> None:
    """Another user for good: with the ids go the capabilities (capabilities(7))."""
    os.setgroups(gids[1:])
    os.setresgid(gids[0], gids[0], gids[0])
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gids[0], gids[0], gids[0]):
        raise PermissionError(errno.EPERM, "the ids did not take")


def _directory(place: str) -> int:
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError as err:
        raise NotAllowed("read the directory") from err
    except NotADirectoryError as err:
        raise InvalidSpec("directory", "it is not one") from err


def _ready() -> None:
    _notify("READY=1")


def _done(totals: Totals, skipped: int) -> None:
    _status({"entries": totals.entries, "bytes": totals.bytes, "skipped": skipped})


def _failed(code: str, sentence: str) -> int:
    sentence = _sentence(sentence)
    _say(sentence)
    _status({"error": code, "message": sentence}, "\nREADY=1")
    return EXIT_FAILED


def _sentence(text: str) -> str:
    return shown(text.encode("utf-8", "backslashreplace"), limit=_MESSAGE_MAX)


def _status(fields: dict[str, str | int], more: str = "") -> None:
    # Here, because it costs as much as the rest of the start, and nothing waits for it now.
    import json

    # systemd takes backslashes for its own when it splits a notification, so none may be in it.
    text = json.dumps(fields).replace("%", "%25").replace("\\", "%5C")
    _notify(f"STATUS={text}{more}")


def _notify(message: str) -> None:
    """sd_notify(3), which needs no library. Without a service manager it does nothing."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    import socket

    # "@" is how an abstract address is spelled in the environment
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect(target)
        channel.sendall(message.encode("ascii"))


def _say(text: str) -> None:
    sys.stderr.write(f"joblet-files: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
