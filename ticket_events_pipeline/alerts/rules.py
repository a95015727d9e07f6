"""Which facts are worth an alert now. A fact is a value; `message` turns it into text.

A fact is identified by its subject and level. Breaches of a metric on a day have levels, at the threshold and at each doubling
of it, so that a bad day is posted a few times and not at every tick; every other fact has one level. A day has the same
subjects while it is open and after it is complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2s

from ticket_events_pipeline.alerts.observe import DayState, FailedRun, MetricState, Observed
from ticket_events_pipeline.alerts.settings import AlertSettings

_PLAIN_NAME = re.compile(r"[a-z_]{1,40}")
_STALL = re.compile(r"stall ([a-z_]+) ([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True)
class NewBreaches:
    """A metric's breaches on a day reached the threshold or a doubling of it; `next_at` is the next doubling."""

    day: DayState
    metric: MetricState
    threshold: int
    next_at: int


@dataclass(frozen=True)
class LowRate:
    """A metric's achievement rate on a day is below the threshold, with enough decided targets."""

    day: DayState
    metric: MetricState
    threshold_percent: int
    min_targets: int


@dataclass(frozen=True)
class StalledStream:
    """A stream was last read at `read_at`, `seconds` ago: longer than the threshold."""

    stream: str
    read_at: int
    seconds: int
    threshold_hours: int


@dataclass(frozen=True)
class ResumedStream:
    """A stream whose stall was posted is read again; `stalled_since` is its last reading before the stall."""

    stream: str
    read_at: int
    stalled_since: int


Content = NewBreaches | LowRate | StalledStream | ResumedStream | FailedRun


@dataclass(frozen=True)
class Fact:
    """Something that is true now.

    Attributes:
        subject: its identity in the cursor; short, whatever the account's names are.
        content: what is true.
        level: a higher one includes the lower ones.
        is_past: it is no news for a sensor that starts now: its day is complete, or its job has succeeded since.
    """

    subject: str
    content: Content
    level: int = 1
    is_past: bool = False


def present_facts(observed: Observed, settings: AlertSettings, stalls: Mapping[str, int]) -> list[Fact]:
    """The facts that are true now, those about the pipeline itself first.

    Args:
        observed: what this tick has read.
        settings: the thresholds.
        stalls: for each stream whose stall was posted, its last reading before the stall, epoch seconds.
    """
    days = [fact for day in observed.days for metric in day.metrics for fact in _metric_facts(day, metric, settings)]
    return [*_stream_facts(observed, settings, stalls), *_run_facts(observed), *days]


def level_of(count: int, threshold: int) -> int:
    """0 below the threshold, 1 from it on, and one more from each doubling on."""
    return (count // threshold).bit_length()


def run_subject(run_id: str) -> str:
    """The subject of a run's failure."""
    return f"run {run_id[:8]}"


def stall_of(subject: str) -> tuple[str, int] | None:
    """The stream of a stall's subject and its last reading before the stall; None for any other subject."""
    found = _STALL.fullmatch(subject)
    return (found[1], int(found[2])) if found else None


def _metric_facts(day: DayState, metric: MetricState, settings: AlertSettings) -> Iterator[Fact]:
    about = f"{day.day} {_short(metric.sla_metric)}"
    level = level_of(metric.breaches, settings.breaches)
    if level:
        breaches = NewBreaches(day, metric, settings.breaches, next_at=settings.breaches * 2**level)
        yield Fact(f"breaches {about}", breaches, level, is_past=day.is_complete)
    decided = metric.achieved + metric.breaches
    if decided >= settings.min_targets and metric.achieved * 100 < settings.achievement_percent * decided:
        rate = LowRate(day, metric, settings.achievement_percent, settings.min_targets)
        yield Fact(f"rate {about}", rate, is_past=day.is_complete)


def _stream_facts(observed: Observed, settings: AlertSettings, stalls: Mapping[str, int]) -> Iterator[Fact]:
    for stream, read_at in sorted(observed.read_at.items()):
        seconds = observed.now - read_at
        if seconds >= settings.stale_hours * 3600:
            yield Fact(f"stall {stream} {read_at}", StalledStream(stream, read_at, seconds, settings.stale_hours))
        elif stream in stalls and read_at > stalls[stream]:
            yield Fact(f"reading {stream} {stalls[stream]}", ResumedStream(stream, read_at, stalls[stream]))


def _run_facts(observed: Observed) -> Iterator[Fact]:
    for run in sorted(observed.failed_runs, key=lambda run: run.ended_at):
        yield Fact(run_subject(run.run_id), run, is_past=run.is_over)


def _short(name: str) -> str:
    """A metric's name if it looks like one, else its hash: it may be any text of any length."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    return "#" + blake2s(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
