"""Metric events as the SLA tests write them, and their conversion to raw tables and from result tables.

An event is a dict as Zendesk sends it, except that its `time` is epoch seconds.
"""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa

from ticket_events_pipeline.day import Day, days_between
from ticket_events_pipeline.sla.rules.clocks import advance, empty_clocks
from ticket_events_pipeline.sla.rules.daily_summary import daily_summary
from ticket_events_pipeline.sla.rules.deletions import AUDIT_COLUMNS, status_changes
from ticket_events_pipeline.sla.rules.events import sla_events
from ticket_events_pipeline.sla.rules.targets import targets
from ticket_events_pipeline.tables.registry import TABLES
from ticket_events_pipeline_tests.support.sla_oracle import read_deleted


def raw_row(event):
    if "child_events" in event:
        return audit_row(event)
    sla = event.get("group_sla") or event.get("sla")
    policy = (sla or {}).get("policy") or {}
    status = event.get("status") or {}
    policy_id = policy.get("id")
    return {
        **{name: event[name] for name in ("id", "ticket_id", "metric", "instance_id", "type")},
        "deleted": read_deleted(event.get("deleted")),
        "time": event["time"] * 1000,
        "sla_target_minutes": held((sla or {}).get("target")),
        "sla_target_seconds": held((sla or {}).get("target_in_seconds")),
        "sla_business_hours": (sla or {}).get("business_hours"),
        "sla_policy_id": None if policy_id is None else str(policy_id),
        "sla_policy_title": policy.get("title"),
        "sla_is_group": None if sla is None else event.get("group_sla") is not None,
        "status_calendar_minutes": held(status.get("calendar")),
        "status_business_minutes": held(status.get("business")),
    }


def held(number):
    """The number if it fits into int64, else None."""
    return number if number is not None and -(2**63) <= number < 2**63 else None


def audit_row(audit):
    children = json.dumps(audit["child_events"], separators=(",", ":"))
    named = {"id": audit["id"], "ticket_id": audit["ticket_id"], "via": audit.get("via")}
    return {**named, "time": audit["time"] * 1000, "child_events": children}


def changes_of(audits):
    """The status changes in audits."""
    return status_changes(raw_table(audits, "ticket_events").select(AUDIT_COLUMNS).to_batches())


def raw_table(events, stream="ticket_metric_events"):
    return pa.Table.from_pylist([raw_row(event) for event in events], schema=TABLES[stream].schema)


def rows_of(table):
    """The table's rows, times as epoch seconds."""

    def plain(value):
        return int(value.timestamp()) if isinstance(value, dt.datetime) else value

    return [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]


def of_day(rows, day):
    return [row for row in rows if day.start <= row["time"] < day.end]


def clocks_by_day(events, first, last, *, start=None, audits=()):
    """The clocks at the end of each day from `first` through `last`, after all deliveries."""
    clocks, by_day = start or empty_clocks(), {}
    for day in days_between(first, last):
        clocks = advance(clocks, sla_events(raw_table(of_day(events, day))), day, changes_of(of_day(audits, day)))
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
        self.audits = []

    def add(self, kind, hour, *, deleted=False, **more):
        time = self.DAY.start + round(hour * 3600)
        self.events.append({"id": self.next_id, **self.key, "type": kind, "time": time, "deleted": deleted, **more})
        self.next_id += 1
        return self

    def apply(self, hour, minutes, policy=11, *, business_hours=False, title="Standard"):
        sla = {"target": minutes, "business_hours": business_hours, "policy": {"id": policy, "title": title}}
        return self.add("apply_sla", hour, sla=sla)

    def ticket(self, hour, *statuses, kind="Change"):
        """An audit of the clock's ticket, with a child event for each status that it sets."""
        children = [{"id": place, "event_type": kind, "status": status} for place, status in enumerate(statuses)]
        time, audit_id = self.DAY.start + round(hour * 3600), 9_000 + len(self.audits)
        self.audits.append({"id": audit_id, "ticket_id": self.key["ticket_id"], "time": time, "child_events": children})
        return self

    def target(self, day=None, as_of=None):
        """The clock's row in `sla_targets` of a day, the first by default; None without one."""
        rows, _ = self.tables(day, as_of)
        return rows[0] if rows else None

    def tables(self, day=None, as_of=None):
        """The targets and the summary of a day, the first by default."""
        day = day or self.DAY
        first = min([self.DAY, *(Day.containing(event["time"]) for event in self.events)])
        return tables_of(clocks_by_day(self.events, first, day, audits=self.audits)[day], day, as_of)
