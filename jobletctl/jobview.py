"""A job in words: the rows of a list, the sections of a status, the sentence for its end.

Pure functions from JobStatus to text. Leaves escaping, width and colour to output.py.
"""

from __future__ import annotations

import pwd
import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from joblet.client.api import JobStatus
from joblet.model.states import JobState, Reason

SHORT_ID = 8
LIST_TITLES: tuple[str, ...] = (
    "ID",
    "NAME",
    "STATE",
    "EXIT",
    "START",
    "DURATION",
    "OWNER",
    "COMMAND",
)
LIST_ELASTIC = ("NAME", "OWNER")
# What --wide puts before the command.
WIDE_TITLES = ("QUEUED", "CPU", "PEAK MEM", "READ", "WRITTEN", "REASON")
# What `timeout` of coreutils gives.
TIMED_OUT = 124
NOTHING = "-"

# Of a subject as RFC 4514 writes it, when no character in it had to be escaped.
_COMMON_NAME = re.compile(r"CN=([^,+\\]+)(?:[,+]|$)")

_REASONS = {
    Reason.SIGNAL: "it was ended by a signal",
    Reason.OOM: "it ran out of memory",
    Reason.TIMEOUT: "it ran into its time limit",
    Reason.STOPPED: "it was stopped",
    Reason.CANCELED: "it was canceled before it started",
    Reason.SETUP: "it could not be set up",
    Reason.SHUTDOWN: "the host was shut down",
    Reason.LOST: "it was lost",
}

Section = tuple[str, list[tuple[str, str]]]


def exit_status(job: JobStatus) -> int:
    """What a program that stands for this job returns: the job's own status, 1 if it has none."""
    if job.exit_code is None:
        return TIMED_OUT if job.state is JobState.TIMEOUT else 1
    if job.exit_code == 0 and job.state is JobState.CANCELED:
        # It ran nothing, so nothing that waits for its success may go on.
        return 1
    return job.exit_code


def ending(job: JobStatus) -> str:
    """Why a job ended otherwise than by its own exit, as a sentence; "" if there is no more to say.

    A status that the command itself gave speaks for itself.
    """
    if job.reason is None or job.reason is Reason.EXIT:
        return ""
    detail = f": {job.detail}" if job.detail else ""
    return f"job {job.id} is {job.state}, {_REASONS[job.reason]}{detail}"


def short_ids(ids: Sequence[str]) -> list[str]:
    """The ids cut to eight characters, or to as many more as tell them apart."""
    width = SHORT_ID
    distinct = len(set(ids))
    while len({one[:width] for one in ids}) < distinct:
        width += 1
    return [one[:width] for one in ids]


def list_titles(*, wide: bool, narrow: bool = False) -> tuple[str, ...]:
    """The titles above list_rows."""
    titles = LIST_TITLES
    if narrow:
        # no duration is as long as its title
        titles = tuple("TIME" if title == "DURATION" else title for title in titles)
    return (*titles[:-1], *WIDE_TITLES, titles[-1]) if wide else titles


def list_rows(
    jobs: Sequence[JobStatus],
    now_usec: int,
    *,
    wide: bool = False,
    narrow: bool = False,
    here: bool = True,
) -> list[tuple[str, ...]]:
    """One row per job, below list_titles.

    wide: with what it used; narrow: with times that leave room for the command; here: they are of
    this host, where a uid has a name.
    """
    return [
        (
            short,
            job.name or NOTHING,
            job.state,
            NOTHING if job.exit_code is None else str(job.exit_code),
            brief_moment(_start_usec(job), now_usec) if narrow else moment(_start_usec(job)),
            _run_time(job, now_usec) or NOTHING,
            _owner(job, here=here),
            *(_totals(job) if wide else ()),
            command_line(job) or NOTHING,
        )
        for short, job in zip(short_ids([job.id for job in jobs]), jobs, strict=True)
    ]


