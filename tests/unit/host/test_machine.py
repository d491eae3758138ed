"""CPUs that jobs can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from joblet.host import machine


@pytest.mark.parametrize(
    "folder",
    ["joblet.slice/joblet-jobs.slice", "joblet.slice", "."],
    ids=["jobs", "joblet", "root"],
)
def test_the_nearest_cgroup_with_a_set_decides(tmp_path: Path, folder: str) -> None:
    online = machine.usable_cpus(str(tmp_path))
    assert online
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "cpuset.cpus.effective").write_text("0,900-901\n")
    assert machine.usable_cpus(str(tmp_path)) == {0} & online
    if folder != ".":
        (tmp_path / "cpuset.cpus.effective").write_text("900\n")
        assert machine.usable_cpus(str(tmp_path)) == {0} & online
