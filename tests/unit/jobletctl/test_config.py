from __future__ import annotations

from pathlib import Path

import pytest

from joblet.config import KEYS
from tests.unit.jobletctl.conftest import Ctl


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the configuration of this host."""
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path))
    (tmp_path / "joblet.toml").write_text("[defaults]\nmax_memory = '1G'\ncpu_cores = '1,0'\n")
    (tmp_path / "joblet.toml.d").mkdir()
    (tmp_path / "joblet.toml.d/10-site.conf").write_text("[jobs]\nmax_running = 5\n")
    return tmp_path


def test_show_says_every_value_and_where_it_comes_from(ctl: Ctl, folder: Path) -> None:
    lines = [line.split(maxsplit=2) for line in ctl("config", "show").out.splitlines()[1:]]
    shown = {key: (value, origin) for key, value, origin in lines}
    assert list(shown) == list(KEYS)
    assert shown["defaults.max_memory"] == ("1G", f"{folder}/joblet.toml")
    assert shown["defaults.cpu_cores"] == ("0-1", f"{folder}/joblet.toml")
    assert shown["jobs.max_running"] == ("5", f"{folder}/joblet.toml.d/10-site.conf")
    assert shown["ceilings.cpu_cores"] == ('""', "built in")
    assert shown["bridge.own_jobs_only"] == ("false", "built in")


def test_show_as_json_has_the_same(ctl: Ctl, folder: Path) -> None:
    shown = ctl("config", "show", "--json").json
    assert list(shown) == list(KEYS)
    assert shown["jobs.max_running"] == {
        "value": 5,
        "file": f"{folder}/joblet.toml.d/10-site.conf",
    }
    assert shown["defaults.timeout"] == {"value": "0s", "file": None}


def test_check_of_right_files_names_them(ctl: Ctl, folder: Path) -> None:
    done = ctl("config", "check")
    assert done.status == 0
    assert "3 settings" in done.out
    assert "10-site.conf" in done.out
    assert ctl("config", "check", "--json").json["settings"] == 3


def test_check_of_a_mistake_fails_with_file_and_key(ctl: Ctl, folder: Path) -> None:
    (folder / "joblet.toml.d/20-bad.toml").write_text("[work]\nkeep = '5 fortnights'\n")
    for verb in ("check", "show"):
        done = ctl("config", verb)
        assert done.status == 1
        assert done.out == ""
        assert "20-bad.toml: work.keep: unknown unit" in done.err


def test_another_file_may_be_looked_at(ctl: Ctl, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[jobs]\nmax_running = 7\n")
    shown = ctl("config", "show", "--json", "--file", str(other)).json
    assert shown["jobs.max_running"] == {"value": 7, "file": str(other)}
