"""The bars: which figure is held against which, in the words of the table.

Takes what was measured and makes rows. A missed bar is a NO in the table and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tests.bench import lists
from tests.bench.contenders import CRUN, DOCKER, SANDBOX, SCOPE
from tests.bench.joblet_jobs import NAME
from tests.bench.memory import JOBLETD, Memory
from tests.bench.output import Duel
from tests.bench.report import Row
from tests.bench.samples import Series, by_round, median_of, percentile, rate_of
from tests.bench.scale import FINISHED, LIVE, Crowd

STORAGE = "fdatasync of 4 KiB"
_LATENCY_MAX = {CRUN: 0.7, SANDBOX: 1 / 3, DOCKER: 1 / 20}
_TAIL_MAX = 5
_RATE_MIN = {SCOPE: 1.0}
_CROWD_MIN = {LIVE: 0.85, FINISHED: 0.95}
_PRIVATE_MAX_KIB = 1024
_IDLE_MAX_KIB = 120 * 1000**2 / 1024
_DAEMON_MAX_KIB = 50 * 1000**2 / 1024
_OUTPUT_MIN = 0.5
_LIST_MAX = 3

Measured = Mapping[int, Mapping[str, Series]]  # by concurrency, then by contender


def latency(serial: Mapping[str, Series], storage: Series) -> Iterator[Row]:
    """Bar 1: call to exit known."""
    ours = serial[NAME]
    for name, series in serial.items():
        row = _times(1, name, series, rate=True)
        if name != NAME:
            ratio = ours.p(50) / series.p(50)
            row = replace(row, ratio=ratio, rounds=by_round(ours, series, median_of))
            row = _judged(row, most=_LATENCY_MAX.get(name))
        yield row
    yield _times(1, STORAGE, storage)


def tail(measured: Measured, parallel: int) -> Iterator[Row]:
    """Bar 2: with so many in parallel; the ratio is p99 to p50."""
    serial, crowded = measured[1], measured[parallel]
    for name, series in crowded.items():
        most = _TAIL_MAX if name == NAME else None
        row = replace(_times(2, name, series), ratio=series.p(99) / series.p(50))
        yield _judged(row, most=most)
        row = replace(row, what=f"{name}, to p50 of bar 1")
        row = replace(row, ratio=series.p(99) / serial[name].p(50))
        yield _judged(row, most=most)


def rate(measured: Measured) -> Iterator[Row]:
    """Bar 3: jobs per second."""
    for concurrency, contenders in measured.items():
        ours = contenders[NAME]
        for name, series in contenders.items():
            row = _rate(3, f"{name}, {concurrency} at a time", series)
            if name != NAME:
                ratio = ours.rate / series.rate
                row = replace(row, ratio=ratio, rounds=by_round(ours, series, rate_of))
                row = _judged(row, least=_RATE_MIN.get(name))
            yield row


def crowds(measured: Iterable[Crowd]) -> Iterator[Row]:
    """Bar 4: the ratio is the rate with so many there to the rate with none."""
    for crowd in measured:
        yield _rate(4, f"without {crowd.what}", crowd.without)
        row = _rate(4, f"with {crowd.jobs} {crowd.what}", crowd.there)
        row = replace(row, ratio=crowd.ratio, rounds=crowd.rounds)
        yield _judged(row, least=_CROWD_MIN[crowd.what])


def memory(weighed: Memory, peers: Mapping[str, float]) -> Iterator[Row]:
    """Bars 5 and 6; the ratio is to what the bar allows. The peers' daemons have none."""
    yield _size(5, "private, per running job", weighed.jobs, weighed.private_each, _PRIVATE_MAX_KIB)
    yield _size(5, "PSS, per running job", weighed.jobs, weighed.pss_each)
    pss = weighed.idle.pss
    yield _size(6, "PSS, all processes, idle", 1, sum(pss.values()), _IDLE_MAX_KIB)
    for part, value in pss.items():
        yield _size(6, f"PSS, {part}", 1, value, _DAEMON_MAX_KIB if part == JOBLETD else None)
    for peer, kib in peers.items():
        yield _size(6, f"PSS, {peer}", 1, kib)


def output(duels: list[Duel]) -> Iterator[Row]:
    """Bar 7: MB/s over all rounds."""
    for duel in duels:
        pairs = zip(duel.log, duel.file, strict=True)
        ratios = [theirs / ours for ours, theirs in pairs]
        row = _output(duel, "into a job's log", duel.log)
        row = replace(row, ratio=sum(duel.file) / sum(duel.log), rounds=(min(ratios), max(ratios)))
        yield _judged(row, least=_OUTPUT_MIN)
        yield _output(duel, "into cat > file", duel.file)


def listed(measured: Mapping[str, Series]) -> Iterator[Row]:
    """Bar 9: whole processes; the ratio is to the import of click."""
    base = measured[lists.IMPORT]
    for name, series in measured.items():
        row = _times(9, name, series)
        if name != lists.IMPORT:
            ratio = series.p(50) / base.p(50)
            row = replace(row, ratio=ratio, rounds=by_round(series, base, median_of))
        if name == lists.LIST:
            row = _judged(row, most=_LIST_MAX)
        yield row


def _times(bar: int, what: str, series: Series, *, rate: bool = False) -> Row:
    return Row(
        bar=bar,
        what=what,
        n=len(series.seconds),
        p50=1000 * series.p(50),
        p90=1000 * series.p(90),
        p99=1000 * series.p(99),
        unit="ms",
        rate=series.rate if rate else None,
        rate_unit="/s",
    )


def _rate(bar: int, what: str, series: Series) -> Row:
    return Row(bar=bar, what=what, n=len(series.seconds), rate=series.rate, rate_unit="/s")


def _size(bar: int, what: str, n: int, kib: float, most: float | None = None) -> Row:
    row = Row(bar=bar, what=what, n=n, p50=kib, unit="KiB")
    return row if most is None else _judged(replace(row, ratio=kib / most), most=1)


def _output(duel: Duel, what: str, seconds: list[float]) -> Row:
    return Row(
        bar=7,
        what=f"{duel.writer.name} {what}",
        n=len(seconds),
        p50=1000 * percentile(seconds, 50),
        unit="ms",
        rate=duel.writer.size * len(seconds) / sum(seconds) / 1e6,
        rate_unit="MB/s",
    )


def _judged(row: Row, *, least: float | None = None, most: float | None = None) -> Row:
    """The row with what is wanted of its ratio, if anything is."""
    assert row.ratio is not None
    if least is not None:
        return replace(row, wanted=f">= {least:.2f}", met=row.ratio >= least)
    if most is not None:
        return replace(row, wanted=f"<= {most:.2f}", met=row.ratio <= most)
    return row
