"""The uploads of a request as a tar stream in a file without a name.

jobletd takes a descriptor and unpacks inside the job's own identity; what an entry may be called is
its to judge. Nothing is written under any name a client chose.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from joblet.errors import InvalidSpec
from joblet.rpc.pb import joblet_pb2 as pb

_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


@contextmanager
def tar_of(uploads: Sequence[pb.FileUpload]) -> Iterator[int]:
    """A descriptor of the stream, at its beginning; closed at the end. Raises InvalidSpec."""
    with tempfile.TemporaryFile(prefix="joblet-upload-") as file:
        # PAX keeps names of any length and every character.
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for index, upload in enumerate(uploads):
                archive.addfile(_entry(index, upload), io.BytesIO(upload.content))
        file.seek(0)
        yield file.fileno()


def _entry(index: int, upload: pb.FileUpload) -> tarfile.TarInfo:
    if not upload.path or "\0" in upload.path:
        raise InvalidSpec(f"uploads[{index}]", "needs a path without NUL characters")
    entry = tarfile.TarInfo(upload.path)
    entry.mtime = int(time.time())
    # Clients in Go send more bits, some of which mean something else there.
    mode = upload.mode & 0o777
    if upload.is_directory:
        entry.type = tarfile.DIRTYPE
        entry.mode = mode or _DIRECTORY_MODE
    else:
        entry.size = len(upload.content)
        entry.mode = mode or _FILE_MODE
    return entry
