"""What jobletctl loads before it has anything to say to a daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = {
    "dbus_next",
    "dbus_fast",
    "grpc",
    "asyncio",
    "cryptography",
    "yaml",
    "pyroute2",
    "ctypes",
}
RUN_AND_LIST_MODULES = """
import sys
from jobletctl.__main__ import main
status = main(sys.argv[3:], program=sys.argv[2])
with open(sys.argv[1], "w") as listing:
    print(status, *sys.modules, file=listing)
"""


# As on a machine where none of it is installed.
WITHOUT_A_BUS = """
import sys
for name in ("dbus_next", "dbus", "pystemd", "systemd", "joblet.bus"):
    sys.modules[name] = None
"""


WITHOUT_GRPC = """
import sys
sys.modules["grpc"] = None
from jobletctl.__main__ import rnx
sys.exit(rnx())
"""


def loaded_by(
    directory: Path, *args: str, program: str = "jobletctl", before: str = ""
) -> tuple[int, set[str]]:
    listing = directory / "modules"
    subprocess.run(
        [sys.executable, "-c", before + RUN_AND_LIST_MODULES, listing, program, *args],
        env={
            "PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}",
            "LC_ALL": "C.UTF-8",
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={directory}/none",
            "HOME": str(directory),
        },
        cwd=directory,
        capture_output=True,
        check=True,
    )
    status, *modules = listing.read_text().split()
    return int(status), set(modules)


@pytest.mark.parametrize(
    ("line", "status", "noun"),
    [
        ("--help", 0, "jobgroup"),
        ("--help", 0, "certs"),
        ("job --help", 0, "job"),
        ("job run --help", 0, "job"),
        ("job log --help", 0, "job"),
        ("job run --timeout=soon true", 2, "job"),
        ("job run --env-file=/nowhere true", 2, "job"),
        ("job run --output=x true", 2, "job"),
        ("job cp --help", 0, "job"),
        ("job cp x y", 2, "job"),
        ("job frobnicate", 2, "job"),
        ("certs --help", 0, "certs"),
        ("certs issue client --help", 0, "certs"),
        ("certs export --help", 0, "certs"),
        ("certs issue client x --role=root", 2, "certs"),
        ("certs issue server --host=no:port", 2, "certs"),
    ],
)
def test_help_and_mistakes_load_nothing_that_is_heavy(
    tmp_path: Path, line: str, status: int, noun: str
) -> None:
    found, modules = loaded_by(tmp_path, *line.split())
    assert found == status
    assert f"jobletctl.commands.{noun}" in modules
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in modules)


def test_a_noun_is_loaded_when_it_is_named(tmp_path: Path) -> None:
    status, modules = loaded_by(tmp_path, "frobnicate")
    assert status == 2
    assert "jobletctl.commands.job" not in modules


def test_jobs_do_not_load_certificates(tmp_path: Path) -> None:
    _status, modules = loaded_by(tmp_path, "job", "list")
    assert "jobletctl.commands.certs" not in modules
    assert "cryptography" not in modules


def test_a_verb_that_needs_the_bus_loads_it(tmp_path: Path) -> None:
    """The other tests look for the right names."""
    status, modules = loaded_by(tmp_path, "job", "list")
    assert status == 1
    assert {"asyncio", "joblet.bus.connection", "joblet.client.local"} <= modules


def test_files_load_what_packs_them_and_only_then(tmp_path: Path) -> None:
    _status, modules = loaded_by(tmp_path, "job", "run", "true")
    assert "joblet.client.transfer" not in modules
    (tmp_path / "f").write_text("")
    _status, modules = loaded_by(tmp_path, "job", "run", f"--upload={tmp_path}/f", "true")
    assert {"joblet.client.transfer", "joblet.archive.pack"} <= modules


def test_a_verb_that_needs_certificates_loads_them(tmp_path: Path) -> None:
    status, modules = loaded_by(tmp_path, "certs", "show", "nobody")
    assert status == 1
    assert {"cryptography", "joblet.pki"} <= modules
    assert "joblet.bus.connection" not in modules


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("--help", 0),
        ("--version", 0),
        ("job run --help", 0),
        ("config-help", 0),
        ("job run --timeout=soon true", 2),
        ("certs list", 2),
    ],
)
def test_help_and_mistakes_of_rnx_load_nothing_that_is_heavy(
    tmp_path: Path, line: str, status: int
) -> None:
    found, modules = loaded_by(tmp_path, *line.split(), program="rnx", before=WITHOUT_A_BUS)
    assert found == status
    loaded = {name.partition(".")[0] for name in modules} - {"dbus_next"}
    assert HEAVY.isdisjoint(loaded)


VERBS = [
    "job list",
    "job list --watch",
    "job run --follow true",
    "job status aaaa",
    "job inspect aaaa",
    "job log aaaa",
    "job cp aaaa:x .",
    "job stop aaaa",
    "job update aaaa --max-tasks=1",
    "job cancel aaaa",
    "job delete aaaa",
    "job delete-all",
    "job wait aaaa",
    "events",
    "top --count=1",
    "nodes",
    "version",
]


@pytest.mark.parametrize("line", VERBS)
def test_no_verb_of_rnx_needs_a_bus(tmp_path: Path, line: str) -> None:
    pem = "-----BEGIN {0}-----\\nQUJD\\n-----END {0}-----\\n".format
    node = f'cert: "{pem("CERTIFICATE")}", key: "{pem("PRIVATE KEY")}", ca: "{pem("CERTIFICATE")}"'
    path = tmp_path / "rnx-config.yml"
    path.write_text(f'nodes: {{default: {{address: "127.0.0.1:1", {node}}}}}')
    status, modules = loaded_by(tmp_path, *line.split(), program="rnx", before=WITHOUT_A_BUS)
    # It came as far as the connection, which nobody takes.
    assert status == (0 if line == "nodes" else 1)
    assert {"grpc", "joblet.client.remote"} <= modules
    assert "joblet.client.local" not in modules
    assert "cryptography" not in modules


def test_a_machine_without_grpc_is_told_what_to_install(tmp_path: Path) -> None:
    pem = "-----BEGIN {0}-----\\n-----END {0}-----".format
    node = f'cert: "{pem("CERTIFICATE")}", key: "{pem("PRIVATE KEY")}", ca: "{pem("CERTIFICATE")}"'
    path = tmp_path / "rnx-config.yml"
    path.write_text(f'nodes: {{default: {{address: "127.0.0.1:1", {node}}}}}')
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_GRPC, "--config", path, "job", "list"],
        env={"PYTHONPATH": f"{CHECKOUT}/service:{CHECKOUT}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rnx: asking another host needs gRPC, which is not installed")
    assert done.stderr.count("\n") == 1
