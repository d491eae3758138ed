"""What bash and zsh offer after `jobletctl …` and `rnx …`: real shells, and fake programs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "packaging/completions"
PROGRAMS = ("jobletctl", "rnx")
# The words of `jobletctl job list`, and a note of how it was asked.
FAKE = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in *--state=CANCELED*) exit 0 ;; esac
echo 'ID        NAME     STATE      EXIT'
echo '1a2b3c4d  counter  RUNNING    -'
echo '9f8e7d6c  -        COMPLETED  0'
"""
BASH = """
source {file}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }}
_{program}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# compadd is what every function of zsh's completion ends in; here it tells instead of adding.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
typeset -g answer
zpty -w shell {setup}
zpty -r -m shell answer '*READY*' || exit 1
zpty -w -n shell {line}$'\\t'
zpty -r -m shell answer '*<END>*' || exit 1
print -r -- "$answer"
zpty -d shell
"""
ZSH_SETUP = """
PS1= PROMPT= RPROMPT= ; unsetopt zle_bracketed_paste 2>/dev/null; stty -echo cols 400
fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {dump}
zstyle ':completion:*' verbose no
tell () {{ compadd () {{ local -a found; local -i i
  [[ ${{@[(I)-[OAD]]}} -gt 0 ]] && {{ builtin compadd "$@"; return }}
  builtin compadd -O found "$@"; (( ${{#found}} )) && print -rl -- "<${{^found[@]}}>"
  builtin compadd "$@" }}
  _main_complete; print -r -- "<E""ND>"; compstate[insert]=''; compstate[list]='' ; }}
zle -C tell complete-word tell; bindkey '^I' tell; print -r -- REA""DY
"""

Offers = Callable[[str], list[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    commands = tmp_path / "bin"
    commands.mkdir()
    for program in PROGRAMS:
        fake = commands / program
        fake.write_text(FAKE)
        fake.chmod(0o755)
    (tmp_path / "file-here").touch()
    (tmp_path / "asked").touch()
    return {
        "PATH": f"{commands}:/usr/bin:/bin",
        "ASKED": str(tmp_path / "asked"),
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "MY_VARIABLE": "1",
    }


@pytest.fixture(params=["bash", "zsh"])
def offers(request: pytest.FixtureRequest, tmp_path: Path, environment: dict[str, str]) -> Offers:
    """What the shell offers for the last word of a line."""
    shell: str = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    folder = tmp_path / "functions"
    folder.mkdir()
    for program in PROGRAMS:
        shutil.copy(FOLDER / f"{program}.zsh", folder / f"_{program}")

    def in_bash(line: str) -> list[str]:
        words = shlex.split(line)
        if line.endswith(" "):
            words.append("")
        # as bash does it: = is a word of its own
        parts: list[str] = []
        for word in words:
            before, equals, after = word.partition("=")
            parts += [before, "=", after] if equals and after else [before, *equals]
        script = BASH.format(
            file=FOLDER / f"{words[0]}.bash",
            program=words[0],
            words=" ".join(map(shlex.quote, parts)),
        )
        return ask(["bash", "-c", script])

    def in_zsh(line: str) -> list[str]:
        setup = ZSH_SETUP.format(folder=folder, dump=tmp_path / "dump")
        joined = " ; ".join(part for part in setup.strip().splitlines())
        said = ask(
            ["zsh", "-f", "-c", ZSH.format(setup=shlex.quote(joined), line=shlex.quote(line))]
        )
        # the first one stands behind the line that the terminal shows
        found = re.findall(r"<([^<>]+)>", "\n".join(said))
        return [word for word in found if word != "END"]

    def ask(command: list[str]) -> list[str]:
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [word for word in done.stdout.splitlines() if word.strip()]

    return in_bash if shell == "bash" else in_zsh


def test_nouns_and_verbs(offers: Offers) -> None:
    assert "job" in offers("jobletctl ")
    assert {"run", "list", "stop", "delete-all"} <= set(offers("jobletctl job "))
    assert set(offers("jobletctl job st")) == {"status", "stop"}


def test_options_of_a_verb(offers: Offers) -> None:
    assert {"--max-cpu", "--max-memory", "--max-tasks"} <= set(offers("jobletctl job run --ma"))
    assert "--max-memory" not in offers("jobletctl job list --")
    assert "--json" in offers("jobletctl job list --")


@pytest.mark.parametrize("line", ["jobletctl job list --state RU", "jobletctl job list --state=RU"])
def test_values_that_are_words(offers: Offers, line: str) -> None:
    assert offers(line) == ["RUNNING"]


def test_ids_of_jobs(offers: Offers) -> None:
    assert offers("jobletctl job status ") == ["1a2b3c4d", "9f8e7d6c"]
    assert offers("jobletctl job log --timestamps 9f") == ["9f8e7d6c"]
    assert offers("jobletctl job stop 1a2b3c4d 9") == ["9f8e7d6c"]


def test_only_jobs_that_a_verb_can_be_used_on(offers: Offers, environment: dict[str, str]) -> None:
    assert offers("jobletctl job stop 1") == ["1a2b3c4d"]
    asked = Path(environment["ASKED"]).read_text()
    assert "job list" in asked
    assert "--state=RUNNING" in asked
    assert "--state=COMPLETED" not in asked


def test_no_job_is_no_offer(offers: Offers) -> None:
    assert offers("jobletctl job delete ") == []


def test_jobs_are_asked_for_only_where_one_is_wanted(
    offers: Offers, environment: dict[str, str]
) -> None:
    offers("jobletctl job ")
    offers("jobletctl job run --")
    assert Path(environment["ASKED"]).read_text() == ""


def test_what_follows_the_command_of_a_job_belongs_to_it(offers: Offers) -> None:
    assert "file-here" in offers("jobletctl job run --wait cat file-")
    assert "file-here" in offers("jobletctl job run -- cat file-")
    assert not [word for word in offers("jobletctl job run ls -") if word == "--max-cpu"]


def test_command_of_a_job(offers: Offers) -> None:
    assert "jobletctl" in offers("jobletctl job run --name=x jobletc")


def test_a_value_that_nobody_can_guess_is_no_offer(offers: Offers) -> None:
    assert offers("jobletctl job run --timeout ") == []


def test_variable_of_the_environment(offers: Offers) -> None:
    assert "MY_VARIABLE" in offers("jobletctl job run --env MY_VAR")


def test_rnx_has_the_same_but_for_what_is_of_this_host(
    offers: Offers, environment: dict[str, str]
) -> None:
    words = set(offers("rnx "))
    assert {"job", "nodes", "version"} <= words
    assert not {"certs", "config"} & words
    assert offers("rnx --node lab job status 9") == ["9f8e7d6c"]
    assert "--node lab job list" in Path(environment["ASKED"]).read_text()
    assert offers("jobletctl -H lab --config=f job status 1") == ["1a2b3c4d"]
    assert "-H lab --config f job list" in Path(environment["ASKED"]).read_text()
    assert {"--node", "--config"} <= set(offers("rnx --"))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shell_can_read_the_file(shell: str, program: str) -> None:
    file = f"{program}.{shell}"
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-n", FOLDER / file], env=os.environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
