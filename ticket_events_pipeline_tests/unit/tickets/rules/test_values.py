"""The value of a field at a moment, rule by rule; times are seconds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ticket_events_pipeline.tables.tickets import TICKET_STATES_TABLE
from ticket_events_pipeline.tickets.rules.change_rows import merged
from ticket_events_pipeline.tickets.rules.due_times import with_due_times
from ticket_events_pipeline.tickets.rules.history import changes_between
from ticket_events_pipeline.tickets.rules.target_dimensions import target_dimensions, with_moments
from ticket_events_pipeline.tickets.rules.values import (
    KNOWN_BY,
    KnownAudits,
    Moments,
    unknown_values,
    values_at,
)
from ticket_events_pipeline.tickets.snapshots import SNAPSHOTS_SCHEMA

ALWAYS = KnownAudits(0, 10**9)
DAY = 86_400
UNKNOWN = (None, None)


def change(value, at, *, field="group_id", is_create=False, **more):
    audit = {"ticket_id": 1, "field": field, "value": value, "changed_at": at * 1000, "audit_id": at, "position": 0}
    return audit | {"is_create": is_create, "had_previous": "previous_value" in more} | more


def created(at, **more):
    return change("web", at, field="channel", is_create=True, **more)


def snapshot(value, seen_at, *, updated_at=0, field="group_id"):
    return {"ticket_id": 1, "field": field, "value": value, "seen_at": seen_at * 1000, "updated_at": updated_at * 1000}


def value(*rows, at=100, includes_at=False, field="group_id", known=ALWAYS, snapshots=(), **more):
    """The value of the field at a moment, and how it is known."""
    history = merged(pa.Table.from_pylist(list(rows), TICKET_STATES_TABLE.schema))
    moments = Moments(np.array([1]), np.array([at]), np.array([includes_at]))
    seen = pa.Table.from_pylist(list(snapshots), SNAPSHOTS_SCHEMA)
    found = values_at(history, moments, [field], known=known, snapshots=seen, **more)[field]
    return found.values[0].as_py(), KNOWN_BY[found.known_by[0]]


def test_the_newest_change_before_the_moment_counts():
    assert value(change("7", 80), change("8", 90), change("9", 110)) == ("8", "audit")


@pytest.mark.parametrize(("includes_at", "group"), [(False, "7"), (True, "8")])
def test_a_change_in_the_second_of_a_fulfilment_counts_but_not_in_that_of_a_breach(includes_at, group):
    assert value(change("7", 90), change("8", 100), includes_at=includes_at) == (group, "audit")


def test_of_two_changes_in_one_second_the_later_audit_counts():
    assert value(change("7", 90, audit_id=2), change("8", 90, audit_id=1)) == ("7", "audit")


def test_what_a_ticket_was_created_with_counts_from_the_beginning():
    assert value(created(200), change("7", 200, is_create=True)) == ("7", "audit")


def test_what_a_create_does_not_set_is_known_to_be_empty():
    assert value(created(50)) == (None, "audit")


def test_a_create_from_before_a_field_was_tracked_says_nothing_of_it():
    assert value(created(50), tracked_since={"group_id": 60}) == UNKNOWN


def test_without_a_change_before_the_next_one_tells_what_it_replaced():
    assert value(change("8", 110, previous_value="7")) == ("7", "previous_value")
    assert value(change("8", 110, previous_value=None)) == (None, "previous_value")
    assert value(change("8", 110)) == UNKNOWN


def test_only_the_next_change_tells_and_only_within_thirty_days():
    assert value(change("8", 110), change("9", 120, previous_value="8")) == UNKNOWN
    assert value(change("8", 100 + 30 * DAY, previous_value="7")) == ("7", "previous_value")
    assert value(change("8", 101 + 30 * DAY, previous_value="7")) == UNKNOWN


def test_a_snapshot_tells_if_nothing_changed_between():
    assert value(snapshots=[snapshot("7", 150)]) == ("7", "snapshot")
    assert value(snapshots=[snapshot(None, 150)]) == (None, "snapshot")
    assert value(snapshots=[snapshot("7", 50)]) == ("7", "snapshot")
    assert value(change("8", 120), snapshots=[snapshot("8", 150)]) == UNKNOWN
    assert value(change("8", 150), snapshots=[snapshot("7", 150)]) == UNKNOWN


def test_a_ticket_that_did_not_come_back_tells_nothing():
    assert value(snapshots=[snapshot(None, 150, field=None)]) == UNKNOWN


def test_over_missing_audits_a_value_is_assumed():
    assert value(change("7", 80), known=KnownAudits(90, 200)) == ("7", "assumed")
    assert value(change("7", 80), known=KnownAudits(0, 99)) == ("7", "assumed")
    assert value(created(80), known=KnownAudits(90, 200)) == (None, "assumed")
    assert value(snapshots=[snapshot("7", 150, updated_at=145)], known=KnownAudits(0, 140)) == ("7", "assumed")


def test_a_later_rule_over_stored_days_beats_one_over_missing_days():
    rows = change("7", 80), change("9", 110, previous_value="8")
    assert value(*rows, known=KnownAudits(90, 200)) == ("8", "previous_value")


def test_a_ticket_untouched_since_the_moment_needs_no_audits_up_to_the_snapshot():
    assert value(snapshots=[snapshot("7", 150, updated_at=99)], known=KnownAudits(0, 110)) == ("7", "snapshot")


def test_a_snapshot_needs_the_audits_only_up_to_the_last_update_of_the_ticket():
    assert value(snapshots=[snapshot("7", 150, updated_at=120)], known=KnownAudits(0, 140)) == ("7", "snapshot")


def test_the_channel_never_changes_so_missing_audits_do_not_matter():
    assert value(created(50), field="channel", known=KnownAudits(90, 95)) == ("web", "audit")
    assert value(created(50) | {"value": None}, field="channel") == UNKNOWN


def test_tags_are_those_before_with_added_and_removed_applied():
    rows = [change('["a","b"]', 80, field="tags"), change(None, 90, field="tags", tags_added=["c"], tags_removed=["a"])]
    assert value(*rows, field="tags") == ('["b","c"]', "audit")
    assert value(created(50), rows[1], field="tags") == ('["c"]', "audit")
    assert value(rows[1], field="tags") == UNKNOWN


def test_tags_before_a_change_are_its_list_without_the_added_and_with_the_removed():
    row = change('["a","b"]', 110, field="tags", tags_added=["b"], tags_removed=["c"])
    assert value(row, field="tags") == ('["a","c"]', "previous_value")
    assert value(change('["a"]', 110, field="tags"), field="tags") == UNKNOWN


def test_where_the_history_does_not_reach_back_nothing_is_said():
    """The only change that is remembered may not be the first one after the moment."""
    rows = created(10), change("9", 150, previous_value="8")
    assert value(*rows, complete_from=200) == UNKNOWN
    assert value(*rows, complete_from=200, snapshots=[snapshot("7", 120, updated_at=110)]) == UNKNOWN
    assert value(*rows, complete_from=200, snapshots=[snapshot("7", 120, updated_at=90)]) == ("7", "snapshot")
    assert value(created(10), complete_from=200) == (None, "audit")


def test_an_interval_begins_and_changes_at_each_change_in_it():
    history = pa.Table.from_pylist([change("7", 80), change("8", 100), change("9", 150)], TICKET_STATES_TABLE.schema)
    intervals, times = changes_between(history, np.array([1, 2]), np.array([90, 90]), np.array([150, 150]), ["group_id"])
    assert (intervals.tolist(), times.tolist()) == ([0, 0, 1], [90, 100, 90])


def dimensions_row(**texts):
    """The row of a target whose ticket has these values, all known from audits."""
    empty = dict.fromkeys(("breached_at", "fulfilled_at", "closed_at", "due_at"), 1000)
    target = {"ticket_id": 1, "metric": "m", "instance_id": 1, "sla_metric": "m", "superseded": False, "as_of": 1000, **empty}
    table = pa.Table.from_pylist([target])
    for name in ("as_of", *empty):
        table = table.set_column(
            table.schema.get_field_index(name), name, table[name].cast(pa.timestamp("ms")).cast(pa.timestamp("ms", "UTC"))
        )
    fields = ["status", "priority", "type", "group_id", "assignee_id", "organization_id", "brand_id", "ticket_form_id"]
    fields += ["channel", "tags", "schedule_id"]
    values = {field: unknown_values(1) for field in fields}
    for field, text in texts.items():
        values[field] = type(values[field])(pa.array([text], pa.string()), np.array([0], np.int8), *[np.array([False])] * 2)
    targets = with_due_times(with_moments(table), np.empty(0, np.int64), np.empty(0, np.int64))
    return target_dimensions(targets, values, values, fields).to_pylist()[0]


def test_an_id_that_is_no_whole_number_is_unknown_and_an_empty_text_is_none():
    row = dimensions_row(group_id="no id", assignee_id="", brand_id="31", priority="", tags=None)
    assert (row["group_id"], row["assignee_id"], row["brand_id"], row["priority"], row["tags"]) == (None, None, 31, None, [])
    assert '"group_id":null' in row["known_by"]
    assert not any(f'"{name}":' in row["known_by"] for name in ("assignee_id", "brand_id", "priority", "tags"))


def test_tags_that_are_no_list_are_unknown():
    row = dimensions_row(tags="vip billing")
    assert row["tags"] is None
    assert '"tags":null' in row["known_by"]
