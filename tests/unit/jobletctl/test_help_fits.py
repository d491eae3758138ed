"""The help of every command on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from jobletctl.cli import root
from tests.unit.jobletctl.conftest import Ctl


def paths(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command there is, by its words."""
    yield words
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from paths(found, (*words, name))


@pytest.mark.parametrize("words", list(paths(root)), ids=" ".join)
def test_no_line_is_too_long(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = ctl(*words, "--help")
    assert done.status == 0
    assert [line for line in done.out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("words", list(paths(root)), ids=" ".join)
def test_every_sentence_ends_and_every_value_has_a_word_for_people(
    ctl: Ctl, words: tuple[str, ...]
) -> None:
    said = ctl(*words, "--help").out
    assert "...\n" not in said.partition("Commands:")[2]
    for jargon in (" RANGE", " INTEGER", " TEXT", "<=x"):
        assert jargon not in said
