"""A slow and plain second implementation of `sla_target_holders`, `daily_ticket_durations` and due times in business hours.

It replays one ticket at a time, from Zendesk's own rows (dicts, times as epoch seconds): `audits` are all that are stored, also
those of later days. No day in between is missing. It shares no code with the package.
"""

from __future__ import annotations

from functools import cache

from ticket_events_pipeline_tests.support import business_hours_oracle, sla_oracle

AHEAD = 30 * 86_400
UNKNOWN = "unknown"
LATER = "later"


def changes_of(audits, ticket_id, name):
    """(time, whether created, value, previous or UNKNOWN) of every change of a field, in order."""
    found = []
    for audit in sorted(audits, key=lambda audit: (audit["time"], audit["id"])):
        for child in audit["child_events"] if audit["ticket_id"] == ticket_id else []:
            if child["event_type"] == "ScheduleAssignment" and name == "schedule_id":
                found.append((audit["time"], False, child["new_schedule_id"], child.get("previous_schedule_id", UNKNOWN)))
            if child["event_type"] in ("Create", "Change") and name in child:
                is_create = child["event_type"] == "Create"
                found.append((audit["time"], is_create, child[name], child.get("previous_value", UNKNOWN)))
    return found


def is_created(audits, ticket_id):
    return any(
        child["event_type"] == "Create"
        for audit in audits
        if audit["ticket_id"] == ticket_id
        for child in audit["child_events"]
    )


def value_at(audits, ticket_id, name, second, *, inclusive=True):
    """The value of a field, or UNKNOWN; a change in that very second counts if `inclusive`."""
    changes = changes_of(audits, ticket_id, name)
    earlier = [change for change in changes if change[1] or change[0] < second + inclusive]
    later = [change for change in changes if not (change[1] or change[0] < second + inclusive)]
    newest = [change for change in earlier if not change[1]] or earlier
    if newest:
        return newest[-1][2]
    if is_created(audits, ticket_id):
        return None
    if later and later[0][0] - second <= AHEAD:
        return later[0][3]
    return UNKNOWN


def running(timeline, end):
    """Stretches in which a clock ran before `end`."""
    found, active, deleted, since = [], False, False, None
    for time, event, deletion in timeline:
        if time >= end:
            break
        if active and not deleted and time > since:
            found.append((since, time))
        since = time
        if deletion is not None:
            deleted = deletion
        elif event["type"] in ("activate", "pause", "fulfill"):
            active = event["type"] == "activate"
    if active and not deleted and end > since:
        found.append((since, end))
    return found


def ended(targets, start):
    """The targets with rows on the day that begins at `start`, how they ended, and when."""
    for target in targets:
        if target["breached_at"] is not None:
            if target["breached_at"] >= start:
                yield target, "breach", target["breached_at"]
        elif target["fulfilled_at"] is not None and target["fulfilled_at"] >= start:
            yield target, "fulfilment", target["fulfilled_at"]


def holders(deliveries, audits, *, date, timezone, as_of, schedules, zones):
    """The rows of `sla_target_holders`; `zones` has the IANA name of each schedule's zone."""
    start, _ = sla_oracle.window(date, timezone)
    targets = sla_oracle.targets(deliveries, date=date, timezone=timezone, as_of=as_of, audits=audits)
    clocks = sla_oracle.clocks_of(sla_oracle.live_events(deliveries))
    statuses = sla_oracle.status_changes(audits)
    rows = []
    for target, ended_by, end in ended(targets, start):
        key = (target["ticket_id"], target["metric"], target["instance_id"])
        timeline = sla_oracle.timeline(clocks[key], [change for change in statuses if change[3] == key[0]])
        activations = [time for time, event, _ in timeline if event and event["type"] == "activate" and time < end]
        if not activations:
            continue
        ran = running(timeline, end)
        number = schedule_of(audits, key[0], end, ended_by) or only(schedules)
        hours = opened(schedules[number], zones[number], start - 5 * 86_400, as_of) if number in schedules else None
        for held_from, held_to, (group, assignee) in stretches(audits, key[0], activations[0], end):
            pieces = [(max(since, held_from), min(until, held_to)) for since, until in ran]
            seconds = sum(max(until - since, 0) for since, until in pieces)
            if seconds:
                rows.append(
                    {
                        **{name: target[name] for name in ("ticket_id", "metric", "instance_id", "sla_metric")},
                        "ended_by": ended_by,
                        "group_id": None if group == UNKNOWN else group,
                        "assignee_id": None if assignee == UNKNOWN else assignee,
                        "is_known": UNKNOWN not in (group, assignee),
                        "held_from": held_from,
                        "held_to": held_to,
                        "calendar_seconds": seconds,
                        "business_seconds": None if hours is None else sum(overlap(hours, *piece) for piece in pieces),
                    }
                )
    return rows