def head(job: JobStatus, *, here: bool = True) -> list[tuple[str, str]]:
    """The lines of a status above its sections, but for the state."""
    lines = [("Job ID", job.id), ("Job Name", job.name), ("Command", command_line(job))]
    lines.append(("Owner", owner(job.owner_uid) if here else str(job.owner_uid)))
    if job.remote_subject:
        lines.append(("Remote Owner", f"{job.remote_subject} ({job.remote_role})"))
    if job.state is JobState.RUNNING:
        lines.append(("Unit", job.unit or ""))
    return [(label, text) for label, text in lines if text]


def sections(job: JobStatus, now_usec: int) -> Iterator[Section]:
    """The sections of a status that have something to say; a line may have no label."""
    for title, lines in (
        ("Timing", _timing(job, now_usec)),
        ("Resource Limits", _limits(job)),
        ("Network Configuration", [("Network", job.network or "")]),
        ("Environment Variables", _environment(job)),
        ("Result", _result(job)),
        ("Resources Used", _used(job)),
        ("Log", _log(job)),
    ):
        said = [(label, text) for label, text in lines if text]
        if said:
            yield title, said


def command_line(job: JobStatus) -> str:
    """The command as a shell would take it; "" if this caller may not see it."""
    if job.command is None:
        return ""
    return shlex.join([job.command, *(job.args or ())])


def moment(usec: int | None) -> str:
    """A time in the zone of this process, to the second."""
    if usec is None:
        return NOTHING
    return f"{datetime.fromtimestamp(usec // 1_000_000):%Y-%m-%d %H:%M:%S}"


