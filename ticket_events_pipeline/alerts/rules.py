"""Which facts the present state holds that somebody wants to hear of. What was told already is `memory`'s.

A fact is known by its subject and level. Breaches of a metric on a day have levels, at the threshold and at each doubling of
it, so that a bad day is told a few times and not at every tick; everything else has one. A day that closes has the same
subjects as while it was open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2s

from ticket_events_pipeline.alerts.observation import DayState, MetricState, Observed
from ticket_events_pipeline.alerts.settings import AlertSettings
from ticket_events_pipeline.alerts.wording import breaches_line, failure_line, rate_line, reading_line, stall_line

_PLAIN_NAME = re.compile(r"[a-z_]{1,40}")
_STALL = re.compile(r"stall ([a-z_]+) ([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True)
class Fact:
    """Something that is true by now.

    Attributes:
        subject: what it is about; short, and harmless wherever it is shown.
        level: of the subject; a higher one holds the lower ones.
        text: its line of a message.
        is_past: it is history for whoever sees it first: its day is closed, or its job has succeeded since.
    """

    subject: str
    level: int
    text: str
    is_past: bool = False


def present_facts(observed: Observed, settings: AlertSettings, stalls: Mapping[str, int]) -> list[Fact]:
    """The facts of the moment, the ones about the pipeline itself first.

    Args:
        observed: what this tick sees.
        settings: the thresholds.
        stalls: of the streams whose stall was noted before, the time of the last reading before it, epoch seconds.
    """
    days = [fact for day in observed.days for metric in day.metrics for fact in _of_metric(observed, day, metric, settings)]
    return [*_of_streams(observed, settings, stalls), *_of_runs(observed, settings), *days]


def level_of(count: int, threshold: int) -> int:
    """0 below the threshold, 1 from it on, and one more from each doubling on."""
    return (count // threshold).bit_length()


def run_subject(run_id: str) -> str:
    """What the failure of a run is known by."""
    return f"run {run_id[:8]}"


def stall_of(subject: str) -> tuple[str, int] | None:
    """The stream, and the time of its last reading before the stall that `subject` is about; None if it is about none."""
    found = _STALL.fullmatch(subject)
    return (found[1], int(found[2])) if found else None


def _of_metric(observed: Observed, day: DayState, metric: MetricState, settings: AlertSettings) -> Iterator[Fact]:
    about = f"{day.day} {_short(metric.sla_metric)}"
    level = level_of(metric.breaches, settings.breaches)
    if level:
        next_at = settings.breaches * 2**level
        line = breaches_line(observed, day, metric, next_at=next_at, settings=settings)
        yield Fact(f"breaches {about}", level, line, is_past=day.is_complete)
    decided = metric.achieved + metric.breaches
    if decided >= settings.min_targets and metric.achieved * 100 < settings.achievement_percent * decided:
        yield Fact(f"rate {about}", 1, rate_line(observed, day, metric, settings=settings), is_past=day.is_complete)


def _of_streams(observed: Observed, settings: AlertSettings, stalls: Mapping[str, int]) -> Iterator[Fact]:
    for stream, read_at in sorted(observed.read_at.items()):
        if observed.now - read_at >= settings.stale_hours * 3600:
            yield Fact(f"stall {stream} {read_at}", 1, stall_line(observed, stream, read_at, settings=settings))
        elif stream in stalls and read_at > stalls[stream]:
            line = reading_line(observed, stream, read_at, stalled_since=stalls[stream])
            yield Fact(f"reading {stream} {stalls[stream]}", 1, line)


def _of_runs(observed: Observed, settings: AlertSettings) -> Iterator[Fact]:
    for run in sorted(observed.failed_runs, key=lambda run: run.ended_at):
        yield Fact(run_subject(run.run_id), 1, failure_line(observed, run, settings=settings), is_past=run.is_over)


def _short(name: str) -> str:
    """A metric's name where it looks like one; else what stands for it: it may be any text, of any length."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    return "#" + blake2s(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
