"""Command lines that the documentation has outside of its blocks: where they stand, what runs them.

A block `sh` or `console` is run as it stands, by the test of its page (pages.py). A command line in
a sentence, a table or a drawing is run too: typed in the container, with what a reader puts for its
words in capitals (TYPED), or by a test that has more to say of it (RUN_BY). Whoever writes a new
one adds it here; tests/contract/test_commands.py fails until then, and when a page has lost one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.grounds.pages import CHECKOUT, exchanges, pages

# What is told of a released version stays as it was.
PAGES = [page for page in pages() if page.name != "CHANGELOG.md"]
MAN = sorted((CHECKOUT / "packaging/man").iterdir())
EXAMPLES = sorted(path for path in (CHECKOUT / "examples").rglob("*") if path.is_file())
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Code of several words that is no command: a setting, a resource of HTTP, an option alone, a name.
_NO_COMMAND = re.compile(r"\w+ = |GET /|--|my job$")
# In front of these a page may leave out what it speaks of all the time.
_NOUNS = re.compile(r"(job|certs|config|monitor) ")


class Run(NamedTuple):
    """A test, or what a test runs, and the words in it that run a command."""

    test: str
    words: str


# Typed by tests/container/test_commands.py, with what follows here behind what the page says. ID is
# a job that has ended, NODE a host of the file of nodes.
TYPED = {
    "curl --cacert /etc/joblet/pki/bridge/ca.crt --cert /etc/joblet/pki/clients/ada.pem"
    " https://localhost:50053/v1/jobs/ID/logs": "",
    "curl --unix-socket /run/joblet/metrics.sock http://localhost/metrics": "",
    "journalctl -u jobletd JOBLET_JOB_ID=ID": "",
    "jobletctl -H NODE": " job list",
    "jobletctl events": "",
    "jobletctl job cp ID:PATH DEST": "",
    "jobletctl job delete ID": "",
    "jobletctl job list --wide": "",
    "jobletctl job log ID": "",
    "jobletctl job metrics ID": "",
    "jobletctl job run --dry-run": " -- true",
    "jobletctl job run --wait -- true": "",
    "jobletctl job status --json": " ID",
    "jobletctl job status ID": "",
    "jobletctl job update ID --max-cpu 50": "",
    "jobletctl monitor top": "",
    "jobletctl top": "",
    "rnx job delete-all": "",
    "systemctl show 'joblet-*.scope'": "",
    "systemctl status 'joblet-*.scope'": "",
    "systemctl stop joblet-ID.scope": "",
    "systemd-cgls /joblet.slice": "",
}
_BENCHMARKS = "tests/container/test_benchmarks.py"
# A target of make is run as what it calls.
RUN_BY = {
    "./run_job.py sh -c 'echo hello; exit 3'": Run(
        "tests/container/test_readme.py", '["python3", "-c", program'
    ),
    "apt install git make": Run("tests/package/test_readme.py", "apt install git make"),
    "busctl get-property org.joblet1 /org/joblet1 org.joblet1.Manager Version": Run(
        "tests/container/test_readme.py", '"SECURITY.md"'
    ),
    "cat > file": Run("tests/bench/output.py", "| cat >"),
    "examples/secret.sh <FILE": Run("tests/container/test_examples.py", '"secret.sh", given='),
    "examples/word-count.sh FILE...": Run(
        "tests/container/test_examples.py", '"word-count.sh", "a.txt", "b.txt"'
    ),
    "kill -9": Run("tests/container/test_recovery.py", "kill(machine, DAEMON)"),
    "make bench": Run(_BENCHMARKS, '*RUN, f"--parts={part}"'),
    "make bench-vm": Run(_BENCHMARKS, '*RUN, f"--parts={part}"'),
    "make demo": Run("tests/vm/test_readme.py", "demo.tour(vm, screen)"),
    "make docs": Run("tests/contract/test_pages.py", '"packaging/pages", "--check"'),
    "make man": Run("tests/contract/test_pages.py", '"packaging/pages", "--check"'),
    "make shell": Run("tests/container/test_ground.py", '"tests.container.ground"'),
    "make test-vm-large": Run("tests/vm/test_many.py", "JOBLET_VM_LARGE"),
    "make vm": Run("tests/vm/conftest.py", "ground("),
    "make vm RELEASE=12": Run("tests/vm/conftest.py", "ground("),
    "make wheel": Run("tests/package/test_wheel.py", "packaging/wheel"),
    "man jobletctl": Run("tests/contract/test_pages.py", '"man", "--warnings"'),
    "man rnx": Run("tests/contract/test_pages.py", '"man", "--warnings"'),
    "mkfs.ext4 -d": Run("tests/vm/image.py", '"mkfs.ext4", "-q"'),
    "pip install dist/*.whl": Run("tests/package/test_wheel.py", '"install", "--quiet"'),
    "python -m tests.bench.bridge": Run(_BENCHMARKS, '"tests.bench.bridge"'),
    "python -m tests.bench.follow": Run(_BENCHMARKS, '"tests.bench.follow"'),
    "python3 -c 'import click'": Run("tests/bench/lists.py", "import click"),
    "python3 -m tests.bench.metrics": Run(_BENCHMARKS, '"tests.bench.metrics"'),
    "python3 -m tests.bench.run --output DIR": Run(_BENCHMARKS, '*RUN, f"--parts={part}"'),
    "sbatch --no-requeue": Run("tests/container/test_slurm.py", '"--no-requeue"'),
    "scancel --signal=KILL": Run("tests/container/test_slurm.py", '"scancel", "--signal=KILL"'),
    "scontrol suspend": Run("tests/container/test_slurm.py", '"scontrol", "suspend"'),
    "slurmd -C": Run("tests/container/test_slurm.py", '"slurmd", "-C"'),
    "srun --cpus-per-task 2 --mem 1G joblet-step COMMAND [ARG]...": Run(
        "tests/container/test_slurm.py", '"--cpus-per-task=1", "--mem=300M"'
    ),
    "srun joblet-step --upload data.csv --output result.json -- COMMAND [ARG]...": Run(
        "tests/container/test_slurm.py", "blocks(PAGE"
    ),
    "systemd-run --scope": Run("tests/bench/contenders.py", '"--scope"'),
    "systemd-run --wait": Run("tests/bench/contenders.py", '"--wait"'),
    "unshare -pmnuif": Run("tests/bench/contenders.py", '"unshare", "-pmnuif"'),
}
# What no test can run, and why.
NOT_RUN = {
    ".venv/bin/python -m pytest tests/unit tests/contract tests/bus tests/bridge": "runs the tests",
    "make test": "runs the tests",
}


def typed(page: Path) -> list[str]:
    """The command lines in the blocks of a page that are run as they stand, without comments."""
    lines: list[str] = []
    for language, text in _FENCED.findall(page.read_text()):
        if language == "sh":
            lines += text.splitlines()
        elif language == "console":
            lines += [line for command, _ in exchanges(text) for line in command.splitlines()]
    return [re.sub(r" +# .*", "", line) for line in lines]


def displays(page: Path) -> list[str]:
    """The displays of a man page, as a reader sees them, but for pieces of a settings file."""
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", page.read_text(), re.M | re.DOTALL)
    return [block.replace(r"\e", "\\") for block in found if not block.startswith("[")]


def displayed(page: Path) -> list[str]:
    """The command lines in the displays of a man page."""
    return [line for block in displays(page) for line in block.replace("\\\n", "").splitlines()]


def told(page: Path) -> list[str]:
    """The command lines in the prose of a page, and in those of its blocks that nobody types."""
    text = page.read_text()
    spans = re.findall(r"(?<!`)`([^`]+)`(?!`)", _FENCED.sub("", text))
    code = [" ".join(span.split()) for span in spans]
    lines = [line for line in code if " " in line and not _NO_COMMAND.match(line)]
    for language, block in _FENCED.findall(text):
        if language not in ("sh", "console"):
            commands = [re.sub(r" +# .*", "", line) for line in block.splitlines()]
            lines += [line for line in commands if whole(line).partition(" ")[0] in _programs()]
    return lines


def usages(example: Path) -> list[str]:
    """How an example says that it is called: what is indented in the words at its top."""
    head = re.split(r"^(?:set|import) ", example.read_text(), maxsplit=1, flags=re.MULTILINE)[0]
    lines = re.findall(r"^(?:#     |    )(\S.*)$", head, re.MULTILINE)
    return [re.split(r"  +", line)[0] for line in lines if "=" not in line.split()[0]]


def whole(line: str) -> str:
    """A command line as the tables above have it: with its program, for whoever may run it."""
    named = line.removeprefix("sudo ").replace("<id>", "ID")
    return f"jobletctl {named}" if _NOUNS.match(named) else named


def _programs() -> set[str]:
    return {line.split()[0] for line in (*TYPED, *RUN_BY, *NOT_RUN)}
