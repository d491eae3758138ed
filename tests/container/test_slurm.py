"""Slurm places jobs on two hosts: docs/distribution.md and examples/slurm, with Debian's packages.

Two machines of the container ground on a cable; the first is the controller too. Slurm's cgroup
plugins are off, since there are no controllers here, and so limits are seen and not felt.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.container.ground import CHECKOUT, ground, install
from tests.container.jobs import Jobs, outcome
from tests.container.machine import Machine, join
from tests.grounds.cache import NoGround
from tests.grounds.pages import Block, blocks, follow
from tests.grounds.shell import Said, shell
from tests.grounds.watch import watched

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
HOSTS = ("alpha", "beta")
CONTROLLER_ONLY = ("slurmctld",)
PAGE = CHECKOUT / "docs/distribution.md"
EXAMPLES = CHECKOUT / "examples/slurm"
INSTALLED = "/usr/share/doc/joblet/examples/slurm"
# Longer than any of these tests waits.
FOR_EVER = "exec sleep 1000"

pytestmark = pytest.mark.usefixtures("_idle")


def prepare(root: Path, host: str) -> None:
    """A host with Joblet, its examples and its name, and a Slurm that has not been set up."""
    install(root)
    (root / "etc/hostname").write_text(f"{host}\n")
    with open(root / "etc/hosts", "a") as hosts:
        hosts.write("10.77.0.1 alpha\n10.77.0.2 beta\n")
    for example in filter(Path.is_file, EXAMPLES.iterdir()):
        target = root / INSTALLED.lstrip("/") / example.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(example.read_bytes())
    (root / "etc/slurm/cgroup.conf").write_text("CgroupPlugin=disabled\n")
    # Without a configuration they only look for one, and fail.
    for unit in ("slurmctld", "slurmd"):
        (root / f"etc/systemd/system/multi-user.target.wants/{unit}.service").unlink()


def set_up(machines: list[Machine]) -> None:
    """As the page says, whose prose is done here and whose blocks are run."""
    everywhere, controller, start = (
        block.text for block in blocks(PAGE, "sh") if block.section == "Set up"
    )
    first = machines[0]
    assert f"apt-get install {' '.join(CONTROLLER_ONLY)}\n" == controller
    for machine in machines:
        machine.run(["sh", "-eu"], input=everywhere + controller)
    key = first.path("/etc/munge/munge.key").read_bytes()
    settings = first.read_file("/etc/slurm/slurm.conf")
    for machine in machines:
        settings += machine.run(["slurmd", "-C"]).stdout.splitlines()[0] + "\n"
    for machine in machines:
        machine.path("/etc/munge/munge.key").write_bytes(key)
        machine.write_file("/etc/slurm/slurm.conf", settings)
        if machine is not first:
            machine.run(["chmod", "-x", "/usr/sbin/slurmctld"])
        machine.run(["sh", "-eu"], input=start)


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Machine]]:
    """Both hosts, with Slurm running."""
    with ExitStack() as stack:
        booted: list[Machine] = []
        try:
            for host in HOSTS:
                here = ground(partial(prepare, host=host), PACKAGES)
                booted.append(stack.enter_context(here))
        except NoGround as missing:
            pytest.skip(str(missing))
        join(booted[0], booted[1])
        set_up(booted)
        yield booted


@pytest.fixture(scope="module")
def machine(hosts: list[Machine]) -> Machine:
    """Where users log in: the first host, in the place of the one machine of other tests."""
    return hosts[0]


@pytest.fixture(autouse=True)
def _tidy_there(request: pytest.FixtureRequest, hosts: list[Machine]) -> Iterator[None]:
    """What the tier's own fixture does for the first host."""
    with watched(hosts[1], request):
        yield


@pytest.fixture
def _idle(machine: Machine) -> Iterator[None]:
    """No test begins, or ends, before Slurm has done with the one before."""
    wait_idle(machine)
    yield
    machine.run(["scancel", "--user", "member"])
    wait_idle(machine)


def wait_idle(machine: Machine) -> None:
    def idle() -> bool:
        shown = machine.run(["sinfo", "--noheader", "--format=%D %t"]).stdout
        return str(shown) == "2 idle\n"

    machine.wait_for(idle, "idle hosts", seconds=90)


def srun(machine: Machine, *words: str) -> tuple[int, str, str]:
    """An srun of a member: its exit status, and what it wrote to which stream."""
    done = machine.run(["srun", "--quiet", *words], user="member", check=False)
    return done.returncode, done.stdout, done.stderr


def submit(machine: Machine, script: str, *options: str) -> str:
    """An sbatch of a member; the number of the Slurm job."""
    words = ["sbatch", "--parsable", "--chdir=/home/member", *options]
    text = f"#!/bin/sh\n{script}\n"
    return str(machine.run(words, user="member", input=text).stdout).strip()


