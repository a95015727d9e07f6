"""Random histories of SLA clocks and of their tickets' audits, as deliveries of a few days."""

import datetime as dt

from hypothesis import strategies as st

from ticket_events_pipeline.day import Day

FIRST = dt.date(2026, 3, 7)  # New York's clocks go forward on the 8th
DAYS = 4
TYPES = [
    "activate",
    "apply_sla",
    "apply_sla",
    "apply_group_sla",
    "breach",
    "breach",
    "pause",
    "fulfill",
    "fulfill",
    "update_status",
]

DELETED = [False] * 8 + [True, True, None, 0, 1, "true", "TRUE", "t", "1", "0", "false", "no", "", 2, [True]]
"""Rule 1: `deleted` as accounts may send it."""

MINUTES = [0, 29, 30, 31, 60, 61, 62, -1, -(10**6), 2**63 - 1, (2**63 - 1) // 60, (2**63 - 1) // 60 + 1, 2**63, None]
"""Durations, some of them impossible; as targets, some beyond any calendar."""


def slas():
    policy = st.fixed_dictionaries({"id": st.sampled_from([11, 12, "g1"]), "title": st.sampled_from(["Standard", "VIP", None])})
    return st.none() | st.fixed_dictionaries(
        {
            "target": st.sampled_from([30, 60, None, 30, 60, *MINUTES]),
            "target_in_seconds": st.sampled_from([1800, 1830, None, None, None, -(2**63), 2**63 - 1]),
            "business_hours": st.sampled_from([False, True, None]),
            "policy": st.none() | policy | policy,
        }
    )


@st.composite
def metric_event(draw, starts, crowded):
    kind = draw(st.sampled_from([*TYPES, "measure", "unheard_of"] if draw(st.integers(0, 9)) == 0 else TYPES))
    row = {
        "id": draw(st.integers(1, 10_000)),
        "ticket_id": draw(st.sampled_from([1, 2])),
        "metric": "reply_time" if crowded else draw(st.sampled_from(["reply_time", "resolution_time"])),
        "instance_id": 1 if crowded else draw(st.sampled_from([1, 1, 1, 2, 2, 0])),
        "type": kind,
        # Few moments, midnights among them, so that several events share a second.
        "time": draw(st.sampled_from(starts)) + draw(st.sampled_from([0, 0, 1, 3600, 7200, 7201, 40_000, 82_799])),
        "deleted": draw(st.sampled_from(DELETED)),
    }
    if kind == "apply_sla":
        row["sla"] = draw(slas())
    if kind == "apply_group_sla":
        row["group_sla"] = draw(slas())
    if kind == "update_status":
        duration = st.fixed_dictionaries({"calendar": st.sampled_from(MINUTES), "business": st.sampled_from(MINUTES)})
        row["status"] = draw(st.none() | duration)
    return row


@st.composite
def audit(draw, starts):
    """An audit of one of the tickets that mostly sets its status, at moments of metric events."""
    status = st.sampled_from(["deleted", "deleted", "open", "solved", None, 7])
    child = st.fixed_dictionaries({"event_type": st.sampled_from(["Change", "Change", "Create", "Comment"]), "status": status})
    other = st.just({"event_type": "Change", "priority": "high", "previous_value": '"status":"deleted"'})
    return {
        "id": draw(st.integers(1, 10_000)),  # audits may have the ids of metric events
        "ticket_id": draw(st.sampled_from([1, 2, 3])),
        "time": draw(st.sampled_from(starts)) + draw(st.sampled_from([0, 0, 1, 3600, 7200, 7201, 40_000, 82_799])),
        "child_events": draw(st.lists(child | child | other, max_size=3)),
    }


@st.composite
def audits(draw, timezone="UTC", days=range(DAYS)):
    """No audits for half the histories, so that the other rules are tested without deletions."""
    starts = [Day(FIRST, timezone).plus(offset).start for offset in days]
    size = draw(st.sampled_from([0, 0, 4, 8]))
    return draw(st.lists(audit(starts), min_size=size // 2, max_size=size, unique_by=lambda row: row["id"]))


@st.composite
def histories(draw, timezone="UTC", days=range(DAYS)):
    """Deliveries of unique ids, in order of arrival; in half the histories all events are on two clocks."""
    starts = [Day(FIRST, timezone).plus(offset).start for offset in days]
    crowded = draw(st.booleans())
    size = draw(st.sampled_from([0, 10, 25]))
    events = st.lists(metric_event(starts, crowded), min_size=size, max_size=size + 15, unique_by=lambda row: row["id"])
    return draw(events)
