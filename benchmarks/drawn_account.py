"""An account that is drawn: schedules, tickets and clocks, and the breaches that follow, found second by second.

Shares nothing with the pipeline, and nothing with the schedules of the sandbox's account. For every clock, each second of its
life is looked at: does it run, is the schedule of the ticket open, which target is in force. It breaches at the first second at
which it runs and has run for its target. Business seconds are counted in the schedule that the ticket has in that second.

Clock times of a schedule become seconds as its zone's clocks show them: the first of the two where a clock time comes twice, as
much later where it is left out. The same numbers always give the same account.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from ticket_events_pipeline.sandbox.rows import DEFAULT_SCOPE, Row

MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK_MINUTES = 7 * 24 * 60

ZONES = {
    "Vienna": "Europe/Vienna",
    "Eastern Time (US & Canada)": "America/New_York",
    "Sydney": "Australia/Sydney",
    "Auckland": "Pacific/Auckland",
    "London": "Europe/London",
    "Kathmandu": "Asia/Kathmandu",
    "Australia/Lord_Howe": "Australia/Lord_Howe",
    "Santiago": "America/Santiago",
    "UTC": "UTC",
}
"""Zones by the names that the account tells: most are Zendesk's own, one is an IANA name."""

METRICS = ("reply_time", "requester_wait_time", "agent_work_time", "resolution_time")
SCHEDULES = 8
TICKETS_PER_DAY = 45
LONGEST_SECONDS = 6 * DAY
LATEST_DELIVERY_SECONDS = 240

Bools = npt.NDArray[np.bool_]
Json = dict[str, Any]


