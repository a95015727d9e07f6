"""A slow and plain second implementation of the SLA rules: one state machine per clock, replaying all history for every day.

It reads Zendesk's own rows (dicts, times as epoch seconds) and shares no code with the package: where the two differ, one
of them has SLA.md wrong. Metric events are `deliveries`; audits (`id, ticket_id, time, child_events`) record deleted tickets.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

RANK = {
    "activate": 0,
    "apply_sla": 1,
    "apply_group_sla": 1,
    "breach": 2,
    "pause": 3,
    "fulfill": 4,
    "update_status": 5,
}
INT64_MAX = 2**63 - 1
NO_POLICY = {"policy_id": None, "policy_title": None, "target_seconds": None, "business_hours": None, "is_group": False}


def window(date, timezone):
    """Epoch seconds of the local day's two midnights."""
    zone = ZoneInfo(timezone)
    midnights = [dt.datetime.combine(d, dt.time(), zone) for d in (date, date + dt.timedelta(days=1))]
    return tuple(int(midnight.timestamp()) for midnight in midnights)


def read_deleted(value):
    """Rule 1: `deleted` in its spellings; None where it can't be read."""
    text = str(value).lower()
    if value is None or text in ("false", "0", "0.0"):
        return False
    if text in ("true", "1", "1.0") or value in ("t", "T"):
        return True
    return None


def live_events(deliveries):
    """Rule 1."""
    by_id = {}
    for row in deliveries:
        by_id[row["id"]] = {**row, "deleted": read_deleted(row.get("deleted"))}
    return [
        row
        for row in by_id.values()
        if row["type"] in RANK
        and row.get("instance_id")
        and (row["deleted"] is False or (row["deleted"] is True and row["type"] == "breach"))
    ]


def status_changes(audits):
    """Rule 9: (time, audit id, place, ticket, whether deleted) of every child event that sets a status, in order."""
    by_id = {}
    for audit in audits:
        by_id[audit["id"]] = audit
    found = []
    for audit in by_id.values():
        for place, child in enumerate(audit["child_events"]):
            if child.get("event_type") in ("Create", "Change") and isinstance(child.get("status"), str):
                found.append((audit["time"], audit["id"], place, audit["ticket_id"], child["status"] == "deleted"))
    return sorted(found)


def timeline(events, changes):
    """Rule 2 and 9: a clock's events and the status changes of its ticket, each as (time, event or None, deleted or None)."""
    rows = [((event["time"], RANK[event["type"]], event["id"], 0), event, None) for event in events]
    rows += [((time, 6, audit, place), None, deleted) for time, audit, place, _, deleted in changes]
    return [(key[0], event, deleted) for key, event, deleted in sorted(rows, key=lambda row: row[0])]


def clocks_of(events):
    """Rule 2: per clock its events in order."""
    clocks = {}
    for event in sorted(events, key=lambda e: (e["time"], RANK[e["type"]], e["id"])):
        clocks.setdefault((event["ticket_id"], event["metric"], event["instance_id"]), []).append(event)
    return clocks


def policy_of(event):
    """Rule 4: the policy of an apply; None removes it."""
    is_group = event.get("group_sla") is not None
    sla = event["group_sla"] if is_group else event.get("sla")
    if sla is None:
        return None
    policy = sla.get("policy") or {}
    seconds = sla.get("target_in_seconds")
    if seconds is None and sla.get("target") is not None:
        seconds = sla["target"] * 60
    if seconds is not None and not -INT64_MAX - 1 <= seconds <= INT64_MAX:
        seconds = None
    return {
        "policy_id": None if policy.get("id") is None else str(policy["id"]),
        "policy_title": policy.get("title"),
        "target_seconds": seconds,
        "business_hours": sla.get("business_hours"),
        "is_group": is_group,
    }


def same_target(one, other):
    return all(one[name] == other[name] for name in ("target_seconds", "business_hours", "policy_id"))


