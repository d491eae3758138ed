"""tests/grounds/machine.py: whose machine it is, until nothing of it is left."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import Any, NoReturn

from tests.grounds.machine import BootedMachine, abandoned, wait_for


class Box(BootedMachine):
    """A machine that is its directory."""

    prefix = "box-"
    boot_id = ""

    def boot(self) -> None:
        (self.directory / "root").mkdir()

    def power_off(self) -> None:
        """There is nothing to be switched off."""

    def cut_power(self) -> None:
        """Nor is there here."""

    def _none(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError("nothing runs in a box")

    popen: Any = _none
    signal_command: Any = _none
    read_file: Any = _none
    write_file: Any = _none


def test_what_a_killed_session_left_is_found_once(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.boot()
    assert list(abandoned(tmp_path, Box.prefix)) == []
    box._lock.close()  # as the end of its process does
    assert list(abandoned(tmp_path, Box.prefix)) == [box.directory]
    assert list(abandoned(tmp_path, Box.prefix)) == []
    assert not box.directory.exists()


def test_a_machine_is_claimed_until_its_last_file_has_gone(tmp_path: Path) -> None:
    box = Box(tmp_path)
    box.boot()
    removal = threading.Thread(target=box.remove)
    with open(tmp_path / ".lock", "w") as others:
        # Whoever looks for abandoned machines holds this while it looks.
        fcntl.flock(others, fcntl.LOCK_EX)
        removal.start()
        wait_for(lambda: not (box.directory / "root").exists(), "the removal of the root")
        assert (box.directory / "lock").exists()
    assert list(abandoned(tmp_path, Box.prefix)) == []
    removal.join()
    assert not box.directory.exists()