def job_of(machine: Machine, name: str, *, state: str = "") -> dict[str, Any]:
    """The job with a name that begins like this, when it has come, and is in that state."""
    jobs = Jobs(machine)

    def found() -> dict[str, Any]:
        for status in map(jobs.status, jobs.ids()):
            if status["name"].startswith(name) and state in ("", status["state"]):
                return status
        return {}

    return machine.wait_for(found, f"a job {name} {state}")


@pytest.mark.parametrize(
    "block", blocks(PAGE, "console"), ids=lambda block: block.text.splitlines()[0]
)
def test_a_transcript_of_the_page(machine: Machine, block: Block) -> None:
    with shell(machine, user="member") as typed:

        def once_idle(command: str) -> Said:
            # After a job that has ended comes its Epilog; a person types no faster.
            if "srun" in command:
                wait_idle(machine)
            return typed(command)

        follow(block, once_idle)


def test_a_task_on_each_host_is_a_job_there_with_the_limits_that_slurm_gave(
    hosts: list[Machine],
) -> None:
    words = ["--nodes=2", "--cpus-per-task=1", "--mem=300M", "--label", "joblet-step", "--"]
    status, out, err = srun(hosts[0], *words, "sh", "-c", "echo $SLURM_JOB_ID; echo no >&2; exit 7")
    assert status == 7
    first, second = sorted(out.splitlines())
    number = first.removeprefix("0: ")
    assert second == f"1: {number}"
    assert {"0: no", "1: no"} <= set(err.splitlines())
    for task, machine in enumerate(hosts):
        job = job_of(machine, f"slurm-{number}.0.{task}.")
        assert outcome(job) == ("FAILED", "exit", 7)
        assert (job["max_cpu"], job["max_memory"]) == (100, 300 << 20)
        assert job["environment"]["SLURMD_NODENAME"] == HOSTS[task]
        bound = job["cpu_cores"].split(",")
        assert len(bound) == 1
        # Bound to one CPU, unless there is but one.
        assert (bound == [""]) == (os.cpu_count() == 1)
        member = machine.run(["id", "-u", "member"]).stdout.strip()
        assert job["owner_uid"] == int(member)


@pytest.mark.parametrize("batch", [False, True], ids=["srun", "sbatch"])
def test_memory_that_nobody_asked_for_is_a_limit_too(machine: Machine, *, batch: bool) -> None:
    if batch:
        number = submit(machine, "joblet-step true", "--nodelist=alpha", "--wait")
    else:
        _, number, _ = srun(
            machine, "--nodelist=alpha", "joblet-step", "sh", "-c", "echo $SLURM_JOB_ID"
        )
    job = job_of(machine, f"slurm-{number.strip()}.", state="COMPLETED")
    assert (job["max_cpu"], job["max_memory"]) == (100, 512 << 20)


def test_what_slurm_gave_goes_before_what_the_user_says(machine: Machine) -> None:
    words = ["--nodelist=alpha", "--mem=200M", "joblet-step"]
    more = ["--max-memory", "1G", "--max-cpu", "900", "--max-tasks", "77", "--name", "mine", "--"]
    _, number, err = srun(machine, *words, *more, "sh", "-c", "echo $SLURM_JOB_ID")
    assert err == ""
    job = job_of(machine, f"slurm-{number.strip()}.")
    assert (job["max_cpu"], job["max_memory"], job["max_tasks"]) == (100, 200 << 20, 77)


def test_a_mistake_submits_nothing_and_says_what_it_is(machine: Machine) -> None:
    before = Jobs(machine).ids()
    assert machine.run(["joblet-step", "true"], check=False).returncode == 2
    for words in ([], ["--max-tasks", "7", "true"], ["--max-tasks", "7", "--"]):
        status, _, err = srun(machine, "--nodelist=alpha", "joblet-step", *words)
        assert status == 2
        assert "usage: joblet-step [OPTION]... -- COMMAND" in err
    assert Jobs(machine).ids() == before


def test_scancel_stops_the_jobs_on_all_hosts(hosts: list[Machine]) -> None:
    script = f"srun --nodes=2 joblet-step sh -c 'echo up; {FOR_EVER}'"
    number = submit(hosts[0], script, "--nodes=2")
    for machine in hosts:
        job = job_of(machine, f"slurm-{number}.0.", state="RUNNING")
        Jobs(machine).wait_output(job["id"], "up")
    hosts[0].run(["scancel", number], user="member")
    for machine in hosts:
        job = job_of(machine, f"slurm-{number}.0.", state="STOPPED")
        assert outcome(job) == ("STOPPED", "stopped", 143)