class ClockLife:
    """One clock, which processes its events one by one."""

    def __init__(self, start):
        self.start = start
        self.fulfilled = self.paused = self.open = self.open_at_start = self.open_on_day = False
        self.policy = self.last_policy = self.breach_policy = self.entry_policy = self.status = None
        self.pending = "nothing"
        self.target_changes = 0
        self.changed_after_breach = False
        self.activated_at = self.applied_at = self.entered_at = self.entered_by = self.breached_at = None
        self.closed_at = self.closed_by = self.last_event_at = self.status_at = None
        self.fulfilled_with_policy = self.ticket_deleted = False
        self.open_spans = []
        self.reopens = 0
        self.breaches = []
        self.withdrawn = []
        self.ran_seconds = 0
        self.runs_since = None
        self.began_with_activate = None

    def take(self, time, event, deleted):
        """A metric event, or a change of the ticket to deleted or back."""
        if time >= self.start:
            self.open_on_day = self.open_on_day or self.open
        if event is None:
            self.ticket_deleted = deleted
            self._settle(time, "deletion")
        else:
            self._take(event)
        if time < self.start:
            self.open_at_start = self.open
        else:
            self.open_on_day = self.open_on_day or self.open

    def _take(self, event):
        if event["deleted"]:
            if self.open:
                self.withdrawn.append(event["time"])
            return
        self.last_event_at = event["time"]
        if event["type"] in ("activate", "pause", "fulfill"):
            self.switch(event)
        getattr(self, "on_" + event["type"].replace("apply_group_sla", "apply_sla"))(event)
        self._settle(event["time"], "fulfil" if event["type"] == "fulfill" else "policy")

    def switch(self, event):
        """The stopwatch of `due_at`."""
        if self.began_with_activate is None:
            self.began_with_activate = event["type"] == "activate"
        if event["type"] == "activate" and self.runs_since is None:
            self.runs_since = event["time"]
        if event["type"] != "activate" and self.runs_since is not None:
            self.ran_seconds += event["time"] - self.runs_since
            self.runs_since = None

    def due_at(self, as_of):
        target = self.last_policy
        is_watched = self.open and not self.paused and self.breached_at is None and self.began_with_activate
        if not is_watched or target["business_hours"] or target["target_seconds"] is None:
            return None
        due_at = as_of + target["target_seconds"] - (self.ran_seconds + as_of - self.runs_since)
        return due_at if 0 <= due_at < 253_402_300_800 else None  # no calendar goes further than the year 9999

    def on_activate(self, event):
        if self.activated_at is None:
            self.activated_at = event["time"]
        self.paused = False
        if self.fulfilled:
            self.fulfilled = False
            if self.pending != "nothing":
                self._bring(self.pending)
            self.pending = "nothing"

    def on_apply_sla(self, event):
        policy = policy_of(event)
        if policy is not None and self.applied_at is None:
            self.applied_at = event["time"]
        if self.fulfilled:
            self.pending = policy
        else:
            self._bring(policy)

    def _bring(self, policy):
        if policy is not None:
            if self.last_policy is None:
                self.changed_after_breach = self.changed_after_breach or self.breached_at is not None
            elif not same_target(self.last_policy, policy):
                self.target_changes += 1
                self.changed_after_breach = self.changed_after_breach or self.breached_at is not None
            self.last_policy = policy
        self.policy = policy

    def on_breach(self, event):
        if self.fulfilled or self.ticket_deleted:
            return
        self.breaches.append(event["time"])
        if self.breached_at is None:
            self.breached_at = event["time"]
            self.breach_policy = self.policy

    def on_pause(self, event):
        if not self.fulfilled:
            self.paused = True

    def on_fulfill(self, event):
        if not self.fulfilled:
            self.fulfilled = True
            self.paused = False
            self.pending = "nothing"

    def on_update_status(self, event):
        self.status = event.get("status") or {}
        self.status_at = event["time"]

    def _settle(self, time, cause):
        """Rules 5 and 9: open, entered, closed, re-opened."""
        is_clock_open = not self.fulfilled and (self.policy is not None or self.breached_at is not None)
        is_open = is_clock_open and not self.ticket_deleted
        if is_open and not self.open:
            self.open_spans.append([time, None])
            if self.entered_at is None:
                self.entered_at = time
                self.entered_by = "policy" if self.policy is not None else "breach"
                self.entry_policy = self.policy
            else:
                self.reopens += 1
            self.closed_at = None
        if self.open and not is_open:
            self.open_spans[-1][1] = self.closed_at = time
            self.closed_by = cause
            self.fulfilled_with_policy = self.policy is not None
            self.policy_at_closing, self.was_changed_at_closing = self.last_policy, self.changed_after_breach
        self.open = is_open

    def is_fulfilled_target(self):
        return not self.open and self.closed_by == "fulfil"

    def own_policy(self):
        """The policy in force, else the last one; a fulfilled target keeps its policy until it re-opens."""
        return self.policy_at_closing if self.is_fulfilled_target() else self.last_policy

    def elapsed_seconds(self):
        """B5: by the last update_status, if it isn't older than the fulfilment and not negative."""
        if self.status is None or not self.is_fulfilled_target() or self.status_at < self.closed_at:
            return None
        minutes = self.status.get("business" if (self.own_policy() or NO_POLICY)["business_hours"] else "calendar")
        return None if minutes is None or not 0 <= minutes <= INT64_MAX else minutes * 60  # none beyond int64 is stored

    def measured(self):
        """Elapsed and target seconds of a target fulfilled with a policy; None where either isn't known."""
        if not self.is_fulfilled_target() or not self.fulfilled_with_policy:
            return None
        elapsed, target = self.elapsed_seconds(), self.own_policy()["target_seconds"]
        return None if elapsed is None or target is None else (elapsed, target)

    def superseded(self):
        if self.breached_at is None or self.measured() is None or not self.was_changed_at_closing:
            return False
        elapsed, target = self.measured()
        return elapsed <= target

    def contradicted(self):
        """Rule 10, by a minute or more on either side: durations come in whole minutes."""
        if self.measured() is None:
            return False
        elapsed, target = self.measured()
        if self.outcome() == "breached":
            return elapsed + 60 <= target
        return not self.superseded() and elapsed >= target + 60

    def overdue_seconds(self, as_of):
        """How long the target was open since its breach."""
        spans = [(max(opened, self.breached_at), as_of if closed is None else closed) for opened, closed in self.open_spans]
        return sum(max(closed - opened, 0) for opened, closed in spans)

    def outcome(self):
        if self.open:
            return "active" if self.breached_at is None else "breached_open"
        if self.closed_by != "fulfil":
            return {"policy": "cancelled", "deletion": "deleted"}[self.closed_by]
        return "achieved" if self.breached_at is None or self.superseded() else "breached"


