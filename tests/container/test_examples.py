"""The scripts of examples/ do what they say, run by a member as a person would."""

from __future__ import annotations

from tests.container.ground import CHECKOUT
from tests.container.machine import Machine


def run(machine: Machine, name: str, *arguments: str, given: str = "", before: str = "true") -> str:
    machine.write_file("/tmp/example", (CHECKOUT / "examples" / name).read_bytes(), mode=0o755)
    script = f'cd "$(mktemp -d)"; {before}; /tmp/example "$@"; cat counts.txt 2>/dev/null || true'
    done = machine.run(["sh", "-euc", script, "sh", *arguments], user="member", input=given)
    assert done.stderr == ""
    return str(done.stdout)


def test_word_count_brings_its_counts_home(machine: Machine) -> None:
    before = "echo 'one two three' >a.txt; echo 'one' >b.txt"
    assert run(machine, "word-count.sh", "a.txt", "b.txt", before=before) == "3 a.txt\n1 b.txt\n"


def test_secret_is_used_and_not_shown(machine: Machine) -> None:
    said = run(machine, "secret.sh", given="PASSWORD=correct horse\n")
    assert said.splitlines()[0] == "the password has 13 characters"
    assert '"PASSWORD": "***"' in said
    assert "horse" not in said
