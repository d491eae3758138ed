"""Man pages name every option, key and member there is, and have nothing that mandoc minds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from joblet import config
from joblet.bus import interfaces
from jobletctl.cli import root

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = CHECKOUT / "packaging/man"
PAGES = sorted(FOLDER.glob("*.[1-8]"))
TOLD_ONCE = {"--json", "--help", "-h"}


def verbs(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        words = f"{path} {name}".strip()
        if isinstance(command, click.Group):
            yield from verbs(command, words)
        else:
            yield words, command


VERBS = dict(verbs(root))


def section(page: str, title: str) -> str:
    """The text below a subsection, up to the next one."""
    _, found, after = page.partition(f"\n.Ss {title}\n")
    assert found, f"jobletctl.1 has no section '{title}'; `make man` makes it"
    return re.split(r"\n\.S[sh] ", after)[0]


def shown(page: Path) -> str:
    """What a reader sees."""
    done = subprocess.run(["mandoc", "-Tutf8", page], check=True, capture_output=True, text=True)
    return re.sub(r".\x08", "", done.stdout)


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")


def test_what_is_made_from_the_sources_is_as_new_as_they_are() -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "packaging/pages", "--check"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (
        f"run `make man`:\n{done.stdout}{done.stderr}"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_page_of_jobletctl_has_every_option_of_a_verb(verb: str) -> None:
    text = section((FOLDER / "jobletctl.1").read_text(), verb)
    told = set(re.findall(r"Fl (\S+)", text))
    there = {
        name
        for param in VERBS[verb].params
        if isinstance(param, click.Option) and not param.hidden
        for name in (*param.opts, *param.secondary_opts)
    } - TOLD_ONCE
    missing = sorted(name for name in there if name.removeprefix("-") not in told)
    assert not missing, f"`make man` puts these options of '{verb}' into jobletctl.1: {missing}"
    gone = sorted(f"-{name}" for name in told if f"-{name}" not in there)
    assert not gone, f"jobletctl.1 tells of options that '{verb}' does not have: {gone}"


def test_page_of_jobletctl_has_no_verb_that_is_not_there() -> None:
    titles = set(re.findall(r"^\.Ss (.+)$", (FOLDER / "jobletctl.1").read_text(), re.MULTILINE))
    assert titles - {"Options of every verb", "Values"} == set(VERBS)


def test_page_of_the_settings_has_every_key_with_its_default() -> None:
    page = (FOLDER / "joblet.toml.5").read_text()
    defaults = config.shown(config.Config())
    told = {}
    for title, text in re.findall(r"^\.Ss Section (\w+)\n(.*?)(?=^\.S[sh] )", page, re.M | re.S):
        for key, value in re.findall(r'^\.It Cm (\w+) Ns Li " = (.*)"$', text, re.MULTILINE):
            told[f"{title}.{key}"] = value.replace("\\(dq", '"')
    missing = sorted(set(defaults) - set(told))
    assert not missing, (
        f"show these keys in packaging/etc/joblet.toml, then `make man`: {', '.join(missing)}"
    )
    assert sorted(set(told) - set(defaults)) == []
    # "1d" may be written "24h"
    read = {name: config.KEYS[name].read(tomllib.loads(f"v = {told[name]}")["v"]) for name in told}
    assert {name: config.KEYS[name].show(value) for name, value in read.items()} == defaults


@pytest.mark.parametrize("path", sorted((CHECKOUT / "dbus/interfaces").iterdir()), ids=str)
def test_page_of_the_interfaces_has_every_member_with_its_arguments(path: Path) -> None:
    page = (FOLDER / "org.joblet1.5").read_text()
    contract = interfaces.parse(path.read_text(), path.stem)
    _, found, rest = page.partition(f"\n.Sh INTERFACE {path.stem}\n")
    assert found, f"`make man` puts {path.stem} into org.joblet1.5"
    text = rest.partition("\n.Sh ")[0]
    told = dict(re.findall(r"^\.Sy (\w+)\n(.+)$", text, re.MULTILINE))
    members = {*contract.methods, *contract.signals, *contract.properties}
    assert sorted(members - set(told)) == []
    assert sorted(set(told) - members) == []
    for method in contract.methods.values():
        for name, kind in (*method.in_args, *method.out_args):
            assert f"{kind} {name}" in told[method.name]


def test_page_of_the_interfaces_explains_every_error_of_the_contract() -> None:
    contract = (CHECKOUT / "dbus/interfaces/org.joblet1.Manager.xml").read_text()
    (listed,) = re.findall(r"Errors: org\.joblet1\.Error\.([\w,\s]+)\.", contract)
    explained = re.findall(r"^\.It Er (\w+)$", (FOLDER / "org.joblet1.5").read_text(), re.MULTILINE)
    assert sorted(explained) == sorted(re.findall(r"\w+", listed))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_mandoc_has_nothing_to_say(page: Path) -> None:
    needs("mandoc")
    done = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True
    )
    assert done.stdout == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_man_has_nothing_to_say(page: Path) -> None:
    needs("man")
    done = subprocess.run(
        ["man", "--warnings", "--encoding=UTF-8", "--local-file", page],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_page_knows_its_own_name(page: Path) -> None:
    needs("mandoc")
    name, _, number = page.name.rpartition(".")
    text = shown(page)
    assert text.startswith(f"{name.upper()}({number})")
    assert f"{name} – " in text or f"{name} — " in text


def test_units_name_pages_that_there_are() -> None:
    named = set()
    for unit in (CHECKOUT / "units").iterdir():
        named |= set(re.findall(r"man:([\w.-]+\(\d\))", unit.read_text()))
    there = {f"{page.name.rpartition('.')[0]}({page.suffix[1:]})" for page in PAGES}
    assert named <= there
    assert named


def test_pages_name_pages_of_ours_that_there_are() -> None:
    there = {page.name for page in PAGES}
    for page in PAGES:
        for name, number in re.findall(r"\.Xr (joblet\S*|org\.joblet1) (\d)", page.read_text()):
            assert f"{name}.{number}" in there, page.name


def test_every_page_is_installed(tmp_path: Path) -> None:
    subprocess.run(
        [CHECKOUT / "packaging/install"],
        env={"DESTDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    installed = {path.name for path in (tmp_path / "usr/share/man").rglob("*") if path.is_file()}
    assert installed == {page.name for page in PAGES}
