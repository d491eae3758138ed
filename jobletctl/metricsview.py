"""The samples of a job: a line drawn for each quantity, or a row for each sample. Pure.

A quantity that the host does not count has no line; one that is zero has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from joblet.model.metrics import HUNDREDTHS, Sample
from jobletctl import jobview, sparkline
from jobletctl.jobview import NOTHING, elapsed, size

TITLES = ("METRIC", "NOW", "MEAN", "PEAK", "OVER TIME")
NUMBERS = ("NOW", "MEAN", "PEAK")
ROW_TITLES = ("TIME", "CPU%", "MEMORY", "TASKS", "READ/s", "WRITE/s", "CPU TIME", "READ", "WRITTEN")
ROW_NUMBERS = ROW_TITLES[1:]
WIDTH_DEFAULT = 40
WIDTH_MIN = 8

Read = Callable[[Sample], float | None]
Show = Callable[[float], str]


def _percent(value: float) -> str:
    return f"{value:.1f}%"


def _size(value: float) -> str:
    return size(round(value))


def _pace(value: float) -> str:
    return f"{size(round(value))}/s"


def _count(value: float) -> str:
    return f"{value:.0f}"


def _pressure(name: str) -> Read:
    def read(sample: Sample) -> float | None:
        value: int | None = getattr(sample, f"{name}_some_avg10")
        return None if value is None else value / 100

    return read


QUANTITIES: Sequence[tuple[str, Read, Show]] = (
    ("CPU", lambda one: one.cpu_percent, _percent),
    ("CPU throttled", lambda one: one.cpu_throttled_percent, _percent),
    ("CPU pressure", _pressure("cpu"), _percent),
    ("memory", lambda one: one.memory_bytes, _size),
    ("of its limit", lambda one: one.memory_percent, _percent),
    ("memory pressure", _pressure("memory"), _percent),
    ("read", lambda one: one.io_read_bytes_per_s, _pace),
    ("written", lambda one: one.io_write_bytes_per_s, _pace),
    ("IO pressure", _pressure("io"), _percent),
    ("tasks", lambda one: one.tasks, _count),
)


def head(job_id: str, samples: Sequence[Sample]) -> str:
    """The line above the table."""
    if not samples:
        return f"{job_id}: no samples"
    span = elapsed(samples[-1].time_usec - samples[0].time_usec)
    ended = ", ended" if samples[-1].final else ""
    plural = "" if len(samples) == 1 else "s"
    return f"{job_id}: {len(samples)} sample{plural} over {span}{ended}"


def totals(samples: Sequence[Sample]) -> str:
    """What was used in all up to the last sample; "" if nothing of it is counted."""
    if not samples:
        return ""
    last = samples[-1]
    peaks = [one.memory_peak_bytes for one in samples if one.memory_peak_bytes is not None]
    parts = [
        f"{label} {show(value)}"
        for label, value, show in (
            ("CPU time", last.cpu_usec, elapsed),
            ("peak memory", max(peaks, default=None), size),
            ("read", last.io_read_bytes, size),
            ("written", last.io_write_bytes, size),
        )
        if value is not None
    ]
    return f"in all: {', '.join(parts)}" if parts else ""


def drawn(samples: Sequence[Sample], width: int, *, marks: str) -> list[tuple[str, ...]]:
    """One row per quantity, below TITLES."""
    if not samples:
        return []
    begin = samples[0].time_usec - (samples[0].interval_usec or 0)
    end = samples[-1].time_usec
    lines: list[tuple[str, ...]] = []
    for name, read, show in QUANTITIES:
        points = [(one.time_usec, value) for one in samples if (value := read(one)) is not None]
        if not points:
            continue
        values = [value for _, value in points]
        line = sparkline.draw(points, begin, end, width, marks=marks)
        mean = _mean(samples, read)
        lines.append((name, show(values[-1]), show(mean), show(max(values)), line))
    return lines


def _mean(samples: Sequence[Sample], read: Read) -> float:
    """Over time: what old samples stand for is longer."""
    weighted = [
        (value, one.interval_usec or 1) for one in samples if (value := read(one)) is not None
    ]
    return sum(value * span for value, span in weighted) / sum(span for _, span in weighted)


def room(width: int) -> int:
    """How long the lines can be on a terminal of this width; 0: no terminal."""
    # the columns before them, with the blanks between
    return max(WIDTH_MIN, width - 56) if width else WIDTH_DEFAULT


def rows(samples: Sequence[Sample], now_usec: int) -> Iterator[tuple[str, ...]]:
    """One row per sample, below ROW_TITLES."""
    for one in samples:
        yield (
            jobview.brief_moment(one.time_usec, now_usec),
            NOTHING if one.cpu_percent is None else f"{one.cpu_percent:.1f}",
            _known(one.memory_bytes),
            NOTHING if one.tasks is None else str(one.tasks),
            _known(one.io_read_bytes_per_s),
            _known(one.io_write_bytes_per_s),
            NOTHING if one.cpu_usec is None else elapsed(one.cpu_usec),
            _known(one.io_read_bytes),
            _known(one.io_write_bytes),
        )


def _known(count: float | None) -> str:
    return NOTHING if count is None else size(round(count))


def record(sample: Sample) -> dict[str, object]:
    """A sample as JSON has it: the keys of Monitor.GetJobMetrics."""
    told = {name: value for name, value in asdict(sample).items() if value is not None}
    if not sample.final:
        del told["final"]
    return {
        name: value / 100 if name in HUNDREDTHS else list(value) if name == "devices" else value
        for name, value in told.items()
    }
