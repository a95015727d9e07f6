"""What is remembered of a ticket from one day to the next."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.rules.states import TARGET_COLUMNS, advance, first_activations
from ticket_events_pipeline_tests.support.sla_cases import Clock
from ticket_events_pipeline_tests.support.state_cases import Ticket, states_rows, states_table

DAY = Clock.DAY
FIELDS = ("status", "group_id", "assignee_id", "channel", "tags")


def hour(number):
    return DAY.start + 3600 * number


def change(name, value, **more):
    return {"event_type": "Change", name: value, **more}


def created(**fields):
    return [{"event_type": "Create", name: value} for name, value in fields.items()]


def opened(*, activated=None, applied=None, entered=None):
    """The first activation of a target of ticket 1; times are hours of the day."""
    times = [None if number is None else hour(number) * 1000 for number in (activated, applied, entered)]
    schema = pa.schema([("ticket_id", pa.int64()), *((name, pa.timestamp("ms", "UTC")) for name in TARGET_COLUMNS[1:])])
    rows = [] if times == [None] * 3 else [dict(zip(TARGET_COLUMNS, [1, *times], strict=True))]
    return first_activations(pa.Table.from_pylist(rows, schema=schema))


def remembered(ticket, *, day=DAY, fields=FIELDS, **target):
    """The field and value of each row at the end of the day, in order."""
    rows = sorted(ticket.changes, key=lambda row: row["audit_id"])
    before, on_day = ([row for row in rows if (row["changed_at"] < day.start) is side] for side in (True, False))
    table = advance(states_table(before), states_table(on_day), day, opened=opened(**target), fields=fields)
    assert table.schema == TICKET_STATES_TABLE.schema
    return [(row["field"], row["value"]) for row in states_rows(table)]


def test_of_the_time_before_the_day_the_newest_change_of_each_field_stays():
    ticket = Ticket(1).audit(hour(-50), created(status="open", group_id=11)).audit(hour(-40), [change("status", "pending")])
    ticket.audit(hour(-30), [change("status", "solved")])
    assert remembered(ticket) == [("channel", "email"), ("group_id", "11"), ("status", "solved")]


def test_all_changes_of_the_day_stay():
    ticket = Ticket(1).audit(hour(-50), created(status="open"))
    for number, status in enumerate(["pending", "open", "solved"]):
        ticket.audit(hour(number), [change("status", status)])
    assert remembered(ticket)[1:] == [("status", "open"), ("status", "pending"), ("status", "open"), ("status", "solved")]


def test_midnight_belongs_to_the_new_day():
    ticket = Ticket(1).audit(hour(-1), [change("status", "open")]).audit(hour(0), [change("status", "solved")])
    assert remembered(ticket) == [("status", "open"), ("status", "solved")]
    assert remembered(ticket, day=DAY.plus(1)) == [("status", "solved")]


@pytest.mark.parametrize("known", [{"activated": -35}, {"applied": -35, "entered": -5}, {"entered": -35}])
def test_of_group_and_agent_all_changes_since_the_first_activation_stay_and_the_one_before(known):
    ticket = Ticket(1)
    for number in (-50, -40, -30, -20):
        ticket.audit(hour(number), [change("group_id", number), change("assignee_id", number), change("status", str(number))])
    kept = [("group_id", "-40"), ("group_id", "-30"), ("group_id", "-20"), ("status", "-20")]
    assert [row for row in remembered(ticket, **known) if row[0] != "assignee_id"] == kept
    assert [row[1] for row in remembered(ticket, **known) if row[0] == "assignee_id"] == ["-40", "-30", "-20"]


def test_a_target_that_starts_on_the_day_asks_for_nothing_older():
    ticket = Ticket(1).audit(hour(-9), [change("group_id", 11)]).audit(hour(-8), [change("group_id", 12)])
    assert remembered(ticket, activated=5) == remembered(ticket) == [("group_id", "12")]


def test_the_first_of_several_targets_counts_whatever_their_order():
    ticket = Ticket(1).audit(hour(-9), [change("group_id", 11)]).audit(hour(-5), [change("group_id", 12)])
    two = pa.table({name: [1, 1] if name == "ticket_id" else pa.array([None, None], pa.int64()) for name in TARGET_COLUMNS})
    two = two.set_column(1, "activated_at", pa.array([hour(-1) * 1000, hour(-7) * 1000]))
    table = advance(states_table(ticket.changes), states_table([]), DAY, opened=first_activations(two), fields=FIELDS)
    assert [row["value"] for row in states_rows(table)] == ["11", "12"]


def test_where_no_targets_are_known_every_change_of_group_and_agent_stays():
    ticket = Ticket(1).audit(hour(-900), [change("group_id", 11)]).audit(hour(-5), [change("group_id", 12)])
    table = advance(states_table(ticket.changes), states_table([]), DAY, opened=None, fields=FIELDS)
    assert [row["value"] for row in states_rows(table)] == ["11", "12"]


def test_a_create_counts_from_the_beginning_also_where_a_change_has_an_earlier_time():
    ticket = Ticket(1).audit(hour(-6), [change("status", "pending")]).audit(hour(-5), created(status="open"))
    assert remembered(ticket) == [("channel", "email"), ("status", "pending")]


def test_the_channel_stays_for_ever_and_says_that_the_create_is_stored():
    ticket = Ticket(1).audit(hour(-9), created(status="open")).audit(hour(-8), [change("status", "solved")])
    table = advance(states_table(ticket.changes), states_table([]), DAY, opened=opened(), fields=FIELDS)
    assert [(row["field"], row["is_create"]) for row in states_rows(table)] == [("channel", True), ("status", False)]


def test_changes_of_tags_without_a_list_stay_with_the_list_that_they_change():
    ticket = Ticket(1).audit(hour(-9), created(tags=["old"])).audit(hour(-8), [change("tags", ["a", "b"])])
    ticket.audit(hour(-7), [change("tags", None, added_tags=["c"])]).audit(hour(-6), [change("tags", None, removed_tags=["a"])])
    assert remembered(ticket, fields=("tags",)) == [("tags", '["a","b"]'), ("tags", None), ("tags", None)]
    ticket.audit(hour(-5), [change("tags", ["d"], added_tags=["d"])])
    assert remembered(ticket, fields=("tags",)) == [("tags", '["d"]')]


def test_a_change_that_empties_the_tags_needs_none_before():
    ticket = Ticket(1).audit(hour(-9), created(tags=["old"])).audit(hour(-8), [change("tags", None)])
    assert remembered(ticket, fields=("tags",)) == [("tags", None)]


def test_fields_that_are_not_tracked_any_more_are_dropped():
    ticket = Ticket(1).audit(hour(-9), created(status="open", group_id=11))
    assert remembered(ticket, fields=("group_id", "never_seen")) == [("group_id", "11")]
    assert remembered(ticket, fields=()) == []


def test_changes_in_one_second_are_in_the_order_of_audits_and_of_their_places():
    ticket = Ticket(1).audit(hour(-5), [change("status", "a"), change("status", "b")])
    ticket.audit(hour(-5), [change("status", "c"), change("status", "d")])
    assert remembered(ticket) == [("status", "d")]


def test_nothing_is_remembered_of_nothing():
    none = states_table([])
    assert advance(none, none, DAY, opened=opened(), fields=FIELDS) == none
