"""The command lines of docs/certificates.md, in their order, do what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.unit.jobletctl.conftest import Ctl

GUIDE = (Path(__file__).parents[3] / "docs/certificates.md").read_text()
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.M | re.S)
    for line in block.splitlines()
]


@pytest.mark.spawns
def test_every_command_line_of_the_guide_works(
    tmp_path: Path, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGURATION_DIRECTORY", str(tmp_path / "joblet"))
    monkeypatch.chdir(tmp_path)
    for line in LINES:
        program, *args = shlex.split(line.replace("/etc/joblet", str(tmp_path / "joblet")))
        if program == "openssl":
            done = subprocess.run([program, *args], capture_output=True, text=True)
            assert done.returncode == 0, f"{line}: {done.stderr}"
        else:
            assert program == "jobletctl"
            said = ctl(*args)
            assert (said.status, said.err) == (0, ""), line
    assert len(LINES) > 15
    assert list(yaml.safe_load(Path("bob.yml").read_text())["nodes"]) == ["default", "node2"]


def test_every_verb_is_in_the_guide(ctl: Ctl) -> None:
    listed = ctl("certs", "--help").out.partition("Commands:")[2]
    verbs = re.findall(r"^  (\w+)", listed, re.MULTILINE)
    assert len(verbs) == 7
    for verb in verbs:
        assert f"jobletctl certs {verb} " in GUIDE or f"jobletctl certs {verb}\n" in GUIDE