def brief_moment(usec: int | None, now_usec: int) -> str:
    """The time for one of today, the day and the time of this year, the date of any other."""
    if usec is None:
        return NOTHING
    when, now = (datetime.fromtimestamp(one // 1_000_000) for one in (usec, now_usec))
    if when.date() == now.date():
        return f"{when:%H:%M:%S}"
    return f"{when:%m-%d %H:%M}" if when.year == now.year else f"{when:%Y-%m-%d}"


def moment_with_zone(usec: int | None) -> str:
    """The same with the zone; "" for no time."""
    if usec is None:
        return ""
    return f"{datetime.fromtimestamp(usec // 1_000_000).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def elapsed(usec: int) -> str:
    """A duration in its two largest units: 8ms, 12.3s, 4m30s, 2h30m, 3d."""
    if usec < 1_000_000:
        return f"{usec // 1000}ms"
    seconds = usec / 1_000_000
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for large, large_name, small, small_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= large:
            rest = whole % large // small
            return f"{whole // large}{large_name}" + (f"{rest}{small_name}" if rest else "")
    return f"{whole}s"


def size(count: int) -> str:
    """Bytes in the largest unit of 1024 that leaves a whole part."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.1f} {unit}".replace(".0 ", " ")
        value /= 1024
    return f"{value:.1f} TB".replace(".0 ", " ")


@lru_cache(maxsize=256)
def owner(uid: int) -> str:
    """The name of a user, or the number where there is no such user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _owner(job: JobStatus, *, here: bool) -> str:
    """Elsewhere a uid is somebody else; there, most jobs are of the holder of a certificate."""
    if here:
        return owner(job.owner_uid)
    name = _COMMON_NAME.match(job.remote_subject or "")
    return name[1] if name else str(job.owner_uid)


def _start_usec(job: JobStatus) -> int | None:
    if job.started_usec is not None:
        return job.started_usec
    return job.due_usec if job.state is JobState.SCHEDULED else job.submitted_usec


def run_time_usec(job: JobStatus, now_usec: int) -> int | None:
    """How long the job has run, or ran; None before its start."""
    if job.started_usec is None:
        return None
    end = job.finished_usec if job.finished_usec is not None else now_usec
    return max(0, end - job.started_usec)


def _run_time(job: JobStatus, now_usec: int) -> str:
    return _elapsed(run_time_usec(job, now_usec))


def _timing(job: JobStatus, now_usec: int) -> list[tuple[str, str]]:
    lines = [("Submitted", moment_with_zone(job.submitted_usec))]
    if job.due_usec is not None and job.due_usec > job.submitted_usec:
        lines.append(("Scheduled Time", moment_with_zone(job.due_usec)))
        if job.state is JobState.SCHEDULED:
            until = job.due_usec - now_usec
            lines.append(("Time Until Execution", elapsed(until) if until > 0 else "due now"))
    lines.append(("Started", moment_with_zone(job.started_usec)))
    if job.queue_usec is not None:
        lines.append(("Queued For", elapsed(job.queue_usec)))
    lines.append(("Ended", moment_with_zone(job.finished_usec)))
    label = "Running For" if job.finished_usec is None else "Duration"
    lines.append((label, _run_time(job, now_usec)))
    return lines


def _limits(job: JobStatus) -> list[tuple[str, str]]:
    def size_of(limit: int | None) -> str:
        return size(limit) if limit else ""

    return [
        ("Max CPU", f"{job.max_cpu}%" if job.max_cpu else ""),
        ("CPU Weight", str(job.cpu_weight) if job.cpu_weight else ""),
        ("CPU Cores", job.cpu_cores or ""),
        # always MB: scripts read this line
        ("Max Memory", f"{job.max_memory / (1 << 20):g} MB" if job.max_memory else ""),
        ("Max IO", f"{size(job.max_io_bps)}/s" if job.max_io_bps else ""),
        ("Max IOPS", str(job.max_iops) if job.max_iops else ""),
        ("IO Weight", str(job.io_weight) if job.io_weight else ""),
        ("Max Tasks", str(job.max_tasks) if job.max_tasks else ""),
        ("Work Size", size_of(job.max_work)),
        ("Tmp Size", size_of(job.max_tmp)),
        ("Shm Size", size_of(job.max_shm)),
        ("User", "" if job.user is None else str(job.user)),
        ("Timeout", elapsed(job.timeout_usec) if job.timeout_usec else ""),
        ("Stop Grace", elapsed(job.stop_grace_usec) if job.stop_grace_usec is not None else ""),
    ]


def _environment(job: JobStatus) -> list[tuple[str, str]]:
    plain = [("", f"{name}={value}") for name, value in sorted((job.environment or {}).items())]
    # The values are masked wherever they might be shown; the word says that this is one.
    return plain + [("", f"{name}=*** (secret)") for name in sorted(job.secrets or {})]


def _result(job: JobStatus) -> list[tuple[str, str]]:
    if not job.state.terminal:
        return []
    return [
        ("Exit Code", "" if job.exit_code is None else str(job.exit_code)),
        ("Reason", job.reason or ""),
        ("Detail", job.detail or ""),
    ]


def _used(job: JobStatus) -> list[tuple[str, str]]:
    return [
        ("CPU Time", _elapsed(job.cpu_usec)),
        ("Peak Memory", _bytes(job.memory_peak_bytes)),
        ("Read", _bytes(job.io_read_bytes)),
        ("Written", _bytes(job.io_write_bytes)),
    ]


def _totals(job: JobStatus) -> tuple[str, ...]:
    told = (
        _elapsed(job.queue_usec),
        *(text for _, text in _used(job)),
        job.reason or "",
    )
    return tuple(text or NOTHING for text in told)


def _elapsed(usec: int | None) -> str:
    return "" if usec is None else elapsed(usec)


def _bytes(count: int | None) -> str:
    return "" if count is None else size(count)


def _log(job: JobStatus) -> list[tuple[str, str]]:
    return [
        ("Size", size(job.log_bytes) if job.log_bytes else ""),
        ("Lost", size(job.log_dropped_bytes) if job.log_dropped_bytes else ""),
    ]
