"""Pages for people: links lead somewhere, commands are run by a test, words are of the house."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.grounds.pages import CHECKOUT, blocks, exchanges, pages

PAGES = pages()
MAN = sorted((CHECKOUT / "packaging/man").iterdir())
# Where the commands of a page are run. What has no commands is not here.
RUN_BY = {
    "README.md": (
        "tests/container/test_readme.py",
        "tests/package/test_readme.py",
        "tests/vm/test_readme.py",
    ),
    "docs/certificates.md": ("tests/unit/jobletctl/test_certs_guide.py",),
    "docs/distribution.md": ("tests/container/test_slurm.py",),
    "docs/dbus-api.md": ("tests/container/test_readme.py",),
    "docs/operations.md": ("tests/package/test_operations.py",),
}
SECTIONS_RUN_BY = {
    "Install": "tests/package/test_readme.py",
    "A tour": "tests/container/test_readme.py",
    "Limits": "tests/vm/test_readme.py",
    "Files and secrets": "tests/container/test_readme.py",
    "Other programs": "tests/container/test_readme.py",
    "Remote users": "tests/container/test_readme.py",
    "Remove": "tests/package/test_readme.py",
}
# Blocks that nobody types: drawings, pieces of code and of settings, what only a person can run.
NOT_TYPED = {"text", "python", "toml"}
# What is never written, and what is: a reader searches for a word, and for one spelling of it.
TERMS = {
    r"\b(Jobletd|JobletD|joblet daemon)\b": "jobletd",
    r"\b(Jobletctl|joblet-ctl)\b": "jobletctl",
    r"\bSystem[dD]\b": "systemd",
    r"\b(D-bus|DBus|Dbus|dbus(?![-_/.]))\b": "D-Bus",
    r"\b([cC]Groups?|Cgroups?|control groups?)\b": "cgroup",
    r"\b[Cc]ancell(ed|ing)\b": "canceled",
    r"\b[Nn]ame[ -]spaces?\b": "namespace",
    r"\b(Polkit|PolicyKit|policykit)\b": "polkit",
    r"\b(Sqlite|SQLITE|sqlite3)\b": "SQLite",
    r"\b([Ww]orkdirs?|working director(y|ies))\b": "work directory",
    r"\b(hostid|host-id)s?\b": "id of the host",
    r"\b(gRpc|GRPC|grpc)\b": "gRPC",
}


def name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What a link may name behind #."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings_that_there_are(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        assert not path.startswith(("http:", "/")), target
        if path.startswith("https:"):
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text()), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    # That page leaves out the import package.
    short = page.name == "architecture.md"
    roots = [CHECKOUT, CHECKOUT / "service/joblet"] if short else [CHECKOUT]
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text()):
        first = code.partition("/")[0]
        if re.fullmatch(r"[\w.-]+/[\w./-]*", code) and any((r / first).is_dir() for r in roots):
            assert any((root / code).exists() for root in roots), code


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_targets_of_make_are_there(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+(?: [\w-]+)*):", (CHECKOUT / "Makefile").read_text(), re.M))
    there = {word for names in targets for word in names.split()}
    named = re.findall(r"(?:`|^)(?:sudo )?make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= there


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_of_a_page_are_run_by_a_test(page: Path) -> None:
    languages = set(re.findall(r"^```(\S+)$", page.read_text(), re.MULTILINE))
    assert languages <= {"sh", "console", *NOT_TYPED}
    assert page.read_text().count("\n```\n") == len(re.findall(r"^```\w+$", page.read_text(), re.M))
    typed = bool(languages & {"sh", "console"})
    assert typed == (name(page) in RUN_BY)
    for test in RUN_BY.get(name(page), ()):
        assert page.name in (CHECKOUT / test).read_text(), test


def test_commands_of_every_section_of_the_readme_are_run_by_a_test() -> None:
    readme = CHECKOUT / "README.md"
    typed = {block.section for kind in ("sh", "console") for block in blocks(readme, kind)}
    assert typed == set(SECTIONS_RUN_BY)
    for section, test in SECTIONS_RUN_BY.items():
        assert f'"{section}"' in (CHECKOUT / test).read_text(), section


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_transcript_begins_with_a_command_and_has_nothing_else(page: Path) -> None:
    for block in blocks(page, "console"):
        told = "".join(
            "$ " + command.replace("\n", "\n> ") + "\n" + printed
            for command, printed in exchanges(block.text)
        )
        assert told == block.text


@pytest.mark.parametrize("page", [*PAGES, *MAN], ids=name)
def test_words_are_spelled_as_everywhere(page: Path) -> None:
    text = prose(page.read_text())
    for wrong, right in TERMS.items():
        found = re.search(wrong, text)
        assert found is None, f"{found and found[0]!r} is written {right!r}"


def test_examples_of_every_man_page_are_run() -> None:
    test = (CHECKOUT / "tests/container/test_manual.py").read_text()
    for page in MAN:
        if "\n.Bd -literal" in page.read_text():
            assert f'"{page.name}"' in test, page.name


def test_every_guide_is_linked_from_the_readme() -> None:
    text = (CHECKOUT / "README.md").read_text()
    for page in PAGES:
        if page.name not in ("README.md", "SECURITY.md"):
            assert f"]({name(page)})" in text, page.name


@pytest.mark.parametrize("example", sorted((CHECKOUT / "examples").iterdir()), ids=name)
def test_examples_are_run_and_told_of(example: Path) -> None:
    assert f"](examples/{example.name})" in (CHECKOUT / "README.md").read_text()
    tests = [
        CHECKOUT / f"tests/container/test_{name}.py" for name in ("examples", "readme", "slurm")
    ]
    assert any(f'{example.name}"' in test.read_text() for test in tests)


def test_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    """Both tell of the same run."""

    def plain(text: str) -> str:
        return re.sub(r"[*`]", "", text)

    p50, rate = {}, {}
    for row in re.findall(r"^\|(.+ ms) \|$", (CHECKOUT / "README.md").read_text(), re.MULTILINE):
        name, half, _, number, _ = (plain(cell).strip() for cell in row.split("|"))
        p50[name.partition(":")[0].removesuffix(" with a systemd scope")] = half
        rate[name.partition(":")[0]] = number
    figures = plain((CHECKOUT / "docs/benchmarks.md").read_text()).partition("## Figures")[2]
    assert f"start to known exit, p50 | {p50['Joblet']} | crun {p50['crun']} |" in figures
    for peer in ("systemd-run --wait, sandboxed", "docker"):
        assert f"| {peer} {p50[peer]} |" in figures
    scope = "systemd-run --scope"
    assert f"at a time | {rate['Joblet']} | {scope} {rate[scope]} |" in figures
