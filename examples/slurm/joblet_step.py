#!/usr/bin/python3
"""A task of Slurm as a job of Joblet: its allocation are the limits, its end is the end.

    srun --cpus-per-task 2 --mem 1G joblet-step COMMAND [ARG]...
    srun joblet-step --upload data.csv --output result.json -- COMMAND [ARG]...

Options in front of `--` are those of `jobletctl job run`. A signal that asks the task to end stops
the job; docs/distribution.md says what else is needed.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LIVE = ("PENDING", "SCHEDULED", "INITIALIZING", "RUNNING")
# What a program asks for that was written for Slurm.
TOLD = (
    *("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
    *("SLURM_NODEID", "SLURM_NNODES", "SLURMD_NODENAME", "SLURM_CPUS_PER_TASK"),
    *("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"),
)
AGAIN_SECONDS = 0.5


def limits(slurm: Mapping[str, str], bound: Collection[int], online: int) -> list[str]:
    """The share that this task has of what Slurm allocated on this host.

    `bound` are the CPUs that it may run on, of so many that are online.
    """
    tasks = len(slurm.get("SLURM_GTIDS", "0").split(","))  # of this step on this host
    cpus = int(slurm["SLURM_CPUS_ON_NODE"]) / tasks
    if "SLURM_CPUS_PER_TASK" in slurm:
        # A whole core may have been allocated where one of its threads was asked for.
        cpus = min(cpus, int(slurm["SLURM_CPUS_PER_TASK"]))
    megabytes = 0.0
    if "SLURM_MEM_PER_CPU" in slurm:
        megabytes = int(slurm["SLURM_MEM_PER_CPU"]) * cpus
    elif "SLURM_MEM_PER_NODE" in slurm:
        megabytes = int(slurm["SLURM_MEM_PER_NODE"]) / tasks
    found = ["--max-cpu", str(int(100 * cpus))]
    if megabytes:
        found += ["--max-memory", f"{int(megabytes)}M"]
    if len(bound) < online:
        found += ["--cpu-cores", ",".join(map(str, sorted(bound)))]
    return found


def with_memory(slurm: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, and in it what srun leaves out: memory that nobody asked for (DefMem...)."""
    if "SLURM_MEM_PER_CPU" in slurm or "SLURM_MEM_PER_NODE" in slurm:
        return slurm
    asked = ["scontrol", "--oneliner", "show", "job", slurm["SLURM_JOB_ID"]]
    shown = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"\bMinMemory(CPU|Node)=(\d+)([MGTP])", shown)
    if found is None:
        return slurm  # memory is not allocated here
    unit, number, scale = found.groups()
    return {**slurm, f"SLURM_MEM_PER_{unit.upper()}": str(int(number) << 10 * "MGTP".index(scale))}


def command_line(words: Sequence[str], slurm: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """`jobletctl job run`; what Slurm gave comes last, and so holds."""
    options: Sequence[str] = []
    if words[0].startswith("-"):
        end = words.index("--")
        options, words = words[:end], words[end + 1 :]
    told = [word for name in TOLD if name in slurm for word in ("--env", name)]
    name = ["--name", job_name(slurm)]
    return ["jobletctl", "job", "run", "--follow", *options, *name, *told, *given, "--", *words]


def job_name(slurm: Mapping[str, str]) -> str:
    """What joblet-epilog looks for; with a pid, as a batch script may run many of these."""
    step = slurm.get("SLURM_STEP_ID", "batch")
    return f"slurm-{slurm['SLURM_JOB_ID']}.{step}.{slurm.get('SLURM_PROCID', '0')}.{os.getpid()}"


def stop(name: str) -> None:
    """Stop the job of this name, if it is there and lives, and wait for its end."""
    states = [word for state in LIVE for word in ("--state", state)]
    listing = ["jobletctl", "--json", "job", "list", "--mine", *states, "--filter", f"name={name}"]
    listed = subprocess.run(listing, stdout=subprocess.PIPE, check=False)
    if listed.returncode == 0:
        for job in json.loads(listed.stdout):
            # Who comes too late is told so; whether it has ended is seen by whoever calls this.
            command = ["jobletctl", "job", "stop", job["id"]]
            subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(words: Sequence[str]) -> int:
    """Run a job and stay with it until its end; its exit status."""
    if not words or (words[0].startswith("-") and "--" not in words[:-1]):
        print("usage: joblet-step [OPTION]... -- COMMAND [ARG]...", file=sys.stderr)
        return 2
    if "SLURM_CPUS_ON_NODE" not in os.environ:
        print("joblet-step: this is no task of Slurm: srun and sbatch make one", file=sys.stderr)
        return 2
    # Slurm signals every process of a task. jobletctl does not hear it, since a blocked signal is
    # blocked in children too: it lives as long as the job. And none is lost between two lines here.
    signal.pthread_sigmask(signal.SIG_BLOCK, [*ENDING, signal.SIGCHLD])
    given = limits(with_memory(os.environ), os.sched_getaffinity(0), os.cpu_count() or 1)
    client = subprocess.Popen(command_line(words, os.environ, given))
    name = job_name(os.environ)
    while client.poll() is None:
        if signal.sigwait([*ENDING, signal.SIGCHLD]) == signal.SIGCHLD:
            continue
        while client.poll() is None:
            stop(name)
            try:
                client.wait(AGAIN_SECONDS)
            except subprocess.TimeoutExpired:
                continue  # the signal came before the job was accepted
    status = client.returncode
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, subprocess.CalledProcessError) as err:
        sys.exit(f"joblet-step: {err}")
