"""Drawn audits in the shape of raw `ticket_events`: mostly what Zendesk sends, often something odd."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from ticket_events_pipeline.day import Day
from ticket_events_pipeline.decoding.json_values import compact_json

DAY = Day.parse("2026-03-09")

TRICKY = [
    '"',
    "\\",
    "}",
    "},{",
    '},{"id":7,',
    "[",
    "null",
    "",
    "Create",
    "\u2028",
    "é",
    "\U0001f600",
    "\ud800",
    "\udc00x",
    "\x00",
]
TEXTS = st.one_of(st.sampled_from(["new", "open", "a_tag", "Web form"]), st.lists(st.sampled_from(TRICKY)).map("".join))
NUMBERS = st.one_of(
    st.integers(0, 400_000_000_000),
    st.sampled_from([0, -1, 2**63, -(2**70), 0.0, -0.0, 1.5, 60.0, -2.50, 1e22, 1e23, 1e-7, 123456789.125, 5e-324, 1e308]),
    st.sampled_from([float("nan"), float("inf")]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
ANY = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "a", "1", "}"]) | TEXTS, inner, max_size=3)
    ),
    max_leaves=5,
)
IDS = st.sampled_from([1, 360041597112, 2**62]) | st.none() | st.just("a,b")

FIELDS = st.one_of(
    st.sampled_from(["status", "priority", "group_id", "assignee_id", "subject", "type", "brand_id", "channel", "schedule_id"]),
    st.sampled_from(["created_at", "custom_ticket_fields", "added_tags", "custom_field:1", "event_type", "id", ""]),
    TEXTS,
)


@st.composite
def usual_children(draw):
    """One field, a plain value, the names in Zendesk's order."""
    value = st.none() | st.integers(0, 9) | st.sampled_from(["new", "open", "deleted", "null", ""])
    child = {"id": draw(st.integers(1, 50)), "via": draw(TEXTS), "via_reference_id": None}
    child[draw(FIELDS)] = draw(value)
    child["event_type"] = draw(st.sampled_from(["Create", "Change"]))
    return with_previous(draw, child, value)


@st.composite
def tags(draw):
    lists = st.lists(TEXTS, max_size=4) | ANY
    child = {"id": 5, "tags": draw(lists), "event_type": draw(st.sampled_from(["Create", "Change"]))}
    for name in ("added_tags", "removed_tags"):
        if draw(st.booleans()):
            child[name] = draw(lists)
    return with_previous(draw, child, lists)


@st.composite
def custom_fields(draw):
    numbers = st.sampled_from(["1", "2", "360041597112", "\ud800"])
    by_number = st.dictionaries(numbers, ANY, max_size=3)
    child = {"id": 6, "custom_ticket_fields": draw(by_number | ANY), "custom_field:1": 3, "event_type": "Change"}
    if draw(st.booleans()):
        del child["custom_field:1"]
    return with_previous(draw, child, by_number | ANY)


@st.composite
def schedules(draw):
    child = {"id": 8, "event_type": "ScheduleAssignment"}
    for name in ("previous_schedule_id", "new_schedule_id"):
        if draw(st.booleans()):
            child[name] = draw(SCALARS)
    return child


@st.composite
def odd_children(draw):
    """Any names in any order."""
    child = draw(st.dictionaries(FIELDS, ANY, max_size=4))
    child["event_type"] = draw(st.sampled_from(["Create", "Change", "Comment", "Notification", "Chan", None, ["Change"]]))
    names = draw(st.permutations(list(child)))
    child = {name: child[name] for name in names}
    return {"id": draw(IDS), **child} if draw(st.booleans()) else child


COMMENTS = st.sampled_from(
    [
        {"id": 1, "comment_present": True, "comment_public": True, "event_type": "Comment"},
        {"id": 2, "event_type": "Comment", "body": 'a "Change"', "attachments": [{"id": 3}, {"id": 4}]},
        {"event_type": "Notification", "recipients": [381000000001], "subject": "Re: your request"},
        {"id": 9},
    ]
)
CHILDREN = st.one_of(usual_children(), usual_children(), tags(), custom_fields(), schedules(), odd_children(), COMMENTS, ANY)


def with_previous(draw, child, values):
    return {**child, "previous_value": draw(values)} if draw(st.booleans()) else child


DEEP = "[" * 100_000
BROKEN = [
    DEEP + "]" * 100_000,
    f"[{'1' * 5000}]",
    '[{"id":1,"status":"new","event_type":"Create"},{"id":2]',
    "null",
    "{}",
    "[]",
    '[{"id":',
]
TEXTS_OF_CHILDREN = st.one_of(
    st.lists(CHILDREN, min_size=1, max_size=5).map(compact_json),
    st.lists(CHILDREN, min_size=1, max_size=5).map(compact_json),
    st.lists(CHILDREN, max_size=2).map(json.dumps),
    st.sampled_from(BROKEN),
    st.none(),
)


@st.composite
def audit_rows(draw):
    """Rows of a day in the order of a raw file, unique by id."""
    texts = draw(st.lists(TEXTS_OF_CHILDREN, max_size=12))
    rows = [
        {
            "id": number,
            "ticket_id": draw(st.sampled_from([1, 2, 3, None])),
            "time": (DAY.start + draw(st.integers(0, 4))) * 1000 + draw(st.sampled_from([0, 500])),
            "updater_id": draw(st.sampled_from([7, -1, None])),
            "via": draw(st.sampled_from(["Web form", "Mail", None])),
            "child_events": text,
        }
        for number, text in enumerate(texts, start=1)
    ]
    return sorted(rows, key=lambda row: (row["time"], row["id"]))
