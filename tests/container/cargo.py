"""Large uploads: made in a machine, sent into a job, looked at in there and brought back again.

A tree is known by its manifest: how many entries it has, to whom they belong, and a digest over the
name, kind, mode and content of each. The same small program writes it outside, inside the job and
of what came back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import NamedTuple

from tests.container.jobs import ctl
from tests.grounds.machine import BootedMachine

USER = "member"
# On the disk: /tmp may be memory, and less than a large file needs.
SOURCE, BACK = f"/home/{USER}/cargo", f"/home/{USER}/back"
FILES, BYTES = 10_000, 1 << 30
# Each of them in each directory, whatever the umask of whoever makes and unpacks them; what is set
# in the first digit is dropped on the way.
_MAKE_FILES = """\
import os, sys
top, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    folder = f"{top}/d{number % 10}/e{number // 10 % 10}"
    if number < 100:
        os.makedirs(folder)
    with open(f"{folder}/f{number:05}", "w") as file:
        file.write(f"{number}\\n" * (number % 50))
        os.fchmod(file.fileno(), (0o644, 0o600, 0o755, 0o640, 0o4755, 0o2711)[number // 100 % 6])
for number in range(10):
    os.chmod(f"{top}/d{number}/e{number}", (0o755, 0o750, 0o700, 0o2755, 0o1777)[number % 5])
"""
# No block is like another, so none can be missing or in the wrong place.
_MAKE_LARGE = """\
import os, sys
path, size = sys.argv[1], int(sys.argv[2])
noise = os.urandom((1 << 20) - 8)
os.mkdir(os.path.dirname(path))
with open(path, "wb") as file:
    for number in range(size >> 20):
        file.write(number.to_bytes(8, "big") + noise)
    os.fchmod(file.fileno(), 0o750)
"""
_MANIFEST = """\
import hashlib, json, os, stat, sys
top, bits = sys.argv[1], int(sys.argv[2], 8)
whole, entries, owners = hashlib.new("DIGEST"), 0, set()
for folder, folders, files in os.walk(top):
    folders.sort()
    for name in sorted(folders + files):
        path = os.path.join(folder, name)
        found = os.lstat(path)
        mode = stat.S_IFMT(found.st_mode) | stat.S_IMODE(found.st_mode) & bits
        whole.update(f"{os.path.relpath(path, top)} {mode:o}\\n".encode())
        if stat.S_ISREG(mode):
            whole.update(f"{found.st_size}\\n".encode())
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    whole.update(block)
        entries += 1
        owners.add(f"{found.st_uid}:{found.st_gid}")
print(json.dumps([entries, sorted(owners), whole.hexdigest()]))
""".replace("DIGEST", "sha1")
_ALL_BITS, _NO_SET_ID = "7777", "777"


class Manifest(NamedTuple):
    """What is below a directory."""

    entries: int
    owners: list[str]
    digest: str


def many_files_there_and_back(machine: BootedMachine, count: int = FILES) -> list[str]:
    """So many files in a hundred directories; lines of figures."""
    machine.run(["python3", "-c", _MAKE_FILES, SOURCE, str(count)], user=USER)
    return _there_and_back(machine, f"{count:,} files", ["--upload-dir", SOURCE])


def large_file_there_and_back(machine: BootedMachine, size: int = BYTES) -> list[str]:
    """One file of so many bytes, in a job that may have a little more; lines of figures."""
    large = f"{SOURCE}/large"
    machine.run(["python3", "-c", _MAKE_LARGE, large, str(size)], user=USER)
    room = f"--max-work={(size >> 20) + 64}M"
    return _there_and_back(machine, f"{size >> 20:,} MiB", ["--upload", large, room])


def _there_and_back(machine: BootedMachine, what: str, upload: Sequence[str]) -> list[str]:
    told = []
    begun = time.monotonic()

    def done(step: str) -> None:
        nonlocal begun
        now = time.monotonic()
        told.append(f"{what}: {step} in {now - begun:.2f} s")
        begun = now

    sent = _manifest(machine, SOURCE, _NO_SET_ID)
    done("read")
    look = ["python3", "-c", _MANIFEST, "/work", _ALL_BITS]
    job = ctl(machine, "job", "run", *upload, "--", *look, user=USER).strip()
    done("accepted")
    ctl(machine, "job", "wait", job, user=USER)
    done("looked at inside")
    inside = Manifest(*json.loads(ctl(machine, "job", "log", job, user=USER)))
    assert inside == sent._replace(owners=["1000:1000"])
    begun = time.monotonic()
    ctl(machine, "job", "cp", f"{job}:", BACK, user=USER)
    done("fetched")
    assert _manifest(machine, BACK, _ALL_BITS) == sent
    ctl(machine, "job", "delete", job, user=USER)
    machine.run(["rm", "-r", SOURCE, BACK])
    return told


def _manifest(machine: BootedMachine, top: str, bits: str) -> Manifest:
    printed = machine.run(["python3", "-c", _MANIFEST, top, bits], user=USER).stdout
    return Manifest(*json.loads(printed))
