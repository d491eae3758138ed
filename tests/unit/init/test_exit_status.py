"""The wait status of a process that somebody else reaped, from a kernel that tells it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator

import pytest

from joblet.init import syscalls

EXIT_BIT = 1 << 3
# What the kernel answers: an error, or whether the process has been reaped.
Answer = type[OSError] | bool


@pytest.fixture
def ended() -> Iterator[int]:
    """A descriptor that hangs up, as the pidfd of a reaped process does."""
    end, other = os.pipe()
    os.close(other)
    yield end
    os.close(end)


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([True], 3 << 8),
        ([False, True], 3 << 8),
        ([ProcessLookupError, True], 3 << 8),
        ([False, ProcessLookupError, True], 3 << 8),
        ([ProcessLookupError] * 3, None),
        ([OSError], None),
    ],
    ids=["reaped", "a zombie", "just now", "both", "older kernel", "much older"],
)
def test_the_end_is_found_whenever_it_was_reaped(
    monkeypatch: pytest.MonkeyPatch, ended: int, answers: list[Answer], status: int | None
) -> None:
    def ioctl(_fd: int, _request: int, info: bytearray) -> int:
        answer = answers.pop(0)
        if not isinstance(answer, bool):
            raise answer
        struct.pack_into("<Q", info, 0, EXIT_BIT if answer else 0)
        struct.pack_into("<i", info, 60, 3 << 8)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert syscalls.exit_status_of(ended) == status
    assert answers == []