def due_times(deliveries, audits, *, date, timezone, as_of, through, schedules, zones):
    """(due_by, due_at) of each target with a due time, by its key; LATER instead of a time in business hours after `through`.

    `zones` has the IANA name of each schedule's zone.
    """
    start, _ = sla_oracle.window(date, timezone)
    clocks = sla_oracle.clocks_of(sla_oracle.live_events(deliveries))
    found = {}
    for target in sla_oracle.targets(deliveries, date=date, timezone=timezone, as_of=as_of, audits=audits):
        key = (target["ticket_id"], target["metric"], target["instance_id"])
        if target["due_at"] is not None:
            found[key] = ("calendar", target["due_at"])
        if target["outcome"] != "active" or target["is_paused"] or not target["business_hours"]:
            continue
        number = schedule_of(audits, key[0], as_of, "nothing") or only(schedules)
        if is_known_to_have_none(audits, key[0], as_of):
            number = min(schedules, default=None)
        switches = [(event["time"], event["type"]) for event in clocks[key] if is_switch(event) and event["time"] < as_of]
        if number not in schedules or target["target_seconds"] is None or not switches or switches[0][1] != "activate":
            continue
        first, is_open = opened(schedules[number], zones[number], start - 8 * 86_400, through)
        ends = [time for time, _ in switches[1:]] + [as_of]
        ran = [(time - first, end - first) for (time, kind), end in zip(switches, ends, strict=True) if kind == "activate"]
        due = business_hours_oracle.due_second(is_open, ran, target["target_seconds"])
        found[key] = ("business_hours", LATER if due is None else first + due)
    return found


def is_switch(event):
    return event["type"] in ("activate", "pause", "fulfill") and not event["deleted"]


@cache
def opened(schedule, zone, first, last):
    """A week before `first`, and whether a schedule is open in each second from then on, until `last`."""
    since = first - 7 * 86_400
    return since, business_hours_oracle.open_seconds(schedule, zone, since, last)


def schedule_of(audits, ticket_id, end, ended_by):
    """The number of the ticket's schedule at the end of a target; None where it has none, or isn't known."""
    value = value_at(audits, ticket_id, "schedule_id", end, inclusive=ended_by == "fulfilment")
    return None if value == UNKNOWN else value


def is_known_to_have_none(audits, ticket_id, second):
    """Whether the ticket is known to have no schedule just before a second."""
    return value_at(audits, ticket_id, "schedule_id", second, inclusive=False) is None


def only(schedules):
    """The number of the account's schedule, if it has just one."""
    return next(iter(schedules)) if len(schedules) == 1 else None


def stretches(audits, ticket_id, first, end):
    """(from, to, (group, assignee)) from the first activation to the end, neighbours of one holder as one."""
    names = ("group_id", "assignee_id")
    times = {first}
    for name in names:
        for time, *_ in changes_of(audits, ticket_id, name):
            times |= {moment for moment in (time, time - AHEAD) if first < moment < end}
    found = []
    for since in sorted(times):
        holder = tuple(value_at(audits, ticket_id, name, since) for name in names)
        if not found or found[-1][1] != holder:
            found.append((since, holder))
    untils = [since for since, _ in found[1:]] + [end]
    return [(since, until, holder) for (since, holder), until in zip(found, untils, strict=True)]


def overlap(hours, since, until):
    """Seconds of [since, until) in the hours from `opened`."""
    first, is_open = hours
    assert since >= first
    return int(is_open[since - first : max(until, since) - first].sum())


def durations(deliveries, audits, *, date, timezone, as_of):
    """The rows of `daily_ticket_durations`, and how many durations are negative."""
    start, _ = sla_oracle.window(date, timezone)
    found, negative = {}, 0
    for (ticket_id, metric, instance), events in sla_oracle.clocks_of(sla_oracle.live_events(deliveries)).items():
        fulfilled_at, status = None, None
        for event in events:
            if event["time"] >= as_of or event["deleted"]:
                continue
            if event["type"] == "activate":
                fulfilled_at = None
            if event["type"] == "fulfill" and fulfilled_at is None:
                fulfilled_at, status = event["time"], None
            if event["type"] == "update_status":
                status = event
        if fulfilled_at is None or fulfilled_at < start or status is None:
            continue
        said = status.get("status") or {}
        minutes = {hours: said.get(hours) for hours in ("calendar", "business")}
        negative += sum(value is not None and value < 0 for value in minutes.values())
        minutes = {hours: value for hours, value in minutes.items() if value is not None and value >= 0}
        if minutes:
            group = value_at(audits, ticket_id, "group_id", fulfilled_at)
            name = {"resolution_time": "total_resolution_time"}.get(metric, metric)
            if metric == "reply_time":
                name = "first_reply_time" if instance == 1 else "next_reply_time"
            key = (name, None if group == UNKNOWN else group, group != UNKNOWN)
            found.setdefault(key, []).append(minutes)
    order = sorted(found, key=lambda key: (key[0], key[1] is None, key[1] or 0, key[2]))
    return [duration_row(key, found[key]) for key in order], negative


def duration_row(key, clocks):
    row = dict(zip(("sla_metric", "group_id", "is_known"), key, strict=True)) | {"clocks": len(clocks)}
    for hours in ("calendar", "business"):
        values = sorted(clock[hours] for clock in clocks if hours in clock)
        for name, share in (("p50", 0.5), ("p90", 0.9)):
            row[f"{hours}_{name}_minutes"] = linear(values, share) if values else None
        row[f"{hours}_mean_minutes"] = sum(values) / len(values) if values else None
    return row


def linear(values, share):
    """The linear percentile of ascending values."""
    place = (len(values) - 1) * share
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
