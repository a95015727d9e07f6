"""For any schedule, business seconds and due times equal those of an oracle that looks at every second."""

from __future__ import annotations

import datetime as dt
import os
import random
from itertools import islice

import numpy as np
import pytest

from ticket_events_pipeline.tickets.rules.business_hours import Schedule, business_seconds
from ticket_events_pipeline.tickets.rules.due_times import RunningTargets, due_times
from ticket_events_pipeline.tickets.rules.running_time import RunningTime
from ticket_events_pipeline_tests.support import business_hours_oracle as oracle

SCHEDULES = int(os.environ.get("BUSINESS_SCHEDULES", "20000"))
TOGETHER = 10
"""So many have their due times computed at once."""

SPAN = 6 * 86_400
LONG_SPAN = 45 * 86_400
"""How many seconds are looked at; the longer one reaches beyond the first step of the look ahead."""

CHANGES = [
    ("Berlin", "Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "Europe/Berlin", "2026-10-25"),
    ("Eastern Time (US & Canada)", "America/New_York", "2026-03-08"),
    ("America/New_York", "America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "Australia/Lord_Howe", "2026-04-04"),  # half an hour
    ("Australia/Lord_Howe", "Australia/Lord_Howe", "2026-10-03"),
    ("America/Havana", "America/Havana", "2026-03-08"),  # there is no midnight
    ("America/Havana", "America/Havana", "2026-11-01"),  # midnight comes twice
    ("America/Santiago", "America/Santiago", "2026-04-05"),  # the hour before midnight comes twice
    ("Santiago", "America/Santiago", "2026-09-06"),
    ("America/St_Johns", "America/St_Johns", "2010-11-07"),  # back over midnight, to the day before
    ("Pacific/Apia", "Pacific/Apia", "2011-12-30"),  # there is no such day
    ("Dublin", "Europe/Dublin", "2026-10-25"),
    ("Casablanca", "Africa/Casablanca", "2026-03-22"),
    ("New Delhi", "Asia/Kolkata", "2026-02-28"),
    ("UTC", "UTC", "2027-01-01"),
]
"""Zendesk's name of a zone, or another; the IANA name; and a day near which its clocks change, or nothing happens."""


def drawn_intervals(draw):
    """From and to in minutes since Sunday: some may touch, overlap, or have no length."""
    kind = draw.choice(["office", "office", "nights", "any", "any", "always", "always by day", "none"])
    if kind == "office":
        opens, closes = draw.choice([540, 480, 375]), draw.choice([1020, 1080, 1440])
        lunch = draw.choice([None, (720, 720), (720, 765), (700, 750)])
        days = draw.sample(range(7), draw.randint(1, 7))
        parts = [(opens, closes)] if lunch is None else [(opens, lunch[0]), (lunch[1], closes)]
        return [(day * 1440 + start, day * 1440 + end) for day in days for start, end in parts]
    if kind == "nights":  # in which the clocks change
        starts = [day * 1440 + draw.randrange(0, 240, 5) for day in draw.sample(range(7), draw.randint(1, 7))]
        return [(start, start + draw.choice([1, 15, 30, 60, 90, 150])) for start in starts]
    if kind == "any":
        starts = [draw.randrange(0, 7 * 1440, draw.choice([1, 15, 60])) for _ in range(draw.randint(1, 6))]
        found = [(start, min(start + draw.choice([0, 1, 15, 60, 480, 1440, 4000]), 7 * 1440)) for start in starts]
        return [*found, *((end, min(end + 45, 7 * 1440)) for _, end in found[:2])]
    return {"always": [(0, 7 * 1440)], "always by day": [(day * 1440, day * 1440 + 1440) for day in range(7)]}.get(kind, [])


def drawn_schedule(draw, number, zone, near):
    holidays = []
    for _ in range(draw.choice([0, 0, 1, 1, 2])):
        first = near + dt.timedelta(days=draw.randint(-3, 3))
        holidays.append((first, first + dt.timedelta(days=draw.choice([0, 0, 1, 2, 400]))))
    return Schedule(number, "", zone, tuple(drawn_intervals(draw)), tuple(holidays))


def drawn_stretches(draw, span):
    """When a clock ran before as_of, in seconds of the span: it is paused in between, and not at the end."""
    count = draw.choice([1, 2, 2, 3, 5])
    grain = draw.choice([1, 60, 900, 3600])
    bounds = sorted(draw.randrange(0, span * 3 // 4, grain) for _ in range(2 * count))
    pairs = [(start, end) for start, end in zip(bounds[::2], bounds[1::2], strict=True) if start < end]
    return pairs or [(0, 1)]


class Case:
    """A schedule, with some targets: when their clocks ran, and how many business seconds they allow."""

    def __init__(self, draw, number, zone, iana, near, *, span):
        midnight = int(dt.datetime.combine(near, dt.time(), dt.UTC).timestamp())
        self.first, self.schedule = midnight - span // 2, drawn_schedule(draw, number, zone, near)
        self.is_open = oracle.open_seconds(self.schedule, iana, self.first, self.first + span)
        self.stretches = [drawn_stretches(draw, span) for _ in range(draw.randint(1, 2))]
        self.targets = [self._target(draw, stretches) for stretches in self.stretches]

    def _target(self, draw, stretches):
        """Often reached when a stretch ends, when the schedule closes, or one second later."""
        ran = sum(self.seconds(*stretch) for stretch in stretches[: draw.randint(1, len(stretches))])
        to_midnight = self.seconds(stretches[0][0], stretches[0][0] + 86_400)
        exact = draw.choice([ran, to_midnight, draw.choice([0, 1, 900, 3600, 14_400, 100_000, 2_000_000])])
        return exact + draw.choice([0, 0, 1])

    def seconds(self, start, end):
        return int(np.count_nonzero(self.is_open[start:end]))

    def expected(self):
        """The due times in epoch seconds; None for those after the span."""
        found = [oracle.due_second(self.is_open, *both) for both in zip(self.stretches, self.targets, strict=True)]
        return [None if due is None else self.first + due for due in found]


def business_seconds_of(case):
    spans = np.array([stretch for stretches in case.stretches for stretch in stretches]) + case.first
    return business_seconds(case.schedule, *spans.T).tolist()


def due_times_of(cases):
    """As the product computes them, of all cases at once."""
    targets = [(case, *both) for case in cases for both in zip(case.stretches, case.targets, strict=True)]
    numbered = [(number, case.first, stretch) for number, (case, stretches, _) in enumerate(targets) for stretch in stretches]
    target, starts, ends = np.array([(number, first + start, first + end) for number, first, (start, end) in numbered]).T
    count = len(targets)
    ran = RunningTime(target, starts, ends, np.zeros(count, np.int64), np.ones(count, bool))
    running = RunningTargets(np.arange(count), np.array([allowed for *_, allowed in targets]), ran)
    schedules = {case.schedule.id: case.schedule for case in cases}
    return due_times(running, np.array([case.schedule.id for case, *_ in targets]), schedules).tolist()


def check(seed, number, *, span):
    """That many schedules near one change of the clocks."""
    zone, iana, date = CHANGES[seed % len(CHANGES)]
    near, draw = dt.date.fromisoformat(date), random.Random(seed)  # noqa: S311 - the same schedules every time
    for _ in range(number // TOGETHER):
        cases = [Case(draw, place, zone, iana, near, span=span) for place in range(TOGETHER)]
        for case in cases:
            counted = [case.seconds(*stretch) for stretches in case.stretches for stretch in stretches]
            assert business_seconds_of(case) == counted, case.schedule
        found = iter(due_times_of(cases))
        for case in cases:
            end = case.first + span
            dues = [None if due > end else due for due in islice(found, len(case.targets))]
            assert dues == case.expected(), (case.schedule, case.first, case.stretches, case.targets)


@pytest.mark.parametrize("seed", range(2))
def test_business_seconds_and_due_times_equal_those_counted_second_by_second(seed):
    check(seed, 100, span=SPAN)


@pytest.mark.slow
@pytest.mark.timeout(600)  # on a busy machine
def test_they_do_for_20000_schedules_near_changes_of_the_clocks():
    for seed in range(len(CHANGES)):
        check(seed, SCHEDULES // len(CHANGES), span=SPAN)


@pytest.mark.slow
def test_due_times_weeks_ahead_equal_those_counted_second_by_second():
    for seed in range(0, len(CHANGES), 3):
        check(seed, TOGETHER, span=LONG_SPAN)
