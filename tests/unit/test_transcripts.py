"""What a transcript of the documentation is compared with, and the shell that types it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.grounds.pages import Block, exchanges, follow, normal
from tests.grounds.shell import Said, Shell


class Here:
    """A machine, as far as a shell needs one."""

    command_seconds = 60.0

    def popen(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, stdin=options["stdin"], stderr=options["stderr"], stdout=subprocess.PIPE
        )


@pytest.fixture
def shown() -> list[str]:
    return []


@pytest.mark.spawns
def test_a_shell_keeps_its_variables_and_tells_each_end(shown: list[str]) -> None:
    typed = Shell(Here(), show=shown.append)  # type: ignore[arg-type]
    try:
        assert typed.type("a=$(echo one)") == Said("", 0)
        assert typed.type('echo "$a"; echo two >&2; (exit 7)') == Said("one\ntwo\n", 7)
        # it does not get what is typed next, nor take the end of a line for its own
        assert typed.type("cat; printf open") == Said("open", 0)
        assert typed.type("for i in 1 2; do\n  echo $i\ndone") == Said("1\n2\n", 0)
        with pytest.raises(AssertionError, match="the shell ended"):
            typed.type("exit 1")
    finally:
        typed.close()
    assert "".join(shown) == "one\ntwo\nopen1\n2\n"


def test_only_ids_times_and_sizes_may_be_others() -> None:
    one = (
        "ID        NAME  START                DURATION\n01234567  nap   2026-01-02 03:04:05  12ms\n"
    )
    other = "ID     NAME  START   DURATION\n89abcdef  nap   2027-02-03 04:05:06  3.1s\n"
    assert normal(one) == normal(other)
    assert normal(one) != normal(other.replace("nap", "sleep"))
    assert normal("Reason: oom\n") != normal("Reason: exit\n")
    assert normal("Exit Code: 1\n") != normal("Exit Code: 2\n")
    assert normal('"cpu_usec": 12\n') == normal('"cpu_usec": 34567\n')


def test_a_transcript_that_tells_something_else_fails() -> None:
    block = Block(Path("page.md"), "", "console", "$ one\n1\n$ two \\\n> words\n2\n$ three\n")
    assert list(exchanges(block.text)) == [("one", "1\n"), ("two \\\nwords", "2\n"), ("three", "")]
    answers = {"one": "1\n", "two \\\nwords": "2\n", "three": ""}
    assert len(follow(block, lambda line: Said(answers[line], 0))) == 3
    with pytest.raises(AssertionError, match="two"):
        follow(block, lambda line: Said(answers[line].replace("2", "3"), 0))
