"""Rule 1: the rows of raw tables that count as SLA events."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ticket_events_pipeline.sla.rules.events import SLA_EVENTS_SCHEMA, has_metric_events, sla_events
from ticket_events_pipeline.tables.ticket_events import TICKET_EVENTS_TABLE
from ticket_events_pipeline_tests.support.sla_cases import Clock, raw_table

AUDITS = pa.Table.from_pylist(
    [{"id": 1, "ticket_id": 1, "time": Clock.DAY.start * 1000, "event_type": "Audit", "child_event_count": 0}],
    schema=TICKET_EVENTS_TABLE.schema,
)


def ids(*raw):
    return sorted(sla_events(*raw)["id"].to_pylist())


def breach(event_id=1, **changes):
    return {**Clock(first_id=event_id).add("breach", 9).events[0], **changes}


def test_metric_shaped_rows_count_in_either_stream_and_audits_in_none():
    mixed = pa.concat_tables([AUDITS, raw_table([breach(2)], "ticket_events")])
    assert ids(mixed) == ids(raw_table([breach(2)])) == [2]
    assert [has_metric_events(table) for table in (AUDITS, mixed, raw_table([breach()]))] == [False, True, True]


def test_a_measure_row_is_no_sla_event_but_shows_that_metric_events_arrive():
    measured = raw_table([breach(type="measure", instance_id=0)])
    assert has_metric_events(measured)
    assert ids(measured) == []


@pytest.mark.parametrize("changes", [{"instance_id": 0}, {"instance_id": None}, {"type": "unheard_of"}, {"type": None}])
def test_rows_without_instance_or_with_unknown_type_are_no_sla_events(changes):
    assert ids(raw_table([breach(**changes)])) == []


def test_deleted_rows_other_than_breaches_are_dropped():
    rows = [breach(1, deleted=True), breach(2, type="fulfill", deleted=True), breach(3, type="apply_sla", deleted=True)]
    assert ids(raw_table(rows)) == [1]


def test_id_in_both_streams_is_one_event_and_the_later_table_wins():
    first, second = raw_table([breach(1, type="pause")]), raw_table([breach(1)], "ticket_events")
    assert sla_events(first, second)["rank"].to_pylist() == [2]
    assert sla_events(second, first)["rank"].to_pylist() == [3]


def test_a_later_deleted_delivery_removes_the_event():
    assert ids(raw_table([breach(1, type="pause")]), raw_table([breach(1, type="pause", deleted=True)], "ticket_events")) == []


def test_apply_without_sla_object_has_no_policy_and_one_without_policy_id_has():
    events = Clock().add("apply_sla", 9, sla=None).add("apply_sla", 10, sla={"target": 2}).add("apply_group_sla", 11).events
    table = sla_events(raw_table(events)).sort_by("id")
    assert table["has_policy"].to_pylist() == [False, True, False]
    assert table["target_seconds"].to_pylist() == [None, 120, None]


def test_no_tables_and_tables_without_rows_make_no_events():
    assert sla_events() == sla_events(raw_table([]), AUDITS) == SLA_EVENTS_SCHEMA.empty_table()
