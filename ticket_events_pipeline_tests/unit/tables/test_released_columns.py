"""The columns of the stored tables, version by version: files of every released version lie in users' roots.

A failure here means that files of a released version can't be read as they are any more. Columns may be added, with a version
of their own; see `tables.table` for what any other change needs. This list changes only together with a migration.
"""

import pytest

from ticket_events_pipeline.tables.registry import SCHEMA_VERSION, TABLES
from ticket_events_pipeline_tests.support.released import RELEASED_VERSION

METRIC = (
    "instance_id:int64 type:string time:TIME deleted:bool sla_target_minutes:int64 sla_target_seconds:int64 "
    "sla_business_hours:bool sla_policy_id:string sla_policy_title:string sla_is_group:bool status_calendar_minutes:int64 "
    "status_business_minutes:int64 extra:string"
)
RELEASED = {
    ("ticket_events", 1): "id:int64 ticket_id:int64 time:TIME created_at:TIME updater_id:int64 via:string event_type:string "
    "via_reference_id:int64 child_events:string system:string metadata:string merged_ticket_ids:string child_event_count:int32 "
    f"comment_present:bool comment_public:bool metric:string {METRIC.replace(' time:TIME', '')}",
    ("ticket_metric_events", 1): f"id:int64 ticket_id:int64 metric:string {METRIC}",
    ("sla_targets", 0): "ticket_id:int64 metric:string instance_id:int64 sla_metric:string is_group_sla:bool policy_id:string "
    "policy_title:string target_seconds:int64 business_hours:bool target_changes:int32 activated_at:TIME applied_at:TIME "
    "entered_at:TIME entered_by:string entry_policy_id:string entry_policy_title:string entry_business_hours:bool "
    "breached_at:TIME breach_policy_id:string breach_policy_title:string breach_business_hours:bool fulfilled_at:TIME "
    "closed_at:TIME reopened_on_day:bool outcome:string was_open_at_start:bool is_paused:bool superseded:bool "
    "reopen_count:int32 breach_events:int32 withdrawn_breaches:int32 breach_events_on_day:int32 "
    "withdrawn_breaches_on_day:int32 overdue_seconds:int64 overdue_clock_seconds:int64 last_event_at:TIME as_of:TIME",
    ("daily_sla_breach_summary", 1): "sla_metric:string policy_id:string business_hours:bool policy_title:string "
    "targets_started:int64 targets_discovered:int64 targets_reopened:int64 targets_cancelled:int64 breaches:int64 "
    "breached_tickets:int64 breach_events:int64 achieved:int64 completed_breached:int64 superseded_breaches:int64 "
    "withdrawn_breaches:int64 active_eod:int64 breached_open_eod:int64 paused_eod:int64 achievement_rate:double "
    "overdue_p50_seconds:double overdue_p90_seconds:double overdue_max_seconds:int64 as_of:TIME events_through:TIME "
    "history_from:date32[day]",
    ("sla_clocks", 1): "id:int64 ticket_id:int64 metric:CODED instance_id:int64 rank:int8 time:TIME deleted:bool "
    "has_policy:bool is_group:bool target_seconds:int64 business_hours:bool policy_id:CODED policy_title:CODED "
    "status_calendar_minutes:int64 status_business_minutes:int64 clock:int32 is_fulfilled:bool is_open:bool",
    (
        "ticket_field_changes",
        3,
    ): "ticket_id:int64 field:string value:string had_previous:bool previous_value:string tags_added:TEXTS "
    "tags_removed:TEXTS changed_at:TIME audit_id:int64 position:int32 updater_id:int64 via:string is_create:bool",
    ("ticket_states", 3): "ticket_id:int64 field:CODED value:string had_previous:bool previous_value:string tags_added:TEXTS "
    "tags_removed:TEXTS changed_at:TIME audit_id:int64 position:int32 is_create:bool",
    (
        "sla_target_dimensions",
        3,
    ): "ticket_id:int64 metric:string instance_id:int64 sla_metric:string at:TIME at_kind:string status:string "
    "priority:string type:string group_id:int64 assignee_id:int64 organization_id:int64 brand_id:int64 "
    "ticket_form_id:int64 channel:string tags:TEXTS schedule_id:int64 known_by:string group_id_eod:int64 "
    "assignee_id_eod:int64 due_at:TIME due_by:string",
    (
        "daily_sla_breaches_by_dimension",
        3,
    ): "dimension:string value:string is_known:bool sla_metric:string business_hours:bool breaches:int64 "
    "breached_tickets:int64 achieved:int64 completed_breached:int64 active_eod:int64 breached_open_eod:int64 "
    "achievement_rate:double overdue_p50_seconds:double overdue_p90_seconds:double overdue_max_seconds:int64",
    (
        "sla_target_holders",
        3,
    ): "ticket_id:int64 metric:string instance_id:int64 sla_metric:string ended_by:string group_id:int64 "
    "assignee_id:int64 is_known:bool held_from:TIME held_to:TIME calendar_seconds:int64 business_seconds:int64",
    ("daily_ticket_durations", 3): "sla_metric:string group_id:int64 is_known:bool clocks:int64 calendar_p50_minutes:double "
    "calendar_p90_minutes:double calendar_mean_minutes:double business_p50_minutes:double business_p90_minutes:double "
    "business_mean_minutes:double",
}
TIME, CODED = "timestamp[ms, tz=UTC]", "dictionary<values=string, indices=int32, ordered=0>"
TEXTS = "list<item:string>"


def columns_of(schema):
    return [f"{column.name}:{column.type}".replace("item: string", "item:string") for column in schema]


def released(asset, version):
    words = RELEASED[asset, version].split()
    return [text.replace("TIME", TIME).replace("CODED", CODED).replace("TEXTS", TEXTS) for text in words]


@pytest.mark.parametrize(("asset", "version"), RELEASED)
def test_the_columns_of_a_released_version_stay_in_their_order_and_types(asset, version):
    assert columns_of(TABLES[asset].at(version)) == released(asset, version)


def test_targets_of_version_1_have_the_estimate_before_the_last_two_columns():
    before = released("sla_targets", 0)
    assert columns_of(TABLES["sla_targets"].at(1)) == [*before[:-2], f"due_at:{TIME}", *before[-2:]]


RELEASED_ADDITIONS = {
    "sla_targets": {"due_at": 1, "is_contradicted": 2},
    "daily_sla_breach_summary": {"targets_deleted": 2, "contradicted": 2},
    "sla_clocks": {"position": 2},
}


def test_every_table_is_frozen_here():
    assert {asset for asset, _ in RELEASED} == TABLES.keys()


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_released_columns_keep_their_version_and_newer_columns_have_a_later_one(table):
    added = {column.name: column.since for column in table if column.since}
    newer = {name: version for name, version in added.items() if version > RELEASED_VERSION}
    assert added == RELEASED_ADDITIONS.get(table.name, {}) | newer
    assert all(table.schema.field(name).nullable for name in added)
    assert table.at(SCHEMA_VERSION) == table.schema


def test_the_schema_version_is_the_highest_of_any_column():
    assert max(column.since for table in TABLES.values() for column in table) == SCHEMA_VERSION >= RELEASED_VERSION
