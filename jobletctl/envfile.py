"""Files of variables, in docker's format: NAME=VALUE or NAME on a line, comments after a `#`.

A value is everything behind the first `=`, as it stands: no quotes, no escapes. NAME alone takes
the value that it has here. A `#` begins a comment only as the first character of a line.
"""

from __future__ import annotations

import sys

from jobletctl.paramtypes import BadValue, check_text, parse_variable

STDIN = "-"
# As much as a job can be given in all.
_FILE_MAX = 1 << 20


def read(path: str, *, secret: bool = False) -> dict[str, str]:
    """The variables of a file, `-` for standard input; of two with one name the later.

    secret: no complaint shows what stands in the file. Raises BadValue.
    """
    shown = "standard input" if path == STDIN else f"'{path}'"
    try:
        data = _bytes_of(path)
    except (OSError, ValueError) as err:
        reason = err.strerror if isinstance(err, OSError) else "it is no path"
        raise BadValue(f"{shown} cannot be read: {reason}") from err
    if len(data) > _FILE_MAX:
        raise BadValue(f"{shown} is larger than {_FILE_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise BadValue(f"{shown} is not valid UTF-8") from err
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        wanted = line.removesuffix("\r").lstrip()
        if not wanted or wanted.startswith("#"):
            continue
        try:
            name, value = parse_variable(check_text(wanted))
        except BadValue as err:
            # Whoever forgets the name has written the value in its place.
            why = "expected NAME=VALUE, or the name of a variable that is set here"
            raise BadValue(f"{shown}, line {number}: {why if secret else err}") from (
                None if secret else err
            )
        found[name] = value
    return found


def _bytes_of(path: str) -> bytes:
    if path != STDIN:
        with open(path, "rb") as file:
            return file.read(_FILE_MAX + 1)
    if sys.stdin is None:
        raise OSError(0, "it is closed")
    return sys.stdin.buffer.read(_FILE_MAX + 1)