@dataclass(frozen=True)
class DrawnSchedule:
    """Business hours: intervals in minutes since Sunday 00:00 on the zone's clocks, and closed days."""

    id: int
    told_zone: str
    intervals: tuple[tuple[int, int], ...]
    holidays: tuple[tuple[dt.date, dt.date], ...]

    def open_seconds(self, first: int, last: int) -> Bools:
        """For each second of [first, last), both whole minutes, whether it is open."""
        zone = ZoneInfo(ZONES[self.told_zone])
        begun = first - 9 * DAY
        clocks = [dt.datetime.fromtimestamp(at, zone).replace(tzinfo=None) for at in range(begun, last + 2 * DAY, MINUTE)]
        shown: dict[dt.datetime, int] = {}
        for minute, clock in enumerate(clocks):
            shown.setdefault(clock, minute)
        is_open = np.zeros(len(clocks), bool)
        day = clocks[0].date() + dt.timedelta(days=1)
        while day < clocks[-1].date():
            for start, end in self.intervals:
                if start // 1440 == day.isoweekday() % 7:
                    midnight = dt.datetime.combine(day, dt.time()) - dt.timedelta(minutes=start // 1440 * 1440)
                    is_open[_minute(shown, midnight, start) : _minute(shown, midnight, end)] = True
            day += dt.timedelta(days=1)
        is_holiday = [any(begin <= clock.date() <= end for begin, end in self.holidays) for clock in clocks]
        of_minutes = is_open & ~np.array(is_holiday)
        return np.repeat(of_minutes, MINUTE)[first - begun : last - begun]

    def told(self) -> Json:
        """As the API shows it."""
        intervals = [{"start_time": start, "end_time": end} for start, end in self.intervals]
        return {"id": self.id, "name": f"Schedule {self.id}", "time_zone": self.told_zone, "intervals": intervals}

    def told_holidays(self) -> list[Json]:
        """The same of its closed days."""
        return [
            {"id": number, "name": f"Closed {first}", "start_date": str(first), "end_date": str(last)}
            for number, (first, last) in enumerate(self.holidays)
        ]


def _minute(shown: dict[dt.datetime, int], midnight: dt.datetime, minutes: int) -> int:
    """The number of the minute in which the clocks first show that time; a time that is left out is as much later."""
    clock, later = midnight + dt.timedelta(minutes=minutes), 0
    while clock not in shown and later < 180:
        clock, later = clock - dt.timedelta(minutes=1), later + 1
    return shown.get(clock, max(shown.values())) + later


def draw_schedule(rng: random.Random, id_: int, first: dt.date, days: int) -> DrawnSchedule:
    """Office hours, with a break, in two shifts that touch, at night, all week long, or a few odd hours of some days."""
    kind = rng.choice(("office", "break", "shifts", "night", "always", "odd"))
    opens, noon, closes = rng.randrange(360, 660, 5), rng.randrange(720, 840, 5), rng.randrange(900, 1260, 5)
    spans = {
        "office": [(opens, closes)],
        "break": [(opens, noon), (noon + 45, closes)],
        "shifts": [(opens, noon), (noon, closes)],
        "night": [(0, opens - 90), (closes, 1440)],
        "odd": [(opens, opens + rng.randrange(45, 240))],
    }
    weekdays = sorted(rng.sample(range(7), rng.randint(3, 6))) if kind == "odd" else range(1, 6)
    intervals = [(0, WEEK_MINUTES)]
    if kind != "always":
        intervals = [(day * 1440 + start, day * 1440 + end) for day in weekdays for start, end in spans[kind]]
    holidays = [first + dt.timedelta(days=rng.randrange(days)) for _ in range(rng.randint(0, 4))]
    closed = [(day, day + dt.timedelta(days=rng.choice((0, 0, 0, 1, 3)))) for day in holidays]
    return DrawnSchedule(id_, rng.choice(list(ZONES)), tuple(intervals), tuple(closed))


@dataclass(frozen=True)
class _Mark:
    """Something that is done to a clock: activate, pause, fulfill, or apply of (seconds, in business hours), None for none."""

    time: int
    kind: str
    target: tuple[int, bool] | None = None


@dataclass
class _Ticket:
    """A drawn ticket.

    Attributes:
        schedules: since when it has which schedule, ascending; the first since its creation, None for none.
        deleted_at: None if it isn't.
        clocks: the marks of its clocks by metric, ascending.
    """

    id: int
    created: int
    schedules: list[tuple[int, int | None]]
    deleted_at: int | None
    clocks: dict[str, list[_Mark]] = field(default_factory=dict)


def draw_ticket(rng: random.Random, id_: int, created: int, schedules: Sequence[int]) -> _Ticket:
    """One with one to three clocks; one in twelve gets another schedule, one in 25 is deleted, one in 25 has no schedule."""
    given = None if rng.random() < 1 / 25 else rng.choice(schedules)
    ticket = _Ticket(id_, created, [(created, given)], None)
    if rng.random() < 1 / 12:
        ticket.schedules.append((created + rng.randrange(HOUR, 2 * DAY), rng.choice(schedules)))
    if rng.random() < 1 / 25:
        ticket.deleted_at = created + rng.randrange(MINUTE, 2 * DAY)
    for metric in rng.sample(METRICS, rng.randint(1, 3)):
        marks = _draw_marks(rng, created)
        ticket.clocks[metric] = [mark for mark in marks if ticket.deleted_at is None or mark.time < ticket.deleted_at]
    return ticket


def _draw_marks(rng: random.Random, created: int) -> list[_Mark]:
    """Of one clock: every mark in a second of its own, but for a policy that is applied when the clock is started."""
    lasts = min(LONGEST_SECONDS, int(rng.lognormvariate(10.6, 1.2)) + 20 * MINUTE)
    moments = sorted(rng.sample(range(created + 2, created + lasts), 8))
    target = _draw_target(rng)
    marks = [_Mark(created, "activate"), _Mark(moments[0] if rng.random() < 0.1 else created, "apply", target)]
    for number in range(rng.choice((0, 0, 0, 1, 1, 2))):
        marks += [_Mark(moments[1 + 2 * number], "pause"), _Mark(moments[2 + 2 * number], "activate")]
    if rng.random() < 0.12:
        marks.append(_Mark(moments[5], "apply", _draw_target(rng) if rng.random() < 0.8 else None))
    marks.append(_Mark(created + lasts, "fulfill"))
    if rng.random() < 0.05:
        again = created + lasts + rng.randrange(HOUR, DAY)
        marks += [_Mark(again, "activate"), _Mark(again + rng.randrange(HOUR, DAY), "fulfill")]
    return sorted(marks, key=lambda mark: mark.time)


def _draw_target(rng: random.Random) -> tuple[int, bool]:
    """Minutes to days, as seconds; three in five in business hours."""
    return 60 * max(5, int(rng.lognormvariate(5.2, 1.0))), rng.random() < 0.6


class DrawnAccount:
    """The account, to be served by the sandbox's server.

    Args:
        seed: another number draws another account.
        first: epoch seconds, a midnight UTC.
        days: on which tickets are created.
    """

    def __init__(self, seed: int, first: int, days: int) -> None:
        self.name = "recorded"
        rng = random.Random(f"forecast {seed}")
        self._first, self._last = first, first + days * DAY + LONGEST_SECONDS + 3 * DAY
        date = dt.datetime.fromtimestamp(first, dt.UTC).date()
        self._schedules = {100 + number: draw_schedule(rng, 100 + number, date, days) for number in range(SCHEDULES)}
        times = sorted(rng.randrange(first, first + days * DAY) for _ in range(days * TICKETS_PER_DAY))
        ids = list(self._schedules)
        self._tickets = [draw_ticket(rng, number, created, ids) for number, created in enumerate(times, 1)]
        self._rng = rng

    def rows(
        self, stream: str, start_time: int, *, now: float, comments: bool = False, scope: str = DEFAULT_SCOPE
    ) -> Iterator[Row]:
        """Those of a stream from a time on that are delivered by now."""
        rows = self._streams[stream]
        for time, visible_at, text in rows[bisect_left(rows, (start_time,)) :]:
            if visible_at <= now:
                yield Row(time, text)

    def objects(self, kind: str) -> list[Json]:
        """All objects of a kind: there are schedules only."""
        return [schedule.told() for schedule in self._schedules.values()] if kind == "schedules" else []

    def holidays(self, schedule_id: int) -> list[Json] | None:
        """The closed days of a schedule."""
        return self._schedules[schedule_id].told_holidays() if schedule_id in self._schedules else None

    def tickets(self, ids: Iterable[int], *, now: float) -> list[Json]:
        """None are shown."""
        return []

    @cached_property
    def _streams(self) -> dict[str, list[tuple[int, float, bytes]]]:
        """Of each stream, time, time of delivery and text of each row, in order."""
        is_open = {id_: schedule.open_seconds(self._first, self._last) for id_, schedule in self._schedules.items()}
        metric_events = [row for ticket in self._tickets for row in self._metric_events(ticket, is_open)]
        audits = [row for ticket in self._tickets for row in _audits(ticket)]
        events = [(row["at"], row.pop("at") + self._delay(), row) for row in metric_events]
        return {
            "ticket_metric_events": sorted((at, seen, _text(row, number)) for number, (at, seen, row) in enumerate(events, 1)),
            "ticket_events": sorted((row["timestamp"], 0, _text(row, number)) for number, row in enumerate(audits, 1)),
        }

    def _delay(self) -> int:
        """Until a row is delivered: mostly none."""
        return self._rng.randrange(1, LATEST_DELIVERY_SECONDS) if self._rng.random() < 0.2 else 0

    def _metric_events(self, ticket: _Ticket, is_open: dict[int, Bools]) -> Iterator[Json]:
        for metric, marks in ticket.clocks.items():
            if not marks:
                continue
            events = [(mark.time, {"apply": "apply_sla"}.get(mark.kind, mark.kind), _told_target(mark)) for mark in marks]
            breached_at = self._breach(ticket, marks, is_open)
            if breached_at is not None:
                events.append((breached_at, "breach", {}))
            for time, kind, more in events:
                key = {"ticket_id": ticket.id, "metric": metric, "instance_id": 1}
                yield {"at": time, **key, "type": kind, "time": _iso(time), "deleted": False, **more}

    def _breach(self, ticket: _Ticket, marks: list[_Mark], is_open: dict[int, Bools]) -> int | None:
        """The first second at which the clock runs and has run for its target."""
        begun = marks[0].time
        end = min(ticket.deleted_at or self._last, marks[-1].time if marks[-1].kind == "fulfill" else self._last)
        runs, in_business_hours = np.zeros(end - begun, bool), np.zeros(end - begun, bool)
        target, counts = np.full(end - begun, np.iinfo(np.int64).max), np.zeros(end - begun, bool)
        for mark in marks:
            if mark.kind == "apply":
                target[mark.time - begun :], in_business_hours[mark.time - begun :] = mark.target or (target.max(), False)
            else:
                runs[mark.time - begun :] = mark.kind == "activate"
        for since, schedule in ticket.schedules:
            hours = is_open[schedule or min(is_open)][begun - self._first : end - self._first]
            counts[max(0, since - begun) :] = hours[max(0, since - begun) :]
        ran, ran_in_business_hours = (np.cumsum(seconds) - seconds for seconds in (runs, runs & counts))
        is_late = runs & (np.where(in_business_hours, ran_in_business_hours, ran) >= target)
        return begun + int(is_late.argmax()) if is_late.any() else None


def _told_target(mark: _Mark) -> Json:
    if mark.kind != "apply":
        return {}
    if mark.target is None:
        return {"sla": None}
    seconds, business_hours = mark.target
    policy = {"id": 11 + business_hours, "title": "Business hours" if business_hours else "All hours", "description": None}
    return {"sla": {"target": seconds // 60, "target_in_seconds": seconds, "business_hours": business_hours, "policy": policy}}


def _audits(ticket: _Ticket) -> Iterator[Json]:
    created: list[Json] = [{"event_type": "Create", name: value} for name, value in (("subject", "Hello"), ("status", "new"))]
    before = None
    for number, (since, schedule) in enumerate(ticket.schedules):
        if number and (schedule == before or (ticket.deleted_at is not None and since >= ticket.deleted_at)):
            continue
        given = {"event_type": "ScheduleAssignment", "previous_schedule_id": before, "new_schedule_id": schedule}
        children = [*([] if number else created), *([given] if schedule is not None else [])]
        before = schedule
        yield _audit(ticket, since, children)
    if ticket.deleted_at is not None:
        yield _audit(ticket, ticket.deleted_at, [{"event_type": "Change", "status": "deleted", "previous_value": "open"}])


def _audit(ticket: _Ticket, time: int, children: list[Json]) -> Json:
    named = [{"id": number, "via": "Web form", **child} for number, child in enumerate(children, 1)]
    return {
        "ticket_id": ticket.id,
        "timestamp": time,
        "created_at": _iso(time),
        "updater_id": 1,
        "via": "Web form",
        "event_type": "Audit",
        "child_events": named,
    }


def _text(row: Json, id_: int) -> bytes:
    return json.dumps({"id": id_, **row}, separators=(",", ":")).encode()


def _iso(time: int) -> str:
    return dt.datetime.fromtimestamp(time, dt.UTC).isoformat()[:19] + "Z"
