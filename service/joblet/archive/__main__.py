"""joblet-files: unpacks into, or packs from, a directory, as the service manager's child.

    joblet-files [--as UID,GID...] [--in DIRECTORY] unpack
                               a tar stream on stdin, into the directory
    joblet-files [--as UID,GID...] [--in DIRECTORY] pack PATH
                               PATH below the directory, as a tar stream on stdout

Made for a transient service that runs with the ids of a job: it begins as root, becomes that user
with the groups that follow, and opens the directory only then; all it may do from there on, the job
could do. Without --in the directory is the one that is open as stdin (pack), or the working
directory.
What it has to say goes to the service manager (sd_notify(3)), where whoever started it can see it:

- `pack` sends READY=1 when PATH is found and open, before the first byte. With Type=notify the
  start of the service fails when there is no such path, and nothing need be read before.
- At the end STATUS= is one JSON object. Success: {"entries": n, "bytes": n, "skipped": n}. Failure:
  {"error": code, "message": sentence}, the code as in joblet.errors without its prefix.
- The exit status is EXIT_DONE, EXIT_FAILED or EXIT_USAGE.

`pack` names on stderr what it leaves out, the first SKIPPED_SHOWN of it. Refused by `unpack`, what
has been written stays: the caller removes the directory or what is in it.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

from joblet.archive.names import shown
from joblet.archive.pack import pack
from joblet.archive.unpack import Totals, unpack
from joblet.errors import JobletError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
SKIPPED_SHOWN = 100

_USAGE = "usage: joblet-files [--as UID,GID...] [--in DIRECTORY] unpack | pack PATH"
# Characters; JSON spends up to twelve bytes on one, and the service manager drops a datagram of
# more than 4096.
_MESSAGE_MAX = 300


class _Skipped:
    """Counts what is left out and names the first of it on stderr."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, name: str, why: str) -> None:
        self.count += 1
        if self.count <= SKIPPED_SHOWN:
            _say(f"left out '{name}': {why}")


def main() -> int:
    """Entry point of the launcher."""
    arguments = sys.argv[1:]
    ids: list[int] = []
    place = ""
    try:
        if arguments[:1] == ["--as"]:
            ids = [int(word) for word in arguments[1].split(",")]
            del arguments[:2]
        if arguments[:1] == ["--in"]:
            place = arguments[1]
            del arguments[:2]
    except (IndexError, ValueError):
        arguments = []
    match arguments:
        case ["unpack"] | ["pack", _]:
            pass
        case _:
            _say(_USAGE)
            return EXIT_USAGE
    skipped = _Skipped()
    try:
        if ids:
            _become(*ids)
        directory = _directory(place, arguments[0])
        if arguments[0] == "unpack":
            totals = unpack(0, directory)
        else:
            path = os.fsencode(arguments[1])
            totals = pack(directory, path, 1, found=_ready, skipped=skipped)
    except JobletError as err:
        return _failed(err.code, str(err))
    except Exception as err:  # the outermost frame: a fault of ours is told like any other
        _failed("Internal", f"{type(err).__name__}: {err}")
        raise
    _done(totals, skipped.count)
    return EXIT_DONE


def _become(uid: int, *gids: int) -> None:
    """Another user for good: with the ids go the capabilities (capabilities(7))."""
    os.setgroups(gids[1:])
    os.setresgid(gids[0], gids[0], gids[0])
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (gids[0], gids[0], gids[0]):
        raise PermissionError(errno.EPERM, "the ids did not take")


def _directory(place: str, verb: str) -> int:
    if not place and verb == "pack" and stat.S_ISDIR(os.fstat(0).st_mode):
        # Opened anew: one that was only looked up (O_PATH) cannot be listed.
        place = "/proc/self/fd/0"
    return os.open(place or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _ready() -> None:
    _notify("READY=1")


def _done(totals: Totals, skipped: int) -> None:
    _status({"entries": totals.entries, "bytes": totals.bytes, "skipped": skipped})


def _failed(code: str, sentence: str) -> int:
    sentence = shown(sentence.encode("utf-8", "backslashreplace"), limit=_MESSAGE_MAX)
    _say(sentence)
    _status({"error": code, "message": sentence})
    return EXIT_FAILED


def _status(fields: dict[str, str | int]) -> None:
    # Here, because it costs as much as the rest of the start, and nothing waits for it now.
    import json

    _notify(f"STATUS={json.dumps(fields)}")


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