def sla_metric(metric, instance_id):
    if metric == "reply_time":
        return "first_reply_time" if instance_id == 1 else "next_reply_time"
    return "total_resolution_time" if metric == "resolution_time" else metric


def target_row(key, life, start, as_of):
    policy = life.own_policy() or NO_POLICY
    entry, breach = life.entry_policy or NO_POLICY, life.breach_policy or NO_POLICY
    overdue = overdue_clock = None
    elapsed = life.elapsed_seconds()
    if life.breached_at is not None and not life.superseded():
        overdue = life.overdue_seconds(as_of)
    if life.outcome() == "breached" and None not in (elapsed, policy["target_seconds"]):
        overdue_clock = elapsed - policy["target_seconds"]
        if max(elapsed, overdue_clock) > INT64_MAX:
            overdue_clock = None
    return {
        "ticket_id": key[0],
        "metric": key[1],
        "instance_id": key[2],
        "sla_metric": sla_metric(key[1], key[2]),
        "is_group_sla": policy["is_group"],
        "policy_id": policy["policy_id"],
        "policy_title": policy["policy_title"],
        "target_seconds": policy["target_seconds"],
        "business_hours": policy["business_hours"],
        "target_changes": life.target_changes,
        "activated_at": life.activated_at,
        "applied_at": life.applied_at,
        "entered_at": life.entered_at,
        "entered_by": life.entered_by,
        "entry_policy_id": entry["policy_id"],
        "entry_policy_title": entry["policy_title"],
        "entry_business_hours": entry["business_hours"],
        "breached_at": life.breached_at,
        "breach_policy_id": breach["policy_id"],
        "breach_policy_title": breach["policy_title"],
        "breach_business_hours": breach["business_hours"],
        "fulfilled_at": life.closed_at if life.is_fulfilled_target() else None,
        "closed_at": life.closed_at,
        "reopened_on_day": life.entered_at < start and not life.open_at_start,
        "outcome": life.outcome(),
        "was_open_at_start": life.open_at_start,
        "is_paused": life.open and life.paused,
        "superseded": life.superseded(),
        "reopen_count": life.reopens,
        "breach_events": len(life.breaches),
        "withdrawn_breaches": len(life.withdrawn),
        "breach_events_on_day": sum(time >= start for time in life.breaches),
        "withdrawn_breaches_on_day": sum(time >= start for time in life.withdrawn),
        "overdue_seconds": overdue,
        "is_contradicted": life.contradicted(),
        "elapsed_seconds": None if elapsed is None or elapsed > INT64_MAX else elapsed,
        "overdue_clock_seconds": overdue_clock,
        "due_at": life.due_at(as_of),
        "last_event_at": life.last_event_at,
        "as_of": as_of,
    }


