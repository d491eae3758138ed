"""The container ground by hand: what `make shell` calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.container.ground import CHECKOUT


def test_a_command_in_a_machine_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "given").write_text("there and back\n")
    copies = ["--copy", f"{tmp_path}/given:/root/given", "--fetch", f"/root/made:{tmp_path}/made"]
    script = "jobletctl job run --follow -- echo hello; cp /root/given /root/made; exit 7"
    done = subprocess.run(
        [sys.executable, "-m", "tests.container.ground", *copies, "--", "sh", "-euc", script],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "hello\n", "")
    assert (tmp_path / "made").read_text() == "there and back\n"
