"""Zendesk's metric events as the SLA tests write them, on their way into raw tables and out of result tables again.

An event is a dict as Zendesk sends it, but for its `time`, which is epoch seconds.
"""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.lake.schemas import RAW_SCHEMAS
from ticket_events_pipeline.sla.clocks import advance, empty_clocks
from ticket_events_pipeline.sla.daily_summary import daily_summary
from ticket_events_pipeline.sla.events import sla_events
from ticket_events_pipeline.sla.targets import targets


def raw_row(event):
    sla = event.get("group_sla") or event.get("sla")
    policy = (sla or {}).get("policy") or {}
    status = event.get("status") or {}
    policy_id = policy.get("id")
    return {
        **{name: event[name] for name in ("id", "ticket_id", "metric", "instance_id", "type", "deleted")},
        "time": event["time"] * 1000,
        "sla_target_minutes": (sla or {}).get("target"),
        "sla_target_seconds": (sla or {}).get("target_in_seconds"),
        "sla_business_hours": (sla or {}).get("business_hours"),
        "sla_policy_id": None if policy_id is None else str(policy_id),
        "sla_policy_title": policy.get("title"),
        "sla_is_group": None if sla is None else event.get("group_sla") is not None,
        "status_calendar_minutes": status.get("calendar"),
        "status_business_minutes": status.get("business"),
    }


def raw_table(events, stream="ticket_metric_events"):
    return pa.Table.from_pylist([raw_row(event) for event in events], schema=RAW_SCHEMAS[stream])


def rows_of(table):
    """The table's rows, times as epoch seconds."""

    def plain(value):
        return int(value.timestamp()) if isinstance(value, dt.datetime) else value

    return [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]


def clocks_by_day(events, first, last, *, start=None):
    """The clocks at the end of each day from `first` through `last`, all deliveries having been read before."""
    clocks, by_day = start or empty_clocks(), {}
    for day in days_between(first, last):
        of_day = [event for event in events if day.start <= event["time"] < day.end]
        clocks = advance(clocks, sla_events(raw_table(of_day)), day)
        by_day[day] = clocks
    return by_day


def tables_of(clocks, day, as_of=None):
    """The targets and the summary of a day, as rows."""
    as_of = as_of or day.end
    table = targets(clocks, day=day, as_of=as_of)
    summary = daily_summary(table, day=day, as_of=as_of, events_through=None, history_from=dt.date(2026, 3, 1))
    return rows_of(table), rows_of(summary)


class Clock:
    """Writes the events of one clock; times are hours of 2026-03-02 UTC, so 24 is the next midnight."""

    DAY = Day(dt.date(2026, 3, 2))

    def __init__(self, ticket_id=1, metric="requester_wait_time", instance_id=1, first_id=1):
        self.key = {"ticket_id": ticket_id, "metric": metric, "instance_id": instance_id}
        self.next_id = first_id
        self.events = []

    def add(self, kind, hour, *, deleted=False, **more):
        time = self.DAY.start + round(hour * 3600)
        self.events.append({"id": self.next_id, **self.key, "type": kind, "time": time, "deleted": deleted, **more})
        self.next_id += 1
        return self

    def apply(self, hour, minutes, policy=11, *, business_hours=False, title="Standard"):
        sla = {"target": minutes, "business_hours": business_hours, "policy": {"id": policy, "title": title}}
        return self.add("apply_sla", hour, sla=sla)

    def target(self, day=None, as_of=None):
        """The clock's row in `sla_targets` of a day, the first by default; None without one."""
        day = day or self.DAY
        first = min([self.DAY, *(Day.containing(event["time"]) for event in self.events)])
        rows, _ = tables_of(clocks_by_day(self.events, first, day)[day], day, as_of)
        return rows[0] if rows else None
