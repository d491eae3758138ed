"""Pages of the documentation as tests read them: their sections, their commands, what those print.

A block ```sh is a script. A block ```console is a transcript: commands behind `$ `, and what they
printed. Where a transcript names an id, a time, a duration or a size, any other of its kind will
do; everything else has to come out as it stands there. JOBLET_WRITE_TRANSCRIPTS=1 writes what came
out into the page instead, for the diff to be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.grounds.shell import Said, Typist

CHECKOUT = Path(__file__).resolve().parents[2]
WRITE = os.environ.get("JOBLET_WRITE_TRANSCRIPTS") == "1"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
# In this order: an id has the digits of a size.
_KINDS = (
    (r"\b[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}\b", "<id>"),
    (r"\bjob-[0-9a-f]{8}\b", "job-<id>"),
    (r"^[0-9a-f]{8}\b", "<id>"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( [A-Z]{3,4})?", "<time>"),
    (r"\b\d+(\.\d+)?(ms|h\d+m|m\d+s|s)\b", "<duration>"),
    (r"\b\d+(\.\d+)? s, \d+(\.\d+)? [kM]B/s", "<rate>"),
    (r'("\w+_(usec|bytes)": )\d+', r"\1<number>"),
    (r"(Peak Memory|Read|Written): .*", r"\1: <size>"),
    (r"[ \t]+", " "),
)


class Block(NamedTuple):
    """One block of a page."""

    page: Path
    section: str
    language: str
    text: str


def pages() -> list[Path]:
    """Every page for people, but for what a directory below docs/ may hold."""
    return sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/*.md")])


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a language below the headings of a page."""
    return [
        Block(page, section, found, text)
        for section, body in _SECTION.findall(page.read_text())
        for found, text in _BLOCK.findall(body)
        if found == language
    ]


def exchanges(transcript: str) -> Iterator[tuple[str, str]]:
    """Each command, which may go on in lines that begin with `> `, and what it printed."""
    for command, printed in re.findall(
        r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", transcript, re.MULTILINE
    ):
        yield command.replace("\n> ", "\n").rstrip("\n"), printed


def normal(text: str) -> str:
    """What has to be the same."""
    for pattern, kind in _KINDS:
        text = re.sub(pattern, kind, text, flags=re.MULTILINE)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def follow(block: Block, typed: Typist) -> list[Said]:
    """Type the commands of a transcript; the test fails where it does not tell what comes out."""
    told = list(exchanges(block.text))
    assert told, block
    said = [typed(command) for command, _ in told]
    if WRITE:
        _write(block, [command for command, _ in told], said)
    else:
        for (command, printed), came in zip(told, said, strict=True):
            assert normal(came.text) == normal(printed), f"{block.page.name}: $ {command}"
    return said


def _write(block: Block, commands: Sequence[str], said: Sequence[Said]) -> None:
    lines = []
    for command, came in zip(commands, said, strict=True):
        lines.append("$ " + command.replace("\n", "\n> ") + "\n")
        lines += [f"{line.rstrip()}\n" for line in came.text.splitlines()]
    block.page.write_text(block.page.read_text().replace(block.text, "".join(lines)))
