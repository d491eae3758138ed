"""Every step that fails ends the job before its program, and says which step, why and where."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest

from joblet.init import plan
from joblet.init.plan import Step, step
from tests.kernel.sandbox import FIRST_ID, Outcome, Sandbox

SAYS = ("sh", "-c", "echo it ran")


def nothing_ran(outcome: Outcome) -> bool:
    record = outcome.exit
    return outcome.log == b"" and record.started_ns is None and record.exit_status == 125


def instead(name: str, *operands: str | int) -> Callable[[list[Step]], list[Step]]:
    """The first step of this name with other operands."""

    def change(steps: list[Step]) -> list[Step]:
        at = next(i for i, one in enumerate(steps) if one.name == name.encode())
        return [*steps[:at], step(name, *operands), *steps[at + 1 :]]

    return change


def before(name: str, *extra: Step) -> Callable[[list[Step]], list[Step]]:
    """More steps before the first of this name."""

    def change(steps: list[Step]) -> list[Step]:
        at = next(i for i, one in enumerate(steps) if one.name == name.encode())
        return [*steps[:at], *extra, *steps[at:]]

    return change


ACCOUNTS = "etc/passwd"
RO = plan.RDONLY | plan.NOSUID | plan.NODEV


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        (instead("namespaces", 0x1), ("namespaces", errno.EINVAL, "")),
        (instead("hostname", "x" * 65), ("hostname", errno.EINVAL, "")),
        (instead("root", "/no/such/place", "size=1m"), ("root", errno.ENOENT, "/no/such/place")),
        (instead("root", "/run/joblet/root", "size=x"), ("root", errno.EINVAL, "/run/joblet/root")),
        (instead("directory", "no/parent", 0o755), ("directory", errno.ENOENT, "no/parent")),
        (before("pivot", step("directory", "etc", 0o755)), ("directory", errno.EEXIST, "etc")),
        (before("sealed", step("symlink", "/x", "etc")), ("symlink", errno.EEXIST, "etc")),
        (before("sealed", step("file", ACCOUNTS, 0o644, "x")), ("file", errno.EEXIST, ACCOUNTS)),
        (instead("bind", "/no/such", "usr", RO), ("bind", errno.ENOENT, "/no/such")),
        (instead("work", "/no/such", "work", 0), ("work", errno.ENOENT, "/no/such")),
        (instead("work", "/usr", "work", 0), ("work", errno.EPERM, "/usr")),
        (
            before("cgroup-namespace", step("scope", "no/such.scope")),
            ("scope", errno.ENOENT, "no/such.scope/cgroup.procs"),
        ),
        (instead("tmpfs", "tmp", 0, "size=x"), ("tmpfs", errno.EINVAL, "tmp")),
        (instead("proc", "no/proc"), ("proc", errno.ENOENT, "no/proc")),
        (instead("device", "no/null", 1, 3), ("device", errno.ENOENT, "no/null")),
        (instead("devpts", "dev/pts", "nonsense"), ("devpts", errno.EINVAL, "dev/pts")),
        (instead("sealed", "no"), ("sealed", errno.ENOENT, "no")),
        (instead("sealed", "dev/null"), ("sealed", errno.EINVAL, "dev/null")),
        (instead("rlimit", 99, 1, 1), ("rlimit", 0, "")),
        (instead("user-namespace", FIRST_ID, 0), ("user-namespace", errno.EINVAL, "uid_map")),
        (instead("identity", 65_536, 65_536), ("identity", errno.EINVAL, "")),
        (instead("chdir", "/no/such"), ("chdir", errno.ENOENT, "/no/such")),
        (instead("filter", "no program at all"), ("filter", errno.EINVAL, "")),
        (instead("filter", ""), ("filter", errno.EINVAL, "")),
    ],
)  # fmt: skip
def test_a_step_that_fails_is_named_and_nothing_runs(
    sandbox: Sandbox, change: Callable[[list[Step]], list[Step]], failure: tuple[str, int, str]
) -> None:
    outcome = sandbox.run(*SAYS, change=change)
    assert nothing_ran(outcome)
    step_name, number, path = outcome.failure
    assert (step_name, number) == failure[:2]
    assert path.endswith(failure[2]) if failure[2] else path == ""
    assert outcome.sealed


def test_a_step_that_is_not_known_is_refused_before_the_first_one_runs(sandbox: Sandbox) -> None:
    def unknown(steps: list[Step]) -> list[Step]:
        return [*steps[:-1], Step(b"next-year", ()), steps[-1]]

    outcome = sandbox.run(*SAYS, change=unknown)
    assert nothing_ran(outcome)
    assert outcome.failure[0] == "plan"


def test_a_gate_that_closes_means_nothing_ran(sandbox: Sandbox) -> None:
    outcome = sandbox.run(*SAYS, open_gate=False)
    assert outcome.exit.gate_closed
    assert outcome.log == b""
    assert outcome.exit.setup_step == b""
    # It may be launched again, with the same log.
    assert not outcome.sealed


@pytest.mark.parametrize(
    ("command", "number", "status"),
    [("no-such-command", errno.ENOENT, 127), ("/usr", errno.EACCES, 126)],
)
def test_a_command_that_cannot_be_executed(
    sandbox: Sandbox, command: str, number: int, status: int
) -> None:
    outcome = sandbox.run(command)
    assert outcome.failure == ("exec", number, command)
    assert outcome.exit.exit_status == status
    assert outcome.log == b""


# Escapes by path: what the new root holds is not followed out of it, whoever put it there.


@pytest.mark.parametrize(
    "bad",
    [
        step("readonly", "evil"),
        step("masked", "evil"),
        step("sealed", "evil"),
        step("readonly", "evil/joblet"),
        step("masked", "evil/joblet"),
        step("sealed", "evil/joblet"),
        step("tmpfs", "evil/mounted", 0, "size=4k"),
        step("proc", "evil/mounted"),
        step("devpts", "evil/mounted", "newinstance"),
        step("bind", "/usr", "evil/mounted", RO),
        step("directory", "evil/made", 0o755),
        step("file", "evil/made", 0o644, "content"),
        step("symlink", "/usr", "evil/made"),
        step("device", "evil/made", 1, 3),
    ],
    ids=lambda bad: f"{bad.name.decode()} {bad.operands}",
)
def test_a_link_is_never_followed_by_a_step(sandbox: Sandbox, bad: Step) -> None:
    trap = sandbox.directory / "trap"
    (trap / "joblet").mkdir(parents=True)
    outcome = sandbox.run(*SAYS, change=before("sealed", step("symlink", str(trap), "evil"), bad))
    assert nothing_ran(outcome)
    assert outcome.failure[:2] == (bad.name.decode(), errno.ELOOP)
    assert sorted(os.listdir(trap)) == ["joblet"]


@pytest.mark.parametrize("climb", ["../../x", "etc/../../x", "/x"])
@pytest.mark.parametrize("name", ["directory", "tmpfs", "bind"])
def test_a_path_that_climbs_stays_in_the_new_root(sandbox: Sandbox, name: str, climb: str) -> None:
    bad = {
        "directory": step("directory", climb, 0o755),
        "tmpfs": step("tmpfs", climb, 0, "size=4k"),
        "bind": step("bind", "/usr", climb, RO),
    }[name]
    outcome = sandbox.run("ls", "-d", "/x", change=before("sealed", bad))
    assert not os.path.exists("/x")
    assert not os.path.exists("/run/x")
    assert outcome.exit.exit_status == 0, outcome.failure
    assert outcome.log == b"/x\n"


def test_a_work_directory_that_was_swapped_is_refused(sandbox: Sandbox) -> None:
    def swap(steps: list[Step]) -> list[Step]:
        # jobletd opened it; now another stands under its name, as a link to somewhere else.
        [at] = [i for i, one in enumerate(steps) if one.name == b"work"]
        source = steps[at].operands[0]
        assert isinstance(source, bytes)
        path = os.fsdecode(source)
        os.rename(path, path + "-opened")
        os.symlink("/etc", path)
        return steps

    outcome = sandbox.run(*SAYS, change=swap)
    assert nothing_ran(outcome)
    assert outcome.failure[0] == "work"
    assert outcome.failure[1] in (errno.EPERM, errno.ELOOP)
