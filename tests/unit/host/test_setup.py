"""What joblet-setup prepares: the announced pool of ids, and the size of the image."""

from __future__ import annotations

from pathlib import Path

import pytest

from joblet.config import AUTO, IdsConfig, WorkConfig
from joblet.errors import HostFailure
from joblet.host.setup import announce, image_size

IDS = IdsConfig(first=1 << 30, count=2)
LINE = "joblet:1073741824:131072"
GIB = 1 << 30


@pytest.mark.parametrize("before", [None, "", "dave:100000:65536\n"])
def test_the_pool_is_announced_once(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "subuid"
    if before is not None:
        file.write_text(before)
    announce(IDS, str(file))
    announce(IDS, str(file))
    assert file.read_text() == f"{before or ''}{LINE}\n"


def test_a_last_line_without_an_end_is_not_made_longer(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("dave:100000:65536")
    announce(IDS, str(file))
    assert file.read_text() == f"dave:100000:65536\n{LINE}\n"


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("dave:1073741823:1", False),
        ("dave:1073741823:2", True),
        ("dave:1073872895:1", True),
        ("dave:1073872896:65536", False),
        ("dave:1:4294967295", True),
        ("joblet:1073741824:65536", False),
        ("# a comment:of:ours", False),
        ("dave:x:y", False),
    ],
)
def test_a_pool_that_is_somebody_else_s_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str, warned: bool
) -> None:
    file = tmp_path / "subuid"
    file.write_text(f"{line}\n")
    announce(IDS, str(file))
    assert file.read_text() == f"{line}\n{LINE}\n"
    assert [line in record.getMessage() for record in caplog.records] == [True] * warned


@pytest.mark.parametrize(
    ("free", "size"),
    [(4 * GIB, GIB), (400 * GIB, 64 * GIB), (GIB, GIB // 4), (4 * GIB + 12_345, GIB)],
)
def test_an_image_takes_a_quarter_of_what_is_free_and_no_more_than_enough(
    free: int, size: int
) -> None:
    assert image_size(WorkConfig(image_size=AUTO), free) == size


def test_a_size_that_is_given_is_taken(tmp_path: Path) -> None:
    assert image_size(WorkConfig(image_size=0), 1) == 0
    assert image_size(WorkConfig(image_size=5 * GIB), 1) == 5 * GIB


def test_without_room_there_is_no_image() -> None:
    with pytest.raises(HostFailure, match="less than 1 GiB is free"):
        image_size(WorkConfig(image_size=AUTO), GIB - 4)