def newest_titles(applies):
    """By policy id, the title of the newest apply that has one."""
    titles = {}
    for event in sorted(applies, key=lambda e: (e["time"], e["id"])):
        policy = policy_of(event)
        if policy is not None and policy["policy_title"] is not None:
            titles[policy["policy_id"]] = policy["policy_title"]
    return titles


def targets(deliveries, *, date, timezone, as_of, audits=()):
    """`sla_targets` of the day as a list of dicts, times as epoch seconds."""
    start, _ = window(date, timezone)
    changes = status_changes(audits)
    shown, applies = [], []
    for key, events in sorted(clocks_of(live_events(deliveries)).items()):
        life = ClockLife(start)
        for time, event, deleted in timeline(events, [change for change in changes if change[3] == key[0]]):
            if time < as_of:
                life.take(time, event, deleted)
        if life.open_at_start or life.open_on_day:
            shown.append((key, life))
            applies += [event for event in events if event["time"] < as_of and RANK[event["type"]] == 1]
    titles = newest_titles(applies)
    for _, life in shown:
        for policy in (life.own_policy(), life.last_policy, life.entry_policy, life.breach_policy):
            if policy is not None:
                policy["policy_title"] = titles.get(policy["policy_id"])
    return [target_row(key, life, start, as_of) for key, life in shown]


def without_forgotten(deliveries, end, audits=()):
    """The events so far whose clocks are kept at the end of a day, and the audits that are."""
    clocks = clocks_of(live_events(deliveries))
    changes = of_deleted_tickets(status_changes(audits))
    lives, kept_tickets, kept = {}, set(), []
    last_heard_of = {ticket: time for time, _, _, ticket, _ in changes}
    for key, events in clocks.items():
        lives[key] = ClockLife(end)
        for time, event, deleted in timeline(events, [change for change in changes if change[3] == key[0]]):
            lives[key].take(time, event, deleted)
        if lives[key].last_event_at is not None:
            last_heard_of[key[0]] = max(last_heard_of.get(key[0], 0), lives[key].last_event_at)
    recent = {ticket for ticket, time in last_heard_of.items() if time + 30 * 86_400 >= end}
    deleted = set()
    for change in changes:
        (deleted.add if change[4] else deleted.discard)(change[3])
    for key, events in clocks.items():
        ticket = [(other[1], lives[other]) for other in clocks if other[0] == key[0] and lives[other].last_event_at is not None]
        unsolved = any(metric == "resolution_time" and not life.fulfilled for metric, life in ticket)
        if lives[key].open or (unsolved and key[0] not in deleted) or key[0] in recent:
            kept += events
            kept_tickets.add(key[0])
    remembered = {change[1] for change in changes if change[3] in kept_tickets | recent}
    return kept, [audit for audit in audits if audit["id"] in remembered]