def test_a_killed_step_takes_its_job_along_and_its_allocation_goes_on(machine: Machine) -> None:
    script = f"srun joblet-step {FOR_EVER.removeprefix('exec ')}; touch went-on; {FOR_EVER}"
    number = submit(machine, script, "--nodelist=alpha")
    job_of(machine, f"slurm-{number}.0.", state="RUNNING")
    machine.run(["scancel", "--signal=KILL", f"{number}.0"], user="member")
    job_of(machine, f"slurm-{number}.0.", state="STOPPED")
    gone_on = machine.path("/home/member/went-on")
    machine.wait_for(gone_on.exists, "the next line of the script")
    shown = machine.run(["squeue", "--noheader", "--format=%T", "--jobs", number]).stdout
    assert shown == "RUNNING\n"


def test_what_a_dead_slurm_left_ends_with_the_job_of_slurm(machine: Machine) -> None:
    script = f"joblet-step {FOR_EVER.removeprefix('exec ')}"
    number = submit(machine, script, "--nodelist=alpha", "--no-requeue")
    job = job_of(machine, f"slurm-{number}.batch.", state="RUNNING")
    # Nobody is left who could hear a signal, or would run a TaskEpilog.
    for name in ("^slurmd", "^slurmstepd", "^/usr/sbin/slurmd", "joblet-step", "jobletctl job run"):
        machine.run(["pkill", "--signal", "KILL", "--full", name], check=False)
    find = ["pgrep", "slurmd|slurmstepd|joblet-step"]
    machine.wait_for(lambda: machine.run(find, check=False).returncode == 1, "their end")
    machine.run(["systemctl", "restart", "slurmd"])
    assert Jobs(machine).status(job["id"])["state"] == "RUNNING"
    machine.run(["scancel", number], user="member")
    assert outcome(Jobs(machine).wait(job["id"])) == ("STOPPED", "stopped", 143)


def test_a_suspended_step_is_a_client_that_stands_still(machine: Machine) -> None:
    turns = "until [ -e go ]; do sleep 0.01; done; echo gone on; exec sleep 1000"
    number = submit(machine, f"joblet-step sh -c '{turns}'", "--nodelist=alpha")
    job = job_of(machine, f"slurm-{number}.batch.", state="RUNNING")["id"]
    machine.run(["scontrol", "suspend", number])
    machine.path(f"/var/lib/joblet/work/{job}/go").touch()
    Jobs(machine).wait_output(job, "gone on")
    machine.run(["scontrol", "resume", number])
    machine.run(["scancel", number], user="member")
    assert outcome(Jobs(machine).wait(job)) == ("STOPPED", "stopped", 143)


def test_a_job_that_is_not_of_that_slurm_job_is_left_alone(machine: Machine) -> None:
    member, colleague = Jobs(machine, "member"), Jobs(machine, "colleague")
    mine = member.run("sleep", "1000", name="slurm-7.0.0.1")
    others = [
        member.run("sleep", "1000", name="slurm-77.0.0.1"),
        colleague.run("sleep", "1000", name="slurm-7.0.0.1"),
    ]
    uid = machine.run(["id", "-u", "member"]).stdout.strip()
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_UID": uid}
    epilog = ["/usr/local/sbin/joblet-epilog"]
    machine.run(epilog, user="member", env={**slurm, "SLURM_STEP_ID": "0", "SLURM_PROCID": "1"})
    assert "reason" not in member.status(mine)
    machine.run(epilog, env=slurm)
    assert member.status(mine)["state"] == "STOPPED"
    for jobs, job in zip((member, colleague), others, strict=True):
        assert "reason" not in jobs.status(job)
        jobs.stop(job)
        jobs.wait(job)
    machine.run(epilog, env=slurm)


def test_a_signal_that_comes_before_the_job_is_accepted_stops_it(machine: Machine) -> None:
    slurm = {"SLURM_JOB_ID": "8", "SLURM_CPUS_ON_NODE": "1", "SLURM_MEM_PER_NODE": "100"}
    machine.run(["pkill", "--signal", "STOP", "--full", "jobletd"])
    try:
        step = machine.popen(["joblet-step", "sleep", "1000"], user="member", env=slurm)
        machine.wait_for(
            lambda: (
                not machine.run(["pgrep", "--full", "jobletctl job run"], check=False).returncode
            ),
            "the client",
        )
        machine.signal_command(step, signal.SIGTERM)
    finally:
        machine.run(["pkill", "--signal", "CONT", "--full", "jobletd"])
    _, err = step.communicate(timeout=machine.command_seconds)
    assert step.returncode == 143, err
    assert job_of(machine, "slurm-8.batch.0.")["state"] == "STOPPED"
