"""Jobs with files and secrets, submitted from inside the machine by the client library.

busctl cannot pass a descriptor, so a small program does: it takes the tar stream on its standard
input, or opens a directory, as the user of the test. What comes back of a job comes as a tar
stream on its standard output.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.grounds.machine import BootedMachine

_PREAMBLE = """\
import asyncio, json, os, sys
from joblet.client.api import Attachments
from joblet.client.local import LocalClient
from joblet.errors import JobletError
from joblet.model.job import JobSpec

async def asked(question):
    async with LocalClient.connect() as client:
        return await question(client)

def answer(question):
    try:
        return {"id": asyncio.run(asked(question))}
    except JobletError as err:
        return {"error": err.code, "text": str(err)}

given = json.loads(sys.argv[1])
"""
_SUBMIT = (
    _PREAMBLE
    + """
directory = given["directory"]
attached = Attachments(
    secrets=given["secrets"],
    tar=0 if given["tar"] else None,
    directory=None if directory is None else os.open(directory, given["flags"]),
)
spec = JobSpec(command=given["command"][0], args=tuple(given["command"][1:]), **given["spec"])
print(json.dumps(answer(lambda client: client.run(spec, attached))))
"""
)
_FETCH = (
    _PREAMBLE
    + """
found = answer(lambda client: client.files(given["job"], given["path"]))
if "error" in found:
    print(json.dumps(found), file=sys.stderr)
    sys.exit(1)
while piece := os.read(found["id"], 1 << 20):
    sys.stdout.buffer.write(piece)
"""
)


class Answer(NamedTuple):
    """The id of the new job, or the name of the error without its prefix, and its sentence."""

    id: str
    error: str
    text: str


def submission(
    command: tuple[str, ...],
    *,
    tar: bool = False,
    directory: str | None = None,
    flags: int = 0,
    secrets: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> list[str]:
    """The command that submits; with tar it reads the stream from its standard input."""
    given = {
        "command": command,
        "tar": tar,
        "directory": directory,
        "flags": flags,
        "secrets": dict(secrets or {}),
        "spec": dict(spec or {}),
    }
    return ["python3", "-c", _SUBMIT, json.dumps(given)]


def submit(
    machine: BootedMachine,
    *command: str,
    tar: bytes | None = None,
    user: str | int | None = None,
    **more: Any,
) -> Answer:
    """Submit a job with what is attached to it."""
    line = submission(command, tar=tar is not None, **more)
    return answered(machine.run(line, input=tar or b"", user=user).stdout)


def answered(printed: str | bytes) -> Answer:
    """What the command of `submission` printed."""
    found = json.loads(printed)
    return Answer(found.get("id", ""), found.get("error", ""), found.get("text", ""))


class Fetched(NamedTuple):
    """The files of a tar stream by name, or the error."""

    files: dict[str, tuple[tarfile.TarInfo, bytes]]
    error: str
    text: str

    def content(self, name: str) -> bytes:
        """Of one file."""
        return self.files[name][1]

    def mode(self, name: str) -> int:
        """Of one entry."""
        return self.files[name][0].mode


def fetch(
    machine: BootedMachine, job: str, path: str = "", user: str | int | None = None
) -> Fetched:
    """GetFiles, read to its end."""
    line = ["python3", "-c", _FETCH, json.dumps({"job": job, "path": path})]
    done: subprocess.CompletedProcess[bytes] = machine.run(line, user=user, check=False, text=False)
    if done.returncode != 0:
        found = json.loads(done.stderr)
        return Fetched({}, found["error"], found["text"])
    files = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout), mode="r:") as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isreg() else None
            files[member.name] = (member, b"" if opened is None else opened.read())
    return Fetched(files, "", "")


def archive(*members: tuple[str, bytes] | tarfile.TarInfo) -> bytes:
    """A tar stream of files, and of whatever else is described."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as made:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                made.addfile(member)
            else:
                made.addfile(entry(member[0], size=len(member[1])), io.BytesIO(member[1]))
    return stream.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, **facts: Any) -> tarfile.TarInfo:
    """One entry of an archive."""
    found = tarfile.TarInfo(name)
    found.type = kind
    found.mode = 0o644
    for fact, value in facts.items():
        setattr(found, fact, value)
    return found