def of_deleted_tickets(changes):
    """The changes of tickets that were deleted, which the carry-over keeps."""
    deleted = {change[3] for change in changes if change[4]}
    return [change for change in changes if change[3] in deleted]


def percentile(values, share):
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


FIGURES = [
    "targets_started",
    "targets_discovered",
    "targets_reopened",
    "targets_cancelled",
    "targets_deleted",
    "breaches",
    "breach_events",
    "achieved",
    "completed_breached",
    "superseded_breaches",
    "withdrawn_breaches",
    "contradicted",
    "active_eod",
    "breached_open_eod",
    "paused_eod",
]


def books_of(target_rows, start):
    """What each target adds to which key."""
    books = {}

    def book(row, prefix):
        key = (row["sla_metric"], row[prefix + "policy_id"], row[prefix + "business_hours"])
        return books.setdefault(key, dict.fromkeys(FIGURES, 0) | {"tickets": set(), "overdue": []})

    for row in target_rows:
        own = book(row, "")
        if row["entered_at"] >= start:
            by = "targets_started" if row["entered_by"] == "policy" else "targets_discovered"
            book(row, "entry_")[by] += 1
        elif not row["was_open_at_start"]:
            own["targets_reopened"] += 1
        if row["breached_at"] is not None and row["breached_at"] >= start and not row["superseded"]:
            book(row, "breach_")["breaches"] += 1
            book(row, "breach_")["tickets"].add(row["ticket_id"])
        if row["breach_events_on_day"]:
            book(row, "breach_")["breach_events"] += row["breach_events_on_day"]
        own["targets_cancelled"] += row["outcome"] == "cancelled"
        own["targets_deleted"] += row["outcome"] == "deleted"
        own["contradicted"] += row["is_contradicted"]
        own["achieved"] += row["outcome"] == "achieved"
        own["superseded_breaches"] += row["outcome"] == "achieved" and row["superseded"]
        own["withdrawn_breaches"] += row["withdrawn_breaches_on_day"]
        own["active_eod"] += row["outcome"] in ("active", "breached_open")
        own["breached_open_eod"] += row["outcome"] == "breached_open"
        own["paused_eod"] += row["is_paused"]
        if row["outcome"] == "breached":
            own["completed_breached"] += 1
            own["overdue"].append(row["overdue_seconds"])
    return books


def titles_of(target_rows):
    titles = {}
    for row in target_rows:
        for prefix in ("", "entry_", "breach_"):
            if row[prefix + "policy_title"] is not None:
                titles.setdefault(row[prefix + "policy_id"], set()).add(row[prefix + "policy_title"])
    return titles


def daily_summary(target_rows, *, date, timezone, as_of, events_through, history_from):
    """`daily_sla_breach_summary` of the day as a list of dicts, times as epoch seconds."""
    books, titles = books_of(target_rows, window(date, timezone)[0]), titles_of(target_rows)
    rows = []
    for key in sorted(books, key=lambda k: (k[0], k[1] is None, k[1] or "", k[2] is None, bool(k[2]))):
        found = books[key]
        decided, overdue = found["achieved"] + found["breaches"], found["overdue"]
        rows.append(
            {
                "sla_metric": key[0],
                "policy_id": key[1],
                "business_hours": key[2],
                "policy_title": max(titles.get(key[1], ()), default=None),
                **{name: found[name] for name in FIGURES[:6]},
                "breached_tickets": len(found["tickets"]),
                **{name: found[name] for name in FIGURES[6:]},
                "achievement_rate": found["achieved"] / decided if decided else None,
                "overdue_p50_seconds": percentile(overdue, 0.5) if overdue else None,
                "overdue_p90_seconds": percentile(overdue, 0.9) if overdue else None,
                "overdue_max_seconds": max(overdue, default=None),
                "as_of": as_of,
                "events_through": events_through,
                "history_from": history_from,
            }
        )
    return rows
