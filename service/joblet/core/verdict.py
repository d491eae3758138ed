"""How a job ended: from the facts to state, reason and exit code. Pure.

The order is that of trust: what we ourselves asked for, what systemd was asked for, what the kernel
did, what the program said.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace

from joblet.model.job import Job, JobState, Reason
from joblet.model.run import Ended

_SIGTERM = 15
EXIT_TIMEOUT = 124
EXIT_STOPPED = 128 + _SIGTERM
EXIT_SETUP = 125
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
# A stop sends SIGKILL after the grace; an end later than this is another matter.
_STOP_SLACK_USEC = 5_000_000
# RuntimeMaxUSec counts from the scope, not from the program, and the manager rounds timers.
_TIMER_SLACK_USEC = 250_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a job."""

    state: JobState
    reason: Reason
    exit_code: int
    detail: str = ""


def judge(job: Job, ended: Ended, *, shutting_down: bool) -> Verdict:
    """What an exit record means for this job."""
    code = _exit_code(ended)
    if job.stop_requested_usec is not None and ended.finished_usec < job.stop_requested_usec:
        # It had ended by itself when the stop was recorded.
        job = replace(job, stop_reason=None)
    if job.stop_reason is Reason.TIMEOUT:
        return Verdict(JobState.TIMEOUT, Reason.TIMEOUT, EXIT_TIMEOUT)
    if job.stop_reason is not None:
        return Verdict(JobState.STOPPED, job.stop_reason, _stop_code(ended, code))
    if _stopped_by_systemd(job, ended):
        if _ran_out_of_time(job, ended):
            return Verdict(JobState.TIMEOUT, Reason.TIMEOUT, EXIT_TIMEOUT)
        reason = Reason.SHUTDOWN if shutting_down else Reason.STOPPED
        return Verdict(JobState.STOPPED, reason, _stop_code(ended, code))
    if ended.setup_step:
        return _setup_failure(ended)
    if ended.oom_kills and code != 0:
        detail = "a process of the job went over its memory limit and was killed"
        return Verdict(JobState.FAILED, Reason.OOM, code if code is not None else 137, detail)
    if code is None:
        detail = "its supervisor was killed and nobody could learn the exit status"
        return Verdict(JobState.FAILED, Reason.LOST, EXIT_SETUP, detail)
    if ended.signal is not None:
        return Verdict(JobState.FAILED, Reason.SIGNAL, code)
    if code == EXIT_SETUP and ended.started_usec is None and job.started_usec is None:
        # What set-up ends with. A supervisor that saw it would have named the step, or the start.
        detail = "its supervisor was killed during its set-up"
        return Verdict(JobState.FAILED, Reason.SETUP, EXIT_SETUP, detail)
    state = JobState.COMPLETED if code == 0 else JobState.FAILED
    return Verdict(state, Reason.EXIT, code)


def _exit_code(ended: Ended) -> int | None:
    if ended.signal is not None:
        return 128 + ended.signal
    return ended.exit_status


def _stop_code(ended: Ended, code: int | None) -> int:
    # A SIGKILL that we sent because nobody would have heard a SIGTERM counts as that SIGTERM.
    never_ran = ended.started_usec is None
    if code is None or never_ran or (ended.signal == 9 and ended.term_seen_usec is None):
        return EXIT_STOPPED
    return code


def _stopped_by_systemd(job: Job, ended: Ended) -> bool:
    if ended.term_seen_usec is None:
        return False
    latest = ended.term_seen_usec + job.spec.grace_usec + _STOP_SLACK_USEC
    return ended.finished_usec <= latest


def _ran_out_of_time(job: Job, ended: Ended) -> bool:
    if not job.spec.timeout_usec or ended.started_usec is None or ended.term_seen_usec is None:
        return False
    elapsed = ended.term_seen_usec - ended.started_usec
    return elapsed >= job.spec.timeout_usec - _TIMER_SLACK_USEC


def _setup_failure(ended: Ended) -> Verdict:
    what = os.strerror(ended.setup_errno) if ended.setup_errno else ended.setup_detail
    where = f" '{ended.setup_path}'" if ended.setup_path else ""
    name = errno.errorcode.get(ended.setup_errno, "")
    detail = f"{ended.setup_step}{where}: {what}" + (f" ({name})" if name else "")
    code = EXIT_SETUP
    if ended.setup_step == "exec":
        missing = ended.setup_errno in (errno.ENOENT, errno.ENOTDIR)
        code = EXIT_NOT_FOUND if missing else EXIT_NOT_EXECUTABLE
    return Verdict(JobState.FAILED, Reason.SETUP, code, detail)
