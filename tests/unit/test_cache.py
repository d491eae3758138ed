"""tests/grounds/cache.py: what is made once, and what a disk without room says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.grounds.cache import NoGround, cached

MORE_THAN_ANY_DISK = 1 << 62


def test_a_disk_without_room_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLET_CACHE", str(tmp_path))
    made: list[Path] = []
    with pytest.raises(NoGround, match=f"^{tmp_path} needs .* GB are free; .* JOBLET_CACHE$"):
        cached("image", "recipe", made.append, room=MORE_THAN_ANY_DISK)
    assert made == []


def test_what_is_there_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLET_CACHE", str(tmp_path))
    first = cached("image", "recipe", lambda path: path.mkdir(), room=1)
    assert cached("image", "recipe", lambda _: None, room=MORE_THAN_ANY_DISK) == first
