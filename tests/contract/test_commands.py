"""Every command line of the documentation is run by a test, and means what the programs know."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from jobletctl.cli import rnx_root, root
from tests.grounds import commands
from tests.grounds.commands import EXAMPLES, MAN, NOT_RUN, PAGES, RUN_BY, TYPED, whole
from tests.grounds.pages import CHECKOUT

LISTED = {**TYPED, **RUN_BY, **NOT_RUN}
ROOTS = {"jobletctl": root, "rnx": rnx_root}
# Options that pages tell of and that are those of other programs.
FOREIGN = {
    *(
        "--cgroups",
        "--cpus-per-task",
        "--mem",
        "--mem-per-cpu",
        "--rm",
        "--userns",
    ),  # engines, Slurm
    "--parts",  # tests/bench/run.py
}
# At the beginning of a line, in $(…), or behind another one.
CALL = re.compile(r"(?:^|\$\(|; )(jobletctl|rnx) ((?:'[^']*'|[^|)$]|\$(?!\())*)")
# A sentence of a program that names a command line: 'job list --all', or behind the program.
QUOTED = r"'(?:(?P<program>jobletctl|rnx|\{\}) )?(?P<words>(?:%s) [^'\n{]*)"


def name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


def run_by_blocks() -> set[str]:
    lines = [line for page in PAGES for line in commands.typed(page)]
    lines += [line for page in MAN for line in commands.displayed(page)]
    return {whole(line) for line in lines}


def is_run(line: str) -> bool:
    """It is known, alone or with more words behind it."""
    known = (*run_by_blocks(), *LISTED)
    return any(f"{other} ".startswith(f"{whole(line)} ") for other in known)


def in_sources() -> Iterator[tuple[str, str, str]]:
    """Where, for which program, and what: command lines in what the programs say themselves."""
    pattern = re.compile(QUOTED % "|".join(root.list_commands(click.Context(root))))
    for source in sorted(CHECKOUT.glob("jobletctl/**/*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            said = "".join(
                part.value
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
                else "{}"
                for part in parts
            )
            for found in pattern.finditer(said):
                yield name(source), found["program"] or "jobletctl", found["words"]


def resolve(program: str, words: list[str]) -> None:
    """Raises AssertionError for a verb or an option that the program does not have."""
    command: click.Command = ROOTS[program]
    ctx = click.Context(command)
    known = [option for param in command.params for option in (*param.opts, *param.secondary_opts)]
    rest = iter(words)
    for word in rest:
        if word == "--":
            return
        if word.startswith("-") and word != "-":
            option = word.partition("=")[0]
            assert option in known, f"{program} {' '.join(words)}: there is no {option}"
            if option in ("-H", "--node", "--config"):
                next(rest, None)
        elif isinstance(command, click.Group):
            found = command.get_command(ctx, word)
            assert found is not None, f"{program} {' '.join(words)}: there is no {word}"
            command, ctx = found, click.Context(found, parent=ctx)
            params = [*command.params, *ROOTS[program].params]
            known = [o for param in params for o in (*param.opts, *param.secondary_opts)]
            known += ["--help", "-h"]
        elif not command.allow_interspersed_args:
            return


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_of_a_page_is_run_by_a_test(page: Path) -> None:
    missing = [line for line in commands.told(page) if not is_run(line)]
    assert not missing, "tests/grounds/commands.py has to say what runs these"


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_every_example_is_called_by_a_test_as_it_says(example: Path) -> None:
    assert [usage for usage in commands.usages(example) if usage not in RUN_BY] == []


def test_what_is_listed_is_written_somewhere() -> None:
    told = {whole(line) for page in PAGES for line in commands.told(page)}
    told |= {usage for example in EXAMPLES for usage in commands.usages(example)}
    assert sorted(set(LISTED) - told) == []
    assert len(LISTED) == len(TYPED) + len(RUN_BY) + len(NOT_RUN)


@pytest.mark.parametrize("line", RUN_BY)
def test_the_test_that_is_named_has_the_words_that_run_it(line: str) -> None:
    run = RUN_BY[line]
    assert run.words in (CHECKOUT / run.test).read_text()


def test_every_target_of_make_can_be_made() -> None:
    lines = [line for page in PAGES for line in (*commands.told(page), *commands.typed(page))]
    targets = {whole(line) for line in lines if whole(line).startswith("make ")}
    assert len(targets) > 8
    for line in targets:
        made = subprocess.run(
            [*shlex.split(line), "--dry-run"], cwd=CHECKOUT, capture_output=True, text=True
        )
        assert (made.returncode, made.stderr) == (0, ""), line
        recipe = shlex.split(made.stdout.splitlines()[-1])
        modules = [recipe[at + 1] for at, word in enumerate(recipe) if word == "-m"]
        for module in (one for one in modules if one.startswith("tests.")):
            assert (CHECKOUT / f"{module.replace('.', '/')}.py").exists(), line


@pytest.mark.parametrize("page", [*PAGES, *MAN], ids=name)
def test_verbs_and_options_of_every_command_line_are_there(page: Path) -> None:
    lines = commands.displayed(page) if page in MAN else commands.told(page) + commands.typed(page)
    for line in map(whole, lines):
        for program, words in CALL.findall(line):
            resolve(program, shlex.split(words))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_that_a_page_tells_of_are_there(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"`(--[a-z][a-z-]*)", prose)) - FOREIGN
    there: set[str] = {"--help"}
    groups: list[click.Command] = [root]
    for command in groups:
        there |= {option for param in command.params for option in param.opts}
        if isinstance(command, click.Group):
            ctx = click.Context(command)
            found = [command.get_command(ctx, verb) for verb in command.list_commands(ctx)]
            groups += [one for one in found if one is not None]
    assert sorted(told - there) == []


@pytest.mark.parametrize("page", MAN, ids=name)
def test_command_lines_in_the_text_of_a_man_page_are_there(page: Path) -> None:
    text = page.read_text()
    for macros in re.findall(r"^\.(?:Ic|Ql) (.*)$", text, re.MULTILINE):
        words = re.sub(r"\bFl ", "-", re.sub(r"\b(Ar|Ic|Cm|Ns) ", "", macros)).split()
        while words[-1] in (",", ".", ";"):
            words.pop()
        if words[0] in ROOTS:
            assert is_run(" ".join(words)), words
        if words[0] in (*ROOTS, *root.list_commands(click.Context(root))):
            resolve("jobletctl", words[1:] if words[0] in ROOTS else words)
    # What comes from help texts and from joblet.toml.
    for words in re.findall(r"'((?:jobletctl )?(?:job|certs|config|monitor) [^']*)'", text):
        resolve("jobletctl", words.replace("\\-", "-").removeprefix("jobletctl ").split())


def test_command_lines_in_what_the_programs_say_are_there() -> None:
    said = list(in_sources())
    assert len(said) > 20
    for where, program, words in said:
        try:
            resolve("jobletctl" if program == "{}" else program, words.split())
        except AssertionError as wrong:
            raise AssertionError(f"{where}: {wrong}") from wrong
